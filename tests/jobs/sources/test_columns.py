"""Columns: what becomes of each, and what is refused by name before Spark starts."""

import sqlite3
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet
import pytest

from finelake.jobs.sources.columns import Column, assign, check, declared, names_to_read, remark
from finelake.jobs.sources.config import parse_sources
from finelake.lake.errors import UserError

COMMON = {"key": "id", "occurred_at": "at", "text": "body"}
DATABASE = {"kind": "database", "url": "jdbc:sqlite:bank.db", "table": "tickets"} | COMMON
FILES = {"kind": "files", "path": "data/*.csv", "format": "csv"} | COMMON
API = {"kind": "api", "url": "${BANK_API}/complaints", "landing": "landing"} | COMMON
DOCUMENTS = {"kind": "documents", "path": "documents", "business_value": "documents"}
FOUND = {"id": "integer", "at": "text", "body": "text"}


def parsed(fields: dict):
    return parse_sources({"x": fields})["x"]


def refused(fields: dict, found: dict[str, str]) -> str:
    with pytest.raises(UserError) as raised:
        assign("x", parsed(fields), found)
    return str(raised.value)


def test_a_column_that_nothing_maps_is_refused_unless_it_is_named():
    found = FOUND | {"branch": "text", "tier": "integer"}
    assert refused(DATABASE, found) == (
        "source x has columns that nothing maps: branch, tier; map them, list them under sources.x.ignored, "
        "or set sources.x.other_columns to ignore or take"
    )
    assert "nothing maps: tier; " in refused(DATABASE | {"ignored": ["branch", "gone"]}, found)


def test_what_becomes_of_each_column():
    found = FOUND | {"branch": "text", "tier": "integer"}
    mapped = [Column("id", "integer", "key"), Column("at", "text", "time"), Column("body", "text", "text,fact")]
    named = {"ignored": ["branch"], "facts": ["body"]}
    for other, used_as, said in [
        ("ignore", "ignored", "source x: columns that nothing maps are left out: tier"),
        ("take", "taken", "source x: columns that nothing maps are taken into facts: tier"),
    ]:
        source = parsed(DATABASE | named | {"other_columns": other})
        columns = assign("x", source, found)
        assert columns == [*mapped, Column("branch", "text", "ignored"), Column("tier", "integer", used_as)]
        assert names_to_read(source, columns) == ["id", "at", "body"] + (["tier"] if other == "take" else [])
        assert remark("x", source, columns) == said
    assert remark("x", source, columns[:4]) is None


@pytest.mark.parametrize("kind", ["integer", "BIGINT", "int32|int64", "decimal(38,18)", "decimal128(9, 2)", "double"])
def test_a_widened_number_is_taken(kind):
    columns = assign("x", parsed(DATABASE | {"numbers": ["n"]}), FOUND | {"n": kind})
    assert columns[-1] == Column("n", kind, "number")


@pytest.mark.parametrize(
    "kind", ["text", "VARCHAR(9)", "date", "interval day", "blob", "boolean", "array<int>", "int|text"]
)
def test_a_number_that_became_something_else_is_refused(kind):
    assert refused(DATABASE | {"numbers": ["n"]}, FOUND | {"n": kind}) == (
        f"source x: n is mapped under numbers, but its type is {kind}; "
        "map it under facts, or make it a number in the source"
    )


def test_a_key_that_became_a_floating_number_is_refused():
    assert refused(FILES | {"format": "parquet"}, FOUND | {"id": "double|int64"}) == (
        "source x: id is a key, but its type is double|int64, which writes 1 as 1.0; "
        "make it text or a whole number in the source"
    )


def test_texts_of_untyped_sources_may_be_numbers_objects_not():
    for kind in ("text", "number|text", "null"):
        assert assign("x", parsed(API | {"numbers": ["n"]}), FOUND | {"n": kind})[-1] == Column("n", kind, "number")
    assert "its type is number|object; " in refused(API | {"numbers": ["n"]}, FOUND | {"n": "number|object"})


def test_a_mapped_column_that_vanished_is_refused():
    assert refused(API, {"id": "number", "at": "text", "bodi": "text"}) == (
        "source x: landing has no column body; did you mean bodi?"
    )


def test_names_that_would_be_mixed_up_are_refused():
    take = DATABASE | {"other_columns": "take"}
    assert refused(take, FOUND | {"_source": "text"}) == (
        "source x: Finelake has a column _source of its own; list it under sources.x.ignored or rename it in the source"
    )
    assert "a column split of its own" in refused(take | {"split": "part"}, FOUND | {"part": "text", "split": "text"})
    assert "body and Body differ in case alone" in refused(take, FOUND | {"Body": "text"})
    assert len(assign("x", parsed(DATABASE | {"ignored": ["_source", "Body"]}), FOUND | {"Body": "text"})) == 4


