"""A folder and an object store behave alike; an unreachable store is reported in one sentence."""

import hashlib
import socket
import string
import uuid
from pathlib import Path

import pytest
from deltalake import Field, Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

from finelake.lake.errors import UserError
from finelake.lake.tables import storage

CONTENT = {"x/a.txt": b"one", "x/deep/b.txt": b"two!", "y/c.txt": b""}


@pytest.fixture(params=["folder", "object store"])
def lake(request, tmp_path) -> str:
    """A lake with three files."""
    place = str(tmp_path) if request.param == "folder" else request.getfixturevalue("s3_lake")
    root = f"{place}/{uuid.uuid4().hex}"
    filesystem, base = storage.filesystem(root)
    for path, content in CONTENT.items():
        filesystem.create_dir(f"{base}/{path}".rpartition("/")[0])
        with filesystem.open_output_stream(f"{base}/{path}") as stream:
            stream.write(content)
    return root


def test_files_are_listed_with_their_sizes(lake):
    listed = storage.list_files(lake, "x")
    assert [(file.path, file.size) for file in listed] == [("a.txt", 3), ("deep/b.txt", 4)]
    assert all(file.modified > 1_700_000_000 for file in listed)
    assert storage.list_files(lake, "none") == []


def test_sizes_are_of_the_files_that_exist(lake):
    assert storage.sizes(lake, ["x/a.txt", "none.txt", "y/c.txt", "x/deep"]) == {"x/a.txt": 3, "y/c.txt": 0}


def test_sums_are_of_the_bytes(lake):
    expected = {path: hashlib.sha256(content).hexdigest() for path, content in CONTENT.items()}
    assert storage.sha256(lake, list(CONTENT)) == expected


def test_a_large_file_is_hashed_completely(lake):
    content = bytes(range(256)) * (2 * storage.BLOCK // 256) + b"end"
    filesystem, path = storage.filesystem(storage.location(lake, "x/large"))
    with filesystem.open_output_stream(path) as stream:
        stream.write(content)
    assert storage.sha256(lake, ["x/large"]) == {"x/large": hashlib.sha256(content).hexdigest()}


def test_a_file_is_read_and_an_absent_one_is_an_error(lake):
    assert storage.read_bytes(lake, "x/deep/b.txt") == b"two!"
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(lake, "none.txt")


def test_folders_are_named_and_deleted_with_all_that_is_in_them(lake):
    assert sorted(storage.folders(lake)) == ["x", "y"]
    assert list(storage.folders(lake, "x")) == ["deep"]
    storage.delete_folders(lake, ["x/deep", "none"])
    assert list(storage.folders(lake, "x")) == []
    assert [file.path for file in storage.list_files(lake, "x")] == ["a.txt"]


def test_delta_rs_gets_the_store_of_the_environment(s3_lake, object_store, monkeypatch, tmp_path):
    found = object_store | {"AWS_ALLOW_HTTP": "True"}
    assert storage.delta_options(s3_lake) == found
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    assert storage.delta_options(s3_lake) == found
    assert storage.delta_options(str(tmp_path)) is None


def test_keys_are_not_shown(s3_lake, object_store):
    shown = repr(storage.object_store())
    assert object_store["AWS_ENDPOINT_URL"] in shown
    assert object_store["AWS_SECRET_ACCESS_KEY"] not in shown
    assert object_store["AWS_ACCESS_KEY_ID"] not in shown


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "AWS_ACCESS_KEY_ID",
            "other",
            "the bucket lake at .* cannot be reached \\(access denied\\); check AWS_ACCESS_",
        ),
        ("AWS_SECRET_ACCESS_KEY", "other", "cannot be reached \\(access denied\\); check AWS_ACCESS_KEY_ID"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "lake at http://127.0.0.1:1 cannot be reached \\(.*; check AWS_END"),
        ("AWS_ACCESS_KEY_ID", "", "the lake lies in an object store and AWS_ACCESS_KEY_ID is not set; export"),
    ],
)
def test_reports_an_unreachable_store_in_one_sentence(s3_lake, object_store, monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message) as refused:
        storage.open_table(s3_lake, "x")
    assert object_store["AWS_SECRET_ACCESS_KEY"] not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_store_that_never_answers_times_out(s3_lake, monkeypatch):
    monkeypatch.setattr(storage, "PATIENCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UserError, match="cannot be reached \\(.*Timeout was reached\\)"):
            storage.check(s3_lake)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("s3a://none/lake", "there is no bucket none at http://127.0.0.1:.*; create it or set FINELAKE_LAKE"),
        ("s3://lake/x", "s3://lake/x is neither a folder nor s3a://BUCKET/PREFIX; set FINELAKE_LAKE"),
        ("s3a:///x", "s3a:///x is neither a folder nor s3a://BUCKET/PREFIX"),
    ],
)
def test_a_root_that_is_not_a_lake_is_refused(s3_lake, root, message):
    with pytest.raises(UserError, match=message):
        storage.check(root)


def test_a_folder_that_does_not_exist_yet_is_accepted(tmp_path):
    storage.check(str(tmp_path / "lake"))
    assert not Path(tmp_path, "lake").exists()


def test_only_the_owner_reads_a_private_folder_unless_it_was_opened(tmp_path):
    lake = str(tmp_path / "new" / "lake")
    storage.make_private(lake, "clean")
    assert Path(lake, "clean").stat().st_mode & 0o777 == 0o700
    Path(lake, "clean").chmod(0o750)
    storage.make_private(lake, "clean")
    assert Path(lake, "clean").stat().st_mode & 0o777 == 0o750


READ_AS_THEY_ARE = [
    *(letter for letter in string.printable if letter.isprintable() and letter not in "/#?\\"),
    "数据",
    "é",
]
MISREAD = ["#", "?", "\\", "%20", "%41", "a#b?c", "\n", "\t", "\r", "\x7f", "\udcff"]


def test_a_lake_may_lie_at_any_path_that_delta_rs_reads(tmp_path):
    adds = [AddAction("data/0/part.parquet", 4, {}, 0, True, "{}")]
    schema = Schema([Field("id", "long")])
    wrong = []
    for number, name in enumerate(READ_AS_THEY_ARE):
        lake = f"{tmp_path}/{number}/a{name}b"
        create_table_with_add_actions(storage.delta_url(lake, "x"), schema, adds, "error", [])
        storage.open_table(lake, "x").create_write_transaction(adds, "overwrite", schema, [])
        if len(storage.open_table(lake, "x").history()) != 2 or len(storage.list_files(lake, "x/_delta_log")) != 2:
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize("name", MISREAD)
def test_a_path_that_delta_rs_misreads_is_refused(tmp_path, name):
    (tmp_path / "link").symlink_to(tmp_path / f"a{name}b")
    for lake in (f"{tmp_path}/a{name}b", f"{tmp_path}/a{name}b/deeper", str(tmp_path / "link")):
        with pytest.raises(UserError, match="the path of the lake, .* which delta-rs cannot read; move the project"):
            storage.open_table(lake, "x")
