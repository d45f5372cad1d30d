"""DOCX files: their text, and packages that cost a parser much."""

import re
import zipfile
from collections import Counter
from xml.etree import ElementTree

import pytest

from finelake.jobs.sources.document.docx import docx_pages, docx_time, open_docx
from finelake.jobs.sources.document.page import Unreadable
from finelake.jobs.sources.documents import Documents
from tests.jobs.sources.document import hostile
from tests.jobs.sources.document.made import SHARED, found, judged, shared


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
    monkeypatch.setattr("finelake.jobs.sources.document.docx.MOST_TAGS", 1000)
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
