"""Documents made here: text pages, a scan, tables, and files that cannot be read."""

import os
import re
import socket
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from docx import Document
from docx.enum.text import WD_BREAK
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from finelake.jobs.ingest import Params, balance, build
from finelake.jobs.sources.columns import COLUMNS, REASON
from finelake.jobs.sources.config import Documents, mapped_columns, parse_sources
from finelake.jobs.sources.document.documents import document_rows, ocr_row, own_text, without_headers
from finelake.jobs.sources.document.pages import (
    Unreadable,
    docx_pages,
    docx_time,
    join_lines,
    named_time,
    open_docx,
    pdf_time,
    tidy,
)
from finelake.jobs.sources.readers import read
from tests.jobs.sources.document import hostile

SHARED = Path(__file__).parents[5] / "shared" / "data"
SOURCE = Documents(path="documents", business_value="documents")
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def pdf(path: Path, *pages: str, scan: Image.Image | None = None, password: str | None = None) -> None:
    """A PDF with a page for each text (lines) and one for the scan, dated by reportlab's fixed clock."""
    encrypt = StandardEncryption(password, canPrint=0) if password else None
    canvas = Canvas(str(path), pagesize=A4, invariant=True, encrypt=encrypt)
    for text in pages:
        lines = canvas.beginText(72, 760)
        lines.textLines(text)
        canvas.drawText(lines)
        canvas.showPage()
    if scan:
        canvas.drawImage(ImageReader(scan), 0, 0, *A4)
        canvas.showPage()
    canvas.save()


