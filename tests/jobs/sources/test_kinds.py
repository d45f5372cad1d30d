"""Kinds of sources: what params.yaml may say of them, and what is refused by name."""

import pytest

from finelake.jobs.sources.api import Api
from finelake.jobs.sources.database import Database
from finelake.jobs.sources.documents import Documents
from finelake.jobs.sources.files import Files
from finelake.jobs.sources.kinds import parse_sources
from finelake.lake.errors import UserError
from tests.jobs.sources.examples import API, DATABASE, DOCUMENTS, FILES, JUDGED, database, parsed


def test_each_kind_parses():
    # The API's variable is not set: only `pull` needs it.
    sources = parse_sources({"a": DATABASE, "b": FILES, "c": API, "d": DOCUMENTS})
    assert [type(source) for source in sources.values()] == [Database, Files, Api, Documents]
    assert sources["a"].mapping.mapped_columns() == ["id", "at", "body"]
    assert sources["d"].mapping.mapped_columns() == [
        "key",
        "occurred_at",
        "text",
        "file",
        "page",
        "part",
        "method",
        "header_lines",
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (DATABASE | {"kind": "databse"}, "sources.x.kind: 'databse' is not a kind of source; did you mean database?"),
        (
            DATABASE | {"occured_at": "at"},
            "unknown key sources.x.occured_at; did you mean sources.x.occurred_at",
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
        (FILES | {"numbers": ["a"], "units": {"b": "kg"}}, "units names b, which is not under numbers"),
        (FILES | {"numbers": ["a"], "units": {"a": "kgg"}}, "units.a: 'kgg' is no unit; write one such as kg"),
        (FILES | {"format": "xlsx"}, "sources.x.format: 'xlsx' is not allowed"),
        (API | {"attempts": 0}, "attempts and max_pages at least 1"),
        (API | {"max_page_seconds": 0}, "max_page_seconds and max_page_megabytes must be above 0"),
        (API | {"max_page_megabytes": float("nan")}, "x.max_page_megabytes must be a number, not nan"),
        (DOCUMENTS | {"max_memory_megabytes": 99}, "max_memory_megabytes must be at least 100"),
        (DOCUMENTS | {"max_seconds": 0}, "max_seconds must be above 0 and at most 86400, a day"),
        (DOCUMENTS | {"max_seconds": float("nan")}, "x.max_seconds must be a number, not nan"),
        (DOCUMENTS | {"max_memory_megabytes": float("nan")}, "x.max_memory_megabytes must be a number, not nan"),
        (DOCUMENTS | {"occurred_at_pattern": "([0-9]+)"}, "needs the named groups year, month and day"),
        (DOCUMENTS | {"occurred_at_pattern": "("}, "is not a regular expression"),
        (DOCUMENTS | {"occurred_at_pattern": "x{1000000000000}"}, "is not a regular expression"),
        (DOCUMENTS | {"occurred_at_pattern": "(" * 5000 + ")" * 5000}, "is not a regular expression"),
        (DOCUMENTS | {"kind": ["documents"]}, "x.kind: ['documents'] is not a kind of source"),
        (DOCUMENTS | {"kind": {"a": 1}}, "x.kind: {'a': 1} is not a kind of source"),
        (DATABASE | {"ignored": ["body"]}, "body is both mapped and ignored; keep one of them"),
        (
            DATABASE | {"other_columns": "drop"},
            "sources.x.other_columns: 'drop' is not allowed; expected one of: refuse",
        ),
        (JUDGED | {"other_columns": "take"}, "other_columns: take belongs to role records"),
        (JUDGED | {"numbers": ["a"]}, "numbers belongs to role records; remove it, or name its column under `columns`"),
        (JUDGED | {"business_value": "x"}, "business_value belongs to role records"),
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


def test_check_names_what_is_not_there(tmp_path):
    def said(fields: dict) -> str:
        with pytest.raises(UserError) as raised:
            parsed(fields).check(tmp_path, "x")
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
    for fields in (DATABASE, FILES, API, DOCUMENTS):
        parsed(fields).check(tmp_path, "x")
