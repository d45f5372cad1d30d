"""Identifiers and texts reach SQL unchanged, whatever they hold."""

import duckdb
import pytest

from finelake.lake.quoting import literal, quoted

ODD = ["plain", 'a"b', "a'b", "select", "a; drop table t", "金额", '""', "''", " ", "a\\b", "a\nb"]


@pytest.mark.parametrize("name", ODD)
def test_a_quoted_name_is_that_column(name):
    result = duckdb.sql(f"select 1 as {quoted(name)}")
    assert result.columns == [name]


@pytest.mark.parametrize("text", ["", *ODD])
def test_a_literal_is_that_text(text):
    assert duckdb.sql(f"select {literal(text)}").fetchall() == [(text,)]
