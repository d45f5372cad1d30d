"""The line before a number decides whether it is a code; the line above does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finelake.text.personal_data.find import find
from tests.text.personal_data.cases import PLANTED, check_gates, masked

MASKED = [
    ("URGENT13812345678", "URGENT<PHONE>"),
    ("XX4111111111111111", "XX<CARD>"),
    ("XXXX13812345678", "XXXX<PHONE>"),
    ("PLEASE HELP4111111111111111", "PLEASE HELP<CARD>"),
]
KEPT = [
    "订单号13812345678已发货",
    "订单号:4111111111111111",
    "order no. 4111111111111111",
    "流水号202304151234567890123",
    "ORD13812345678",
    "SN4111111111111112",
    "AB4111111111111111CD",
    "单据TX13812345678",
    "sha ab13812345678cd",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_a_word_in_capitals_does_not_make_a_number_a_code(text, expected):
    assert masked(text) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize("text", KEPT)
def test_numbers_of_orders_and_parts_of_codes_stay(text):
    assert masked(text) == text


def test_no_gate_hides_a_value():
    check_gates([*KEPT, *(text for text, _ in MASKED)])


# Ends of lines that say something about what follows them in the same line, and arbitrary ones.
LINES = st.text(max_size=30) | st.sampled_from(
    [
        "URGENT",
        "PLEASE HELP",
        "我的ID",
        "订单号",
        "订单号：",
        "order no.",
        "Ref#",
        "流水编号为",
        "TX",
        "¥",
        "0.",
        "+",
        "-",
    ]
    + ["4111", "13812345678", "138-1234", "<PHONE>", "phone", "电话:", "QQ", "zip code", "name:", "5 Main Street,"]
    + ["地址：", "card", "vx"]
)
BREAKS = st.sampled_from(["\n", "\r\n", "\n\n", "\u2028", "\x0b"])


@given(LINES, BREAKS, st.sampled_from(sorted(PLANTED)))
@settings(max_examples=1500, deadline=None)
def test_a_value_on_its_own_line_is_found_after_any_line(line, end, kind):
    written, value = PLANTED[kind]
    text = line + end + written
    begin = text.rindex(value)
    covered = {place for start, stop, _ in find(text) for place in range(start, stop)}
    assert {*range(begin, begin + len(value))} <= covered


@pytest.mark.parametrize("text", ["URGENT\n13812345678", "PLEASE HELP\n4111111111111111", "我的ID\n13812345678"])
def test_capitals_above_a_number_do_not_make_it_a_code(text):
    value = text.partition("\n")[2]
    assert [text[start:end] for start, end, _ in find(text)] == [value]


def test_a_few_capitals_right_before_a_number_make_it_a_code():
    assert find("我的ID13812345678") == find("TX13812345678") == find("HELP13812345678") == []
    assert find("order: URGENT13812345678") == [(13, 24, "phone")]  # a word, and the number is not behind `order`
