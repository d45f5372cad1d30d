"""The pages of one document as rows, read by child processes.

A row is a page, or a page or file with the reason why it has no text. No file stops a run: each is parsed in a child
process (isolated.py) whose end is the reject of the page that it was reading. Which files and pages are rejected
follows from the parameters of the source, not from how busy the machine is.
"""

import errno
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finelake.jobs.sources.columns import DETAIL, REASON
from finelake.jobs.sources.document import isolated
from finelake.jobs.sources.document.folder import document_path
from finelake.jobs.sources.document.page import METHODS, REASONS

if TYPE_CHECKING:
    from finelake.jobs.sources.documents import Documents

COLUMNS = ("key", "occurred_at", "text", "file", "page", "part", "method", "header_lines", REASON, DETAIL)
SUFFIXES = (".pdf", ".docx")
MOST_ENDS = 8  # children that one document may end before the rest of its pages is given up
LONGEST_TIME = 100  # characters of a creation time
Row = dict[str, str | None]


def document_rows(folder: Path, file: str, source: "Documents") -> list[Row]:
    """The pages of one file; those that OCR must read have the method `ocr`. A file that cannot be read is one row.

    OSError where this machine cannot see or open it: the driver listed it, so a reject would lose it in silence.
    """
    path = folder / document_path(file)
    reason = _refused(path, source)
    if reason:
        return [_row(file, None, reason=reason)]
    reading = _Reading(file, source)
    while not reading.whole():
        reading.attempt(path)
    return reading.rows


def _refused(path: Path, source: "Documents") -> str | None:
    """The reason to reject a file without opening it: a pipe, for example, would block for ever."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "unsupported"
        raise
    if not stat.S_ISREG(status.st_mode) or path.suffix.lower() not in SUFFIXES:
        return "unsupported"
    return "too_large" if status.st_size > source.max_megabytes * 1e6 else None


class _Reading:
    """The rows of one document so far; a child that ends costs the page that it was reading, not the others.

    The first end names no page, since the answers of several pages come together. From then on each page is sent by
    itself, and a page is rejected only where a new child ends on it first of all.
    """

    def __init__(self, file: str, source: "Documents"):
        self.file, self.source = file, source
        self.rows: list[Row] = []
        self.pages: int | None = None
        self.time: str | None = None
        self.characters = self.ends = 0

    def whole(self) -> bool:
        return bool(self.rows) and len(self.rows) >= (self.pages or 1)

    def attempt(self, path: Path) -> None:
        """Read from the first page without a row on, until the file or the child ends."""
        first = len(self.rows) + 1
        try:
            for message in isolated.ask("read_text", path, first, self.source, fresh=self.ends > 0):
                self.take(message)
            if not self.whole():
                raise isolated.Ended("broken", "fewer pages than announced")
        except isolated.Ended as ended:
            self.ends += 1
            if self.ends > 1 and len(self.rows) + 1 == first:
                self.reject(ended.reason, ended.detail)
            if self.ends == MOST_ENDS:
                while not self.whole():
                    self.reject("too_large", f"given up after {self.ends} attempts: {ended.detail}")

    def take(self, message: list[Any]) -> None:
        """Add what a message says. Raises Ended for one that does not fit: what parsed a hostile file may lie."""
        number = len(self.rows) + 1
        match message:
            case ["pages", int(count), str() | None as created] if 0 < count <= self.source.max_pages:
                self.pages = self.pages or count
                self.time = created if created and len(created) <= LONGEST_TIME else None
            case ["page", int(page), str(text), str(method), None, None] if self.expects(page) and method in METHODS:
                self.characters += len(text)
                if self.characters > self.source.max_megabytes * 1e6:
                    self.reject("too_large", f"more than {self.source.max_megabytes:g} million characters before it")
                else:
                    self.rows.append(_row(self.file, number, self.pages or 0, self.time, _encodable(text), method))
            case ["page", int(page), None, None, str(reason), str() | None as detail] if self.expects(page):
                self.reject(_known(reason), detail)
            case ["reject", str(reason), str() | None as detail]:
                self.reject(_known(reason), detail)
            case _:
                raise isolated.Ended("broken", "an answer that does not fit")

    def expects(self, page: int) -> bool:
        return page == len(self.rows) + 1 and page <= (self.pages or 0)

    def reject(self, reason: str, detail: str | None) -> None:
        """A row without text for the next page; for the file where its pages are not known."""
        number = len(self.rows) + 1 if self.pages else None
        place = f"{self.file}#p{number}" if number else self.file
        detail = f"{place}: {detail[:200]}" if detail else place
        self.rows.append(_row(self.file, number, self.pages or 0, self.time, reason=reason, detail=detail))


def _known(reason: str) -> str:
    return reason if reason in REASONS else "broken"


def _encodable(text: str) -> str:
    """The text without lone surrogates, which neither Arrow nor a Parquet file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _row(
    file: str,
    page: int | None,
    pages: int = 0,
    occurred_at: str | None = None,
    text: str | None = None,
    method: str | None = None,
    reason: str | None = None,
    detail: str | None = None,
) -> Row:
    place = f"{file}#p{page}" if page else file
    row = {"key": place, "occurred_at": occurred_at, "text": text, "file": file, "method": method}
    row |= {"page": str(page) if page else None, "part": f"{page}/{pages}" if page else None, "header_lines": None}
    return row | {REASON: reason, DETAIL: detail or place}


def ocr_row(folder: Path, row: Row, source: "Documents") -> Row:
    """The row with the page's text read from its picture, where its method is `ocr`; else the row unchanged."""
    if row["method"] != "ocr" or row[REASON]:
        return row
    try:
        text = _recognised(folder / document_path(str(row["file"])), int(str(row["page"])), source)
    except isolated.Ended as ended:
        return row | {"text": None, REASON: ended.reason, DETAIL: f"{row['key']}: {ended.detail}"}
    if len(text) <= len(row["text"] or ""):
        return row | ({"method": "text_layer"} if row["text"] else {"text": None, REASON: "no_text"})
    return row | {"text": text}


def _recognised(path: Path, page: int, source: "Documents") -> str:
    """The text of one page by OCR. Raises Ended, where memory or the parser failed only after a second child did."""
    try:
        return _picture_text(path, page, source, fresh=False)
    except isolated.Ended as ended:
        if ended.final:
            raise
        return _picture_text(path, page, source, fresh=True)


def _picture_text(path: Path, page: int, source: "Documents", fresh: bool) -> str:
    messages = list(isolated.ask("read_picture", path, page, source, fresh))
    match messages:
        case [["page", int(number), str(text), "ocr", None, None]] if number == page:
            return _encodable(text)
        case [["page", _, None, None, str(reason), str() | None as detail]]:
            raise isolated.Ended(_known(reason), (detail or reason)[:200], final=True)
    raise isolated.Ended("broken", "an answer that does not fit")
