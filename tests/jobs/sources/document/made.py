"""Ordinary documents, made here, and what their reading gives."""

from datetime import UTC, datetime
from pathlib import Path

import matplotlib
import pytest
from docx import Document
from docx.enum.text import WD_BREAK
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from finelake.jobs.sources.document.reading import document_rows
from finelake.jobs.sources.documents import Documents

SHARED = Path(__file__).parents[5] / "shared" / "data"
SOURCE = Documents(path="documents", business_value="documents")
SMALL = Documents(path="x", max_megabytes=2.0, max_memory_megabytes=100.0, max_pages=50, max_characters=1000)
MEMORY = "more than 100 MB of memory (max_memory_megabytes)"
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"

# The public documents, where they are at hand.
shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no public documents in {SHARED}")


def pdf(path: Path, *pages: str, scan: Image.Image | None = None, password: str | None = None) -> None:
    """A PDF with a page for each text (lines) and one for the scan, dated by reportlab's fixed clock."""
    encrypt = StandardEncryption(password, canPrint=0) if password else None
    canvas = Canvas(str(path), pagesize=A4, invariant=True, encrypt=encrypt)
    for text in pages:
        lines = canvas.beginText(72, 760)
        lines.textLines(text)
        canvas.drawText(lines)
        canvas.showPage()
    if scan:
        canvas.drawImage(ImageReader(scan), 0, 0, *A4)
        canvas.showPage()
    canvas.save()


def picture(*lines: str) -> Image.Image:
    image = Image.new("L", (1240, 1754), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((150, 200 + 90 * number), line, fill=0, font=ImageFont.truetype(str(FONT), 40))
    return image


def docx(path: Path, created: datetime | None = datetime(2021, 5, 6, 7, 8, tzinfo=UTC)) -> None:
    document = Document()
    document.core_properties.created = created
    document.add_paragraph("Minutes of the meeting")
    table = document.add_table(rows=2, cols=2)
    for row, values in zip(table.rows, (("Item", "Limit"), ("Card", "5,000")), strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    document.add_paragraph("Second page")
    document.save(str(path))


def found(path: Path, source: Documents = SOURCE) -> list[tuple]:
    names = ("occurred_at", "text", "method", "_reason")
    return [tuple(row[name] for name in names) for row in document_rows(path.parent, path.name, source)]


def judged(path: Path, source: Documents = SMALL) -> list[tuple]:
    rows = document_rows(path.parent, path.name, source)
    return [(row["key"], row["text"], row["_reason"], row["_detail"]) for row in rows]
