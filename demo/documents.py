"""The bank's documents: text PDFs, a scan without a text layer, DOCX files with tables, a broken and an encrypted PDF.

No library compresses them, because its output could differ between machines, and every date is fixed.
"""

import hashlib
import io
import random
import zipfile
from datetime import datetime
from functools import cache
from pathlib import Path

import docx
import pylopdf_fonts_zh_cn
from fontTools import subset
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont as PdfFont
from reportlab.pdfgen.canvas import Canvas

from finelake.demo import chance, people, policies
from finelake.demo.truth import Truth

FONT = "Handbook"
PAGE = (595, 842)  # A4 in points
MARGIN, LINE = 60, 22  # points
SCAN_DPI = 170
PASSWORD = "open-sesame"  # of the encrypted PDF


def write(folder: Path, seed: int, truth: Truth) -> int:
    """Write all documents; returns their number."""
    folder.mkdir(parents=True)
    r = chance.rng(seed, "documents")
    for doc in policies.DOCUMENTS:
        pages = [fill(r, seed, doc.name, page, number, truth) for number, page in enumerate(doc.pages, 1)]
        WRITERS[doc.form](folder / doc.name, doc, pages, r)
    return len(policies.DOCUMENTS)


def fill(r: random.Random, seed: int, name: str, page: str, number: int, truth: Truth) -> str:
    """Replace each {kind} of a page by a personal value and record it in the truth."""
    person = people.customer(seed, r.randrange(10), 10)
    readable = not name.startswith(policies.UNREADABLE)
    for kind in people.KINDS:
        if "{" + kind + "}" in page:
            value = people.value_of(person, kind)
            page = page.replace("{" + kind + "}", value)
            if readable:
                truth.add(
                    "personal_data",
                    source="documents",
                    key=name,
                    field="text",
                    kind=kind,
                    value=value,
                    page=number,
                    canonical=people.canonical(kind, value),
                )
    return page


# ------------------------------------------------------------------------------------------------------- the font


@cache
def outlines(characters: str) -> bytes:
    """Noto Sans SC reduced to `characters`, its cubic outlines made quadratic: writing a PDF needs TrueType."""
    options = subset.Options(layout_features=[], notdef_outline=True, hinting=False, recalc_timestamp=False)
    font = TTFont(pylopdf_fonts_zh_cn.sans_path(), recalcTimestamp=False)
    cutter = subset.Subsetter(options)
    cutter.populate(text=characters)
    cutter.subset(font)
    to_truetype(font)
    out = io.BytesIO()
    font.save(out, reorderTables=False)
    return out.getvalue()


def to_truetype(font: TTFont) -> None:
    """Replace the CFF table by glyf and loca, and adjust head, maxp and post."""
    glyphs, order = font.getGlyphSet(), font.getGlyphOrder()
    font["loca"], glyf = newTable("loca"), newTable("glyf")
    font["glyf"] = glyf
    glyf.glyphOrder, glyf.glyphs = order, {name: quadratic(glyphs, name) for name in order}
    for tag in ("CFF ", "VORG"):
        if tag in font:
            del font[tag]
    maxp = font["maxp"]
    maxp.tableVersion = 0x00010000
    for name in (
        "maxZones",
        "maxTwilightPoints",
        "maxStorage",
        "maxFunctionDefs",
        "maxInstructionDefs",
        "maxStackElements",
        "maxSizeOfInstructions",
        "maxComponentElements",
        "maxPoints",
        "maxContours",
        "maxCompositePoints",
        "maxCompositeContours",
        "maxComponentDepth",
    ):
        setattr(maxp, name, 1 if name == "maxZones" else 0)
    font["post"].formatType, font["head"].glyphDataFormat = 3.0, 0
    font.sfntVersion = "\x00\x01\x00\x00"


def quadratic(glyphs, name: str):  # type: ignore[no-untyped-def]
    pen = TTGlyphPen(glyphs)
    glyphs[name].draw(Cu2QuPen(pen, max_err=1.0, reverse_direction=True))
    return pen.glyph()


def register_font() -> None:
    """Register the font with the PDF writer, with every character that a document may need."""
    text = "".join(page for doc in policies.DOCUMENTS for page in doc.pages)
    ascii_ = "".join(map(chr, range(0x20, 0x7F)))
    pdfmetrics.registerFont(PdfFont(FONT, io.BytesIO(outlines("".join(sorted(set(text + ascii_)))))))


# ------------------------------------------------------------------------------------------------------- the forms


