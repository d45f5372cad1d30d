"""The intervals equal their definitions, computed on every single row."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from finelake.jobs.cleaning.intervals import INTERVALS, MAD_TO_SIGMA

VALUES = st.lists(st.integers(-50, 50), min_size=4, max_size=40)


def interval(method, values, sigmas=3.0):
    distinct, rows = np.unique(np.array(values, dtype=float), return_counts=True)
    return INTERVALS[method](distinct, rows, sigmas)


@settings(deadline=None)
@given(VALUES)
def test_sigma_judges_each_value_by_the_others(values):
    assume(len(set(values)) > 1)
    found = interval("sigma", values)
    for index, value in enumerate(values):
        others = np.array(values[:index] + values[index + 1 :], dtype=float)
        away, spread = abs(value - others.mean()), others.std(ddof=1)
        assume(not math.isclose(away, 3 * spread, rel_tol=1e-6))
        assert (found.low <= value <= found.high) == (away <= 3 * spread)


@settings(deadline=None)
@given(VALUES)
def test_plain_is_mean_and_sigma_of_all(values):
    found = interval("plain", values)
    assert found.centre == pytest.approx(np.mean(values))
    assert found.high - found.centre == pytest.approx(3 * np.std(values, ddof=1), rel=1e-6, abs=1e-6)


@settings(deadline=None)
@given(VALUES)
def test_mad_is_the_median_of_the_deviations_from_the_median(values):
    found, centre = interval("mad", values), np.median(values)
    spread = np.median(np.abs(np.array(values) - centre))
    if spread == 0:
        assert found is None
    else:
        assert found.centre == centre
        assert found.high - centre == pytest.approx(3 * MAD_TO_SIGMA * spread, rel=1e-6)


def test_iterated_finds_outliers_masked_by_a_larger_one():
    values = [*range(20), 60, 100_000]
    assert interval("sigma", values).high > 60
    assert 19 < interval("iterated", values).high < 60


def test_values_too_large_to_sum_judge_nothing():
    found = interval("sigma", [1e308, -1e308, 1.7e308, 3.0])
    assert not any(value < found.low or value > found.high for value in (1e308, -1e308, 3.0))
