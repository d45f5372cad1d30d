"""Two versions of a table: exactly what differs is counted, by key or as a multiset."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finelake.lake.query import compare
from finelake.lake.query.compare import Rows


def compared(before: str, after: str, key=(), examples: int = 5) -> Rows:
    """Compare the answers of two queries."""
    connection = duckdb.connect()
    connection.execute(f"create table before as {before}; create table after as {after}")
    return compare.rows(connection, compare.columns(connection).shared, key, examples)


def test_rows_are_matched_by_their_key():
    before = "from (values (1, 'a', map {'x': 1, 'y': 2}), (2, 'b', map {}), (3, null, map {})) t(id, name, numbers)"
    after = (
        "from (values (1, 'a', map {'y': 2, 'x': 1}), (3, 'c', map {'x': 1}), (4, 'd', map {})) t(id, name, numbers)"
    )
    assert compared(before, after, ("id",)) == Rows(
        key=("id",),
        before=3,
        after=3,
        counts={"added": 1, "removed": 1, "changed": 1},
        changed_columns={"name": 1, "numbers": 1},
        examples={"added": ["4"], "removed": ["2"], "changed": ["3"]},
    )


def test_a_part_of_a_key_may_be_null():
    before = "from (values ('a', null, 1), ('a', 'x', 1)) t(source, lang, number)"
    after = "from (values ('a', null::varchar, 2), ('b', null, 1)) t(source, lang, number)"
    found = compared(before, after, ("source", "lang"))
    assert found.counts == {"added": 1, "removed": 1, "changed": 1}
    assert found.examples == {"added": ["b"], "removed": ["a x"], "changed": ["a"]}


@pytest.mark.parametrize("key", [(), ("record_id",), ("id",)])
def test_without_a_key_that_is_unique_rows_are_a_multiset(key):
    before = "from (values ('a', 1), ('a', 1), ('a', 2), ('b', 1)) t(record_id, number)"
    after = "from (values ('a', 1), ('a', 2), ('c', 1), ('c', 1)) t(record_id, number)"
    assert compared(before, after, key) == Rows(
        key=(),
        before=4,
        after=4,
        counts={"added": 2, "removed": 2},
        examples={"added": ["c"], "removed": ["a", "b"]},
    )


def test_columns_are_compared_by_name_and_type():
    connection = duckdb.connect()
    connection.execute("create table before as select 1 as id, 'x' as old, 1 as number")
    connection.execute("create table after as select 1.5::double as number, 1 as id, [1] as new")
    assert compare.columns(connection) == compare.Columns(
        added={"new": "INTEGER[]"},
        removed={"old": "VARCHAR"},
        retyped={"number": ("INTEGER", "DOUBLE")},
        shared={"id": "INTEGER"},
    )


def test_examples_are_limited():
    found = compared("select 1::bigint as id where false", "select range as id from range(10)", ("id",), examples=2)
    assert found.counts["added"] == 10
    assert found.examples["added"] == ["0", "1"]


tables = st.dictionaries(st.integers(0, 8), st.integers(0, 2), max_size=6)


@settings(max_examples=40, deadline=None)
@given(tables, tables)
def test_counts_are_those_of_dictionaries(before, after):
    def query(rows: dict[int, int]) -> str:
        return (
            f"select key as id, value from (select unnest(map_entries(map {rows}::map(int, int)), recursive := true))"
        )

    expected = {
        "added": len(after.keys() - before.keys()),
        "removed": len(before.keys() - after.keys()),
        "changed": sum(before[key] != after[key] for key in before.keys() & after.keys()),
    }
    assert compared(query(before), query(after), ("id",)).counts == expected
    equal = len(before.items() & after.items())
    assert compared(query(before), query(after)).counts == {
        "added": len(after) - equal,
        "removed": len(before) - equal,
    }
