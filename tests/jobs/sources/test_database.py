"""Databases, through the real drivers."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from finelake.jobs.sources.kinds import parse_sources
from finelake.jobs.sources.readers import read_all
from finelake.lake.errors import UserError
from tests.jobs.sources.examples import DATABASE, database, parsed, raw, rows


def test_declared_types_of_sqlite(tmp_path):
    database(
        tmp_path / "bank.db",
        "create table tickets (id integer primary key, at datetime, body varchar(9), amount decimal(9,2), any)",
        "create view v as select id, amount * 2 as twice from tickets",
    )

    def types(**fields) -> dict[str, str] | None:
        return parsed(DATABASE | fields).declared(tmp_path, "x")

    table = {"id": "integer", "at": "datetime", "body": "varchar(9)", "amount": "decimal(9,2)", "any": "untyped"}
    assert types() == table
    assert types(table=None, query="select body, id + 1 as next from tickets;") == {
        "body": "varchar(9)",
        "next": "untyped",
    }
    assert types(table="v") == {"id": "integer", "twice": "untyped"}


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