def draw_pdf(doc: policies.Document, pages: list[str], encrypt: StandardEncryption | None = None) -> bytes:
    """A PDF with a text layer, created on the document's date."""
    register_font()
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=PAGE, pageCompression=0, invariant=1, encrypt=encrypt)
    canvas.setTitle(doc.title)
    canvas.setProducer("Finelake Bank")
    stamp_date(canvas, doc.created)
    for page in pages:
        canvas.setFont(FONT, 12)
        for i, line in enumerate(page.strip().splitlines()):
            canvas.drawString(MARGIN, PAGE[1] - MARGIN - i * LINE, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def stamp_date(canvas: Canvas, created: datetime) -> None:
    """Set the document's date, and its id from that; the writer would use the year 2000 (or SOURCE_DATE_EPOCH)."""
    canvas._doc._timeStamp.YMDhms = created.timetuple()[:6]
    canvas._doc.signature = hashlib.md5(created.isoformat().encode(), usedforsecurity=False)


def text_pdf(path: Path, doc: policies.Document, pages: list[str], r: random.Random) -> None:
    path.write_bytes(draw_pdf(doc, pages))


def broken_pdf(path: Path, doc: policies.Document, pages: list[str], r: random.Random) -> None:
    """The first third of a PDF, without page tree and end."""
    whole = draw_pdf(doc, pages)
    path.write_bytes(whole[: len(whole) // 3])


def encrypted_pdf(path: Path, doc: policies.Document, pages: list[str], r: random.Random) -> None:
    path.write_bytes(draw_pdf(doc, pages, StandardEncryption(PASSWORD, ownerPassword=PASSWORD + "!", strength=128)))


def scanned_pdf(path: Path, doc: policies.Document, pages: list[str], r: random.Random) -> None:
    """Pictures of pages, slightly rotated and with specks, without a text layer."""
    pictures = [scan(page, r) for page in pages]
    date = doc.created.timetuple()
    pictures[0].save(
        path,
        "PDF",
        save_all=True,
        append_images=pictures[1:],
        resolution=SCAN_DPI,
        quality=80,
        title=doc.title,
        producer="Finelake Bank",
        creationDate=date,
        modDate=date,
    )


def scan(page: str, r: random.Random) -> Image.Image:
    width, height = (round(side * SCAN_DPI / 72) for side in PAGE)
    picture = Image.new("L", (width, height), 250)
    draw = ImageDraw.Draw(picture)
    pixels = SCAN_DPI / 72  # a point
    font = ImageFont.truetype(str(pylopdf_fonts_zh_cn.sans_path()), round(13 * pixels))
    for i, line in enumerate(page.strip().splitlines()):
        at = round(MARGIN * pixels), round((MARGIN + i * LINE * 1.2) * pixels)
        draw.text(at, line, fill=30, font=font)
    for _ in range(150):
        x, y = r.randrange(width), r.randrange(height)
        draw.point((x, y), fill=120)
    return picture.rotate(0.4, Image.Resampling.BICUBIC, fillcolor=250).filter(ImageFilter.GaussianBlur(0.4))


def word_file(path: Path, doc: policies.Document, pages: list[str], r: random.Random) -> None:
    """A DOCX: the lines as paragraphs, lines with | as the rows of a table."""
    document = docx.Document()
    core = document.core_properties
    core.title, core.author, core.last_modified_by, core.created, core.modified = (
        doc.title,
        "Finelake Bank",
        "Finelake Bank",
        doc.created,
        doc.created,
    )
    lines = [line for page in pages for line in page.strip().splitlines()]
    table = [line.split("|") for line in lines if "|" in line]
    for line in lines:
        if "|" not in line:
            document.add_paragraph(line)
        elif line.split("|") == table[0]:
            add_table(document, table)
    held = io.BytesIO()
    document.save(held)
    path.write_bytes(stored(held.getvalue()))


def add_table(document, rows: list[list[str]]) -> None:  # type: ignore[no-untyped-def]
    table = document.add_table(rows=len(rows), cols=len(rows[0]))
    for cells, row in zip(table.rows, rows, strict=True):
        for cell, text in zip(cells.cells, row, strict=True):
            cell.text = text.strip()


def stored(archive: bytes) -> bytes:
    """The same zip archive without compression and with a fixed date for each member."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), old.read(name))
    return out.getvalue()


WRITERS = {"pdf": text_pdf, "scan": scanned_pdf, "docx": word_file, "broken": broken_pdf, "encrypted": encrypted_pdf}
