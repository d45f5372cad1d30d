"""Content decides: same rows, same hash, no new version."""

import contextlib
import datetime
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake.transaction import AddAction, create_table_with_add_actions
from pyspark.sql import Observation
from pyspark.sql.types import StructType

from finelake.jobs.spark.commit import _publish, _sums, commit, content_hash, read, schema_hash
from finelake.lake.errors import UserError
from finelake.lake.tables import storage
from finelake.lake.tables.snapshots import Table, files, history, intact

SCHEMA = "id string, at timestamp, numbers map<string,double>, tags array<string>, inner struct<a:int,b:string>"
ROWS = [
    ("1", datetime.datetime(2020, 1, 1), {"x": 1.5, "y": None}, ["a", None], (1, None)),
    ("2", None, {}, [], None),
    ("3", None, None, None, (None, None)),
]


@pytest.fixture
def frame(spark):
    return spark.createDataFrame(ROWS, SCHEMA)


def test_the_hash_depends_only_on_the_rows(spark, frame):
    rows, content = content_hash(frame)
    assert rows == 3
    assert len(content) == 32
    other_order = spark.createDataFrame(ROWS[::-1], SCHEMA).repartition(3)
    assert content_hash(other_order) == (rows, content)
    turned = spark.createDataFrame([(*ROWS[0][:2], {"y": None, "x": 1.5}, *ROWS[0][3:]), *ROWS[1:]], SCHEMA)
    assert content_hash(turned) == (rows, content)


def test_the_hash_is_the_same_on_every_machine(frame):
    assert content_hash(frame)[1] == "000aa9ce65d08ee1b5a718be790b0c8f"


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


ALIKE = {
    "map<string,string>": [
        *(None, {}, {"x": None}, {"x": ""}, {"x": "y"}, {"y": "x"}, {"x": "y", "y": None}, {"x": None, "y": "y"}),
        *({"x": "y", "y": "y"}, {"x": None, "y": None}, {"x": ",", "y": None}, {"x": None, "y": ","}),
    ],
    "map<string,double>": [None, {}, {"x": None}, {"x": 0.0}, {"x": 1.0, "y": None}, {"x": None, "y": 1.0}],
    "array<string>": [None, [], [None], [""], ["a"], ["a", None], [None, "a"], [None, None, "a"], ["a,"], ["a", ""]],
    "array<int>": [None, [], [None], [0], [1, 0], [0, 1], [1, None], [None, 1], [None, None, 1], [1, None, None]],
    "struct<a:int,b:int>": [None, (None, None), (0, None), (None, 0), (0, 0), (1, None), (None, 1)],
    "array<struct<a:int,b:string>>": [
        *(None, [], [None], [(None, None)], [(0, None)], [(None, "0")], [(0, "0")], [(0, "0"), None], [None, (0, "0")]),
        *([(0, "0"), (1, "1")], [(1, "1"), (0, "0")], [(0, "1"), (1, "0")], [(0, "01")], [(0, "0"), (1, None)]),
    ],
    "string": [None, "", " ", "null", "0"],
    "boolean": [None, False, True],
}


@pytest.mark.parametrize("kind", ALIKE)
def test_values_that_look_alike_have_different_hashes(spark, kind):
    values = spark.createDataFrame(list(enumerate(ALIKE[kind])), f"place int, a {kind}")
    row = values.groupBy("place").agg(*_sums(values.select("a")))
    assert row.select("lane0", "lane1", "lane2", "lane3").distinct().count() == len(ALIKE[kind])


def test_a_value_in_another_column_gives_another_hash(spark):
    rows = [(1, ["a"], ["b"]), (2, ["a", "b"], []), (3, [], ["a", "b"]), (4, ["b"], ["a"]), (5, None, ["a", "b"])]
    values = spark.createDataFrame(rows, "place int, a array<string>, b array<string>")
    row = values.groupBy("place").agg(*_sums(values.select("a", "b")))
    assert row.select("lane0", "lane1", "lane2", "lane3").distinct().count() == len(rows)


def test_a_type_that_cannot_be_hashed_is_named(spark):
    with pytest.raises(TypeError, match="rows with a array<array<int>> cannot be hashed"):
        content_hash(spark.createDataFrame([], "a array<array<int>>"))


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


def test_lakes_with_different_histories_give_the_same_pins(frame, tmp_path):
    plain, wandering = str(tmp_path / "a"), str(tmp_path / "b")
    commit(frame.limit(2), wandering, "x/records", frame.schema)
    assert commit(frame, plain, "x/records", frame.schema) == commit(frame, wandering, "x/records", frame.schema)


def test_another_schema_is_another_version_and_both_can_be_read(spark, frame, tmp_path):
    lake = str(tmp_path)
    first = commit(frame, lake, "x/records", frame.schema)
    wider = frame.selectExpr("*", "1 as more")
    second = commit(wider, lake, "x/records", wider.schema)
    assert read(spark, lake, first).columns == frame.columns
    assert read(spark, lake, second).columns == [*frame.columns, "more"]
    assert first.schema != second.schema


def test_a_version_with_a_flipped_byte_is_not_reused(spark, frame, tmp_path):
    lake = str(tmp_path)
    table = commit(frame.coalesce(1), lake, "x/records", frame.schema)
    file = Path(files(lake, "x", table)[0])
    content = file.read_bytes()
    file.write_bytes(content[:10] + bytes([content[10] ^ 1]) + content[11:])
    assert commit(frame, lake, "x/records", frame.schema) == table
    assert [version.content for version in history(lake, "x/records")] == [table.content] * 2
    assert intact(lake, table, deep=True)


