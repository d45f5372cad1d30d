"""Manifests: exact text, refused formats, and what is missing is named."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from finelake.jobs.spark.commit import commit
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots
from finelake.lake.tables.snapshots import Table

TABLE = Table(path="clean/records", rows=2, schema="a" * 32, content="b" * 32)
DIGEST = hashlib.sha256(
    b'{"format":4,"stage":"clean","tables":{"records":{"content":"%b","path":"clean/records","rows":2,"schema":"%b"}}}'
    % (b"b" * 32, b"a" * 32)
).hexdigest()


def test_a_manifest_has_this_text_and_round_trips(tmp_path):
    snapshots.write_manifest(tmp_path, "clean", {"records": TABLE})
    assert (tmp_path / "snapshots" / "clean.json").read_text() == (
        '{\n  "format": 4,\n  "stage": "clean",\n  "tables": {\n    "records": {\n'
        '      "path": "clean/records",\n      "rows": 2,\n'
        f'      "schema": "{"a" * 32}",\n      "content": "{"b" * 32}"\n'
        f'    }}\n  }},\n  "sha256": "{DIGEST}"\n}}\n'
    )
    assert snapshots.read_manifest(tmp_path, "clean") == {"records": TABLE}


def test_a_stage_of_a_run_has_its_own_file_and_folders(tmp_path):
    assert snapshots.manifest_path(tmp_path, "tokenize@intent").name == "tokenize-intent.json"
    assert snapshots.table_path("tokenize@intent", "samples") == "tokenize/intent/samples"
    samples = replace(TABLE, path="tokenize/my-run/samples")
    snapshots.write_manifest(tmp_path, "tokenize@my-run", {"samples": samples})
    assert snapshots.manifests(tmp_path) == {"tokenize@my-run": {"samples": samples}}


def test_a_stage_that_has_not_run_is_named(tmp_path):
    with pytest.raises(UserError, match="snapshots/mask.json does not exist: the stage mask has not run yet"):
        snapshots.read_manifest(tmp_path, "mask")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"format": 2}), "has snapshot format 2, this Finelake reads 4"),
        (json.dumps({"format": 3, "stage": "clean", "tables": {}}), "has snapshot format 3, this Finelake reads 4"),
        ('{"format": 4, "tab', "is not a snapshot manifest of clean"),
        ('{"format": 4, "tables": {"records": {"path": "x"}}}', "is not a snapshot manifest of clean"),
        (b"\xff\xfe", "is not a snapshot manifest of clean"),
        ("[" * 100_000, "is not a snapshot manifest of clean"),
        *((json.dumps(value), "is not a snapshot manifest of clean") for value in (None, 3, [], "x", {"format": "x"})),
    ],
)
def test_another_format_and_broken_text_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        snapshots.parse_manifest(text, "snapshots/clean.json", "clean")


PINNED = dataclasses.asdict(TABLE)


@pytest.mark.parametrize(
    "altered",
    [
        {"tables": {}},
        {"tables": []},
        {"tables": {"records": None}},
        {"stage": "mask"},
        *({"tables": {"records": PINNED | other}} for other in ({"rows": "2"}, {"rows": -1}, {"rows": True})),
        *(
            {"tables": {"records": PINNED | other}}
            for other in ({"path": "clean/../records"}, {"path": "/x"}, {"more": 1})
        ),
        *(
            {"tables": {"records": PINNED | other}}
            for other in ({"content": "b" * 31}, {"schema": 7}, {"content": "B" * 32})
        ),
    ],
)
def test_a_manifest_that_was_not_written_so_is_refused(tmp_path, altered):
    snapshots.write_manifest(tmp_path, "clean", {"records": TABLE})
    path = tmp_path / "snapshots" / "clean.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | altered))
    with pytest.raises(snapshots.AlteredManifest, match=r"snapshots/clean.json is not a snapshot manifest of clean"):
        snapshots.manifests(tmp_path)


def test_a_manifest_that_lost_a_table_or_a_bit_is_refused(tmp_path):
    snapshots.write_manifest(tmp_path, "clean", {"records": TABLE, "rejects": replace(TABLE, path="clean/rejects")})
    path = tmp_path / "snapshots" / "clean.json"
    text = path.read_text()
    for altered in (
        text.replace('"rows": 2', '"rows": 3', 1),
        text.replace('"rejects"', '"rejectr"'),
        json.dumps({**json.loads(text), "tables": {"records": dataclasses.asdict(TABLE)}}),
    ):
        path.write_text(altered)
        with pytest.raises(
            snapshots.AlteredManifest, match=r"snapshots/clean.json is not a snapshot manifest of clean"
        ):
            snapshots.read_manifest(tmp_path, "clean")


def test_a_manifest_of_the_format_before_pins_its_tables():
    text = json.dumps({"format": 3, "stage": "clean", "tables": {"records": dataclasses.asdict(TABLE)}})
    assert snapshots.parse_manifest(text, "snapshots/clean.json of HEAD", "clean", snapshots.COMMITTED) == {
        "records": TABLE
    }


def test_manifests_that_cannot_be_listed_are_not_treated_as_missing(tmp_path):
    assert snapshots.manifests(tmp_path) == {}
    (tmp_path / "snapshots").write_text("not a folder")
    with pytest.raises(NotADirectoryError):
        snapshots.manifests(tmp_path)


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """A lake with one table of two versions."""
    root = str(tmp_path_factory.mktemp("lake"))
    tables = []
    for rows in ([(1, "a"), (2, "b")], [(1, "a")]):
        frame = spark.createDataFrame(rows, "id int, name string").repartition(2)
        tables.append(commit(frame, root, "clean/records", frame.schema))
    return root, tables


def test_a_content_is_found_at_its_version(lake):
    root, tables = lake
    assert [snapshots.find_version(root, table) for table in tables] == [0, 1]
    assert snapshots.find_version(root, TABLE) is None


def test_history_is_newest_first_and_names_contents(lake):
    root, tables = lake
    assert [version.content for version in snapshots.history(root, "clean/records")] == [
        tables[1].content,
        tables[0].content,
    ]


def test_missing_table_version_and_file_are_named(lake):
    root, tables = lake
    gone = Table("no/table", 0, "a", "b")
    assert list(snapshots.problems(root, gone)) == [f"table no/table is missing from the lake {root}"]
    assert list(snapshots.problems(root, TABLE)) == [
        f"table clean/records has no version with the pinned content {'b' * 32}"
    ]
    assert list(snapshots.problems(root, tables[1])) == []
    file = Path(snapshots.files(root, "clean", tables[1])[0])
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    altered = f"{file.name} was altered ({len(content) - 1} bytes, written with {len(content)})"
    assert next(snapshots.problems(root, tables[1])).endswith(altered)
    file.unlink()
    with pytest.raises(
        UserError, match=f"the data file data/.*/{file.name} is missing; rebuild it with `finelake repair clean`"
    ):
        snapshots.files(root, "clean", tables[1])
    file.write_bytes(content)
    assert snapshots.intact(root, tables[1])


def test_only_a_deep_check_finds_a_flipped_byte(lake):
    root, tables = lake
    file = Path(snapshots.files(root, "clean", tables[1])[0])
    content = file.read_bytes()
    for place in (4, len(content) // 2, len(content) - 5):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert snapshots.intact(root, tables[1])
        (problem,) = snapshots.problems(root, tables[1], deep=True)
        assert problem.endswith(f"{file.name} was altered (other SHA-256)")
    file.write_bytes(content)
    assert snapshots.intact(root, tables[1], deep=True)


def test_a_manifest_whose_rows_are_not_those_of_its_commit_is_named(lake):
    root, tables = lake
    lying = replace(tables[0], rows=7)
    assert list(snapshots.problems(root, lying)) == [
        "table clean/records has 2 rows, its manifest 7: the manifest was altered"
    ]


def test_every_byte_is_checked_before_it_is_computed_on(lake):
    root, tables = lake
    (file,) = (Path(path) for path in snapshots.files(root, "clean", tables[1]))
    content, status = file.read_bytes(), file.stat()
    file.write_bytes(content[:-40] + bytes([content[-40] ^ 4]) + content[-39:])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    for read in (snapshots.files, snapshots.require, snapshots.arrow_schema):
        with pytest.raises(
            UserError, match=rf"{file.name} was altered .*; rebuild it with `finelake repair --deep clean`"
        ):
            read(root, "clean", tables[1])
    file.write_bytes(content)
    assert snapshots.files(root, "clean", tables[1]) == [str(file)]


@pytest.mark.parametrize("text", ["x", "{}", "[1, true]", '["1"]', "[" * 100_000, b"\xff"])
def test_a_list_of_expired_versions_that_was_altered_is_named(tmp_path, text):
    path = tmp_path / "clean" / "records" / "_expired.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match="_expired.json was altered; delete it"):
        snapshots.expire(str(tmp_path), "clean/records", [1])


# What the system refuses for now; run in a process of its own, since limits and the user stay changed.
REFUSALS = {
    "permission": "os.chmod(log, 0); os.setuid(65534)",
    "open files": "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))",
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_log_that_cannot_be_opened_now_is_not_damaged(lake, refusal):
    if refusal == "permission" and os.getuid():
        pytest.skip("needs root, to become another user")
    root, _ = lake
    log = Path(root, "clean", "records", "_delta_log")
    mode = log.stat().st_mode
    code = f"""
