"""Leftovers of a killed writer are swept; data being written are not."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finelake.jobs.spark import commit as commits
from finelake.jobs.spark.commit import commit
from finelake.lake.tables.locks import MARK, exclusive, marked, sweep, unnamed, writing
from finelake.lake.tables.snapshots import history, intact

HOLDER = """
import sys, time
from finelake.lake.tables.locks import writing
with writing(sys.argv[1], "x"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lake(spark, tmp_path):
    """A lake with a table, and a folder of data whose write was killed."""
    frame = spark.range(3)
    table = commit(frame, str(tmp_path), "x/records", frame.schema)
    left = tmp_path / "x" / "records" / "data" / "0123"
    left.mkdir()
    (left / "part-0.parquet").write_bytes(b"half")
    (left / MARK).touch()
    return str(tmp_path), table


def test_the_first_writer_sweeps_the_leftovers_of_a_killed_one(lake):
    root, table = lake
    assert unnamed(root, "x/records") == ["0123"]
    with writing(root, "x"):
        assert unnamed(root, "x/records") == []
    assert intact(root, table, deep=True)


def test_a_table_that_was_never_committed_is_swept_too(tmp_path):
    half = tmp_path / "x" / "records" / "data" / "0123" / "part-0.parquet"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    (half.parent / MARK).touch()
    with writing(str(tmp_path), "x"):
        assert not half.exists()


def test_data_without_a_mark_are_never_swept(lake):
    root, table = lake
    log = Path(root, "x", "records", "_delta_log")
    (batch,) = {version_batch for version in history(root, "x/records") for version_batch in version.batches}
    for damage in (lambda: log.rename(f"{log}.away"), lambda: (log.mkdir(), None)):  # no log; a log without a commit
        damage()
        sweep(root, "x")
        assert unnamed(root, "x/records") == [batch]
    log.rmdir()
    Path(f"{log}.away").rename(log)
    assert intact(root, table, deep=True)


def test_a_writer_killed_after_its_commit_leaves_only_a_mark(spark, tmp_path, monkeypatch):
    root, frame = str(tmp_path), spark.range(3)
    monkeypatch.setattr("finelake.jobs.spark.commit.unmark", lambda *_: None)
    table = commit(frame, root, "x/records", frame.schema)
    assert len(marked(root, "x/records")) == 1
    sweep(root, "x")
    assert marked(root, "x/records") == set() and intact(root, table, deep=True)


def test_a_write_is_marked_from_its_first_byte_to_its_commit(spark, tmp_path, monkeypatch):
    seen = []
    for name in ("_write", "_tidy", "_publish"):
        monkeypatch.setattr(f"finelake.jobs.spark.commit.{name}", noting(getattr(commits, name), str(tmp_path), seen))
    frame = spark.range(3)
    commit(frame, str(tmp_path), "x/records", frame.schema)
    assert seen == [1, 1, 1, 1, 1, 1] and marked(str(tmp_path), "x/records") == set()


def noting(function, root, seen):
    """`function` that notes how many writes are marked before and after it."""

    def noted(*arguments):
        seen.append(len(marked(root, "x/records")))
        result = function(*arguments)
        seen.append(len(marked(root, "x/records")))
        return result

    return noted


def test_a_second_writer_does_not_touch_the_first_ones_data(lake):
    root, _ = lake
    with writing(root, "x"):
        data = f"{root}/x/records/data/4567"
        subprocess.run(["mkdir", data], check=True)
        with writing(root, "x"):
            assert unnamed(root, "x/records") == ["4567"]
        with exclusive(root, "x") as held:
            assert not held
    with exclusive(root, "x") as held:
        assert held


def test_a_dead_process_holds_no_lock(lake):
    root, _ = lake
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, root], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with exclusive(root, "x") as held:
        assert not held
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(root, "x") as held:
        assert held
