"""The text of a document's pages, as read in a child process (isolated.py): PDF text layers, OCR, DOCX.

`read_text` and `read_picture` yield messages of plain JSON. Nothing here is imported by the parent process: what
parses a file may be killed or crash at any moment.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_raw

if TYPE_CHECKING:
    import numpy as np

    from finelake.jobs.sources.config import Documents

LONGEST_SIDE = 2000  # pixels; the OCR engine shrinks larger pictures to this
# What a package may hold, whatever its sizes say; ordinary ones have some 20 entries and a core.xml of 1 kB.
MOST_ENTRIES = 10_000
MOST_TAGS = 5_000_000
CHUNK = 1 << 18
NO_MEMORY = re.compile(r"bad[_ ]alloc|Insufficient memory|Failed to allocate|Unable to allocate", re.IGNORECASE)
Message = list[Any]


class Unreadable(Exception):
    """A file or page without a text: the reason of the reject, and what to add to its place in the detail."""

    def __init__(self, reason: str, detail: str | None = None):
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def read_text(path: Path, first: int, source: "Documents") -> Iterator[Message]:
    """["pages", count, time], then for each page from `first` on ["page", number, text, method, reason, detail].

    Or ["reject", reason, detail] for the file. OSError when this machine cannot open it.
    """
    reader = _pdf_messages if path.suffix.lower() == ".pdf" else _docx_messages
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
        yield _page(number, read, source)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, comes from a refused allocation; libraries in C++ give only a text."""
    if error is None:
        return False
    refused = isinstance(error, MemoryError) or bool(NO_MEMORY.search(str(error)))
    return refused or out_of_memory(error.__cause__ or error.__context__)


def _page(number: int, read: Callable[[], tuple[str, str]], source: "Documents") -> Message:
    """The message of a page whose text and method `read` gives. MemoryError passes through: it ends the child."""
    try:
        text, method = read()
        if len(text) > source.max_characters:
            raise Unreadable("too_large", f"more than {source.max_characters:,} characters (max_characters)")
    except Unreadable as error:
        return ["page", number, None, None, error.reason, error.detail]
    except Exception as error:  # a parser's surprise is the page's fault, not the run's
        if out_of_memory(error):
            raise MemoryError from None
        return ["page", number, None, None, "broken", type(error).__name__]
    return ["page", number, text, method, None, None]


def named_time(file: str, pattern: str | None) -> str | None:
    """The date in a file's name by the pattern's groups year, month, day; None when it does not match."""
    found = re.search(pattern, Path(file).name) if pattern else None
    return f"{found['year']}-{found['month']}-{found['day']}" if found else None


# ---------------------------------------------------------------- PDF


def open_pdf(path: Path) -> pdfium.PdfDocument:
    """The opened document. Raises Unreadable: encrypted (a password is asked for) or broken."""
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        code = getattr(error, "err_code", None)
        raise Unreadable("encrypted" if code == pdfium_raw.FPDF_ERR_PASSWORD else "broken") from None


def _pdf_messages(file: BinaryIO, path: Path, first: int, source: "Documents") -> Iterator[Message]:
    document = open_pdf(path)
    try:
        with _file_errors():
            pages = len(document)
            created = named_time(path.name, source.occurred_at_pattern) or pdf_time(_metadata(document))
        _check_pages(pages, source)
        yield ["pages", pages, created]
        for number in range(first, pages + 1):
            yield _page(number, partial(_pdf_page, document, number, source), source)
    finally:
        document.close()


def _check_pages(count: int, source: "Documents") -> None:
    if count > source.max_pages:
        raise Unreadable("too_large", f"{count:,} pages (max_pages)")
    if not count:
        raise Unreadable("no_text")


@contextmanager
def _file_errors() -> Iterator[None]:
    """A parser's surprise becomes the file's reject."""
    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except Exception as error:
        raise Unreadable("broken", type(error).__name__) from None


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


# ---------------------------------------------------------------- OCR


@cache
def engine() -> Any:
    """The OCR engine, once per process, on one thread: the pages themselves run side by side."""
    import logging

    logging.disable(logging.CRITICAL)  # it logs each picture without text to the console
    import cv2
    from rapidocr import RapidOCR

    cv2.setNumThreads(1)
    options = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
    settings = {f"EngineConfig.onnxruntime.{name}": value for name, value in options.items()}
    # The line-orientation classifier turns upright lines over (character error up to .15).
    return RapidOCR(params={"Global.use_cls": False, "Global.log_level": "critical"} | settings)


def ocr_text(page: pdfium.PdfPage, dpi: int) -> str:
    """The text in the picture of a page, lines from top to bottom; "" when there is none."""
    import numpy as np

    scale = min(dpi / 72, LONGEST_SIDE / max(page.get_size()))
    bitmap = page.render(scale=scale, rev_byteorder=False)
    picture = np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])
    found = engine()(picture)
    return join_lines([] if found.boxes is None else found.boxes, list(found.txts or []))


def join_lines(boxes: "Iterable[np.ndarray]", texts: list[str]) -> str:
    """Texts in reading order: one line where the middles of boxes are less than half a height apart.

    boxes: (n, 4, 2) corner points in pixels, clockwise from the top left, in the order of `texts`.
    """
    lines: list[tuple[float, list[tuple[float, str]]]] = []
    middles = [(box[:, 1].mean(), box[:, 1].max() - box[:, 1].min(), box[:, 0].min()) for box in boxes]
    for (middle, height, left), text in sorted(zip(middles, texts, strict=True), key=lambda pair: pair[0]):
        if lines and abs(middle - lines[-1][0]) < height / 2:
            lines[-1][1].append((left, text))
        else:
            lines.append((middle, [(left, text)]))
    return "\n".join(" ".join(text for _, text in sorted(line)) for _, line in lines).strip()


