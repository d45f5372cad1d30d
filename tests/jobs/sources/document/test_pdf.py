"""The text layers of PDFs, and their dates."""

import pytest

from finelake.jobs.sources.document.pdf import pdf_time, tidy
from finelake.jobs.sources.document.reading import document_rows
from tests.jobs.sources.document.made import SHARED, SOURCE, found, pdf, shared


def test_a_pdf_without_a_date_in_its_name_takes_its_own(tmp_path):
    pdf(tmp_path / "a.pdf", "One page with some text.")
    assert found(tmp_path / "a.pdf") == [("2000-01-01T00:00:00+00:00", "One page with some text.", "text_layer", None)]


def test_spaces_are_trimmed_in_linear_time():
    assert tidy("a" + " " * 1_000_000 + "b \n") == "a" + " " * 1_000_000 + "b"


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


def test_tidy():
    assert tidy(" a-\r\nb \r\nwell-\r\nKnown\x00 hy\ufffe\r\nphen ") == "ab\nwell-\nKnown hyphen"


@shared
def test_public_pdfs_have_text_on_every_page():
    paths = sorted((SHARED / "fomc" / "pdf").glob("*.pdf"))
    pages = [row for path in paths for row in document_rows(path.parent, path.name, SOURCE)]
    assert len(paths) == 16
    assert {(row["method"], row["_reason"]) for row in pages} == {("text_layer", None)}
    assert min(len(row["text"]) for row in pages) > 50
    assert all(row["occurred_at"] for row in pages)
