"""Documents: the text of PDF and DOCX files, page by page, by OCR where a page is a picture.

Each row of a parsed frame is a page, or a page or file with the reason why it has no text; no file stops a run.
"""

import io
import logging
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_raw
from pyspark.sql import DataFrame
from pyspark.sql.types import StringType

from jobs.columns import DETAIL, REASON
from jobs.sources import Documents
from jobs.stage import struct

COLUMNS = ("key", "occurred_at", "text", "file", "page", "part", "method", "header_lines", REASON, DETAIL)
LONGEST_SIDE = 2000  # pixels; the OCR engine shrinks larger pictures to this
Row = dict[str, str | None]


class Unreadable(Exception):
    """A file that cannot be opened; its one argument is the reason of the reject."""


def read_documents(files: DataFrame, folder: Path, source: Documents) -> DataFrame:
    """The pages of the files (column `path`, relative to the folder), columns COLUMNS.

    Text layers by file, then OCR by page, so that those of one long scan spread over all cores, then by file what its
    pages share.
    """
    schema = struct(**dict.fromkeys(COLUMNS, StringType()))

    def extract(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for file in batch["path"]:
                yield pd.DataFrame(document_rows(folder, file, source), columns=list(COLUMNS))

    def recognise(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            rows = [ocr_row(folder, row, source) for row in _rows(batch)]
            yield pd.DataFrame(rows, columns=list(COLUMNS))

    def compare(pages: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(without_headers(_rows(pages), source), columns=list(COLUMNS))

    pages = files.mapInPandas(extract, schema)  # type: ignore[arg-type]
    tasks = 4 * files.sparkSession.sparkContext.defaultParallelism
    recognised = pages.repartition(tasks, "key").mapInPandas(recognise, schema)  # type: ignore[arg-type]
    return recognised.groupBy("file").applyInPandas(compare, schema)


def _rows(frame: pd.DataFrame) -> list[Row]:
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def document_rows(folder: Path, file: str, source: Documents) -> list[Row]:
    """The pages of one file; those that OCR must read have the method `ocr`. A file that cannot be read is one row."""
    try:
        return _open(folder / file, file, source)
    except Unreadable as error:
        return [_row(file, None, reason=str(error))]
    except FileNotFoundError:
        raise  # the driver listed it: it is this machine that cannot see it
    except Exception as error:  # a parser's surprise is the file's fault, not the run's
        return [_row(file, None, reason="broken", detail=f"{file}: {type(error).__name__}")]


def _open(path: Path, file: str, source: Documents) -> list[Row]:
    if path.suffix.lower() not in (".pdf", ".docx"):
        raise Unreadable("unsupported")
    if path.stat().st_size > source.max_megabytes * 1e6:
        raise Unreadable("too_large")
    if path.suffix.lower() == ".pdf":
        return _pdf_rows(path, file, source)
    return _docx_rows(path, file, source)


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


def _pdf_rows(path: Path, file: str, source: Documents) -> list[Row]:
    document = open_pdf(path)
    try:
        pages = len(document)
        if pages > source.max_pages:
            raise Unreadable("too_large")
        if not pages:
            raise Unreadable("no_text")
        time = named_time(file, source.occurred_at_pattern) or pdf_time(_metadata(document))
        return [_pdf_row(document, file, number, pages, time, source) for number in range(1, pages + 1)]
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


def _pdf_row(
    document: pdfium.PdfDocument, file: str, number: int, pages: int, time: str | None, source: Documents
) -> Row:
    try:
        page = document[number - 1]
        text = page_text(page)
        letters = sum(character.isalnum() for character in text)
        if source.ocr and letters < source.ocr_below and _pictured(page, letters):
            return _row(file, number, pages, time, text, method="ocr")
    except Exception as error:
        return _row(file, number, pages, time, reason="broken", detail=f"{file}#p{number}: {type(error).__name__}")
    if not text:
        return _row(file, number, pages, time, reason="no_text")
    return _row(file, number, pages, time, text, method="text_layer")


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
    return re.sub(r"[ \t]+(?=\n|$)", "", text).strip()


def _pictured(page: pdfium.PdfPage, letters: int) -> bool:
    """Whether the page shows a picture, or, without a single letter, anything at all (text drawn as curves)."""
    kinds = {item.type for item in page.get_objects(max_depth=3)}
    return pdfium_raw.FPDF_PAGEOBJ_IMAGE in kinds or (bool(kinds) and not letters)


# ---------------------------------------------------------------- OCR


@cache
def engine() -> Any:
    """The OCR engine, once a worker process, on one thread: the pages themselves run side by side."""
    logging.disable(logging.CRITICAL)  # it logs each picture without text to the console
    import cv2
    from rapidocr import RapidOCR

    cv2.setNumThreads(1)
    options = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
    settings = {f"EngineConfig.onnxruntime.{name}": value for name, value in options.items()}
    # The line-orientation classifier turns upright lines over (character error up to .15).
    return RapidOCR(params={"Global.use_cls": False, "Global.log_level": "critical"} | settings)


def ocr_row(folder: Path, row: Row, source: Documents) -> Row:
    """The row with the page's text read from its picture, where its method is `ocr`; else the row as it is."""
    if row["method"] != "ocr" or row[REASON]:
        return row
    try:
        document = open_pdf(folder / str(row["file"]))
        try:
            text = ocr_text(document[int(str(row["page"])) - 1], source.dpi)
        finally:
            document.close()
    except FileNotFoundError:
        raise
    except Exception as error:
        return row | {"text": None, REASON: "broken", DETAIL: f"{row['key']}: {type(error).__name__}"}
    if len(text) <= len(row["text"] or ""):
        return row | ({"method": "text_layer"} if row["text"] else {"text": None, REASON: "no_text"})
    return row | {"text": text}


def ocr_text(page: pdfium.PdfPage, dpi: int) -> str:
    """The text in the picture of a page, lines from top to bottom; "" when there is none."""
    scale = min(dpi / 72, LONGEST_SIDE / max(page.get_size()))
    bitmap = page.render(scale=scale, rev_byteorder=False)
    picture = np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])
    found = engine()(picture)
    return join_lines([] if found.boxes is None else found.boxes, list(found.txts or []))


def join_lines(boxes: Any, texts: list[str]) -> str:
    """Texts in reading order: one line where the middles of boxes are less than half a height apart.

    boxes: (n, 4, 2) corner points in pixels, clockwise from the top left, in the order of `texts`.
    """
    lines: list[tuple[float, list[tuple[float, str]]]] = []
    middles = [(box[:, 1].mean(), np.ptp(box[:, 1]), box[:, 0].min()) for box in boxes]
    for (middle, height, left), text in sorted(zip(middles, texts, strict=True), key=lambda pair: pair[0]):
        if lines and abs(middle - lines[-1][0]) < height / 2:
            lines[-1][1].append((left, text))
        else:
            lines.append((middle, [(left, text)]))
    return "\n".join(" ".join(text for _, text in sorted(line)) for _, line in lines).strip()


# ---------------------------------------------------------------- headers and footers

EDGE = 3  # lines at each end of a page that may be a header or a footer
LONGEST_HEADER = 200  # characters of one line
FEWEST = 3  # pages on which a line must stand
_NUMBER = re.compile(r"(?<!\d)\d{1,6}(?!\d)")


def without_headers(rows: list[Row], source: Documents) -> list[Row]:
    """The rows of one file, its PDF pages without headers and footers; `header_lines` counts the lines left out."""
    pages = {int(row["page"] or 0): row["text"] for row in rows if row["text"] and row["method"] != "docx"}
    own = {} if source.keep_headers else own_text(pages)
    told = []
    for row in rows:
        text, count = own.get(int(row["page"] or 0), (row["text"], 0))
        told.append(row | {"text": text, "header_lines": None if row[REASON] else str(count)})
    return told


def own_text(pages: Mapping[int, str]) -> dict[int, tuple[str, int]]:
    """The text of each page, by its number, without headers and footers, and how many lines were left out.

    A line is one where it stands among the EDGE outermost lines of the same end of more than half of the pages, or of
    the odd or the even ones, and of FEWEST at least. It is the same line when it is equal but for white space and one
    number that counts with the pages. A page that would lose all its lines keeps them.
    """
    edges = {page: _edges(text.split("\n"), page) for page, text in pages.items()}
    sizes = Counter(group for page in pages for group in _groups(page))
    forms = ((group, form) for page in pages for form in set().union(*edges[page].values()) for group in _groups(page))
    seen = Counter(forms)

    def stays(page: int, place: int) -> bool:
        shared = ((group, form) for group in _groups(page) for form in edges[page].get(place, ()))
        return all(seen[group, form] < max(FEWEST, sizes[group] // 2 + 1) for group, form in shared)

    told = {}
    for page, text in pages.items():
        lines = text.split("\n")
        kept = [line for place, line in enumerate(lines) if stays(page, place)]
        own = "\n".join(kept).strip()
        told[page] = (own, len(lines) - len(kept)) if own else (text, 0)
    return told


def _groups(page: int) -> tuple[str, str]:
    return "all", "odd" if page % 2 else "even"


def _edges(lines: list[str], page: int) -> dict[int, set[tuple[str, str]]]:
    """By their place, the lines at both ends of a page: the end and each form in which the line may come again."""
    filled = [place for place, line in enumerate(lines) if line.strip()]
    found: dict[int, set[tuple[str, str]]] = {}
    for end, places in (("top", filled[:EDGE]), ("bottom", filled[-EDGE:])):
        for place in places:
            found.setdefault(place, set()).update((end, form) for form in _forms(lines[place], page))
    return found


def _forms(line: str, page: int) -> set[str]:
    """The line as it is, and with each number as its distance from the page's; none of a line too long for a header."""
    line = " ".join(line.split())
    if len(line) > LONGEST_HEADER:
        return set()
    numbered = {f"{line[: n.start()]}\0{int(n[0]) - page}\0{line[n.end() :]}" for n in _NUMBER.finditer(line)}
    return {line} | numbered


# ---------------------------------------------------------------- DOCX

# Fallback repeats what Choice shows; deleted and moved text is no longer there.
SKIPPED = {"Fallback", "del", "moveFrom", "instrText", "pPr", "rPr", "sectPr"}
PAGE_BREAKS = {"lastRenderedPageBreak"}


def _docx_rows(path: Path, file: str, source: Documents) -> list[Row]:
    body, core = open_docx(path, int(source.max_megabytes * 1e6))
    pages = docx_pages(body)
    if not pages:
        raise Unreadable("no_text")
    time = named_time(file, source.occurred_at_pattern) or docx_time(core)
    return [_row(file, number, len(pages), time, text, method="docx") for number, text in enumerate(pages, start=1)]


def open_docx(path: Path, limit: int) -> tuple[ElementTree.Element, ElementTree.Element | None]:
    """The body and the core properties (None without). Raises Unreadable; `limit` is in bytes, unpacked."""
    content = path.read_bytes()
    if "EncryptedPackage".encode("utf-16-le") in content[:65536]:
        raise Unreadable("encrypted")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            if package.getinfo("word/document.xml").file_size > limit:
                raise Unreadable("too_large")
            body = ElementTree.fromstring(package.read("word/document.xml"))
            named = "docProps/core.xml" in package.namelist()
            return body, ElementTree.fromstring(package.read("docProps/core.xml")) if named else None
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, EOFError):
        raise Unreadable("broken") from None


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
