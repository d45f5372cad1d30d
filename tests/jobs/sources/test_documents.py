"""Documents through Spark: pages become records and rejects."""

import os
import socket
from datetime import datetime
from pathlib import Path

import pytest

from finelake.jobs.ingest import Params, balance, build
from finelake.jobs.sources.columns import COLUMNS
from finelake.jobs.sources.documents import Documents
from finelake.jobs.sources.kinds import parse_sources
from finelake.jobs.sources.readers import read
from finelake.lake.errors import UserError
from tests.jobs.sources.document import hostile
from tests.jobs.sources.document.made import docx, pdf, picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project") / "documents"
    (folder / "sub").mkdir(parents=True)
    scan = picture("Scanned page", "Total 5")
    pdf(folder / "report-2020-03-10.pdf", "First page of the yearly re-\nport.", "", scan=scan)
    pdf(folder / "locked.pdf", "secret", password="open")
    docx(folder / "sub" / "minutes.docx")
    (folder / "torn.pdf").write_bytes(b"%PDF-1.4 and no more")
    (folder / "empty.docx").write_bytes(b"")
    (folder / "notes.txt").write_text("notes")
    (folder / "large.pdf").write_bytes(b"%PDF-1.4" + b" " * 2_100_000)
    (folder / ".hidden").write_text("")
    return folder


def rows(frame) -> list[tuple]:
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def test_documents_become_records_and_rejects(spark, folder):
    fields = {"kind": "documents", "path": "documents", "business_value": "documents", "max_megabytes": 2}
    fields["occurred_at_pattern"] = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    params = Params(sources=parse_sources({"docs": fields}))
    columns = params.sources["docs"].mapping.mapped_columns()
    frames = {"source.docs": read(spark, folder.parent, "docs", params.sources["docs"], columns)}
    frames["columns"] = spark.createDataFrame([], COLUMNS)
    outputs = build(frames, params)
    records = outputs["records"].select("source_key", "occurred_at", "business", "lang", "text", "numbers", "facts")

    def facts(file, page, pages, method):
        part, lines = f"{page}/{pages}", "0"
        return {"file": file, "page": str(page), "part": part, "method": method, "header_lines": lines}

    report, minutes = "report-2020-03-10.pdf", "sub/minutes.docx"
    first, dated, created = "First page of the yearly report.", datetime(2020, 3, 10), datetime(2021, 5, 6, 7, 8)
    table = "Minutes of the meeting\nItem | Limit\nCard | 5,000"
    assert rows(records) == [
        (f"{report}#p1", dated, "documents", "en", first, {}, facts(report, 1, 3, "text_layer")),
        (f"{report}#p3", dated, "documents", "en", "Scanned page\nTotal 5", {}, facts(report, 3, 3, "ocr")),
        (f"{minutes}#p1", created, "documents", "en", table, {}, facts(minutes, 1, 2, "docx")),
        (f"{minutes}#p2", created, "documents", "en", "Second page", {}, facts(minutes, 2, 2, "docx")),
    ]
    assert rows(outputs["rejects"].select("reason", "detail")) == [
        ("broken", "empty.docx"),
        ("broken", "torn.pdf"),
        ("encrypted", "locked.pdf"),
        ("no_text", f"{report}#p2"),
        ("too_large", "large.pdf"),
        ("unsupported", "notes.txt"),
    ]
    assert balance(frames, outputs, params) == {"docs": (10, 10)}


def test_hostile_files_through_spark(spark, tmp_path):
    """Rows in = records + rejects, whatever lies in the folder, and the stage ends."""
    folder = tmp_path / "documents"
    folder.mkdir()
    hostile.pages_pdf(folder / "bomb.pdf", [hostile.text_page("One good page"), hostile.BOMB], shared=(hostile.ITSELF,))
    hostile.picture_page(folder / "tall.pdf", b"0 0 1 1000000")
    hostile.docx(folder / "core.docx", core=bytes(3_000_000))
    hostile.docx(folder / "paragraphs.docx", "<w:p/>" * 600_000)
    (folder / "loop.pdf").symlink_to("loop.pdf")
    os.mkfifo(folder / "pipe.pdf")
    hostile.docx(Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.docx")), hostile.PARAGRAPH.format("Good morning"))
    hostile.docx(folder / "b\\x.docx", hostile.PARAGRAPH.format("Good evening"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.pdf"))
        fields = {"kind": "documents", "path": "documents", "occurred_at_pattern": None, "max_megabytes": 2}
        params = Params(sources=parse_sources({"docs": fields | {"max_memory_megabytes": 300, "max_pages": 10}}))
        columns = params.sources["docs"].mapping.mapped_columns()
        frames = {"source.docs": read(spark, tmp_path, "docs", params.sources["docs"], columns)}
        frames["columns"] = spark.createDataFrame([], COLUMNS)
        outputs = build(frames, params)
        seen = [(row["_reason"], row["_detail"]) for row in frames["source.docs"].collect()]
    assert sorted(seen, key=repr) == [
        ("too_large", "bomb.pdf#p2: more than 300 MB of memory (max_memory_megabytes)"),
        ("too_large", "core.docx: docProps/core.xml unpacks to more than 2 MB (max_megabytes)"),
        ("too_large", "paragraphs.docx: word/document.xml unpacks to more than 2 MB (max_megabytes)"),
        ("too_large", "tall.pdf#p1: more than 300 MB of memory (max_memory_megabytes)"),
        ("unsupported", "loop.pdf"),
        ("unsupported", "pipe.pdf"),
        ("unsupported", "socket.pdf"),
        (None, "b\\x5cx.docx#p1"),
        (None, "bomb.pdf#p1"),
        (None, "caf\\xe9.docx#p1"),
    ]
    assert balance(frames, outputs, params) == {"docs": (10, 10)}


def test_ocr_that_is_not_installed_is_named_before_anything_is_read(folder, monkeypatch):
    monkeypatch.setattr("finelake.jobs.sources.documents.find_spec", lambda name: None)
    Documents(path="documents", ocr=False).check(folder.parent, "docs")
    with pytest.raises(UserError, match="rapidocr is not installed; .* or set sources.docs.ocr: false"):
        Documents(path="documents").check(folder.parent, "docs")
