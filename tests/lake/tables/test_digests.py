"""A file is read once as long as it stays the same, and again whenever it was written."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from finelake.lake.tables import digests, storage


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A lake of two settled files; digests that start knowing nothing; the files that were read."""
    monkeypatch.setattr(digests, "_known", {})
    read: list[str] = []
    sha256 = storage.sha256
    monkeypatch.setattr(storage, "sha256", lambda root, paths: read.extend(paths) or sha256(root, paths))
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    settle(monkeypatch)
    return str(tmp_path), read


def settle(monkeypatch) -> None:
    """Let the clock stand a minute later."""
    now = time.time() + 60
    monkeypatch.setattr(digests.time, "time", lambda: now)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once(lake):
    root, read = lake
    for _ in range(3):
        assert digests.sha256(root, ["a", "b"]) == {"a": digest(b"a"), "b": digest(b"b")}
    assert read == ["a", "b"]


def test_a_file_that_was_written_is_read_again_whatever_its_time_says(lake):
    root, read = lake
    path = Path(root, "a")
    digests.sha256(root, ["a"])
    before = path.stat()
    path.write_bytes(b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests.sha256(root, ["a"]) == {"a": digest(b"x")}
    Path(root, "new").write_bytes(b"y")
    os.replace(Path(root, "new"), path)
    assert digests.sha256(root, ["a"]) == {"a": digest(b"y")}


def test_a_file_written_a_moment_ago_is_not_remembered(lake, monkeypatch):
    root, read = lake
    monkeypatch.undo()
    monkeypatch.setattr(digests, "_known", {})
    Path(root, "a").write_bytes(b"x")
    digests.sha256(root, ["a"])
    assert digests._known == {}


def test_stored_digests_serve_a_later_process(lake, monkeypatch, tmp_path):
    root, read = lake
    for _ in range(2):
        with digests.kept(tmp_path):
            digests.sha256(root, ["a", "b"])
        monkeypatch.setattr(digests, "_known", {})
    assert read == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b"{", json.dumps({"1": 2}).encode()])
def test_a_damaged_file_of_digests_only_costs_time(lake, tmp_path, content):
    root, _ = lake
    file = tmp_path / digests.FILE
    file.parent.mkdir()
    file.write_bytes(content)
    with digests.kept(tmp_path):
        assert digests.sha256(root, ["a"]) == {"a": digest(b"a")}