import os, resource
from finelake.lake.tables import snapshots
from finelake.lake.errors import UserError
root, log = {root!r}, {str(log)!r}
{REFUSALS[refusal]}
try:
    snapshots.history(root, "clean/records")
except snapshots.UnreadableLog as error:
    print("damaged", error)
except (UserError, OSError) as error:
    print("refused", error)
"""
    # pytest's folders are readable only by their owner: another user must reach the log.
    above = [folder for folder in log.parents if folder.stat().st_uid == os.getuid() and folder != Path("/")]
    modes = {folder: folder.stat().st_mode for folder in above}
    try:
        for folder in above:
            folder.chmod(modes[folder] | 0o055)
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    finally:
        for folder, before in {**modes, log: mode}.items():
            folder.chmod(before)
    assert said.startswith("refused the Delta log of table clean/records cannot be opened (")
    assert "from a backup" not in said and "away" not in said and "\x1b" not in said


def test_an_unreadable_log_is_named_with_its_fix(lake):
    root, tables = lake
    log = Path(root, "clean", "records", "_delta_log", f"{1:020d}.json")
    content = log.read_text()
    log.write_text(content[: len(content) // 2])
    (problem,) = snapshots.problems(root, tables[1])
    log.write_text(content)
    assert problem.startswith("the Delta log of table clean/records cannot be read (")
    assert problem.endswith(f"or move {root}/clean/records away and run `finelake repair clean`")


def test_files_come_in_the_order_of_their_partitions(spark, tmp_path):
    frame = spark.range(20).selectExpr("'train' as part", "cast(id % 12 as int) as shard", "id")
    frame = frame.repartition("part", "shard")
    table = commit(frame, str(tmp_path), "t/samples", frame.schema, ("part", "shard"))
    shards = [int(path.split("shard=")[1].split("/")[0]) for path in snapshots.files(str(tmp_path), "t", table)]
    assert shards == list(range(12))
