"""OCR: the order of its lines, and the pages that are given to it."""

import numpy as np

from finelake.jobs.sources.document.ocr import join_lines
from tests.jobs.sources.document.made import SHARED, found, shared


def test_join_lines():
    def box(left, top):
        return [[left, top], [left + 50, top], [left + 50, top + 20], [left, top + 20]]

    boxes = np.array([box(100, 4), box(0, 0), box(0, 40)], dtype=float)
    assert join_lines(boxes, ["b", "a", "c"]) == "a b\nc"
    assert join_lines([], []) == ""


@shared
def test_public_scans_are_given_to_ocr_and_a_broken_file_is_a_reject():
    folder = SHARED / "documents" / "scanned"
    found_kinds = {path.name: {row[2:] for row in found(path)} for path in folder.glob("*.pdf")}
    assert found_kinds.pop("invalid.pdf") == {(None, "broken")}
    # One page of this one brings a text layer of its own, however poor.
    assert found_kinds.pop("multipage.pdf") == {("ocr", None), ("text_layer", None)}
    assert len(found_kinds) == 6 and set.union(*found_kinds.values()) == {("ocr", None)}
