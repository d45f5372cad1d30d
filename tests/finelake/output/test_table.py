"""Rows as text: whatever the width, every column is shown and no line is wider."""

import unicodedata

import pytest

from finelake.output.table import lines

NAMES = ("id", "text")
ROWS = [(1, "a"), (20, None)]


def test_columns_that_fit_are_side_by_side():
    assert list(lines(NAMES, ROWS, width=20, right=(True, False))) == [
        "id  text",
        "--  ----",
        " 1  a",
        "20  NULL",
    ]


def test_the_widest_column_is_cut():
    assert list(lines(NAMES, [(1, "a long text\nin two lines")], width=20)) == [
        "id  text",
        "--  ----------------",
        "1   a long text in …",
    ]


def test_a_row_takes_several_lines_where_cells_would_be_too_short():
    assert list(lines(NAMES, [("a" * 30, "b" * 30)], width=20)) == [
        "-- row 1 -----------",
        "id    aaaaaaaaaaaaa…",
        "text  bbbbbbbbbbbbb…",
    ]


def test_a_chinese_character_takes_two_columns():
    assert list(lines(("text", "n"), [("一二三四五六七八九", 1), ("ab", 2)], width=16)) == [
        "text           n",
        "-------------  -",
        "一二三四五六…  1",
        "ab             2",
    ]


@pytest.mark.parametrize("width", range(10, 60, 7))
def test_no_line_is_wider_than_the_terminal(width):
    def places(line: str) -> int:
        return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)

    rows = [("短", "x" * 500, "信用卡" * 40), ("b", "", "mixed 文字 text")]
    found = list(lines(("a", "much longer name", "中文"), rows, width))
    assert max(map(places, found)) <= width
    assert all(name[:3] in "".join(found) for name in ("a", "much longer name"))


def test_no_control_character_reaches_the_terminal():
    assert all(line.isprintable() for line in lines(["a"], [["\x1b[31mred\r\n\t"]], width=40))


@pytest.mark.parametrize("width", [40, 12])
def test_no_control_character_of_a_name_reaches_the_terminal(width):
    names = ["a\x1b]0;x\x07", "b\nc", "d\u202ee"]
    assert all(line.isprintable() for line in lines(names, [["long" * 9] * 3], width))


def test_no_rows_leave_the_names():
    assert list(lines(NAMES, [], width=20)) == ["id  text", "--  ----"]
