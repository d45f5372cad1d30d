"""Manifests: exact text, refused formats, and what is missing is named."""

import json
from pathlib import Path

import pytest

from lake import snapshots
from lake.commit import commit
from lake.errors import UserError
from lake.snapshots import Table

TABLE = Table(path="clean/records", rows=2, schema="a" * 32, content="b" * 32)


def test_a_manifest_is_this_text_and_comes_back(tmp_path):
    snapshots.write_manifest(tmp_path, "clean", {"records": TABLE})
    assert (tmp_path / "snapshots" / "clean.json").read_text() == (
        '{\n  "format": 3,\n  "stage": "clean",\n  "tables": {\n    "records": {\n'
        '      "path": "clean/records",\n      "rows": 2,\n'
        f'      "schema": "{"a" * 32}",\n      "content": "{"b" * 32}"\n'
        "    }\n  }\n}\n"
    )
    assert snapshots.read_manifest(tmp_path, "clean") == {"records": TABLE}


def test_a_stage_of_a_run_has_a_file_and_folders_of_its_own(tmp_path):
    assert snapshots.manifest_path(tmp_path, "tokenize@intent").name == "tokenize-intent.json"
    assert snapshots.table_path("tokenize@intent", "samples") == "tokenize/intent/samples"
    snapshots.write_manifest(tmp_path, "tokenize@my-run", {"samples": TABLE})
    assert list(snapshots.manifests(tmp_path)) == ["tokenize@my-run"]


def test_a_stage_that_has_not_run_is_named(tmp_path):
    with pytest.raises(UserError, match="snapshots/mask.json does not exist: the stage mask has not run yet"):
        snapshots.read_manifest(tmp_path, "mask")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"format": 2}), "has snapshot format 2, this Finelake reads 3"),
        ('{"format": 3, "tab', "is no snapshot manifest"),
        ('{"format": 3, "tables": {"records": {"path": "x"}}}', "is no snapshot manifest"),
    ],
)
def test_another_format_and_broken_text_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        snapshots.parse_manifest(text, "snapshots/clean.json", "clean")


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


def test_a_flipped_byte_is_found_by_a_deep_check_alone(lake):
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


def test_an_unreadable_log_is_named_with_its_mend(lake):
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
