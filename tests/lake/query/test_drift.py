"""How columns moved: each kind has its statistics, and the PSI is Siddiqi's."""

import math

import duckdb
import pytest

from finelake.lake.query import compare
from finelake.lake.query.drift import Figures, drift, psi


def drifts(before: str, after: str) -> dict:
    connection = duckdb.connect()
    connection.execute(f"create table before as {before}; create table after as {after}")
    return {column.name: column for column in drift(connection, compare.columns(connection).shared)}


def test_psi_of_many_rows_is_the_textbook_sum():
    textbook = (0.2 - 0.5) * math.log(0.2 / 0.5) + (0.8 - 0.5) * math.log(0.8 / 0.5)
    assert psi([(500_000, 200_000), (500_000, 800_000)]) == pytest.approx(textbook, rel=1e-4)


def test_psi_is_zero_for_equal_shares_and_finite_for_an_empty_bin():
    assert psi([(10, 20), (30, 60)]) == pytest.approx(0, abs=1e-2)
    assert psi([(7, 7), (3, 3)]) == 0
    assert 0 < psi([(10, 0), (0, 10)]) < math.inf


def test_a_number_moves_over_the_deciles_of_before():
    found = drifts("select range::double as x from range(1000)", "select range + 500.0::double as x from range(1000)")[
        "x"
    ]
    assert found.kind == "number"
    assert (found.before.rows, found.before.nulls, found.before.distinct) == (1000, 0, 1000)
    assert found.before.mean == found.before.median == 499.5
    assert found.before.deciles == pytest.approx([99.9 * tenth for tenth in range(1, 10)])
    assert found.after.mean == 999.5
    bins = [(100, 0)] * 5 + [(100, 100)] * 4 + [(100, 600)]
    assert found.psi == pytest.approx(psi(bins))
    assert found.by_chance == pytest.approx(9 * 2 / 1000)


def test_nulls_are_a_bin():
    found = drifts("select 1 as x from range(100)", "select case when range < 50 then 1 end as x from range(100)")["x"]
    assert (found.before.nulls, found.after.nulls) == (0, 50)
    assert found.psi == pytest.approx(psi([(100, 50), (0, 50)]))


def test_values_of_a_category_that_moved_most_come_first():
    before = "select ['a', 'b', 'c', 'c'][range % 4 + 1] as x from range(100)"
    after = "select ['a', 'c', 'c', 'c'][range % 4 + 1] as x from range(100)"
    found = drifts(before, after)["x"]
    assert (found.kind, found.before.mean) == ("category", None)
    assert found.moved == [("b", 0.25, 0.0), ("c", 0.5, 0.75), ("a", 0.25, 0.25)]


def test_entries_of_maps_texts_lists_and_times_are_columns():
    query = """select map {'income': range::double, 'o''clock': 1} as numbers, map {'channel': 'app'} as facts,
                      repeat('x', range::int) as text, range(range % 3) as items, true as flag,
                      timestamp '2024-01-01' + interval (range) second as occurred_at from range(60)"""
    found = drifts(query, query)
    assert {name: column.kind for name, column in found.items()} == {
        "numbers.income": "number",
        "numbers.o'clock": "number",
        "facts.channel": "category",
        "text": "text",
        "items": "list",
        "flag": "category",
        "occurred_at": "time",
    }
    assert found["text"].before.mean == 29.5
    assert found["items"].before.mean == 1
    assert found["occurred_at"].before.median == 1704067200 + 29.5
    assert all(column.psi == 0 for column in found.values())


def test_a_column_of_rarely_repeated_texts_is_not_a_category():
    query = "select range::varchar as x from range(10)"
    found = drifts(query, query)["x"]
    assert (found.kind, found.moved) == ("text", [])


def test_a_side_without_rows_has_no_figures():
    found = drifts("select 1::bigint as x, 'a' as y where false", "select range as x, 'a' as y from range(4)")
    assert found["x"].before == Figures(rows=0, nulls=0, distinct=0)
    assert found["x"].after.rows == 4
    assert found["y"].kind == "category"