# ---------------------------------------------------------------- what can be told without Spark


def database(path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_check_names_what_is_not_there(tmp_path):
    def said(fields: dict) -> str:
        with pytest.raises(UserError) as raised:
            check(tmp_path, {"x": parsed(fields)})
        return str(raised.value)

    assert "bank.db, does not exist" in said(DATABASE)
    (tmp_path / "bank.db").write_text("this is no database, whatever its name says" * 40)
    assert "cannot be read (file is not a database)" in said(DATABASE)
    (tmp_path / "bank.db").unlink()
    database(tmp_path / "bank.db", "create table tickets (id, created_at, body)")
    assert said(DATABASE) == "source x: tickets has no column at; expected one of: id, created_at, body"
    assert "no column create_at; did you mean created_at?" in said(DATABASE | {"occurred_at": "create_at"})
    assert "no such table: ticket" in said(DATABASE | {"table": "ticket"})
    assert "syntax error" in said(DATABASE | {"table": None, "query": "selec 1"})
    assert "run `finelake pull x`" in said(API)
    assert "documents, does not exist" in said(DOCUMENTS)
    (tmp_path / "documents").mkdir()
    assert "documents, is empty" in said(DOCUMENTS)
    assert "no file matches data/*.csv" in said(FILES)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id,at,bodi\n")
    assert "a.csv has no column body; did you mean bodi?" in said(FILES)
    (tmp_path / "data" / "a.csv").write_text("id,at,id\n")
    assert "names a column twice" in said(FILES)
    (tmp_path / "data" / "sub").mkdir()
    assert "sub of source x is a folder; write sources.x.path: data/*/*" in said(FILES | {"path": "data/*"})
    (tmp_path / "data" / "a.parquet").write_text("no parquet")
    assert "a.parquet of source x cannot be read" in said(FILES | {"path": "data/a.parquet", "format": "parquet"})


def test_check_passes_where_all_is_there(tmp_path):
    database(tmp_path / "bank.db", "create table tickets (id, at, body)")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "00000000.json").write_text('{"items": []}')
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.pdf").write_bytes(b"")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("\ufeffid,at,body\n")
    check(tmp_path, parse_sources({"a": DATABASE, "b": FILES, "c": API, "d": DOCUMENTS}))


def test_a_variable_that_is_not_set_is_named_when_the_source_is_needed(tmp_path, monkeypatch):
    monkeypatch.delenv("PW", raising=False)
    sources = parse_sources({"x": DATABASE | {"url": "jdbc:postgresql://h/b", "password": "${PW}"}})
    with pytest.raises(UserError, match="sources.x needs the environment variable PW, which is not set"):
        check(tmp_path, sources)


def test_declared_types_of_sqlite(tmp_path):
    database(
        tmp_path / "bank.db",
        "create table tickets (id integer primary key, at datetime, body varchar(9), amount decimal(9,2), any)",
        "create view v as select id, amount * 2 as twice from tickets",
    )

    def types(**fields) -> dict[str, str] | None:
        return declared(tmp_path, "x", parsed(DATABASE | fields))

    table = {"id": "integer", "at": "datetime", "body": "varchar(9)", "amount": "decimal(9,2)", "any": "untyped"}
    assert types() == table
    assert types(table=None, query="select body, id + 1 as next from tickets;") == {
        "body": "varchar(9)",
        "next": "untyped",
    }
    assert types(table="v") == {"id": "integer", "twice": "untyped"}


def test_declared_types_of_files(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id,at,body\n")
    (tmp_path / "data" / "b.csv").write_text("id,at,body,extra\n")
    csv = {"id": "text", "at": "text", "body": "text", "extra": "text"}
    assert declared(tmp_path, "x", parsed(FILES)) == csv
    for name, kind in (("a", pa.int32()), ("b", pa.int64())):
        table = pa.table({"id": pa.array([1], kind), "at": ["2020-01-01"], "body": ["b"]})
        pyarrow.parquet.write_table(table, tmp_path / "data" / f"{name}.parquet")
    parquet = parsed(FILES | {"path": "data/*.parquet", "format": "parquet"})
    assert declared(tmp_path, "x", parquet) == {"id": "int32|int64", "at": "string", "body": "string"}
    with pytest.raises(UserError, match="source x has columns that nothing maps: extra; "):
        check(tmp_path, {"x": parsed(FILES)})
