"""The data plan: which sample comes when, and to which rank. Pure numpy: no files, no clock, no state.

An epoch visits the shards in a shuffled order, `window` shards at a time; the rows of a window are shuffled together.
So a reader streams whole shards in sequence and holds one window, and the order follows from (seed, epoch) alone.
"""

from collections.abc import Sequence

import numpy as np

WINDOW = 8  # shards shuffled together


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


def steps_per_epoch(samples: int, global_batch: int) -> int:
    """Whole global batches in an epoch.

    The remainder, smaller than one global batch, is left out; each epoch has another order, so another remainder.
    """
    return samples // global_batch


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
