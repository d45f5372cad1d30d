"""Small files that cost a parser much memory or time, made here: a few kilobytes each."""

import zipfile
import zlib
from pathlib import Path

BODY = "<w:document xmlns:w='w'><w:body>{}</w:body></w:document>"
PARAGRAPH = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"


def stream(entries: bytes, body: bytes, times: int = 0) -> bytes:
    """A stream object, packed so many times."""
    for _ in range(times):
        body = zlib.compress(body, 9)
    filters = b"/Filter[" + b"/FlateDecode" * times + b"]" if times else b""
    return b"<<" + entries + filters + b"/Length %d>>stream\n" % len(body) + body + b"\nendstream"


def pdf(path: Path, objects: list[bytes]) -> Path:
    """A PDF of these objects, the catalog first and the page tree second."""
    content, places = b"%PDF-1.7\n", []
    for number, item in enumerate(objects, start=1):
        places.append(len(content))
        content += b"%d 0 obj\n" % number + item + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(content))
    path.write_bytes(content + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + trailer)
    return path


def pages_pdf(path: Path, contents: list[bytes], box: bytes = b"0 0 612 792", shared: tuple[bytes, ...] = ()) -> Path:
    """A PDF with a page for each content stream object; /F is a font, /X0, /X1, ... the shared objects."""
    first = 4 + 2 * len(contents)
    names = b"".join(b"/X%d %d 0 R" % (index, first + index) for index in range(len(shared)))
    resources = b"<</Font<</F 3 0 R>>/XObject<<" + names + b">>>>"
    objects = [CATALOG, b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = b""
    for index, content in enumerate(contents):
        number = 4 + 2 * index
        kids += b"%d 0 R " % number
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents %d 0 R/Resources" % (box, number + 1)
        objects += [page + resources + b">>", content]
    objects[1] = b"<</Type/Pages/Kids[" + kids + b"]/Count %d>>" % len(contents)
    return pdf(path, objects + [item.replace(b"@RESOURCES@", resources) for item in shared])


def text_page(text: str) -> bytes:
    return stream(b"", b"BT /F 12 Tf 72 700 Td (" + text.encode() + b") Tj ET")


BOMB = stream(b"", b"/X0 Do")
# A form that draws itself twice; PDFium follows it for gigabytes.
ITSELF = stream(b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources@RESOURCES@", b"/X0 Do /X0 Do")


def picture_page(path: Path, box: bytes) -> Path:
    """A page of any shape that shows one small picture."""
    image = b"/Type/XObject/Subtype/Image/Width 4/Height 4/ColorSpace/DeviceGray/BitsPerComponent 8"
    content = stream(b"", b"q " + b" 0 0 ".join(box.split()[2:]) + b" 0 0 cm /X0 Do Q")
    return pages_pdf(path, [content], box, (stream(image, bytes(16), times=1),))


def docx(path: Path, body: str = PARAGRAPH.format("a"), method: int = zipfile.ZIP_DEFLATED, **parts: bytes) -> Path:
    """A DOCX with this body and further parts: core, ..."""
    with zipfile.ZipFile(path, "w", method) as package:
        package.writestr("word/document.xml", BODY.format(body))
        for name, content in parts.items():
            package.writestr({"core": "docProps/core.xml"}.get(name, name), content)
    return path


def forge_size(path: Path, size: int) -> Path:
    """Let the directory of a package say that its first entry unpacks to `size` bytes."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    path.write_bytes(content)
    return path


def encrypt_flag(path: Path) -> Path:
    """Let the directory of a package say that its first entry is encrypted."""
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(mark) + place] |= 1
    path.write_bytes(content)
    return path
