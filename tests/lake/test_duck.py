"""DuckDB sees what is pinned, exactly."""

import pytest

from lake.commit import commit
from lake.duck import ask, connect
from lake.errors import UserError
from lake.snapshots import write_manifest


@pytest.fixture(scope="module")
def project(spark, tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    lake = str(root / "lake")
    frame = spark.createDataFrame([(1, "it's"), (2, "b")], "id int, name string")
    pinned = commit(frame, lake, "clean/records", frame.schema)
    commit(frame.limit(0), lake, "clean/records", frame.schema)  # a later version, not pinned
    nothing = commit(frame.limit(0), lake, "clean/rejects", frame.schema)
    write_manifest(root, "clean", {"records": pinned, "rejects": nothing})
    samples = spark.createDataFrame([("train", 10, "a"), ("train", 2, "b")], "part string, shard int, id string")
    samples = samples.repartition("part", "shard")
    write_manifest(
        root,
        "tokenize@my-run",
        {"samples": commit(samples, lake, "tokenize/my-run/samples", samples.schema, ("part", "shard"))},
    )
    return root, lake


def test_the_pinned_version_is_a_view(project):
    rows = ask(connect(*project), "select * from clean.records order by id").fetchall()
    assert rows == [(1, "it's"), (2, "b")]


def test_a_table_without_rows_is_a_view_too(project):
    assert ask(connect(*project), "select id, name from clean.rejects").fetchall() == []


def test_partition_columns_are_there(project):
    rows = ask(connect(*project), 'select part, shard, id from "tokenize_my-run".samples order by id').fetchall()
    assert rows == [("train", 10, "a"), ("train", 2, "b")]


def test_a_wrong_query_is_one_sentence(project):
    with pytest.raises(UserError, match="the query failed .* lists what there is"):
        ask(connect(*project), "select * from clean.recrods")