def test_a_write_leaves_only_data_files_and_the_log(frame, tmp_path):
    lake = str(tmp_path)
    commit(frame, lake, "x/records", frame.schema)
    commit(frame, lake, "x/records", frame.schema)
    assert len(list(tmp_path.glob("x/records/data/*"))) == 1
    assert not list(tmp_path.rglob("data/*/_delta_log"))


def test_only_named_files_stay(spark, tmp_path):
    rows = spark.range(0, 100, 1, 4).where("id >= 75")  # the first task has none, and writes a file all the same
    table = commit(rows, str(tmp_path), "x/records", rows.schema)
    found = [path for path in (tmp_path / "x" / "records" / "data").rglob("*") if path.is_file()]
    assert [str(path) for path in found if path.suffix == ".parquet"] == files(str(tmp_path), "x", table)
    assert {path.suffix for path in found} == {".parquet", ".crc"} and len(found) == 2


def test_a_table_without_rows_has_no_data(spark, frame, tmp_path):
    lake = str(tmp_path)
    table = commit(frame.limit(0), lake, "x/records", frame.schema)
    assert not list(tmp_path.glob("x/records/data/*"))
    assert read(spark, lake, table).columns == frame.columns
    assert read(spark, lake, table).count() == 0


def test_a_write_that_fails_leaves_nothing(frame, tmp_path):
    lake = str(tmp_path)
    broken = frame.selectExpr("*", "raise_error('no') as more")
    with pytest.raises(Exception, match="no"):
        commit(broken, lake, "x/records", broken.schema)
    assert not list(tmp_path.rglob("*.parquet"))


def test_the_files_are_hashed_where_their_count_differs(frame, tmp_path, monkeypatch):
    expected = content_hash(frame)
    twice = {"rows": 6, "lane0": 1, "lane1": 2, "lane2": 3, "lane3": 4}
    monkeypatch.setattr(Observation, "get", property(lambda self: twice))
    table = commit(frame, str(tmp_path), "x/records", frame.schema)
    assert (table.rows, table.content) == expected


def test_no_value_of_a_row_is_in_the_log(frame, tmp_path):
    commit(frame, str(tmp_path), "x/records", frame.schema)
    (log,) = tmp_path.glob("x/records/_delta_log/*.json")
    assert "minValues" not in log.read_text()


def test_writers_at_once_all_finish_and_every_pin_is_found(spark, frame, tmp_path):
    lake = str(tmp_path)

    def write(number: int) -> list[Table]:
        rows = [frame.limit(1).selectExpr("*", f"{number * 10 + step} as more") for step in range(4)]
        return [commit(row, lake, "x/records", row.schema) for row in rows]

    with ThreadPoolExecutor(3) as pool:
        tables = [table for written in pool.map(write, range(3)) for table in written]
    assert len({table.content for table in tables}) == 12
    assert len(history(lake, "x/records")) == 12
    assert all(intact(lake, table, deep=True) for table in tables)


def test_a_version_holds_one_writers_rows_where_the_table_was_empty_before(spark, frame, tmp_path, monkeypatch):
    lake = str(tmp_path)
    commit(frame.limit(0), lake, "x/records", frame.schema)
    together, open_table = threading.Barrier(2), storage.open_table

    def open_both_before_either_commits(*arguments):
        table = open_table(*arguments)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(timeout=1)
        return table

    monkeypatch.setattr("finelake.jobs.spark.commit.storage.open_table", open_both_before_either_commits)
    rows = [frame.where(f"id = '{name}'") for name in "12"]
    tables = at_once(lambda row: commit(row, lake, "x/records", row.schema), rows)
    monkeypatch.undo()
    assert [len(files(lake, "x", table)) for table in tables] == [1, 1]
    assert all(intact(lake, table, deep=True) for table in tables)


def test_a_version_holds_one_writers_rows_where_both_create_the_table(tmp_path, monkeypatch):
    together, create = threading.Barrier(2), create_table_with_add_actions

    def create_at_once(*arguments, **settings):
        together.wait(timeout=60)
        create(*arguments, **settings)

    monkeypatch.setattr("finelake.jobs.spark.commit.create_table_with_add_actions", create_at_once)
    schema = StructType().add("id", "long")
    for name in ("x/a", "x/b", "x/c", "x/d", "x/e", "x/f"):
        adds = [AddAction(f"data/{writer}/part.parquet", 4, {}, 0, True, "{}") for writer in "01"]
        for add in adds:
            storage.write_bytes(str(tmp_path), f"{name}/{add.path}", b"rows")
        pins = [Table(name, 1, schema_hash(schema), writer * 32) for writer in "01"]
        at_once(lambda item: _publish(str(tmp_path), item[0], [item[1]], schema, ()), zip(pins, adds, strict=True))
        assert [[Path(file).parts[-2] for file in files(str(tmp_path), "x", pin)] for pin in pins] == [["0"], ["1"]]


def at_once(work, items):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, items))


def test_a_table_that_vanished_before_it_was_read_is_named(spark, frame, tmp_path):
    table = commit(frame, str(tmp_path), "clean/records", frame.schema)
    tmp_path.joinpath("clean").rename(tmp_path / "gone")
    with pytest.raises(
        UserError, match=f"^table clean/records vanished from the lake {tmp_path} while the stage ran; "
    ):
        read(spark, str(tmp_path), table)
