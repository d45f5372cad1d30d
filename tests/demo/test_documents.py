"""The generated documents, read back with other tools than those that wrote them."""

import docx
import pypdfium2
import pytest

from finelake.demo import chance, documents, policies
from finelake.demo.truth import Truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("documents")
    with Truth(place / "truth") as truth:
        documents.write(place / "documents", 7, truth)
    return place / "documents"


def test_text_pdfs_have_their_words_and_their_own_date(folder):
    with pypdfium2.PdfDocument(folder / "handbook_loans_zh.pdf") as pdf:
        text = pdf[0].get_textpage().get_text_range()
        assert "贷款审批应在七个工作日内完成" in text
        assert pdf.get_metadata_dict()["CreationDate"].startswith("D:20190701140000")


def test_the_glyphs_are_drawn(folder):
    with pypdfium2.PdfDocument(folder / "handbook_loans_zh.pdf") as pdf:
        page = pdf[0].render(scale=1).to_pil().convert("L")
    dark = sum(value < 128 for value in page.getdata())
    assert dark > 2_000


def test_the_scan_is_a_picture_without_text(folder):
    with pypdfium2.PdfDocument(folder / "branch_notice_scan.pdf") as pdf:
        assert len(pdf) == 2
        assert pdf[0].get_textpage().get_text_range() == ""


def test_the_word_files_hold_a_table(folder):
    document = docx.Document(folder / "price_list_en.docx")
    table = [[cell.text for cell in row.cells] for row in document.tables[0].rows]
    assert table[0] == ["Service", "Price", "Remark"]
    assert table[2] == ["Replacement card", "15.00", "free after theft"]
    assert document.core_properties.created.year == 2022


def test_one_pdf_is_broken_and_one_needs_a_password(folder):
    for name in ("broken_report.pdf", "sealed_minutes.pdf"):
        with pytest.raises(pypdfium2.PdfiumError):
            pypdfium2.PdfDocument(folder / name)
    with pypdfium2.PdfDocument(folder / "sealed_minutes.pdf", password=documents.PASSWORD) as pdf:
        assert len(pdf) == 2


def test_dates_lie_within_the_ten_years():
    assert all(chance.START <= doc.created <= chance.END for doc in policies.DOCUMENTS)