def picture(*lines: str) -> Image.Image:
    image = Image.new("L", (1240, 1754), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((150, 200 + 90 * number), line, fill=0, font=ImageFont.truetype(str(FONT), 40))
    return image


def docx(path: Path, created: datetime | None = datetime(2021, 5, 6, 7, 8, tzinfo=UTC)) -> None:
    document = Document()
    document.core_properties.created = created
    document.add_paragraph("Minutes of the meeting")
    table = document.add_table(rows=2, cols=2)
    for row, values in zip(table.rows, (("Item", "Limit"), ("Card", "5,000")), strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    document.add_paragraph("Second page")
    document.save(str(path))


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
    columns = mapped_columns(params.sources["docs"])
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


def found(path: Path, source: Documents = SOURCE) -> list[tuple]:
    names = ("occurred_at", "text", "method", "_reason")
    return [tuple(row[name] for name in names) for row in document_rows(path.parent, path.name, source)]


def test_a_pdf_without_a_date_in_its_name_takes_its_own(tmp_path):
    pdf(tmp_path / "a.pdf", "One page with some text.")
    assert found(tmp_path / "a.pdf") == [("2000-01-01T00:00:00+00:00", "One page with some text.", "text_layer", None)]


def test_a_docx_that_asks_for_a_password_and_one_without_a_date(tmp_path):
    (tmp_path / "locked.docx").write_bytes(b"\xd0\xcf\x11\xe0" + b"\0" * 1000 + "EncryptedPackage".encode("utf-16-le"))
    assert found(tmp_path / "locked.docx") == [(None, None, None, "encrypted")]
    with zipfile.ZipFile(tmp_path / "bare.docx", "w") as package:
        paragraph = "<w:p><w:r><w:t>a</w:t></w:r></w:p>"
        package.writestr("word/document.xml", f"<w:document xmlns:w='w'><w:body>{paragraph}</w:body></w:document>")
    assert found(tmp_path / "bare.docx") == [(None, "a", "docx", None)]


def test_a_docx_that_unpacks_to_too_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.docx", "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("word/document.xml", b" " * 3_000_000)
    assert found(tmp_path / "bomb.docx", Documents(path="x", max_megabytes=1)) == [(None, None, None, "too_large")]


# ---------------------------------------------------------------- files that cost a parser much

SMALL = Documents(path="x", max_megabytes=2.0, max_memory_megabytes=100.0, max_pages=50, max_characters=1000)
MEMORY = "more than 100 MB of memory (max_memory_megabytes)"


def judged(path: Path, source: Documents = SMALL) -> list[tuple]:
    rows = document_rows(path.parent, path.name, source)
    return [(row["key"], row["text"], row["_reason"], row["_detail"]) for row in rows]


def test_one_bad_page_costs_no_other(tmp_path):
    contents = [hostile.text_page("one"), hostile.BOMB, hostile.text_page("three")]
    path = hostile.pages_pdf(tmp_path / "a.pdf", contents, shared=(hostile.ITSELF,))
    assert path.stat().st_size < 2000
    assert judged(path) == [
        ("a.pdf#p1", "one", None, "a.pdf#p1"),
        ("a.pdf#p2", None, "too_large", f"a.pdf#p2: {MEMORY}"),
        ("a.pdf#p3", "three", None, "a.pdf#p3"),
    ]


def test_a_document_of_bad_pages_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("finelake.jobs.sources.document.documents.MOST_ENDS", 2)
    path = hostile.pages_pdf(tmp_path / "a.pdf", [hostile.BOMB] * 3, shared=(hostile.ITSELF,))
    assert [(key, reason, detail) for key, _, reason, detail in judged(path)] == [
        ("a.pdf#p1", "too_large", f"a.pdf#p1: {MEMORY}"),
        ("a.pdf#p2", "too_large", f"a.pdf#p2: given up after 2 attempts: {MEMORY}"),
        ("a.pdf#p3", "too_large", f"a.pdf#p3: given up after 2 attempts: {MEMORY}"),
    ]


@pytest.mark.parametrize("box", [b"0 0 1 1000000", b"0 0 1000000 1", b"0 0 1 14400"])
def test_a_page_of_no_shape_ends_its_reading_and_no_more(tmp_path, box):
    path = hostile.picture_page(tmp_path / "a.pdf", box)
    (row,) = document_rows(tmp_path, path.name, SOURCE)
    assert row["method"] == "ocr"
    read_row = ocr_row(tmp_path, row, Documents(path="x", max_memory_megabytes=500.0))
    assert read_row["text"] is None and read_row["_reason"] in ("too_large", "broken", "no_text")
    assert read_row["_detail"].startswith("a.pdf#p1")


@pytest.mark.parametrize(
    ("make", "reason", "detail"),
    [
        (
            lambda path: hostile.docx(path, core=bytes(3_000_000)),
            "too_large",
            ": docProps/core.xml unpacks to more than 2 MB (max_megabytes)",
        ),
        (
            lambda path: hostile.docx(path, " " * 3_000_000),
            "too_large",
            ": word/document.xml unpacks to more than 2 MB (max_megabytes)",
        ),
        (lambda path: hostile.docx(path, core=bytes(1_000_000)), "broken", ""),
        # What the directory of the package says is not what it holds.
        (lambda path: hostile.forge_size(hostile.docx(path, "<w:p/>" * 10_000), 100), "broken", ""),
        (lambda path: hostile.forge_size(hostile.docx(path, "<w:p/>" * 10_000), 1_000_000), "no_text", ""),
        (
            lambda path: hostile.docx(path, method=zipfile.ZIP_BZIP2),
            "broken",
            ": word/document.xml is packed by method 12",
        ),
        (
            lambda path: hostile.docx(path, method=zipfile.ZIP_LZMA),
            "broken",
            ": word/document.xml is packed by method 14",
        ),
        (lambda path: hostile.encrypt_flag(hostile.docx(path)), "encrypted", ""),
        (
            lambda path: hostile.docx(path, **{f"{n}": b"" for n in range(10_000)}),
            "too_large",
            ": more than 10,000 entries in the package",
        ),
        (
            lambda path: hostile.docx(path, "<w:p><w:r><w:br w:type='page'/><w:t>x</w:t></w:r></w:p>" * 51),
            "too_large",
            ": 51 pages (max_pages)",
        ),
        (
            lambda path: hostile.pages_pdf(path.with_suffix(".pdf"), [hostile.text_page("x")] * 51),
            "too_large",
            ": 51 pages (max_pages)",
        ),
        (lambda path: hostile.docx(path, "<w:p>" * 100_000 + "</w:p>" * 100_000), "broken", ": RecursionError"),
    ],
)
def test_a_package_is_bounded_whatever_it_says(tmp_path, make, reason, detail):
    path = make(tmp_path / "a.docx")
    assert judged(path) == [(path.name, None, reason, path.name + detail)]


def test_the_tags_of_a_package_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("finelake.jobs.sources.document.pages.MOST_TAGS", 1000)
    content = hostile.docx(tmp_path / "a.docx", "<w:p/>" * 1000).read_bytes()
    with pytest.raises(Unreadable, match="too_large") as raised:
        open_docx(content, 10**6)
    assert raised.value.detail == "word/document.xml holds more than 1,000 tags"


def test_entities_do_not_grow(tmp_path):
    names = [f"e{number}" for number in range(10)]
    lines = "".join(f"<!ENTITY {a} '{f'&{b};' * 10}'>" for a, b in zip(names, names[1:], strict=False))
    text = f"<!DOCTYPE w [<!ENTITY e9 'x'>{lines}]><w:document xmlns:w='w'><w:body>&e0;</w:body></w:document>"
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as package:
        package.writestr("word/document.xml", text)
    assert judged(tmp_path / "a.docx") == [("a.docx", None, "broken", "a.docx")]


def test_a_page_with_too_many_characters_is_rejected_alone(tmp_path):
    path = hostile.pages_pdf(tmp_path / "a.pdf", [hostile.text_page("x" * 2000), hostile.text_page("two")])
    assert judged(path) == [
        ("a.pdf#p1", None, "too_large", "a.pdf#p1: more than 1,000 characters (max_characters)"),
        ("a.pdf#p2", "two", None, "a.pdf#p2"),
    ]


def test_the_text_of_all_pages_is_bounded(tmp_path):
    path = hostile.pages_pdf(tmp_path / "a.pdf", [hostile.text_page("x" * 900)] * 3)
    source = Documents(path="x", max_megabytes=0.002)
    assert path.stat().st_size > 2000
    source = Documents(path="x", max_megabytes=path.stat().st_size / 1e6)
    contents = [hostile.stream(b"", b"BT /F 12 Tf 72 700 Td (" + b"x" * 3000 + b") Tj ET", times=1)] * 3
    path = hostile.pages_pdf(tmp_path / "a.pdf", contents)
    assert [(row[2], row[1] and len(row[1])) for row in judged(path, source)] == [
        (None, 3000),
        ("too_large", None),
        ("too_large", None),
    ]


def test_spaces_are_trimmed_in_linear_time():
    assert tidy("a" + " " * 1_000_000 + "b \n") == "a" + " " * 1_000_000 + "b"


def test_what_is_not_a_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "loop.pdf").symlink_to("loop.pdf")
    (tmp_path / "folder.pdf").mkdir()
    for name in ("pipe.pdf", "loop.pdf", "folder.pdf"):
        assert judged(tmp_path / name) == [(name, None, "unsupported", name)]


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
        columns = mapped_columns(params.sources["docs"])
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


def test_text_boxes_once_nested_tables_and_deleted_text():
    xml = """<w:document xmlns:w="w" xmlns:m="m"><w:body>
      <w:p><w:r><w:t>Kept</w:t></w:r><w:del><w:r><w:t>gone</w:t></w:r></w:del><w:r><w:tab/><w:t>text</w:t></w:r>
        <m:AlternateContent><m:Choice><w:txbxContent><w:p><w:r><w:t>Box</w:t></w:r></w:p></w:txbxContent></m:Choice>
        <m:Fallback><w:txbxContent><w:p><w:r><w:t>Box</w:t></w:r></w:p></w:txbxContent></m:Fallback></m:AlternateContent></w:p>
      <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:sdt><w:sdtContent><w:tc>
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
      </w:tc></w:sdtContent></w:sdt></w:tr></w:tbl></w:body></w:document>"""
    assert docx_pages(ElementTree.fromstring(xml)) == ["Kept\ttext\nBox\na | b | c"]
    assert docx_time(None) is None


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("D:20200305084435-05'00'", "2020-03-05T08:44:35-05:00"),
        ("D:20240822125427Z00'00'", "2024-08-22T12:54:27Z"),
        ("20160119123847", "2016-01-19T12:38:47Z"),
        ("D:20160119", "2016-01-19T00:00:00Z"),
        ("D:2016", None),
        ("", None),
    ],
)
def test_pdf_time(value, time):
    assert pdf_time(value) == time


