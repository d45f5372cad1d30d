"""The text in the picture of a page by OCR, read in a child process (isolated.py)."""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import pypdfium2 as pdfium

if TYPE_CHECKING:
    import numpy as np

LONGEST_SIDE = 2000  # pixels; the OCR engine shrinks larger pictures to this


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
