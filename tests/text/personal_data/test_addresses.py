"""Postal addresses are masked; bus lines and titles are not."""

import pytest

from tests.text.personal_data.cases import check_gates, masked

MASKED = [
    ("住在北京市朝阳区建国路88号3号楼501室，", "住在<ADDRESS>，"),
    ("寄到幸福小区5栋2单元1103", "寄到<ADDRESS>"),
    ("地址：浦东新区张江镇某处", "地址：<ADDRESS>"),
    ("地址是：浦东新区张江镇某处", "地址是：<ADDRESS>"),
    ("at 123 Main Street, Apt 5, Springfield, IL 62704.", "at <ADDRESS>."),
    ("P.O. Box 1234, zip code 62704", "<ADDRESS>, zip code <ADDRESS>"),
    ("收货地在123 Main Street旁", "收货地在<ADDRESS>旁"),
]
KEPT = [
    "乘坐中山路5号线,5月1号上路",
    "5 Things, 10 Way Streets of 2024",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_addresses_are_masked(text, expected):
    assert masked(text) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize("text", KEPT)
def test_lines_and_titles_stay(text):
    assert masked(text) == text


def test_no_gate_hides_a_value():
    check_gates([*KEPT, *(text for text, _ in MASKED)])