# ---------------------------------------------------------------- DOCX

# Fallback repeats what Choice shows; deleted and moved text is no longer there.
SKIPPED = {"Fallback", "del", "moveFrom", "instrText", "pPr", "rPr", "sectPr"}
PAGE_BREAKS = {"lastRenderedPageBreak"}
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that the standard allows, and all that unpack piece by piece


def _docx_messages(file: BinaryIO, path: Path, first: int, source: "Documents") -> Iterator[Message]:
    content = file.read()
    with _file_errors():
        body, core = open_docx(content, int(source.max_megabytes * 1e6))
        pages = docx_pages(body)
        created = named_time(path.name, source.occurred_at_pattern) or docx_time(core)
    _check_pages(len(pages), source)
    yield ["pages", len(pages), created]
    for number, text in list(enumerate(pages, start=1))[first - 1 :]:
        yield _page(number, partial(_docx_page, text), source)


def _docx_page(text: str) -> tuple[str, str]:
    return text, "docx"


def open_docx(content: bytes, limit: int) -> tuple[ElementTree.Element, ElementTree.Element | None]:
    """The body and the core properties (None without). Raises Unreadable; `limit` is in bytes of one part, unpacked."""
    if "EncryptedPackage".encode("utf-16-le") in content[:65536]:
        raise Unreadable("encrypted")
    if content.count(b"PK\x01\x02") > MOST_ENTRIES:
        raise Unreadable("too_large", f"more than {MOST_ENTRIES:,} entries in the package")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            body = _part(package, "word/document.xml", limit)
            named = "docProps/core.xml" in package.namelist()
            return body, _part(package, "docProps/core.xml", limit) if named else None
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, EOFError):
        raise Unreadable("broken") from None


def _part(package: zipfile.ZipFile, name: str, limit: int) -> ElementTree.Element:
    """The tree of one part, counted while it is unpacked: the sizes in the package's directory may lie."""
    entry = package.getinfo(name)
    if entry.flag_bits & 1:
        raise Unreadable("encrypted")
    if entry.compress_type not in METHODS:
        raise Unreadable("broken", f"{name} is packed by method {entry.compress_type}")
    if entry.file_size > limit:
        raise Unreadable("too_large", f"{name} unpacks to more than {limit / 1e6:,g} MB (max_megabytes)")
    parser, size, tags = ElementTree.XMLParser(), 0, 0
    with package.open(entry) as part:
        while chunk := part.read(CHUNK):
            size, tags = size + len(chunk), tags + chunk.count(b"<")
            if size > limit:
                raise Unreadable("too_large", f"{name} unpacks to more than {limit / 1e6:,g} MB (max_megabytes)")
            if tags > MOST_TAGS:
                raise Unreadable("too_large", f"{name} holds more than {MOST_TAGS:,} tags")
            parser.feed(chunk)
    return parser.close()


def docx_time(core: ElementTree.Element | None) -> str | None:
    """When the document says it was created."""
    found = [item.text for item in core if _name(item) == "created"] if core is not None else []
    return found[0] if found else None


def docx_pages(body: ElementTree.Element) -> list[str]:
    """The text of each page that has some; a page ends where the file says that one was broken when it was saved.

    Names are compared without their namespaces, so that Strict and Transitional files read alike. Word recall on the
    shared set .891 at a precision of .988; docx2python .894 at .937 (text boxes twice), mammoth .873.
    """
    pages: list[list[str]] = [[]]
    for block in _children(body, "body"):
        if _breaks(block) and pages[-1]:
            pages.append([])
        pages[-1].extend(_blocks([block]))
    return ["\n".join(page) for page in pages if page]


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _children(document: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for part in document if _name(part) == name for child in part]


def _breaks(block: ElementTree.Element) -> bool:
    def is_break(element: ElementTree.Element) -> bool:
        kind = _name(element)
        explicit = kind == "br" and any(key.endswith("}type") and value == "page" for key, value in element.items())
        return explicit or kind in PAGE_BREAKS

    return any(is_break(element) for element in block.iter())


def _blocks(elements: Any) -> Iterator[str]:
    """Paragraphs and table rows ("a | b") in order; text boxes behind the paragraph that anchors them."""
    for element in elements:
        name = _name(element)
        if name in SKIPPED:
            continue
        if name == "p":
            text = "".join(_inline(element)).strip()
            if text:
                yield text
            for box in _boxes(element):
                yield from _blocks(box)
        elif name == "tr":
            cells = [" ".join(_blocks([cell])) for cell in _cells(element)]
            if any(cells):
                yield " | ".join(cells)
        else:
            yield from _blocks(element)


def _cells(row: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for child in row:
        if _name(child) == "tc":
            yield child
        elif _name(child) not in SKIPPED:  # a cell inside a content control
            yield from _cells(child)


def _boxes(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for child in element:
        if _name(child) == "txbxContent":
            yield child
        elif _name(child) not in SKIPPED:
            yield from _boxes(child)


def _inline(element: ElementTree.Element) -> Iterator[str]:
    marks = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
    for child in element:
        name = _name(child)
        if name == "t":
            yield child.text or ""
        elif name in marks:
            yield marks[name]
        elif name not in SKIPPED and name != "txbxContent":
            yield from _inline(child)
