"""Laws of the data plan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.plan import plan, shard_order, share, steps_per_epoch

shards = st.lists(st.integers(0, 40), min_size=1, max_size=20)
seeds = st.integers(0, 2**31)
epochs = st.integers(0, 50)
windows = st.integers(1, 8)


@settings(deadline=None)
@given(shards, seeds, epochs, windows)
def test_every_sample_exactly_once(rows, seed, epoch, window):
    assert sorted(plan(rows, seed, epoch, window)) == list(range(sum(rows)))


@settings(deadline=None)
@given(shards, seeds, epochs, windows)
def test_pure(rows, seed, epoch, window):
    np.random.seed(epoch)
    first = plan(rows, seed, epoch, window)
    np.random.seed(epoch + 1)
    assert (first == plan(rows, seed, epoch, window)).all()


@settings(deadline=None)
@given(shards, seeds, epochs, windows)
def test_a_window_of_shards_is_read_before_the_next(rows, seed, epoch, window):
    owner = np.repeat(np.arange(len(rows)), rows)[plan(rows, seed, epoch, window)]
    order = shard_order(len(rows), seed, epoch)
    rank_of_shard = np.argsort(order) // window
    assert (np.diff(rank_of_shard[owner]) >= 0).all()


@settings(deadline=None)
@given(shards, seeds, epochs, st.integers(1, 6).map(lambda n: 4 * n))
def test_the_same_global_batches_on_every_world_size(rows, seed, epoch, batch):
    order = plan(rows, seed, epoch)
    whole = share(order, batch, 0, 1)
    for world_size in (2, 4):
        parts = [share(order, batch, rank, world_size) for rank in range(world_size)]
        assert len({part.shape for part in parts}) == 1
        assert (np.concatenate(parts, axis=1) == whole).all()


@settings(deadline=None)
@given(shards, seeds, epochs, st.integers(1, 24))
def test_only_a_remainder_smaller_than_a_batch_is_left_out(rows, seed, epoch, batch):
    seen = share(plan(rows, seed, epoch), batch, 0, 1).ravel()
    assert len(set(seen)) == len(seen) == batch * steps_per_epoch(sum(rows), batch)
    assert sum(rows) - len(seen) < batch


@given(seeds, epochs)
def test_another_order_in_each_epoch_and_for_each_seed(seed, epoch):
    rows = [30, 40, 50]
    here = plan(rows, seed, epoch)
    assert (here != plan(rows, seed, epoch + 1)).any()
    assert (here != plan(rows, seed + 1, epoch)).any()


def test_no_sample_is_left_out_of_every_epoch():
    rows = [5, 5, 5]
    seen = {int(i) for epoch in range(20) for i in share(plan(rows, 0, epoch), 4, 0, 1).ravel()}
    assert seen == set(range(15))


def test_ranks_that_cannot_share_a_batch_evenly_are_refused():
    with pytest.raises(ValueError, match="global batch of 6 cannot be shared evenly by 4 ranks"):
        share(np.arange(12), 6, 0, 4)
