"""A session's temporary folder: nobody else can enter it, a dead one is swept, a running one never."""

import os
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from finelake.jobs.spark.scratch import LOCK, scratch
from finelake.lake.errors import UserError

HOLD = """
import sys, time
from pathlib import Path
from finelake.jobs.spark.scratch import scratch
with scratch(Path(sys.argv[1])) as room:
    (room.folder / "rows").write_text("13812345678")
    print(room.folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has a folder below tmp_path."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_can_enter_and_nothing_is_left(tmp_path):
    project = tmp_path / ".finelake"
    project.mkdir(mode=0o755)  # as earlier versions made it
    with scratch(project) as room:
        assert {mode(path) for path in (project, room.folder.parent, room.folder)} == {0o700}
    assert not room.folder.exists()


def test_a_dead_session_s_folder_is_removed_and_a_running_one_s_kept(tmp_path, holder):
    process, held = holder
    with scratch(tmp_path) as room:
        assert (held / "rows").exists() and room.folder != held
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (held / "rows").exists()
    with scratch(tmp_path):
        assert not held.exists()


def test_a_child_that_inherits_the_lock_keeps_the_folder(tmp_path):
    with scratch(tmp_path) as room:
        copy = os.dup(room.lock)  # as a JVM has it
        (room.folder / LOCK).rename(tmp_path / "lock")
    room.folder.mkdir()
    (tmp_path / "lock").rename(room.folder / LOCK)
    with scratch(tmp_path):
        assert room.folder.exists()
    os.close(copy)
    with scratch(tmp_path):
        assert not room.folder.exists()


def test_links_and_files_that_are_not_a_session_s_are_kept(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / ".finelake" / "tmp").mkdir(parents=True)
    (tmp_path / ".finelake" / "tmp" / "link").symlink_to(other)
    with scratch(tmp_path / ".finelake"):
        pass
    assert other.exists()


@pytest.mark.parametrize("name", ["a,b", "a:b", "a b", 'a"b\\c', "中文"])
def test_the_variables_hold_in_any_project(tmp_path, monkeypatch, name):
    (tmp_path / name / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / name / "sub")
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-Dmine=1")
    with scratch(tmp_path / name / ".finelake") as room:
        variables = room.environment()
        assert Path(variables["SPARK_EXECUTOR_DIRS"]).resolve() == room.folder
        assert variables["TMPDIR"] == str(room.folder)
        assert shlex.split(variables["SPARK_SUBMIT_OPTS"]) == ["-Dmine=1", f"-Djava.io.tmpdir={room.folder}"]


def test_a_path_that_spark_would_split_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    with scratch(tmp_path / "a:b") as room, pytest.raises(UserError, match="path holds a colon"):
        room.environment()


def test_outside_a_project_it_is_the_system_s():
    with scratch(None) as room:
        assert mode(room.folder) == 0o700
    assert not room.folder.exists()
