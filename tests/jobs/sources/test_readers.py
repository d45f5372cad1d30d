"""Readers: what each gives, through the real drivers."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from finelake.jobs.sources.columns import COLUMNS, names_to_read
from finelake.jobs.sources.config import parse_sources
from finelake.jobs.sources.pull import canonical
from finelake.jobs.sources.readers import as_text, describe, harmless, item_types, page_rows, read, read_all
from finelake.lake.errors import UserError

COMMON = {"key": "id", "occurred_at": "at", "text": "body"}
DATABASE = {"kind": "database", "url": "jdbc:sqlite:bank.db", "table": "tickets"} | COMMON
FILES = {"kind": "files", "path": "data/*.csv", "format": "csv"} | COMMON
API = {"kind": "api", "url": "${BANK_API}/complaints", "landing": "landing"} | COMMON


def raw(spark, root, fields: dict):
    source = parse_sources({"x": fields})["x"]
    return read(spark, root, "x", source, names_to_read(source, describe(spark, root, "x", source)))


def rows(frame) -> list[tuple]:
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def database(path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_sqlite_values_arrive_whatever_their_type(spark, tmp_path):
    name = 'odd "ticket" table'
    database(
        tmp_path / "bank.db",
        'create table "odd ""ticket"" table" (id integer, at date, body text, "big money" real, other)',
        'insert into "odd ""ticket"" table" values (4294967296, \'2020-03-10\', \'额度 "x" <a>\', 0.1, 1)',
        'insert into "odd ""ticket"" table" values (2, 1583798400, \'b\', 0.30000000000000004, \'text\')',
        'insert into "odd ""ticket"" table" values (3, null, null, 1e300, x\'00ff\')',
    )
    frame = raw(spark, tmp_path, DATABASE | {"table": name, "numbers": ["big money"], "facts": ["other"]})
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
    frame = raw(spark, tmp_path, DATABASE | query | {"partition_column": "id", "partitions": 4})
    assert frame.rdd.getNumPartitions() == 4
    expected = [str(number) for number in range(-7, 20) if number != 3]
    assert sorted(row["id"] or "none" for row in frame.collect()) == sorted([*expected, "none"])


def test_a_database_that_refuses_is_one_sentence(spark, tmp_path):
    url = "jdbc:postgresql://127.0.0.1:9/bank?password=hidden"
    with pytest.raises(UserError, match="source x cannot be read") as raised:
        raw(spark, tmp_path, DATABASE | {"url": url})
    assert "hidden" not in str(raised.value) and "\n" not in str(raised.value)


def test_csv_with_quotes_line_breaks_and_corrupt_rows(spark, tmp_path):
    (tmp_path / "data").mkdir()
    lines = '\ufeffid,at,body\n1,2020-01-01,"a ""b"",\nc"\n2,2020-01-01\n3,x,y,z\n4,,é\n'
    (tmp_path / "data" / "a.csv").write_text(lines, encoding="utf-8")
    (tmp_path / "data" / "b.csv").write_text("body,extra,id,at\nlast,no,5,2020-01-02\n")
    frame = raw(spark, tmp_path, FILES | {"ignored": ["extra"]})
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
    frame = raw(spark, tmp_path, FILES | fields | {"labels": {"scene": "category"}})
    assert rows(frame.select("_row", "text", "category")) == [
        ("test.csv#1", "a\nb", "x"),
        ("test.csv#2", "c", "y"),
        ("train.csv#1", "a\nb", "x"),
        ("train.csv#2", "c", "y"),
    ]


def test_json_lines_and_parquet(spark, tmp_path):
    lines = ['{"id": 9007199254740993, "at": "2020-01-01", "body": "额"}', "{oops", '{"id": "2", "body": {"a": 1}}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    frame = raw(spark, tmp_path, FILES | {"path": "*.jsonl", "format": "jsonl"})
    assert rows(frame.drop("_detail", "_order")) == [
        ("x", "2", None, '{"a":1}', None),
        ("x", "9007199254740993", "2020-01-01", "额", None),
        ("x", None, None, None, "corrupt_row"),
    ]
    spark.sql("select 1L id, timestamp'2020-01-01' at, 'b' body").write.parquet(str(tmp_path / "p"))
    parquet = FILES | {"path": "p/*.parquet", "format": "parquet"}
    assert rows(raw(spark, tmp_path, parquet).select("id", "at", "body")) == [("1", "2020-01-01 00:00:00", "b")]
    with pytest.raises(UserError, match="has no column bodi; did you mean body"):
        raw(spark, tmp_path, parquet | {"text": "bodi"})


def test_landed_pages_with_their_order(spark, tmp_path):
    landing = tmp_path / "landing"
    landing.mkdir()
    first = {"items": [{"id": 1, "at": "2020-01-01", "customer": {"name": "n"}, "body": "a"}, {"id": 2}]}
    (landing / "00000000.json").write_text(json.dumps(first))
    (landing / "00000001.json").write_text(json.dumps({"items": [{"id": 1, "body": True}]}))
    (landing / "00000002.json").write_text("{")
    (landing / "_cursor.json").write_text("{}")
    frame = raw(spark, tmp_path, API | {"facts": ["customer.name"]})
    assert rows(frame) == [
        ("x", "1", "2020-01-01", "a", "n", None, "00000000.json", "00000000#000000"),
        ("x", "1", None, "true", None, None, "00000001.json", "00000001#000000"),
        ("x", "2", None, None, None, None, "00000000.json", "00000000#000001"),
        ("x", None, None, None, None, "corrupt_row", "00000002.json", "00000002#000000"),
    ]


NESTED = "[" * 900 + "]" * 900


@pytest.mark.parametrize(
    ("page", "reasons"),
    [
        (b"", ["corrupt_row"]),
        (b"{", ["corrupt_row"]),
        (b"\xff", ["corrupt_row"]),
        (b"[]", ["corrupt_row"]),
        (b'{"items": 5}', ["corrupt_row"]),
        (b'{"items": "abc"}', ["corrupt_row"]),
        (b'{"items": {"a": 1}}', ["corrupt_row"]),
        (b'{"items": ' + b"[" * 100_000, ["corrupt_row"]),
        (b'{"items": [{"id": ' + b"9" * 5000 + b"}]}", ["corrupt_row"]),
        (b'{"items": [5, null, "a", [], {"id": 1}]}', ["corrupt_row"] * 4 + [None]),
        (b'{"items": [{"id": "\\ud800"}, {"id": 1, "\\udfff": 2}, {"id": 2}]}', [None] * 3),
        (b'{"items": []}', []),
    ],
)
def test_what_a_page_holds_is_a_row_or_a_reject(tmp_path, page, reasons):
    """One row per item, whatever it is; a page that cannot be read is one reject."""
    path = tmp_path / "00000007.json"
    path.write_bytes(page)
    found = page_rows(path, ["id"])
    assert [row[1] for row in found] == reasons
    assert [row[2:] for row in found] == [[path.name, f"00000007#{place:06d}"] for place in range(len(reasons))]


def test_an_item_nested_too_deeply_is_a_reject_of_its_own(tmp_path):
    path = tmp_path / "00000000.json"
    path.write_text(f'{{"items": [{{"id": 1}}, {{"id": {NESTED}}}, {{"id": 2, "other": {NESTED}}}]}}')

    def rows_at(depth: int) -> list:
        return rows_at(depth - 1) if depth else page_rows(path, ["id"])

    found = rows_at(60)  # as deep as a worker's stack
    reasons = [row[1] for row in found]
    assert reasons in (["corrupt_row"], [None, "corrupt_row", None], [None, None, None])


def test_files_are_read_under_their_own_names(spark, tmp_path):
    """In a name, [1] is no pattern, neither in the project's path nor in the file's."""
    for folder in ("p[1]", "p1"):
        (tmp_path / folder / "data").mkdir(parents=True)
    for place, name in enumerate(["a[1].csv", "a1.csv", "b{c,d}.csv", "bc.csv", "*.csv", "e?.csv", "中 文.csv"]):
        text = f"id,at,body\n{place},2020-01-01,x\0y\n"
        (tmp_path / "p[1]" / "data" / name).write_text(text, encoding="utf-8")
    (tmp_path / "p1" / "data" / "a.csv").write_text("id,at,body\n99,2020-01-01,other project\n")
    found = rows(raw(spark, tmp_path / "p[1]", FILES).select("id", "body", "_reason"))
    assert found == [(str(place), "x\0y", None) for place in range(7)]
    lines = tmp_path / "p[1]" / "data" / "a[1].jsonl"
    lines.write_text('{"id": 1, "at": "2020-01-01", "body": "a"}\n')
    (tmp_path / "p[1]" / "data" / "a1.jsonl").write_text('{"id": 2, "at": "2020-01-01", "body": "b"}\n')
    found = rows(
        raw(spark, tmp_path / "p[1]", FILES | {"format": "jsonl", "path": "data/*.jsonl"}).select("id", "body")
    )
    assert found == [("1", "a"), ("2", "b")]


def test_helpers():
    assert harmless("cannot reach jdbc:postgresql://h/b?password=tell-nobody now\nat java") == "cannot reach ... now"
    assert [as_text(value) for value in (None, "é", 1.5, True, {"b": 1, "a": "é"})] == [
        *(None, "é", "1.5", "true", '{"a": "é", "b": 1}')
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"null",
        b'{"items": 5}',
        b'{"items": {"a": 1}}',
        b'{"items": "ab"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ]
    + [b'{"items": [{"id": ' + b"9" * 5000 + b"}]}"]
    + [b'{"items": [{"id": ' + b"[" * levels + b"]" * levels + b"}]}" for levels in (990, 5000)],
)
def test_a_damaged_or_deep_landed_page_is_one_corrupt_row(tmp_path, content):
    path = tmp_path / "00000007.json"
    path.write_bytes(content)
    assert page_rows(path, ["id"]) == [[None, "corrupt_row", "00000007.json", "00000007#000000"]]


def test_half_a_surrogate_pair_in_a_landed_page_is_replaced(tmp_path):
    path = tmp_path / "00000000.json"
    path.write_bytes(canonical({"items": [{"id": "1", "a\ud800": "cut \ud83d"}]}))
    assert page_rows(path, ["id", "a\ufffd"]) == [["1", "cut \ufffd", None, "00000000.json", "00000000#000000"]]
    path.write_text(r'{"items": [{"id": "C:\\ud8", "a": "\ud83d\ude00 half \ud83d end"}]}')
    assert page_rows(path, ["id", "a"])[0][:2] == [r"C:\ud8", "😀 half \ufffd end"]


def test_item_types():
    item = {"id": 1, "x": 0.5, "t": "a", "b": True, "o": {}, "l": [], "n": None, "customer": {"name": "n", "age": 3}}
    assert item_types(item, ["id", "customer.name", "customer.city", "absent"]) == {
        **{"id": "number", "x": "number", "t": "text", "b": "boolean", "o": "object", "l": "array", "n": "null"},
        "customer.name": "text",
    }
    assert item_types([1], ["id"]) == {}


# ---------------------------------------------------------------- columns that nothing maps


def test_columns_that_came_later_are_null_before(spark, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id,at,body\n1,2020-01-01,a\n")
    (tmp_path / "data" / "b.csv").write_text("id,at,body,`new` column\n2,2020-01-02,b,x\n")
    frame = raw(spark, tmp_path, FILES | {"other_columns": "take"})
    assert rows(frame.drop("_reason", "_detail", "_order")) == [
        ("x", "1", "2020-01-01", "a", None),
        ("x", "2", "2020-01-02", "b", "x"),
    ]
    assert "`new` column" in frame.columns


def test_parquet_files_of_several_schemas_are_read_in_full(spark, tmp_path):
    spark.sql("select 1 id, '2020-01-01' at, 'a' body, 1.5f n").write.parquet(str(tmp_path / "p" / "a"))
    spark.sql("select 4294967296L id, '2020-01-02' at, 'b' body, 0.1d n, 'x' new").write.parquet(
        str(tmp_path / "p" / "b")
    )
    fields = FILES | {"path": "p/*/*.parquet", "format": "parquet", "numbers": ["n"], "other_columns": "take"}
    assert rows(raw(spark, tmp_path, fields).select("id", "n", "new")) == [
        ("1", "1.5", None),
        ("4294967296", "0.1", "x"),
    ]


def test_all_columns_of_all_sources(spark, tmp_path, capsys):
    database(tmp_path / "bank.db", "create table tickets (id integer, at date, body text, score decimal(3,1), branch)")
    (tmp_path / "a.jsonl").write_text(
        '{"id": 1, "at": "2020-01-01", "body": "a", "n": 1, "o": {"a": 1}}\n{"n": 0.5}\n{'
    )
    landing = tmp_path / "landing"
    landing.mkdir()
    items = [{"id": 1, "at": "a", "body": "b", "customer": {"name": "n"}, "tag": "t"}, {"id": "2", "tag": None}]
    (landing / "00000000.json").write_text(json.dumps({"items": items}))
    (landing / "00000001.json").write_text("{")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id,at,body,note\n")
    sources = parse_sources(
        {
            "database": DATABASE | {"numbers": ["score"], "other_columns": "ignore"},
            "lines": FILES | {"path": "*.jsonl", "format": "jsonl", "numbers": ["n"], "ignored": ["o"]},
            "api": API | {"facts": ["customer.name"], "other_columns": "take"},
            "csv": FILES | {"facts": ["note", "body"], "key": "_row", "ignored": ["id"]},
        }
    )
    frames = read_all(spark, tmp_path, sources)
    assert sorted(frames) == ["columns", "source.api", "source.csv", "source.database", "source.lines"]
    assert frames["columns"].schema == COLUMNS
    assert [tuple(row) for row in frames["columns"].collect()] == [
        ("database", "id", "integer", "key"),
        ("database", "at", "date", "time"),
        ("database", "body", "text", "text"),
        ("database", "score", "decimal(3,1)", "number"),
        ("database", "branch", "untyped", "ignored"),
        ("lines", "at", "text", "time"),
        ("lines", "body", "text", "text"),
        ("lines", "id", "number", "key"),
        ("lines", "n", "number", "number"),
        ("lines", "o", "object", "ignored"),
        ("api", "at", "text", "time"),
        ("api", "body", "text", "text"),
        ("api", "customer.name", "text", "fact"),
        ("api", "id", "number|text", "key"),
        ("api", "tag", "text", "taken"),
        ("csv", "id", "text", "ignored"),
        ("csv", "at", "text", "time"),
        ("csv", "body", "text", "text,fact"),
        ("csv", "note", "text", "fact"),
    ]
    assert capsys.readouterr().out == (
        "source database: columns that nothing maps are left out: branch\n"
        "source api: columns that nothing maps are taken into facts: tag\n"
    )
    assert rows(frames["source.api"].select("id", "`customer.name`", "tag")) == [
        ("1", "n", "t"),
        ("2", None, None),
        (None, None, None),
    ]


def test_json_columns_are_refused_when_their_rows_are_seen(spark, tmp_path):
    landing = tmp_path / "landing"
    landing.mkdir()
    page = landing / "00000000.json"

    def said(*items: dict) -> str:
        page.write_text(json.dumps({"items": items}))
        with pytest.raises(UserError) as raised:
            raw(spark, tmp_path, API | {"numbers": ["n"]})
        return str(raised.value)

    good = {"id": 1, "at": "2020-01-01", "body": "b", "n": 1}
    assert "source x has columns that nothing maps: new; " in said(good, {"new": 1})
    assert "its type is number|object" in said(good, good | {"n": {}})
    assert "source x: landing has no column n; " in said({"id": 1, "at": "2020-01-01", "body": "b"})
    page.write_text(json.dumps({"items": []}))
    assert raw(spark, tmp_path, API).count() == 0
    (tmp_path / "a.jsonl").write_text('{"id": 1, "at": "2020", "body": "b", "ID": 2}\n')
    with pytest.raises(UserError, match="source x has columns that nothing maps: ID; "):
        raw(spark, tmp_path, FILES | {"path": "*.jsonl", "format": "jsonl"})


# ---------------------------------------------------------------- a real PostgreSQL


@pytest.fixture
def postgres():
    """(port, function that runs SQL) of a server for this test; it refuses to run as root."""
    if not shutil.which("initdb"):
        pytest.skip("no PostgreSQL here")
    folder = Path(tempfile.mkdtemp(prefix="finelake-postgres-"))
    user = "nobody" if os.getuid() == 0 else None
    if user:
        shutil.chown(folder, user=user)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = str(free.getsockname()[1])

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, extra_groups=[] if user else None, stdout=subprocess.DEVNULL)

    run("initdb", "-D", f"{folder}/data", "-U", "bank", "-A", "trust", "--no-sync")
    run("pg_ctl", "-D", f"{folder}/data", "-o", f"-p {port} -k {folder} -h 127.0.0.1", "-l", f"{folder}/log", "start")
    try:
        yield port, lambda sql: run("psql", "-h", "127.0.0.1", "-p", port, "-U", "bank", "-d", "postgres", "-qc", sql)
    finally:
        run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_columns_of_postgresql(spark, tmp_path, postgres):
    port, run = postgres
    columns = (
        "id bigint, at timestamptz, body text, amount numeric(20,2), price money, tags text[], doc jsonb, raw bytea"
    )
    run(f"create table tickets ({columns})")
    run("insert into tickets values (1, '2020-01-01 08:00+08', 'a', 0.5, 12.5, '{a,b}', '{\"a\": 1}', '\\x00ff')")
    fields = DATABASE | {"url": f"jdbc:postgresql://127.0.0.1:{port}/postgres", "user": "bank"}
    with pytest.raises(UserError, match="source x has columns that nothing maps: amount, price, tags, doc, raw; "):
        raw(spark, tmp_path, fields)
    with pytest.raises(UserError, match="source x: price is mapped under numbers, but its type is string; "):
        raw(spark, tmp_path, fields | {"numbers": ["price"]})
    frames = read_all(spark, tmp_path, parse_sources({"x": fields | {"numbers": ["amount"], "other_columns": "take"}}))
    assert [tuple(row)[1:] for row in frames["columns"].collect()] == [
        ("id", "bigint", "key"),
        ("at", "timestamp", "time"),
        ("body", "string", "text"),
        ("amount", "decimal(20,2)", "number"),
        ("price", "string", "taken"),
        ("tags", "array<string>", "taken"),
        ("doc", "string", "taken"),
        ("raw", "binary", "taken"),
    ]
    assert rows(frames["source.x"].drop("_reason", "_detail", "_order")) == [
        ("x", "1", "2020-01-01 00:00:00+00", "a", "0.50", "$12.50", "{a,b}", '{"a": 1}', "\\x00ff")
    ]
