"""Readers: the raw frames of all sources, and the columns of each."""

import json

import pytest

from finelake.jobs.sources.columns import COLUMNS
from finelake.jobs.sources.kinds import parse_sources
from finelake.jobs.sources.readers import harmless, read_all
from finelake.lake.errors import UserError
from tests.jobs.sources.examples import API, DATABASE, FILES, database, raw, rows


def test_harmless():
    assert harmless("cannot reach jdbc:postgresql://h/b?password=tell-nobody now\nat java") == "cannot reach ... now"


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
