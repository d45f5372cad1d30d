"""The loader gives exactly the plan's batches, from files, on any number of ranks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch

from finelake.lake.errors import UserError
from finelake.lake.tables import storage
from finelake.training.data import plan
from finelake.training.data.loader import Loader, Mix
from finelake.training.data.samples import Part, record_ids, split_parts
from finelake.training.tasks.classify import TASK
from tests.training.conftest import SCHEMA, classified, sample, sharded, write_part

SAMPLES = 61
BATCH = 8


@pytest.fixture(scope="module")
def part(tmp_path_factory) -> Part:
    # Each sample's first token is its number, so a batch tells which samples it holds.
    rows = [sample(n, [n + 100] * (1 + n % 9), [n % 3], 12) for n in range(SAMPLES)]
    files = write_part(tmp_path_factory.mktemp("samples"), "train", sharded(rows, 5))
    return split_parts(files)["train"]


def numbers(step) -> list[int]:
    return sorted(int(i) - 100 for batch in step for i in batch.input_ids[:, 0])


def loader(part: Part, rank: int = 0, world_size: int = 1, window: int = 2) -> Loader:
    size = {"global_batch": BATCH, "accumulation": 2, "rank": rank, "world_size": world_size}
    return Loader(part, TASK.labels, seed=3, **size, window=window, entry="runs.tiny")


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("window", [1, 2, 8])
def test_batches_are_the_plan(part, world_size, window):
    for epoch in (0, 1):
        order = plan.plan(part.rows, 3, epoch, window)
        for rank in range(world_size):
            steps = list(loader(part, rank, world_size, window).epoch(epoch))
            expected = plan.share(order, BATCH, rank, world_size)
            assert [numbers(step) for step in steps] == [sorted(int(i) for i in row) for row in expected]


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_batches_grouped_by_length_are_the_plan(part, world_size, monkeypatch):
    monkeypatch.setattr(plan, "group_of", lambda steps: 3)  # of the 7 steps; a quarter of them, 1, would show nothing
    order = plan.plan(part.rows, 3, 1, window=2)[: SAMPLES // BATCH * BATCH]
    groups = [order[first : first + 3 * BATCH] for first in range(0, len(order), 3 * BATCH)]
    laid = [
        group[plan.by_length(1 + group % 9, BATCH, 3, 1, first)] for first, group in zip((0, 3, 6), groups, strict=True)
    ]
    expected = np.concatenate(laid)
    assert not np.array_equal(expected, order)
    for rank in range(world_size):
        here = replace(loader(part, rank, world_size), group_by_length=True)
        steps = [numbers(step) for step in here.epoch(1)]
        assert steps == [sorted(map(int, row)) for row in plan.share(expected, BATCH, rank, world_size)]
        for step in (1, 3, 5, 7):
            assert [numbers(batches) for batches in here.epoch(1, step)] == steps[step:]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Part:
    """40 samples of task 0 in shards 0 to 2, 9 of task 1 in shards 3 to 5."""
    rows = [sample(n, [n + 100] * (1 + n % 9), [n % 3], 12) for n in range(49)]
    shards = [*sharded(rows[:40], 3), *sharded(rows[40:], 3)]
    return split_parts(write_part(tmp_path_factory.mktemp("tasks"), "train", shards))["train"]


def mixing(part: Part, rule: str, rank: int = 0, world_size: int = 1) -> Loader:
    mix = Mix((2, 1), rule, shards=3)
    return Loader(part, TASK.labels, 3, BATCH, 2, rank, world_size, window=2, mix=mix)


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("rule", ["repeat", "cut"])
def test_batches_of_a_mix_are_its_plan(tasks, rule, world_size):
    assert [task.samples for task in tasks.tasks(2, 3)] == [40, 9]
    for epoch in (0, 1):
        planned = plan.mixed([tasks.rows[:3], tasks.rows[3:]], (2, 1), rule, 3, epoch, window=2)
        order = planned[:, 1] + np.array([0, 40])[planned[:, 0]]
        for rank in range(world_size):
            here = mixing(tasks, rule, rank, world_size)
            assert here.samples == len(order) == {"repeat": 60, "cut": 27}[rule]
            steps = list(here.epoch(epoch))
            expected = plan.share(order, BATCH, rank, world_size)
            assert [numbers(step) for step in steps] == [sorted(int(i) for i in row) for row in expected]
            whole = [numbers(step) for step in steps]
            for step in (1, 2, here.steps):
                assert [numbers(batches) for batches in here.epoch(epoch, step)] == whole[step:]


def test_a_batch_knows_the_records_of_its_samples(part, tasks):
    for held in (loader(part), mixing(tasks, "repeat")):
        for batch in next(held.epoch(0)):
            firsts = [f"r{int(i) - 100:05d}" for i in batch.input_ids[:, 0]]
            assert record_ids(held.part, batch.numbers) == firsts


def test_a_task_without_samples_is_refused(part):
    with pytest.raises(UserError) as refused:
        Loader(part, TASK.labels, 3, BATCH, 2, mix=Mix((1, 1), shards=50), entry="runs.tiny")
    assert str(refused.value) == (
        "params.yaml: runs.tiny.train.global_batch_size 8 is more than the 0 samples of the mix; "
        "lower it or widen runs.tiny.select.mix"
    )


@pytest.mark.parametrize("step", [0, 1, 3, 6, 7])
def test_resumes_at_any_step(part, step):
    whole = [numbers(batches) for batches in loader(part).epoch(1)]
    assert [numbers(batches) for batches in loader(part).epoch(1, step)] == whole[step:]


def test_a_batch_holds_what_the_file_holds(part):
    tokens = {n: [n + 100] * (1 + n % 9) for n in range(SAMPLES)}
    for batch in next(loader(part).epoch(0)):
        assert batch.input_ids.shape[1] == int((batch.segments > 0).sum(1).max())
        for ids, segments, label in zip(batch.input_ids, batch.segments, batch.labels, strict=True):
            number = int(ids[0]) - 100
            assert ids[segments > 0].tolist() == tokens[number]
            assert int(label) == number % 3


def test_a_file_of_several_row_groups_gives_the_same_batches(part, tmp_path):
    files = [str(tmp_path / "part=train" / f"shard={shard}" / "a.parquet") for shard in range(len(part.files))]
    for path, copy in zip(part.files, files, strict=True):
        Path(copy).parent.mkdir(parents=True)
        parquet.write_table(parquet.read_table(path, partitioning=None), copy, row_group_size=4)
    pairs = zip(loader(part).epoch(0), loader(split_parts(files)["train"]).epoch(0), strict=True)
    for one, other in ((a, b) for steps in pairs for a, b in zip(*steps, strict=True)):
        assert one.input_ids.tolist() == other.input_ids.tolist() and one.numbers == other.numbers


@pytest.fixture
def part_there(tmp_path, s3_lake) -> Part:
    """The same samples in the object store, in other folders."""
    rows = [sample(n, [n + 100] * (1 + n % 9), [n % 3], 12) for n in range(SAMPLES)]
    files = write_part(tmp_path, "train", sharded(rows, 5))
    there = [file.replace(str(tmp_path), f"{s3_lake}/samples") for file in files]
    for file, place in zip(files, there, strict=True):
        filesystem, path = storage.filesystem(place)
        with filesystem.open_output_stream(path) as stream:
            stream.write(Path(file).read_bytes())
    return split_parts(there)["train"]


def test_batches_from_an_object_store_are_those_from_a_folder(part, part_there):
    assert part_there.rows == part.rows
    for here, there in zip(loader(part).epoch(1), loader(part_there).epoch(1), strict=True):
        assert len(here) == len(there)
        for one, other in zip(here, there, strict=True):
            assert torch.equal(one.input_ids, other.input_ids)
            assert torch.equal(one.labels, other.labels)
            assert torch.equal(one.segments, other.segments)


def test_an_object_that_goes_missing_is_named(part_there):
    filesystem, path = storage.filesystem(part_there.files[1])
    filesystem.delete_file(path)
    with pytest.raises(UserError, match=f"data file {part_there.files[1]} is missing; run `finelake verify`"):
        list(loader(part_there).epoch(0))


def test_any_character_may_stand_in_a_path(tmp_path):
    part = split_parts(write_part(tmp_path / "100 %23#?", "train", sharded(classified(30), 3)))["train"]
    assert len(list(loader(part).epoch(0))) == 3


def test_stopping_early_leaves_no_thread(part):
    import threading

    before = threading.active_count()
    steps = loader(part).epoch(0)
    next(steps)
    steps.close()
    assert threading.active_count() == before


def test_waiting_is_measured(part):
    slow = loader(part)
    list(slow.epoch(0))
    assert slow.waited > 0


def test_a_missing_file_is_named(tmp_path):
    part = split_parts(write_part(tmp_path, "train", sharded(classified(30), 3)))["train"]
    Path(part.files[1]).unlink()
    with pytest.raises(UserError, match=f"data file {part.files[1]} is missing; run `finelake verify`"):
        list(loader(part).epoch(0))


def test_an_altered_file_is_named(tmp_path):
    part = split_parts(write_part(tmp_path, "train", sharded(classified(30), 3)))["train"]
    parquet.write_table(pa.Table.from_pylist(classified(2), schema=SCHEMA), part.files[2])
    with pytest.raises(UserError, match=f"{part.files[2]} was altered: 2 rows instead of {part.rows[2]}"):
        list(loader(part).epoch(0))


def test_a_damaged_file_is_named(tmp_path):
    files = write_part(tmp_path, "train", sharded(classified(30), 3))
    Path(files[0]).write_bytes(b"no parquet")
    with pytest.raises(UserError, match=f"data file {files[0]} cannot be read"):
        split_parts(files)


def test_batches_that_cannot_be_shared_are_refused(part):
    with pytest.raises(UserError) as refused:
        loader(part, 0, 3)
    assert str(refused.value) == (
        "params.yaml: runs.tiny.train.global_batch_size 8 is not a multiple of 3 ranks x "
        "runs.tiny.train.gradient_accumulation_steps 2; change one of the three"
    )
