"""What a killed writer left is swept; what a living one writes is not."""

import signal
import subprocess
import sys

import pytest

from lake.commit import commit
from lake.locks import alone, unnamed, writing
from lake.snapshots import intact

HOLDER = """
import sys, time
from lake.locks import writing
with writing(sys.argv[1], "x"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lake(spark, tmp_path):
    """A lake with a table, and a folder of data that no version names."""
    frame = spark.range(3)
    table = commit(frame, str(tmp_path), "x/records", frame.schema)
    left = tmp_path / "x" / "records" / "data" / "0123"
    left.mkdir()
    (left / "part-0.parquet").write_bytes(b"half")
    return str(tmp_path), table


def test_the_first_writer_sweeps_what_no_version_names(lake):
    root, table = lake
    assert unnamed(root, "x/records") == ["0123"]
    with writing(root, "x"):
        assert unnamed(root, "x/records") == []
    assert intact(root, table, deep=True)


def test_a_table_that_was_never_committed_is_swept_too(tmp_path):
    half = tmp_path / "x" / "records" / "data" / "0123" / "part-0.parquet"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    with writing(str(tmp_path), "x"):
        assert not half.exists()


def test_a_second_writer_leaves_the_first_ones_data_alone(lake):
    root, _ = lake
    with writing(root, "x"):
        data = f"{root}/x/records/data/4567"
        subprocess.run(["mkdir", data], check=True)
        with writing(root, "x"):
            assert unnamed(root, "x/records") == ["4567"]
        with alone(root, "x") as free:
            assert not free
    with alone(root, "x") as free:
        assert free


def test_a_dead_process_holds_no_lock(lake):
    root, _ = lake
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, root], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with alone(root, "x") as free:
        assert not free
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with alone(root, "x") as free:
        assert free
