"""The interval of values that are not outliers, by each method, from sorted distinct values and their rows."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

ROUNDS = 3  # of the iterated rule
MAD_TO_SIGMA = 1.4826  # the sigma of a normal distribution, in median absolute deviations
# The last digits of a sum of doubles depend on the order; a decision must not.
SLACK = 1e-9


class Interval(NamedTuple):
    """The values that a method allows."""

    centre: float
    low: float
    high: float


def _interval(centre: float, reach: float) -> Interval:
    wide = reach * (1 + SLACK) + abs(centre) * SLACK
    return Interval(centre, centre - wide, centre + wide)


def _moments(value: np.ndarray, rows: np.ndarray) -> tuple[int, float, float]:
    """n, mean and the sum of squared deviations; fsum rounds once, so that they are equal on every machine."""
    n = int(rows.sum())
    mean = _sum(rows * value) / n
    with np.errstate(all="ignore"):
        return n, mean, _sum(rows * (value - mean) ** 2)


def _sum(values: np.ndarray) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # too large, or too large in both directions
        return math.inf  # judges nothing


def _plain(value: np.ndarray, rows: np.ndarray, sigmas: float) -> Interval:
    n, mean, m2 = _moments(value, rows)
    return _interval(mean, sigmas * math.sqrt(m2 / (n - 1)))


def _sigma(value: np.ndarray, rows: np.ndarray, sigmas: float) -> Interval:
    """How far a value may be from the mean of all, judged by mean and sigma of only the others (leave-one-out).

    With d = x - mean, the others have the mean: mean - d / (n - 1), and the sum of squares: m2 - d^2 n / (n - 1)
    (Welford's update, reversed); the reach is the d at which |x - their mean| = sigmas * their sigma.
    """
    n, mean, m2 = _moments(value, rows)
    others = n / (n - 1)
    return _interval(mean, sigmas * math.sqrt(m2 / (others * others * (n - 2) + sigmas * sigmas * others)))


def _iterated(value: np.ndarray, rows: np.ndarray, sigmas: float) -> Interval:
    """`_sigma`, repeated on the remaining values, up to ROUNDS times."""
    allowed = Interval(0.0, -math.inf, math.inf)
    for _ in range(ROUNDS):
        left = (value >= allowed.low) & (value <= allowed.high)
        if rows[left].sum() < 3:
            break
        again = _sigma(value[left], rows[left], sigmas)
        allowed = Interval(again.centre, max(allowed.low, again.low), min(allowed.high, again.high))
    return allowed


def _mad(value: np.ndarray, rows: np.ndarray, sigmas: float) -> Interval | None:
    """By median and median absolute deviation; a deviation of 0 judges nothing."""
    centre = _weighted_median(value, rows)
    away = np.abs(value - centre)
    order = np.argsort(away, kind="stable")
    spread = _weighted_median(away[order], rows[order])
    return _interval(centre, sigmas * MAD_TO_SIGMA * spread) if spread > 0 else None


def _weighted_median(value: np.ndarray, rows: np.ndarray) -> float:
    """The median of sorted values, weighted by their rows."""
    upto = np.cumsum(rows)
    # An even number of rows has two middle values.
    low, high = np.searchsorted(upto, [(upto[-1] + 1) // 2, upto[-1] // 2 + 1])
    return float((value[low] + value[high]) / 2)


# By method: (values, ascending float64 (n,); the rows of each, int64 (n,); sigmas) -> the allowed interval.
INTERVALS: dict[str, Callable[[np.ndarray, np.ndarray, float], Interval | None]] = {
    "plain": _plain,
    "sigma": _sigma,
    "iterated": _iterated,
    "mad": _mad,
}
