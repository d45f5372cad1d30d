"""The files of a folder of documents: which are listed, and their names as text."""

import os
import socket
from pathlib import Path

import pytest

from finelake.jobs.sources.document.folder import document_files, document_path, written_path
from finelake.lake.errors import UserError


def listed(root: Path) -> list[str]:
    return document_files(root / "documents", "x")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "documents"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.pdf").touch()
    (folder / "sub" / "b.docx").touch()
    return folder


def test_what_is_hidden_is_left_out_and_nothing_else(tmp_path, folder):
    for name in (".hidden", "~$a.docx", "sub/.b.pdf"):
        (folder / name).touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "c.pdf").touch()
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "inner").symlink_to("sub")
    (folder / "round").symlink_to(".")
    (folder / "link.pdf").symlink_to("a.pdf")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket"))
        names = listed(tmp_path)
    assert names == ["a.pdf", "inner", "link.pdf", "loop", "pipe", "round", "socket", "sub/b.docx"]


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_a_folder_that_cannot_be_read_is_never_left_out(tmp_path, ordinary_rights, mode):
    """Its rows would be missing without a word."""
    (tmp_path / "documents" / "closed").mkdir(parents=True)
    for folder in (tmp_path / "documents", tmp_path / "documents" / "closed"):
        (folder / "a.csv").touch()
    folder.chmod(mode)
    with ordinary_rights(), pytest.raises(UserError, match=r"of source x cannot be read \(Permission denied\)"):
        listed(tmp_path)


def test_a_folder_or_file_that_cannot_be_read_is_named(tmp_path, folder, monkeypatch):
    scan, access = os.scandir, os.access

    def denied(path):
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", denied)
        with pytest.raises(
            UserError, match=r"the folder .*documents/sub of source x cannot be read \(Permission denied"
        ):
            listed(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: Path(path).name != "b.docx" and access(path, mode))
        with pytest.raises(UserError, match=r"sub/b.docx of source x cannot be read \(Permission denied\)"):
            listed(tmp_path)


def test_a_link_to_a_file_that_is_gone_is_named(tmp_path, folder):
    (folder / "link.pdf").symlink_to("gone.pdf")
    with pytest.raises(UserError, match=r"link.pdf of source x cannot be read \(No such file or directory\)"):
        listed(tmp_path)


ODD = [
    b"caf\xe9.pdf",
    b"caf\\xe9.pdf",
    b"a\\b.pdf",
    b"\xff\\xff.pdf",
    b"\\x5c.pdf",
    b"\n\t.pdf",
    b"#?%20.pdf",
    b"\xed\xa0\x80.pdf",
]


def test_names_of_any_bytes_are_written_as_text_and_found_again(tmp_path, folder):
    for name in ODD:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).touch()
    names = listed(tmp_path)
    assert len(set(names)) == len(ODD) + 2
    assert {os.fsencode(document_path(name)) for name in names} == {*ODD, b"a.pdf", b"sub/b.docx"}
    assert [name.encode("utf-8").decode("utf-8") for name in names] == names
    assert written_path(Path("a\\b #?%20中.pdf")) == "a\\b #?%20中.pdf"
    assert written_path(Path(os.fsdecode(b"caf\xe9.pdf"))) == "caf\\xe9.pdf"
