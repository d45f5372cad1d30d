"""Telephone numbers are masked in every notation; amounts, rates and dates are not."""

import pytest

from tests.text.personal_data.cases import check_gates, masked

MASKED = [
    ("电话13812345678。", "电话<PHONE>。"),
    ("联系138-1234-5678或+86 138 1234 5678", "联系<PHONE>或<PHONE>"),
    ("手机(+86)13812345678,0086-13912345678", "手机<PHONE>,<PHONE>"),
    ("1 3 8 1 2 3 4 5 6 7 8", "<PHONE>"),
    ("2021-03-04 13812345678 2021-03-05", "2021-03-04 <PHONE> 2021-03-05"),
    ("座机010-62345678转3", "座机<PHONE>转3"),
    ("电话号码是:62345678", "电话号码是:<PHONE>"),
    ("张三_13812345678.pdf", "张三_<PHONE>.pdf"),
    ("Call (555) 234-5678 x12 or +44 7700 900123.", "Call <PHONE> or <PHONE>."),
    ("phone: 0341 8387176", "phone: <PHONE>"),
    ("138.1234.5678", "<PHONE>"),
    ("电话62345678转3", "电话<PHONE>转3"),
    ("138 1234\n5678", "<PHONE>"),
    ("138\n1234 5678", "<PHONE>"),
    ("+86 138-1234-\n5678", "<PHONE>"),
    ("手机1381234\n5678。", "手机<PHONE>。"),
]
KEPT = [
    "913812345678901",
    "1381234\n5678",
    "138\n1234\n5678",
    "2021 138 1234\n5678 138",
    "电话2021-03-04 15:30打过",
    "金额13812345678.50元",
    "收益率0.13812345678",
    "转账¥13812345678",
    "12812345678",  # no mobile prefix
    "2021-03-04 15:30:00",
    "call me back on 2021-03-04",
    "电话费共1234567元",
    "paid $12,345,678.90 on 01/02/2021",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_phones_are_masked(text, expected):
    assert masked(text) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize("text", KEPT)
def test_amounts_rates_and_dates_stay(text):
    assert masked(text) == text


def test_no_gate_hides_a_value():
    check_gates([*KEPT, *(text for text, _ in MASKED)])
