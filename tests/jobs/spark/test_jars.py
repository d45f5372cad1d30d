"""Only Java libraries with the pinned SHA-256 are installed and loaded."""

import hashlib
import re
import subprocess
import sys

import pytest

from finelake.jobs.spark import jars
from finelake.jobs.spark.jars import JARS, Jar
from finelake.lake.errors import UserError

GOOD = Jar("org.example", "good", "1.0", hashlib.sha256(b"good").hexdigest())
OTHER = Jar("org.example", "other", "2.1", hashlib.sha256(b"other").hexdigest())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(jars, "JARS", (GOOD, OTHER))
    monkeypatch.setattr(jars, "FOLDER", tmp_path / "jars")
    return tmp_path / "jars"


@pytest.fixture
def repository(monkeypatch):
    """What the Maven repository serves, by file; the names that were fetched."""
    served, fetched = {GOOD.file: b"good", OTHER.file: b"other"}, []

    def download(wanted, work):
        (work / "jars").mkdir()
        for jar in wanted:
            fetched.append(jar.name)
            if jar.file in served:
                (work / "jars" / jar.file).write_bytes(served[jar.file])
        return "" if all(jar.file in served for jar in wanted) else "unresolved dependency"

    monkeypatch.setattr(jars, "_download", download)
    return served, fetched


def test_each_library_is_pinned_once_by_a_sha256():
    assert len({jar.file for jar in JARS}) == len(JARS) == 38
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in JARS)
    assert len({jar.sha256 for jar in JARS}) == len(JARS)


def test_the_installed_libraries_are_the_pinned_ones():
    assert [path.rsplit("/", 1)[1] for path in jars.jar_paths()] == [jar.file for jar in JARS]


def test_fetched_libraries_are_in_place(folder, repository):
    jars.fetch()
    assert jars.jar_paths() == [str(folder / "good-1.0.jar"), str(folder / "other-2.1.jar")]
    assert sorted(path.name for path in folder.iterdir()) == ["good-1.0.jar", "other-2.1.jar"]


def test_names_a_missing_library(folder):
    with pytest.raises(UserError, match=r"^the Java library good-1.0.jar is not installed; run `finelake setup`"):
        jars.jar_paths()


@pytest.mark.parametrize("content", [b"", b"goo", b"gooe", b"good "])
def test_an_altered_library_is_named_before_it_is_loaded(folder, repository, content):
    jars.fetch()
    (folder / GOOD.file).write_bytes(content)
    with pytest.raises(UserError, match=r"good-1.0.jar was altered: its SHA-256 .* run `finelake setup`"):
        jars.jar_paths()


def test_a_session_starts_with_no_altered_library(folder, repository):
    from finelake.jobs.spark.session import settings

    jars.fetch()
    assert settings("local[1]", "1g")["spark.jars"] == ",".join(jars.jar_paths())
    (folder / OTHER.file).write_bytes(b"othes")
    with pytest.raises(UserError, match=r"other-2.1.jar was altered"):
        settings("local[1]", "1g")


def test_only_what_is_missing_or_altered_is_fetched_again(folder, repository):
    jars.fetch()
    (folder / OTHER.file).write_bytes(b"othes")
    jars.fetch()
    jars.fetch()
    assert repository[1] == ["good", "other", "other"]
    assert jars.jar_paths()


def test_a_fetched_library_with_another_digest_is_not_put_in_place(folder, repository):
    repository[0][OTHER.file] = b"evil"
    with pytest.raises(UserError, match=r"serves another file for other-2.1.jar: its SHA-256 is not the pinned one"):
        jars.fetch()
    assert [path.name for path in folder.iterdir()] == ["good-1.0.jar"]


def test_a_failed_fetch_keeps_what_it_fetched_and_reports_one_sentence(folder, repository):
    del repository[0][OTHER.file]
    with pytest.raises(UserError, match=r"could not be fetched \(unresolved dependency\); try again"):
        jars.fetch()
    assert [path.name for path in folder.iterdir()] == ["good-1.0.jar"]


def test_a_file_in_the_way_is_named(tmp_path):
    """A machine whose Python has no place for the libraries."""
    (tmp_path / "share").write_text("a file")
    program = """
import sys
from unittest import mock
sys.prefix = sys.argv[1]
from finelake import cli
with mock.patch("subprocess.run", return_value=mock.Mock(returncode=0)):
    cli.main(["setup"])"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"finelake: {tmp_path}/share: a file stands where a folder is needed; ")
    assert done.stderr.count("\n") == 1
