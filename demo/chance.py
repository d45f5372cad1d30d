"""Seeded randomness. Each row has its own generator, so that it can be reproduced without the rows before it."""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

START = datetime(2016, 7, 1)
END = datetime(2026, 6, 30, 23, 59, 59)
GROWTH = 0.5  # increase of the daily rows from the first day to the last


def rng(seed: int, *key: object) -> random.Random:
    """A generator for one row: equal everywhere for equal seed and key (a string seed goes through SHA-512)."""
    return random.Random("/".join(map(str, (seed, *key))))


def weighted(r: random.Random, shares: Mapping[str, float]) -> str:
    return r.choices(list(shares), weights=list(shares.values()))[0]


def moment(share: float) -> datetime:
    """The time at which `share` (0 to 1) of all rows have happened: the inverse of (x + GROWTH x^2 / 2) scaled to 1."""
    total = 1 + GROWTH / 2
    x = ((1 + 2 * GROWTH * share * total) ** 0.5 - 1) / GROWTH
    return START + timedelta(seconds=int(x * (END - START).total_seconds()))


def timestamp(r: random.Random, index: int, rows: int) -> datetime:
    """The time of row `index` of `rows`: increases with the index."""
    return moment((index + r.random()) / rows)


def spread(items: Sequence[str], skew: float = 1.0) -> dict[str, float]:
    """Uneven shares: the first of n items is `1 + skew` times as frequent as the last."""
    last = max(len(items) - 1, 1)
    return {item: 1 + skew * (1 - i / last) for i, item in enumerate(items)}
