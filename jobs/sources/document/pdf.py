"""The text layers of a PDF, read in a child process (isolated.py)."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_raw

from finelake.jobs.sources.document.page import Message, Unreadable, check_pages, file_errors, named_time, page_message

if TYPE_CHECKING:
    from finelake.jobs.sources.documents import Documents


def open_pdf(path: Path) -> pdfium.PdfDocument:
    """The opened document. Raises Unreadable: encrypted (a password is asked for) or broken."""
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        code = getattr(error, "err_code", None)
        raise Unreadable("encrypted" if code == pdfium_raw.FPDF_ERR_PASSWORD else "broken") from None


def pdf_messages(file: BinaryIO, path: Path, first: int, source: "Documents") -> Iterator[Message]:
    document = open_pdf(path)
    try:
        with file_errors():
            pages = len(document)
            created = named_time(path.name, source.occurred_at_pattern) or pdf_time(_metadata(document))
        check_pages(pages, source)
        yield ["pages", pages, created]
        for number in range(first, pages + 1):
            yield page_message(number, partial(_pdf_page, document, number, source), source)
    finally:
        document.close()


def _metadata(document: pdfium.PdfDocument) -> str:
    return document.get_metadata_value("CreationDate")


def pdf_time(value: str) -> str | None:
    """A PDF date, D:YYYYMMDDHHmmSS+hh'mm', as ISO 8601; a date without a zone counts as UTC."""
    pattern = r"(?:D:)?(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?"
    found = re.match(pattern, value or "")
    if not found:
        return None
    year, month, day, hour, minute, second, _, sign, off_hour, off_minute = found.groups()
    zone = f"{sign}{off_hour}:{off_minute or '00'}" if sign else "Z"
    return f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone}"


def _pdf_page(document: pdfium.PdfDocument, number: int, source: "Documents") -> tuple[str, str]:
    """The text layer; with the method `ocr` where the page's picture is to be read instead."""
    page = document[number - 1]
    text = page_text(page)
    letters = sum(character.isalnum() for character in text)
    if source.ocr and letters < source.ocr_below and _pictured(page, letters):
        return text, "ocr"
    if not text:
        raise Unreadable("no_text")
    return text, "text_layer"


def page_text(page: pdfium.PdfPage) -> str:
    """The text layer in its reading order; words hyphenated at a line's end are joined."""
    layer = page.get_textpage()
    try:
        text = layer.get_text_range()
    finally:
        layer.close()
    return tidy(text)


def tidy(text: str) -> str:
    """Line ends unified, hyphenation undone (PDFium marks some of it as U+FFFE), control characters dropped."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"\ufffe\n?", "", text)
    text = re.sub(r"(?<=[a-z])-[ ]?\n(?=[a-z])", "", text)
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]", "", text)
    return "\n".join(line.rstrip(" \t") for line in text.split("\n")).strip()


def _pictured(page: pdfium.PdfPage, letters: int) -> bool:
    """Whether the page shows a picture, or, without a single letter, anything at all (text drawn as curves)."""
    kinds = {item.type for item in page.get_objects(max_depth=3)}
    return pdfium_raw.FPDF_PAGEOBJ_IMAGE in kinds or (bool(kinds) and not letters)
