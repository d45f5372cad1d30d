"""Content decides: same rows, same hash, no new version."""

import datetime
from pathlib import Path

import pytest

from lake.commit import commit, content_hash, read
from lake.snapshots import files, history

SCHEMA = "id string, at timestamp, numbers map<string,double>, tags array<string>, inner struct<a:int,b:string>"
ROWS = [
    ("1", datetime.datetime(2020, 1, 1), {"x": 1.5, "y": None}, ["a", None], (1, None)),
    ("2", None, {}, [], None),
    ("3", None, None, None, (None, None)),
]


@pytest.fixture
def frame(spark):
    return spark.createDataFrame(ROWS, SCHEMA)


def test_the_hash_is_of_the_rows_alone(spark, frame):
    rows, content = content_hash(frame)
    assert rows == 3
    assert len(content) == 32
    other_order = spark.createDataFrame(ROWS[::-1], SCHEMA).repartition(3)
    assert content_hash(other_order) == (rows, content)
    turned = spark.createDataFrame([(*ROWS[0][:2], {"y": None, "x": 1.5}, *ROWS[0][3:]), *ROWS[1:]], SCHEMA)
    assert content_hash(turned) == (rows, content)


def test_the_hash_is_the_same_on_every_machine(frame):
    assert content_hash(frame)[1] == "bbc79bae6b9a1fde52ac6b429114acbe"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, "1 "),
        (1, None),
        (2, {"x": 1.5}),
        (2, {"x": 1.5000000000000002, "y": None}),
        (3, ["a"]),
        (3, [None, "a"]),
        (4, None),
        (4, (None, "1")),
    ],
)
def test_any_other_value_gives_another_hash(spark, frame, column, value):
    row = list(ROWS[0])
    row[column] = value
    assert content_hash(spark.createDataFrame([tuple(row), *ROWS[1:]], SCHEMA))[1] != content_hash(frame)[1]


def test_rows_twice_are_not_rows_once(frame):
    assert content_hash(frame.union(frame))[1] != content_hash(frame)[1]


def test_an_empty_table_has_a_hash(frame):
    assert content_hash(frame.limit(0)) == (0, "0" * 32)


def test_same_content_commits_nothing_and_another_does(spark, frame, tmp_path):
    lake = str(tmp_path)
    first = commit(frame, lake, "x/records", frame.schema)
    assert commit(frame.repartition(3), lake, "x/records", frame.schema) == first
    assert len(history(lake, "x/records")) == 1
    second = commit(frame.limit(1), lake, "x/records", frame.schema)
    assert commit(frame, lake, "x/records", frame.schema) == first
    assert len(history(lake, "x/records")) == 2
    assert read(spark, lake, first).count() == 3
    assert read(spark, lake, second).count() == 1


def test_a_damaged_version_is_written_again_and_satisfies_the_old_pin(spark, frame, tmp_path):
    lake = str(tmp_path)
    table = commit(frame, lake, "x/records", frame.schema)
    Path(files(lake, "x", table)[0]).unlink()
    assert commit(frame, lake, "x/records", frame.schema) == table
    assert read(spark, lake, table).count() == 3


def test_lakes_with_another_past_give_the_same_pins(frame, tmp_path):
    plain, wandering = str(tmp_path / "a"), str(tmp_path / "b")
    commit(frame.limit(2), wandering, "x/records", frame.schema)
    assert commit(frame, plain, "x/records", frame.schema) == commit(frame, wandering, "x/records", frame.schema)
