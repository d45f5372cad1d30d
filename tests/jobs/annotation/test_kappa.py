"""Kappa equals scikit-learn's and the published example."""

import random
from collections import Counter

import pytest
from sklearn.metrics import cohen_kappa_score

from finelake.jobs.annotation.kappa import cohen_kappa, fleiss_kappa


def test_cohen_kappa_equals_scikit_learn():
    dice = random.Random(7)
    for _ in range(100):
        pairs = [(dice.choice("abc"), dice.choice("abcd")) for _ in range(dice.randint(2, 60))]
        table = dict(Counter(pairs))
        expected = cohen_kappa_score([a for a, _ in pairs], [b for _, b in pairs])
        assert cohen_kappa(table) == pytest.approx(expected, abs=1e-12)
    assert cohen_kappa({("a", "a"): 5}) == 1.0


def test_fleiss_kappa_equals_the_published_example():
    """Fleiss (1971): 30 patients, 6 psychiatrists, 5 diagnoses; the smaller table of 10 x 14 gives 0.210."""
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    table = Counter(tuple("abcde"[j] for j, n in enumerate(row) for _ in range(n)) for row in counts)
    assert fleiss_kappa(table) == pytest.approx(0.2099, abs=5e-5)
