"""The headers and footers of a document: the lines that come again at the same end of its pages."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from finelake.jobs.sources.columns import REASON
from finelake.jobs.sources.document.reading import Row

if TYPE_CHECKING:
    from finelake.jobs.sources.documents import Documents

EDGE = 3  # lines at each end of a page that may be a header or a footer
LONGEST_HEADER = 200  # characters of one line
FEWEST = 3  # pages on which a line must stand
_NUMBER = re.compile(r"(?<!\d)\d{1,6}(?!\d)")


def without_headers(rows: list[Row], source: "Documents") -> list[Row]:
    """The rows of one file, its PDF pages without headers and footers; `header_lines` counts the lines left out."""
    pages = {int(row["page"] or 0): row["text"] for row in rows if row["text"] and row["method"] != "docx"}
    own = {} if source.keep_headers else own_text(pages)
    shortened = []
    for row in rows:
        text, count = own.get(int(row["page"] or 0), (row["text"], 0))
        shortened.append(row | {"text": text, "header_lines": None if row[REASON] else str(count)})
    return shortened


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

    texts = {}
    for page, text in pages.items():
        lines = text.split("\n")
        kept = [line for place, line in enumerate(lines) if stays(page, place)]
        own = "\n".join(kept).strip()
        texts[page] = (own, len(lines) - len(kept)) if own else (text, 0)
    return texts


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
