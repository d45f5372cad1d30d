"""Headers and footers: lines that come again on the pages of a document."""

import re

from finelake.jobs.sources.columns import REASON
from finelake.jobs.sources.document.headers import own_text, without_headers
from finelake.jobs.sources.document.reading import document_rows
from finelake.jobs.sources.documents import Documents
from tests.jobs.sources.document.made import SHARED, SOURCE, pdf, shared

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

    def shortened(rows, source=SOURCE):
        return [(row["text"], row["header_lines"]) for row in without_headers(rows, source)]

    assert shortened([*read_rows[:3], broken]) == [("a", "2"), ("b", "2"), ("c", "2"), (None, None)]
    whole = [(row["text"], "0") for row in read_rows]
    assert shortened(read_rows, Documents(path="x", keep_headers=True)) == whole
    assert shortened([row | {"method": "docx"} for row in read_rows]) == whole


@shared
def test_public_pdfs_lose_their_headers_and_nothing_else():
    for path in sorted((SHARED / "fomc" / "pdf").glob("*.pdf")):
        pages = document_rows(path.parent, path.name, SOURCE)
        for page, row in zip(without_headers(pages, SOURCE), pages, strict=True):
            head, number, *text = (row["text"] or "").split("\n")
            assert page["text"] == "\n".join(text) and head.endswith("Press Conference FINAL")
            assert re.fullmatch(rf"(Page )?{row['page']} of \d+", number)
