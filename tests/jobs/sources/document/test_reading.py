"""The rows of a document: each page is one, whatever becomes of the child process that reads it."""

import os

import pytest

from finelake.jobs.sources.columns import REASON
from finelake.jobs.sources.document.reading import document_rows, ocr_row
from finelake.jobs.sources.documents import Documents
from tests.jobs.sources.document import hostile
from tests.jobs.sources.document.made import MEMORY, SOURCE, judged


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
    monkeypatch.setattr("finelake.jobs.sources.document.reading.MOST_ENDS", 2)
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


def test_what_is_not_a_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "loop.pdf").symlink_to("loop.pdf")
    (tmp_path / "folder.pdf").mkdir()
    for name in ("pipe.pdf", "loop.pdf", "folder.pdf"):
        assert judged(tmp_path / name) == [(name, None, "unsupported", name)]


def test_a_file_that_this_machine_cannot_see_is_no_reject(tmp_path):
    """The driver listed it, so an executor without it lacks a mount: a reject would lose the document in silence."""
    with pytest.raises(FileNotFoundError):
        document_rows(tmp_path, "gone.pdf", SOURCE)
    with pytest.raises(FileNotFoundError):
        ocr_row(tmp_path, {"file": "gone.pdf", "page": "1", "method": "ocr", REASON: None}, SOURCE)
