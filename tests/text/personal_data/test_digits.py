"""Digits in other scripts are digits; Chinese numerals in words and dates are not."""

import pytest

from finelake.text.personal_data.digits import canonical
from tests.text.personal_data.cases import check_gates, masked

MASKED = [
    ("我的号是１３８１２３４５６７８！", "我的号是<PHONE>！"),
    ("打一三八一二三四五六七八", "打<PHONE>"),
    ("幺三八 一二三四 五六七八", "<PHONE>"),
    ("周一13812345678", "周一<PHONE>"),
    ("①③⑧①②③④⑤⑥⑦⑧", "<PHONE>"),
    ("壹壹零壹零伍 19491231 002X", "<RESIDENT_ID>"),
]
KEPT = [
    "第一二三四五六七八九十章",
    "周一3812345678",
    "二〇二四年一月二十三日下午三点五十分",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_digits_in_other_scripts_are_masked(text, expected):
    assert masked(text) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize("text", KEPT)
def test_numerals_in_words_and_dates_stay(text):
    assert masked(text) == text


def test_no_gate_hides_a_value():
    check_gates([*KEPT, *(text for text, _ in MASKED)])


def test_ways_to_write_one_value_are_one_value():
    phones = (
        "13812345678",
        "+86 138-1234-5678",
        "0086 13812345678",
        "一三八一二三四五六七八",
        "１３８１２３４５６７８",
    )
    assert {canonical("phone", written) for written in phones} == {"13812345678"}
    assert canonical("email", "A.B@C.com") == "a.b@c.com"
    assert canonical("name", "Ann  Lee") == canonical("name", "ann-lee")
