"""Sources: what is refused before Spark, and what each reader gives, through the real drivers."""

import json
import sqlite3
from contextlib import closing

import pytest

from jobs.sources import (
    Api,
    Database,
    Documents,
    Files,
    as_text,
    check,
    dig,
    expand,
    harmless,
    mapped_columns,
    parse_sources,
    quoted,
    read,
)
from lake.errors import UserError

COMMON = {"key": "id", "occurred_at": "at", "text": "body"}
DATABASE = {"kind": "database", "url": "jdbc:sqlite:bank.db", "table": "tickets"} | COMMON
FILES = {"kind": "files", "path": "data/*.csv", "format": "csv"} | COMMON
API = {"kind": "api", "url": "${BANK_API}/complaints", "landing": "landing"} | COMMON
DOCUMENTS = {"kind": "documents", "path": "documents", "business_value": "documents"}


def parsed(fields: dict):
    return parse_sources({"x": fields})["x"]


def rows(frame) -> list[tuple]:
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def test_each_kind_parses():
    # The API's variable is not set: only `pull` needs it.
    sources = parse_sources({"a": DATABASE, "b": FILES, "c": API, "d": DOCUMENTS})
    assert [type(source) for source in sources.values()] == [Database, Files, Api, Documents]
    assert mapped_columns(sources["a"]) == ["id", "at", "body"]
    assert mapped_columns(sources["d"]) == ["key", "occurred_at", "text", "file", "page", "part", "method"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (DATABASE | {"kind": "databse"}, "sources.x.kind: 'databse' is not a kind of source; did you mean database?"),
        (
            DATABASE | {"occured_at": "at"},
            "sources.x.occured_at is not a known key; did you mean sources.x.occurred_at",
        ),
        (DATABASE | {"business": "a", "business_value": "b"}, "business and business_value contradict each other"),
        (DATABASE | {"occurred_at": None}, "sources.x: names no occurred_at; add occurred_at or occurred_at_value"),
        (DATABASE | {"key": None}, "names no key"),
        (DATABASE | {"text": None}, "maps neither text nor numbers"),
        (DATABASE | {"table": None}, "names no table; add table or query"),
        (DATABASE | {"url": "mysql://x"}, "url must begin with jdbc:sqlite: or jdbc:postgresql:"),
        (DATABASE | {"partitions": 4}, "partitions needs partition_column"),
        (DATABASE | {"labels": {"entity": "e"}}, "labels may name the layer scene alone"),
        (DATABASE | {"role": "annotations"}, "role annotations needs `columns`"),
        (FILES | {"format": "xlsx"}, "sources.x.format: 'xlsx' is not allowed"),
        (API | {"attempts": 0}, "attempts and max_pages at least 1"),
        (DOCUMENTS | {"occurred_at_pattern": "([0-9]+)"}, "needs the named groups year, month and day"),
        (DOCUMENTS | {"occurred_at_pattern": "("}, "is no regular expression"),
        ("tickets", "sources.x must be a mapping"),
    ],
)
def test_a_wrong_source_is_refused_by_name(fields, said):
    with pytest.raises(UserError) as raised:
        parsed(fields)
    assert said in str(raised.value)


def test_no_source_at_all_is_refused():
    with pytest.raises(UserError, match="sources is empty"):
        parse_sources(None)


def test_secrets_stay_out_of_sources_and_messages():
    source = parsed(DATABASE | {"url": "jdbc:postgresql://h/b", "password": "${PW}"})
    assert "tell-nobody" not in repr(source)
    assert expand(source.password, "x", {"PW": "tell-nobody"}) == "tell-nobody"
    assert harmless("cannot reach jdbc:postgresql://h/b?password=tell-nobody now\nat java") == "cannot reach ... now"


# ---------------------------------------------------------------- checks before Spark


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
    assert "source x: tickets has no column at; " in said(DATABASE)
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


def test_check_passes_where_all_is_there(tmp_path):
    database(tmp_path / "bank.db", "create table tickets (id, at, body)")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "00000000.json").write_text('{"items": []}')
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.pdf").write_bytes(b"")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("\ufeffid,at,body\n")
    check(tmp_path, parse_sources({"a": DATABASE, "b": FILES, "c": API, "d": DOCUMENTS}))


# ---------------------------------------------------------------- reading


def test_sqlite_values_arrive_whatever_their_type(spark, tmp_path):
    name = 'odd "ticket" table'
    database(
        tmp_path / "bank.db",
        'create table "odd ""ticket"" table" (id integer, at date, body text, "big money" real, other)',
        'insert into "odd ""ticket"" table" values (4294967296, \'2020-03-10\', \'额度 "x" <a>\', 0.1, 1)',
        'insert into "odd ""ticket"" table" values (2, 1583798400, \'b\', 0.30000000000000004, \'text\')',
        'insert into "odd ""ticket"" table" values (3, null, null, 1e300, x\'00ff\')',
    )
    source = parsed(DATABASE | {"table": name, "numbers": ["big money"], "facts": ["other"]})
    check(tmp_path, {"x": source})
    frame = read(spark, tmp_path, "x", source)
    assert [column for column in frame.columns] == [
        *("_source", "id", "at", "body", "big money", "other", "_reason", "_detail", "_order")
    ]
    assert rows(frame.drop("_reason", "_detail", "_order")) == [
        ("x", "2", "1583798400", "b", "0.30000000000000004", "text"),
        ("x", "3", None, None, "1.0e+300", "00FF"),
        ("x", "4294967296", "2020-03-10", '额度 "x" <a>', "0.1", "1"),
    ]


