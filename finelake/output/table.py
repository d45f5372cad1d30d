"""Rows as text that fits the terminal: wide cells are cut; where that leaves too little, a row takes several lines."""

import itertools
import shutil
import unicodedata
from collections.abc import Iterator, Sequence

GAP = "  "
LEAST = 12  # columns of the terminal that a cut cell keeps; where there are fewer, each row takes several lines
PIPED = 120  # columns where the output is not a terminal


def terminal_width() -> int:
    """The width of the terminal, in columns."""
    return shutil.get_terminal_size((PIPED, 40)).columns


def lines(names: Sequence[str], rows: Sequence[Sequence], width: int, right: Sequence[bool] = ()) -> Iterator[str]:
    """The rows under their column names, no line wider than `width`; `right`: which columns are aligned right.

    Where the columns do not fit side by side, each row is shown as one line per column.
    """
    names = [printable(name) for name in names]
    texts = [[printable(value) for value in row] for row in rows]
    needed = [max(map(_width, column)) for column in zip(names, *texts, strict=True)]
    widths = _fit(needed, width - len(GAP) * (len(names) - 1))
    if widths is None:
        yield from _one_under_the_other(names, texts, width)
        return
    sides = right or [False] * len(names)
    for row in (names, ["-" * size for size in widths], *texts):
        cells = zip(row, widths, sides, strict=True)
        yield GAP.join(_padded(_cut(cell, size), size, side) for cell, size, side in cells).rstrip()


def _fit(needed: Sequence[int], room: int) -> list[int] | None:
    """The columns' widths, cut to the largest common maximum that fits. None where that is below LEAST."""
    for most in range(room, LEAST - 1, -1):
        widths = [min(size, most) for size in needed]
        if sum(widths) <= room:
            return widths
    return None


def _one_under_the_other(names: Sequence[str], texts: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    indent = min(max(map(_width, names)), width // 2)
    for number, row in enumerate(texts, 1):
        yield f"-- row {number} ".ljust(width, "-")
        for name, text in zip(names, row, strict=True):
            yield _padded(_cut(name, indent), indent) + GAP + _cut(text, width - indent - len(GAP))


def printable(value) -> str:
    """A value as one line of text: no line break or other control character may reach the terminal."""
    text = "NULL" if value is None else str(value)
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def _width(text: str) -> int:
    """Terminal columns that the text takes: a Chinese character takes two."""
    if text.isascii():
        return len(text)
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    kept = itertools.takewhile(lambda end: _width(text[:end]) < width, range(len(text)))
    return text[: max(kept, default=0)] + "…"


def _padded(text: str, width: int, right: bool = False) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