def test_named_time():
    pattern = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    assert named_time("a/FOMC20200303.pdf", pattern) == "2020-03-03"
    assert named_time("20200303/FOMC.pdf", pattern) is None
    assert named_time("FOMC20200303.pdf", None) is None


def test_tidy():
    assert tidy(" a-\r\nb \r\nwell-\r\nKnown\x00 hy\ufffe\r\nphen ") == "ab\nwell-\nKnown hyphen"


def test_join_lines():
    def box(left, top):
        return [[left, top], [left + 50, top], [left + 50, top + 20], [left, top + 20]]

    boxes = np.array([box(100, 4), box(0, 0), box(0, 40)], dtype=float)
    assert join_lines(boxes, ["b", "a", "c"]) == "a b\nc"
    assert join_lines([], []) == ""


PAGE = """Bank of X,  handbook
{0} of 5
Limit {1}
{2}
Total: {1}
page {0}, printed 2021"""


def test_headers_and_footers_are_left_out():
    words = ["one", "two", "three", "four", "five"]
    pages = {page: PAGE.format(page, 7 * page % 5, word) for page, word in enumerate(words, start=1)}
    pages[3] = pages[3].replace(",  handbook", ", handbook")
    # Numbers that do not count with the pages say something.
    assert own_text(pages) == {
        page: (f"Limit {7 * page % 5}\n{word}\nTotal: {7 * page % 5}", 3) for page, word in enumerate(words, start=1)
    }


