"""Sources: what params.yaml may say of them, and what is refused by name."""

import os
import socket
from pathlib import Path

import pytest

from finelake.jobs.sources.config import (
    Api,
    Database,
    Documents,
    Files,
    dig,
    document_files,
    document_path,
    expand,
    landed_pages,
    mapped_columns,
    matched_files,
    parse_sources,
    uses,
    written_path,
)
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
            document_files(tmp_path, "x", parsed(DOCUMENTS))


# ---------------------------------------------------------------- the files of a folder of documents


def listed(root: Path) -> list[str]:
    return document_files(root, "x", Documents(path="documents"))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "documents"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.pdf").touch()
    (folder / "sub" / "b.docx").touch()
    return folder


def test_what_is_hidden_is_left_out_and_nothing_else(tmp_path, folder):
    for name in (".hidden", "~$a.docx", "sub/.b.pdf"):
        (folder / name).touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "c.pdf").touch()
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "inner").symlink_to("sub")
    (folder / "round").symlink_to(".")
    (folder / "link.pdf").symlink_to("a.pdf")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket"))
        names = listed(tmp_path)
    assert names == ["a.pdf", "inner", "link.pdf", "loop", "pipe", "round", "socket", "sub/b.docx"]


def test_a_folder_or_file_that_cannot_be_read_is_named(tmp_path, folder, monkeypatch):
    scan, access = os.scandir, os.access

    def denied(path):
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", denied)
        with pytest.raises(
            UserError, match=r"the folder .*documents/sub of source x cannot be read \(Permission denied"
        ):
            listed(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: Path(path).name != "b.docx" and access(path, mode))
        with pytest.raises(UserError, match=r"sub/b.docx of source x cannot be read \(Permission denied\)"):
            listed(tmp_path)


def test_a_link_to_a_file_that_is_gone_is_named(tmp_path, folder):
    (folder / "link.pdf").symlink_to("gone.pdf")
    with pytest.raises(UserError, match=r"link.pdf of source x cannot be read \(No such file or directory\)"):
        listed(tmp_path)


ODD = [
    b"caf\xe9.pdf",
    b"caf\\xe9.pdf",
    b"a\\b.pdf",
    b"\xff\\xff.pdf",
    b"\\x5c.pdf",
    b"\n\t.pdf",
    b"#?%20.pdf",
    b"\xed\xa0\x80.pdf",
]


def test_names_of_any_bytes_are_written_as_text_and_found_again(tmp_path, folder):
    for name in ODD:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).touch()
    names = listed(tmp_path)
    assert len(set(names)) == len(ODD) + 2
    assert {os.fsencode(document_path(name)) for name in names} == {*ODD, b"a.pdf", b"sub/b.docx"}
    assert [name.encode("utf-8").decode("utf-8") for name in names] == names
    assert written_path(Path("a\\b #?%20中.pdf")) == "a\\b #?%20中.pdf"
    assert written_path(Path(os.fsdecode(b"caf\xe9.pdf"))) == "caf\\xe9.pdf"
