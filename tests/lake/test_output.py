"""A file that a person names: replaced whole, or left as it was."""

import os
import socket
import stat

import pytest

from lake.errors import UserError
from lake.output import replacing


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
def test_what_is_not_a_regular_file_is_left_alone(tmp_path, kind):
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


def test_a_file_that_becomes_something_else_meanwhile_is_left_alone(tmp_path):
    path = tmp_path / "it"
    with pytest.raises(UserError, match="is not a regular file"), replacing(path):
        os.mkfifo(path)
    assert os.listdir(tmp_path) == ["it"]


def test_a_link_that_waits_for_the_temporary_file_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("lake.output.secrets.token_hex", lambda _: "0")
    (tmp_path / "victim").write_text("kept")
    (tmp_path / ".a.0.part").symlink_to("victim")
    with pytest.raises(UserError, match="a cannot be written"):
        write(tmp_path / "a")
    assert (tmp_path / "victim").read_text() == "kept" and (tmp_path / ".a.0.part").is_symlink()


def test_a_folder_that_is_not_there_and_a_loop_of_links_are_named(tmp_path):
    with pytest.raises(UserError, match="none/a cannot be written .*; name a file in a folder of yours"):
        write(tmp_path / "none" / "a")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match="loop cannot be written"):
        write(tmp_path / "loop")


def test_a_long_name_fits(tmp_path):
    write(tmp_path / ("x" * 250))
    assert os.listdir(tmp_path) == ["x" * 250]
