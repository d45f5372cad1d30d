"""The data plan: the order of the samples, and the rank of each. Pure numpy: no files, no clock, no state.

An epoch visits the shards in a shuffled order, `window` shards at a time; the rows of a window are shuffled together.
So a reader streams whole shards in sequence and holds one window, and the order depends only on (seed, epoch).

Steps may hold samples of similar length instead: those of GROUP steps are sorted together, cut into global batches, and
the batches shuffled.

A mix of tasks is a sequence of rounds. A round holds `ratio[t]` samples of task t, one task after the other; each task
gives its samples in its own order. Rule "repeat": as many rounds as the longest-lasting task needs; the others start
again in another order. Rule "cut": as many rounds as the first exhausted task has; the others drop the rest.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

WINDOW = 8  # shards shuffled together
GROUP = 50  # steps whose samples are sorted by length together


def shard_order(shards: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits the shards.

    Returns: int array [shards]
    """
    return np.random.default_rng([seed, epoch]).permutation(shards)


def plan(rows_per_shard: Sequence[int], seed: int, epoch: int, window: int = WINDOW) -> np.ndarray:
    """The global order of the samples; sample i is row i of the concatenated shards.

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
    """The number of passes over a task's `samples` that give `needed` ones in an epoch of the mix, at least 1."""
    return max(-(-needed // max(samples, 1)), 1)


def mixed(
    rows_per_shard: Sequence[Sequence[int]],
    ratio: Sequence[int],
    rule: str,
    seed: int,
    epoch: int,
    window: int = WINDOW,
) -> np.ndarray:
    """The global order of a mix; rows_per_shard[t] are the shards of task t. A repeated task gets a new plan for each
    pass, as for a separate epoch.

    Returns: int array [samples of the epoch, 2]: task, and row of the task's concatenated shards
    """
    count = rounds([sum(rows) for rows in rows_per_shard], ratio, rule)
    columns = []
    for task, (rows, part) in enumerate(zip(rows_per_shard, ratio, strict=True)):
        number = passes(sum(rows), count * part)
        order = np.concatenate([plan(rows, seed, epoch * number + index, window) for index in range(number)])
        samples = order[: count * part].reshape(count, part)
        columns.append(np.stack([np.full_like(samples, task), samples], axis=-1))
    return np.concatenate(columns, axis=1).reshape(-1, 2)


def steps_per_epoch(samples: int, global_batch: int) -> int:
    """Whole global batches in an epoch.

    The remainder, smaller than one global batch, is dropped; each epoch has another order, hence another remainder.
    """
    return samples // global_batch


def group_of(steps: int) -> int:
    """Steps whose samples are sorted by length together: at most a quarter of an epoch, so that groups vary."""
    return max(min(GROUP, steps // 4), 1)


def by_length(lengths: np.ndarray, global_batch: int, seed: int, epoch: int, first: int) -> np.ndarray:
    """The order of the samples of a group of steps, the first of which is step `first`, so that each global batch has
    samples of similar length. Within a batch they keep the plan's order, so that no rank always gets the longest.

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
