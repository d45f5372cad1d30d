"""Sources: what params.yaml may say of them, and what is refused by name."""

import pytest

from finelake.jobs.sources.config import (
    Api,
    Database,
    Documents,
    Files,
    dig,
    expand,
    landed_pages,
    mapped_columns,
    matched_files,
    parse_sources,
    uses,
)
from finelake.jobs.sources.document.folder import document_files
from finelake.lake.errors import UserError

COMMON = {"key": "id", "occurred_at": "at", "text": "body"}
DATABASE = {"kind": "database", "url": "jdbc:sqlite:bank.db", "table": "tickets"} | COMMON
FILES = {"kind": "files", "path": "data/*.csv", "format": "csv"} | COMMON
API = {"kind": "api", "url": "${BANK_API}/complaints", "landing": "landing"} | COMMON
JUDGED = {"kind": "files", "path": "j.csv", "format": "csv", "role": "annotations"}
JUDGED["columns"] = {"record_key": "k", "record_source_value": "x", "layer_value": "scene", "annotator": "who"}
JUDGED["columns"] |= {"role": "role", "label": "label"}
DOCUMENTS = {"kind": "documents", "path": "documents", "business_value": "documents"}


def parsed(fields: dict):
    return parse_sources({"x": fields})["x"]


def test_each_kind_parses():
    # The API's variable is not set: only `pull` needs it.
    sources = parse_sources({"a": DATABASE, "b": FILES, "c": API, "d": DOCUMENTS})
    assert [type(source) for source in sources.values()] == [Database, Files, Api, Documents]
    assert mapped_columns(sources["a"]) == ["id", "at", "body"]
    assert mapped_columns(sources["d"]) == [
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


def test_secrets_stay_out_of_sources():
    source = parsed(DATABASE | {"url": "jdbc:postgresql://h/b", "password": "${PW}"})
    assert "tell-nobody" not in repr(source)
    assert expand(source.password, "x", {"PW": "tell-nobody"}) == "tell-nobody"


def test_uses():
    fields = {"numbers": ["n"], "facts": ["f", "body"], "labels": {"scene": "s"}, "split": "part", "business": "b"}
    assert uses(parsed(DATABASE | fields)) == {
        "id": ["key"],
        "at": ["time"],
        "body": ["text", "fact"],
        "b": ["business"],
        "n": ["number"],
        "f": ["fact"],
        "s": ["label"],
        "part": ["split"],
    }
    assert uses(parsed(JUDGED)) == {"k": ["record_key"], "role": ["role"], "who": ["annotator"], "label": ["label"]}


def test_dig():
    assert dig({"a": {"b": 1}, "a.c": 2}, "a.b") == 1
    assert dig({"a": {"b": 1}, "a.c": 2}, "a.c") == 2
    assert dig({"a": [1]}, "a.b") is None


def test_pages_are_the_numbered_files_in_their_order(tmp_path):
    source = parsed(API)
    with pytest.raises(UserError, match="no page of source x has landed in landing; run `finelake pull x`"):
        landed_pages(tmp_path, "x", source)
    (tmp_path / "landing").mkdir()
    for name in ("00000010.json", "00000002.json", "_cursor.json", ".00000003.json.part", "1.json", "000000020.json"):
        (tmp_path / "landing" / name).touch()
    assert [page.name for page in landed_pages(tmp_path, "x", source)] == ["00000002.json", "00000010.json"]


def test_a_pattern_starts_at_the_project_and_reads_names_as_they_are(tmp_path):
    root = tmp_path / "p[1]"
    for folder in (root / "data" / "deep", tmp_path / "p1" / "data"):
        folder.mkdir(parents=True)
        (folder / "a.csv").touch()
    (root / "data" / "b.csv").touch()

    def found(path: str) -> list[str]:
        return [str(file.relative_to(root)) for file in matched_files(root, "x", parsed(FILES | {"path": path}))]

    assert found("data/*.csv") == ["data/b.csv"]
    assert found("data/**/*.csv") == ["data/b.csv", "data/deep/a.csv"]
    assert found(f"{root.parent}/p[[]1]/data/*.csv") == ["data/b.csv"]


def test_a_name_that_is_not_text_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a\udcff.csv").touch()
    with pytest.raises(UserError, match=r"a.udcff.* of source x is not valid UTF-8; rename it"):
        matched_files(tmp_path, "x", parsed(FILES))


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_a_folder_that_cannot_be_read_is_never_left_out(tmp_path, ordinary_rights, mode):
    """Its rows would be missing without a word."""
    for kind in ("data", "documents"):
        for folder in (tmp_path / kind, tmp_path / kind / "closed"):
            folder.mkdir()
            (folder / "a.csv").touch()
        (tmp_path / kind / "closed").chmod(mode)
    with ordinary_rights():
        for pattern in ("data/**/*.csv", "data/*/*.csv", "data/closed/*.csv"):
            with pytest.raises(UserError, match="closed of source x cannot be read; give this user access to it"):
                matched_files(tmp_path, "x", parsed(FILES | {"path": pattern}))
        with pytest.raises(UserError, match=r"of source x cannot be read \(Permission denied\)"):
            document_files(tmp_path / "documents", "x")
