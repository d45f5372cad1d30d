"""Laws of the data plan."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finelake.training.data.plan import (
    before,
    by_length,
    group_of,
    mixed,
    plan,
    rounds,
    shard_order,
    share,
    steps_per_epoch,
)

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


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), seeds, epochs)
def test_a_batch_grouped_by_length_holds_neighbours_in_length(steps, batch, seed, epoch):
    lengths = np.random.default_rng(seed).integers(1, 100, steps * batch)
    order = by_length(lengths, batch, seed, epoch, 0)
    assert sorted(order) == list(range(len(lengths)))
    batches = order.reshape(-1, batch)
    assert all(list(row) == sorted(row) for row in batches)  # in the plan's order
    ranges = sorted((lengths[row].min(), lengths[row].max()) for row in batches)
    assert all(before[1] <= after[0] for before, after in pairwise(ranges))


def test_batches_grouped_by_length_come_in_another_order_each_epoch_and_group():
    orders = [by_length(np.arange(400), 8, 3, epoch, first).tolist() for epoch in (0, 1) for first in (0, 50)]
    assert all(one != other for one, other in combinations([list(range(400)), *orders], 2))


@pytest.mark.parametrize(("steps", "group"), [(1, 1), (7, 1), (40, 10), (1000, 50)])
def test_a_group_is_a_quarter_of_an_epoch_at_most(steps, group):
    assert group_of(steps) == group


def test_ranks_that_cannot_share_a_batch_evenly_are_refused():
    with pytest.raises(ValueError, match="global batch of 6 cannot be shared evenly by 4 ranks"):
        share(np.arange(12), 6, 0, 4)


tasks = st.lists(shards.filter(sum), min_size=2, max_size=4)
rules = st.sampled_from(["repeat", "cut"])
parts = st.integers(1, 3)


@st.composite
def mixes(draw):
    rows = draw(tasks)
    return rows, draw(st.lists(parts, min_size=len(rows), max_size=len(rows)))


@settings(deadline=None)
@given(mixes(), rules, seeds, epochs)
def test_a_mix_has_its_ratio_over_an_epoch_and_in_every_round(mix, rule, seed, epoch):
    rows, ratio = mix
    owners = mixed(rows, ratio, rule, seed, epoch)[:, 0].reshape(-1, sum(ratio))
    assert len(owners) == rounds([sum(task) for task in rows], ratio, rule)
    for owner in owners:
        assert np.bincount(owner, minlength=len(rows)).tolist() == ratio


@settings(deadline=None)
@given(mixes(), seeds, epochs)
def test_repeating_uses_every_sample_and_none_twice_before_all_were_seen_once(mix, seed, epoch):
    rows, ratio = mix
    order = mixed(rows, ratio, "repeat", seed, epoch)
    for task, shard_rows in enumerate(rows):
        seen = np.bincount(order[order[:, 0] == task, 1], minlength=sum(shard_rows))
        assert seen.min() >= 1 and seen.max() - seen.min() <= 1
    sizes = [sum(task) for task in rows]
    longest = max(range(len(rows)), key=lambda task: -(-sizes[task] // ratio[task]))
    # Only a round that is not full makes the longest task begin again.
    assert len(order) // sum(ratio) * ratio[longest] - sizes[longest] < ratio[longest]


@settings(deadline=None)
@given(mixes(), seeds, epochs)
def test_cutting_uses_no_sample_twice_and_all_of_the_shortest_task(mix, seed, epoch):
    rows, ratio = mix
    order = mixed(rows, ratio, "cut", seed, epoch)
    assert len({tuple(row) for row in order.tolist()}) == len(order)
    left = [sum(task) - int((order[:, 0] == number).sum()) for number, task in enumerate(rows)]
    assert min(rest - part for rest, part in zip(left, ratio, strict=True)) < 0


@settings(deadline=None)
@given(mixes(), rules, seeds, epochs)
def test_how_many_samples_of_each_task_come_before_a_position(mix, rule, seed, epoch):
    rows, ratio = mix
    owners = mixed(rows, ratio, rule, seed, epoch)[:, 0]
    for position in {0, len(owners) // 3, len(owners)}:
        assert before(position, ratio) == np.bincount(owners[:position], minlength=len(rows)).tolist()


def test_a_mix_has_another_order_in_each_epoch():
    rows = [[30, 20], [7]]
    assert (mixed(rows, [1, 1], "repeat", 0, 0) != mixed(rows, [1, 1], "repeat", 0, 1)).any()


def test_a_task_without_samples_leaves_nothing_to_mix():
    assert rounds([5, 0], [1, 1], "repeat") == rounds([5, 0], [1, 1], "cut") == 0
