"""A file that the user names: replaced completely, or unchanged."""

import fcntl
import os
import re
import socket
import stat
import subprocess
import sys

import pytest

from finelake.lake.errors import UserError
from finelake.lake.output import replacing


def write(path, text="new"):
    with replacing(path) as part:
        part.write_text(text)


def test_a_new_file_has_the_mode_of_any_other_and_an_old_one_is_replaced(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    write(tmp_path / "a", "newer")
    assert (tmp_path / "a").read_text() == "newer"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_file_keeps_its_mode_and_nobody_else_reads_it_before_it_is_complete(tmp_path, mode):
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    with replacing(path) as part:
        part.write_text("new")
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


def test_only_the_owner_reads_a_new_file_before_it_is_complete(tmp_path):
    with replacing(tmp_path / "a") as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600


@pytest.mark.parametrize("made", ["before", "meanwhile"])
def test_a_read_only_file_is_not_replaced(tmp_path, made):
    path = tmp_path / "a"

    def make():
        path.write_text("old")
        path.chmod(0o444)

    if made == "before":
        make()
    refused = pytest.raises(UserError, match=r"a is read-only; make it writable \(chmod u\+w\) or name another file")
    with refused, replacing(path) as part:
        part.write_text("new")
        make()
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["a"])


KILLED = """
import os, signal, sys
from pathlib import Path
from finelake.lake.output import replacing
with replacing(Path(sys.argv[1])) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_leftovers_of_a_killed_writer_are_removed_and_files_of_a_running_one_kept(tmp_path):
    path = tmp_path / "a[1]"
    for target in (path, tmp_path / "other"):
        subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    (tmp_path / ".a[1].mine.part").write_text("kept")
    (tmp_path / f".a[1].{'0' * 16}.part").symlink_to("other")
    left = sorted(tmp_path.glob(".*.part"))
    assert sorted(stat.S_IMODE(part.lstat().st_mode) for part in left if not part.is_symlink())[:2] == [0o600, 0o600]
    with replacing(path) as living:
        living.write_text("whole")
        write(path)
    assert path.read_text() == "whole"
    names = sorted(re.sub("[0-9a-f]{16}", "#", name) for name in os.listdir(tmp_path))
    assert names == [".a[1].#.part", ".a[1].mine.part", ".other.#.part", "a[1]"]


def test_a_file_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    lock, locked = fcntl.flock, []

    def late(file, how):
        if not locked:
            next(tmp_path.iterdir()).unlink()
        locked.append(lock(file, how))

    monkeypatch.setattr(fcntl, "flock", late)
    write(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "new" and len(locked) == 2


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_link_stays_and_the_file_that_it_names_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("old")
    (tmp_path / "link").symlink_to("folder/file")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_text() == "new"


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "link to a fifo"])
def test_only_a_regular_file_is_replaced(tmp_path, kind):
    path = tmp_path / "it"
    with socket.socket(socket.AF_UNIX) as server:
        {
            "fifo": lambda: os.mkfifo(path),
            "socket": lambda: server.bind(str(path)),
            "folder": path.mkdir,
            "link to a fifo": lambda: (os.mkfifo(tmp_path / "other"), path.symlink_to("other")),
        }[kind]()
        before = (path.lstat().st_ino, path.lstat().st_mode, sorted(os.listdir(tmp_path)))
        with pytest.raises(UserError, match="it is not a regular file; name another one, or leave --output out"):
            write(path)
        assert (path.lstat().st_ino, path.lstat().st_mode, sorted(os.listdir(tmp_path))) == before


def test_a_path_that_stops_being_a_file_is_not_replaced(tmp_path):
    path = tmp_path / "it"
    with pytest.raises(UserError, match="is not a regular file"), replacing(path):
        os.mkfifo(path)
    assert os.listdir(tmp_path) == ["it"]


def test_a_link_under_the_temporary_name_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("finelake.lake.output.secrets.token_hex", lambda _: "0")
    (tmp_path / "victim").write_text("kept")
    (tmp_path / ".a.0.part").symlink_to("victim")
    with pytest.raises(UserError, match="a cannot be written"):
        write(tmp_path / "a")
    assert (tmp_path / "victim").read_text() == "kept" and (tmp_path / ".a.0.part").is_symlink()


def test_names_a_missing_folder_and_a_loop_of_links(tmp_path):
    with pytest.raises(UserError, match="none/a cannot be written .*; name a file in a folder of yours"):
        write(tmp_path / "none" / "a")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match="loop cannot be written"):
        write(tmp_path / "loop")


def test_a_long_name_fits(tmp_path):
    for name in ("x" * 250, "中" * 85):
        write(tmp_path / name)
        assert (tmp_path / name).read_text() == "new"
