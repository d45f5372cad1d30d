"""How many cases a set takes: a few, chosen by seed, in `make test-slow`, all or many in `make test-long`."""

import random
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

SEED = 13
Case = TypeVar("Case")


def sizes(few: int, many: int) -> Any:
    """Parametrize a test by `size`, the number of its cases in the slow and in the long set."""
    return pytest.mark.parametrize(
        "size",
        [pytest.param(few, marks=pytest.mark.slow, id="few"), pytest.param(many, marks=pytest.mark.long, id="many")],
    )


def chosen(cases: Sequence[Case], size: int, seed: int = SEED) -> list[Case]:
    """`size` of the cases in their order; all where there are no more."""
    if size >= len(cases):
        return list(cases)
    places = sorted(random.Random(seed).sample(range(len(cases)), size))
    return [cases[place] for place in places]