def test_a_query_and_partitioned_reads_give_every_row_once(spark, tmp_path):
    values = ", ".join(f"({number}, '2020-01-01', 'text {number}')" for number in range(-7, 20))
    database(
        tmp_path / "bank.db",
        "create table tickets (id integer, at text, body text)",
        f"insert into tickets values {values}, (null, '2020-01-01', 'none')",
    )
    query = {"table": None, "query": "select * from tickets where body <> 'text 3';"}
    source = parsed(DATABASE | query | {"partition_column": "id", "partitions": 4})
    frame = read(spark, tmp_path, "x", source)
    assert frame.rdd.getNumPartitions() == 4
    expected = [str(number) for number in range(-7, 20) if number != 3]
    assert sorted(row["id"] or "none" for row in frame.collect()) == sorted([*expected, "none"])


def test_a_database_that_refuses_is_one_sentence(spark, tmp_path):
    url = "jdbc:postgresql://127.0.0.1:9/bank?password=hidden"
    with pytest.raises(UserError, match="source x cannot be read") as raised:
        read(spark, tmp_path, "x", parsed(DATABASE | {"url": url}))
    assert "hidden" not in str(raised.value) and "\n" not in str(raised.value)


def test_csv_with_quotes_line_breaks_and_corrupt_rows(spark, tmp_path):
    (tmp_path / "data").mkdir()
    lines = '\ufeffid,at,body\n1,2020-01-01,"a ""b"",\nc"\n2,2020-01-01\n3,x,y,z\n4,,é\n'
    (tmp_path / "data" / "a.csv").write_text(lines, encoding="utf-8")
    (tmp_path / "data" / "b.csv").write_text("body,extra,id,at\nlast,no,5,2020-01-02\n")
    frame = read(spark, tmp_path, "x", parsed(FILES))
    assert rows(frame.drop("_detail", "_order")) == [
        ("x", "1", "2020-01-01", 'a "b",\nc', None),
        ("x", "2", "2020-01-01", None, "corrupt_row"),
        ("x", "3", "x", "y", "corrupt_row"),
        ("x", "4", None, "é", None),
        ("x", "5", "2020-01-02", "last", None),
    ]


def test_a_csv_without_a_key_counts_its_rows(spark, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train", "test"):
        (tmp_path / "data" / f"{name}.csv").write_text('text,category\n"a\nb",x\nc,y\n')
    fields = {"key": "_row", "occurred_at": None, "occurred_at_value": "2020-03-10", "text": "text"}
    frame = read(spark, tmp_path, "x", parsed(FILES | fields | {"labels": {"scene": "category"}}))
    assert rows(frame.select("_row", "text", "category")) == [
        ("test.csv#1", "a\nb", "x"),
        ("test.csv#2", "c", "y"),
        ("train.csv#1", "a\nb", "x"),
        ("train.csv#2", "c", "y"),
    ]


def test_json_lines_and_parquet(spark, tmp_path):
    lines = ['{"id": 9007199254740993, "at": "2020-01-01", "body": "额"}', "{oops", '{"id": "2", "body": {"a": 1}}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    frame = read(spark, tmp_path, "x", parsed(FILES | {"path": "*.jsonl", "format": "jsonl"}))
    assert rows(frame.drop("_detail", "_order")) == [
        ("x", "2", None, '{"a":1}', None),
        ("x", "9007199254740993", "2020-01-01", "额", None),
        ("x", None, None, None, "corrupt_row"),
    ]
    spark.sql("select 1L id, timestamp'2020-01-01' at, 'b' body").write.parquet(str(tmp_path / "p"))
    parquet = FILES | {"path": "p/*.parquet", "format": "parquet"}
    assert rows(read(spark, tmp_path, "x", parsed(parquet)).select("id", "at", "body")) == [
        ("1", "2020-01-01 00:00:00", "b")
    ]
    with pytest.raises(UserError, match="has no column bodi; did you mean body"):
        read(spark, tmp_path, "x", parsed(parquet | {"text": "bodi"}))


def test_landed_pages_with_their_order(spark, tmp_path):
    landing = tmp_path / "landing"
    landing.mkdir()
    first = {"items": [{"id": 1, "at": "2020-01-01", "customer": {"name": "n"}, "body": "a"}, {"id": 2}]}
    (landing / "00000000.json").write_text(json.dumps(first))
    (landing / "00000001.json").write_text(json.dumps({"items": [{"id": 1, "body": True}]}))
    (landing / "00000002.json").write_text("{")
    (landing / "_cursor.json").write_text("{}")
    frame = read(spark, tmp_path, "x", parsed(API | {"facts": ["customer.name"]}))
    assert rows(frame) == [
        ("x", "1", "2020-01-01", "a", "n", None, "00000000.json", "00000000#000000"),
        ("x", "1", None, "true", None, None, "00000001.json", "00000001#000000"),
        ("x", "2", None, None, None, None, "00000000.json", "00000000#000001"),
        ("x", None, None, None, None, "corrupt_row", "00000002.json", "00000002#000000"),
    ]


def test_helpers():
    assert quoted('public.my "t"') == '"public"."my ""t"""'
    assert dig({"a": {"b": 1}, "a.c": 2}, "a.b") == 1
    assert dig({"a": {"b": 1}, "a.c": 2}, "a.c") == 2
    assert dig({"a": [1]}, "a.b") is None
    assert [as_text(value) for value in (None, "é", 1.5, True, {"b": 1, "a": "é"})] == [
        *(None, "é", "1.5", "true", '{"a": "é", "b": 1}')
    ]


def test_a_variable_that_is_not_set_is_named_when_the_source_is_needed(tmp_path, monkeypatch):
    monkeypatch.delenv("PW", raising=False)
    sources = parse_sources({"x": DATABASE | {"url": "jdbc:postgresql://h/b", "password": "${PW}"}})
    with pytest.raises(UserError, match="sources.x needs the environment variable PW, which is not set"):
        check(tmp_path, sources)