def test_what_repeats_on_few_pages_or_elsewhere_stays():
    def texts(*lines):
        return dict(enumerate(lines, start=1))

    def kept(pages):
        return {page: (text, 0) for page, text in pages.items()}

    twice = texts("head\na", "head\nb", "c\nd")
    half = texts("head\na", "head\nb", "head\nc", "d", "e", "f")
    other_end = texts("same\n1\n2\n3", "x\ny\nz\nsame", "same\n5\n6\n7", "u\nv\nw\nsame")
    inside = texts(*[f"{page}a\n{page}b\n{page}c\nsame\n{page}d\n{page}e\n{page}f" for page in "pqr"])
    long = texts(*["x" * 201 + f"\n{page}" for page in "pqr"])
    nothing_else = texts("head", "head", "head\n")
    for pages in (twice, half, other_end, inside, long, nothing_else):
        assert own_text(pages) == kept(pages)
    book = texts(*[f"{'The book' if page % 2 else 'A chapter'}\n{page} {page}{page}" for page in range(1, 7)])
    assert own_text(book) == {page: (f"{page} {page}{page}", 1) for page in book}


def test_headers_of_pdf_pages_alone_are_counted_and_may_be_kept(tmp_path):
    pdf(tmp_path / "a.pdf", *[f"The same head\n{word}\n- {page} -" for page, word in enumerate("abcd", start=1)])
    read_rows = document_rows(tmp_path, "a.pdf", SOURCE)
    broken = read_rows[3] | {"text": None, REASON: "broken"}

    def told(rows, source=SOURCE):
        return [(row["text"], row["header_lines"]) for row in without_headers(rows, source)]

    assert told([*read_rows[:3], broken]) == [("a", "2"), ("b", "2"), ("c", "2"), (None, None)]
    whole = [(row["text"], "0") for row in read_rows]
    assert told(read_rows, Documents(path="x", keep_headers=True)) == whole
    assert told([row | {"method": "docx"} for row in read_rows]) == whole


# ---------------------------------------------------------------- public documents, where they are at hand

shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no public documents in {SHARED}")


@shared
def test_public_pdfs_have_text_on_every_page():
    paths = sorted((SHARED / "fomc" / "pdf").glob("*.pdf"))
    pages = [row for path in paths for row in document_rows(path.parent, path.name, SOURCE)]
    assert len(paths) == 16
    assert {(row["method"], row["_reason"]) for row in pages} == {("text_layer", None)}
    assert min(len(row["text"]) for row in pages) > 50
    assert all(row["occurred_at"] for row in pages)


@shared
def test_public_pdfs_lose_their_headers_and_nothing_else():
    for path in sorted((SHARED / "fomc" / "pdf").glob("*.pdf")):
        pages = document_rows(path.parent, path.name, SOURCE)
        for page, row in zip(without_headers(pages, SOURCE), pages, strict=True):
            head, number, *text = (row["text"] or "").split("\n")
            assert page["text"] == "\n".join(text) and head.endswith("Press Conference FINAL")
            assert re.fullmatch(rf"(Page )?{row['page']} of \d+", number)


@shared
def test_public_scans_are_given_to_ocr_and_a_broken_file_is_a_reject():
    folder = SHARED / "documents" / "scanned"
    found_kinds = {path.name: {row[2:] for row in found(path)} for path in folder.glob("*.pdf")}
    assert found_kinds.pop("invalid.pdf") == {(None, "broken")}
    # One page of this one brings a text layer of its own, however poor.
    assert found_kinds.pop("multipage.pdf") == {("ocr", None), ("text_layer", None)}
    assert len(found_kinds) == 6 and set.union(*found_kinds.values()) == {("ocr", None)}


@shared
def test_public_docx_recall():
    def words(text):
        return Counter(re.findall(r"\w+", re.sub(r"<[^>]+>|&\w+;|!\[[^\]]*\]\([^)]*\)", " ", text.lower())))

    folder, recalls = SHARED / "documents" / "docx", []
    for path in sorted((folder / "sources").glob("*.docx")):
        body, _ = open_docx(path.read_bytes(), 10**8)
        read_words = words("\n".join(docx_pages(body)))
        true = words((folder / "groundtruth" / f"{path.name}.md").read_text(encoding="utf-8"))
        recalls.append((true & read_words).total() / true.total())
    assert sum(recalls) / len(recalls) > 0.88


def test_a_file_that_this_machine_cannot_see_is_no_reject(tmp_path):
    """The driver listed it, so an executor without it lacks a mount: a reject would lose the document in silence."""
    with pytest.raises(FileNotFoundError):
        document_rows(tmp_path, "gone.pdf", SOURCE)
    with pytest.raises(FileNotFoundError):
        ocr_row(tmp_path, {"file": "gone.pdf", "page": "1", "method": "ocr", REASON: None}, SOURCE)
