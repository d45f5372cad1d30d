"""The data plan: which sample comes when, and to which rank. Pure numpy: no files, no clock, no state.

An epoch visits the shards in a shuffled order, `window` shards at a time; the rows of a window are shuffled together.
So a reader streams whole shards in sequence and holds one window, and the order follows from (seed, epoch) alone.

Steps may hold samples of like length instead: those of GROUP steps are sorted together, cut into global batches, and
the batches shuffled.

A mix of tasks is a sequence of rounds. A round holds `ratio[t]` samples of task t, task after task; each task gives
its samples in its own order. Rule "repeat": as many rounds as the task that lasts longest needs, the others start over
in another order. Rule "cut": as many rounds as the task that runs out first has, the others leave their rest out.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

WINDOW = 8  # shards shuffled together
GROUP = 50  # steps whose samples are sorted by length together


def shard_order(shards: int, seed: int, epoch: int) -> np.ndarray:
    """The sequence in which an epoch visits the shards.

    Returns: int array [shards]
    """
    return np.random.default_rng([seed, epoch]).permutation(shards)


def plan(rows_per_shard: Sequence[int], seed: int, epoch: int, window: int = WINDOW) -> np.ndarray:
    """The global order of the samples; sample i is row i of all shards laid end to end.

    Returns: int array [samples], a permutation
    """
    random = np.random.default_rng([seed, epoch, 1])
    rows = np.asarray(rows_per_shard, dtype=np.int64)
    starts = np.cumsum(rows) - rows
    order = shard_order(len(rows), seed, epoch)
    windows = [order[first : first + window] for first in range(0, len(order), window)]
    parts = [np.concatenate([np.arange(starts[s], starts[s] + rows[s]) for s in group]) for group in windows]
    return np.concatenate([random.permutation(part) for part in parts] or [np.zeros(0, np.int64)])


def rounds(samples: Sequence[int], ratio: Sequence[int], rule: str) -> int:
    """Rounds of an epoch in which task t has `samples[t]` samples; 0 where a task of a mix has none."""
    if min(samples) == 0:
        return 0
    if rule == "repeat":
        return max(-(-count // part) for count, part in zip(samples, ratio, strict=True))
    return min(count // part for count, part in zip(samples, ratio, strict=True))


def before(position: int, ratio: Sequence[int]) -> list[int]:
    """How many of the first `position` samples of a mix belong to each task."""
    whole, rest = divmod(position, sum(ratio))
    starts = accumulate(ratio, initial=0)
    return [whole * part + min(max(rest - start, 0), part) for part, start in zip(ratio, starts, strict=False)]


def passes(samples: int, needed: int) -> int:
    """How often a task of `samples` samples is begun to give `needed` ones in an epoch of the mix, at least once."""
    return max(-(-needed // max(samples, 1)), 1)


def mixed(
    rows_per_shard: Sequence[Sequence[int]],
    ratio: Sequence[int],
    rule: str,
    seed: int,
    epoch: int,
    window: int = WINDOW,
) -> np.ndarray:
    """The global order of a mix; rows_per_shard[t] are the shards of task t. A task that is repeated is planned anew
    for each pass, as for an epoch of its own.

    Returns: int array [samples of the epoch, 2]: task, and row of all shards of the task laid end to end
    """
    count = rounds([sum(rows) for rows in rows_per_shard], ratio, rule)
    laid = []
    for task, (rows, part) in enumerate(zip(rows_per_shard, ratio, strict=True)):
        often = passes(sum(rows), count * part)
        order = np.concatenate([plan(rows, seed, epoch * often + again, window) for again in range(often)])
        chosen = order[: count * part].reshape(count, part)
        laid.append(np.stack([np.full_like(chosen, task), chosen], axis=-1))
    return np.concatenate(laid, axis=1).reshape(-1, 2)


def steps_per_epoch(samples: int, global_batch: int) -> int:
    """Whole global batches in an epoch.

    The remainder, smaller than one global batch, is left out; each epoch has another order, so another remainder.
    """
    return samples // global_batch


def group_of(steps: int) -> int:
    """Steps whose samples are sorted by length together: at most a quarter of an epoch, so that each has others."""
    return max(min(GROUP, steps // 4), 1)


def by_length(lengths: np.ndarray, global_batch: int, seed: int, epoch: int, first: int) -> np.ndarray:
    """The order of the samples of a group of steps, the first of which is step `first`, so that each global batch has
    samples of like length. Within a batch they stay in the plan's order, lest one rank always get the longest.

    Returns: int array [samples], a permutation of their positions
    """
    batches = np.sort(np.argsort(lengths, kind="stable").reshape(-1, global_batch), axis=1)
    return np.random.default_rng([seed, epoch, 2, first]).permutation(batches).ravel()


def share(order: np.ndarray, global_batch: int, rank: int, world_size: int) -> np.ndarray:
    """A rank's contiguous part of each global batch.

    Returns: int array [steps, global_batch / world_size]. ValueError when the ranks cannot share a batch evenly.
    """
    if global_batch % world_size:
        raise ValueError(f"a global batch of {global_batch} cannot be shared evenly by {world_size} ranks")
    part = global_batch // world_size
    steps = steps_per_epoch(len(order), global_batch)
    whole = order[: steps * global_batch].reshape(steps, world_size, part)
    return whole[:, rank]
