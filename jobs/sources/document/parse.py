"""What the child process (isolated.py) does with a file, by its kind. It yields messages of plain JSON (page.py).

Not imported by the parent process: what parses a file may be killed or crash at any moment.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from finelake.jobs.sources.document.docx import docx_messages
from finelake.jobs.sources.document.ocr import ocr_text
from finelake.jobs.sources.document.page import Message, Unreadable, page_message
from finelake.jobs.sources.document.pdf import open_pdf, pdf_messages

if TYPE_CHECKING:
    from finelake.jobs.sources.documents import Documents


def read_text(path: Path, first: int, source: "Documents") -> Iterator[Message]:
    """["pages", count, time], then for each page from `first` on ["page", number, text, method, reason, detail].

    Or ["reject", reason, detail] for the file. OSError when this machine cannot open it.
    """
    reader = pdf_messages if path.suffix.lower() == ".pdf" else docx_messages
    try:
        with path.open("rb") as file:
            yield from reader(file, path, first, source)
    except Unreadable as error:
        yield ["reject", error.reason, error.detail]


def read_picture(path: Path, number: int, source: "Documents") -> Iterator[Message]:
    """["page", number, text, method, reason, detail] of one page by OCR. OSError as read_text."""

    def read() -> tuple[str, str]:
        document = open_pdf(path)
        try:
            return ocr_text(document[number - 1], source.dpi), "ocr"
        finally:
            document.close()

    with path.open("rb"):  # PDFium does not distinguish a file that cannot be opened from a broken one
        yield page_message(number, read, source)
