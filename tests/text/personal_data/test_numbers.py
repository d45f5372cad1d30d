"""Cards, bank accounts, identity documents and plates are masked; wrong check digits and part numbers are not."""

import pytest

from tests.text.personal_data.cases import check_gates, masked

MASKED = [
    ("身份证11010519491231002X在此", "身份证<RESIDENT_ID>在此"),
    ("ID110105 19491231 002x", "ID<RESIDENT_ID>"),
    ("卡号6222 0212 3456 7890 128", "卡号<CARD>"),
    ("card 4111-1111-1111-1111 lost", "card <CARD> lost"),
    ("4111111111111111 2021-03-04", "<CARD> 2021-03-04"),
    ("American Express 340812691468109", "American Express <CARD>"),
    ("护照号码：E12345678,港澳通行证C1234567", "护照号码：<PASSPORT>,港澳通行证<PASSPORT>"),
    ("my passport number is 533380006.", "my passport number is <PASSPORT>."),
    ("车牌京A12345和粤B·D12345,沪A1234学", "车牌<PLATE>和<PLATE>,<PLATE>"),
    ("代码91110108551385082Q", "代码<CREDIT_CODE>"),
    ("IBAN GB29 NWBK 6016 1331 9268 19 please", "IBAN <IBAN> please"),
    ("my iban is gb29nwbk60161331926819", "my iban is <IBAN>"),
    ("SSN: 460-89-9847 or social security number 460899847", "SSN: <SSN> or social security number <SSN>"),
    ("我的社会安全号码是123-45-6789", "我的社会安全号码是<SSN>"),
    ("社会安全号码：460899847，我的ssn 460899847", "社会安全号码：<SSN>，我的ssn <SSN>"),
    ("卡号4111 1111\n1111 1111，", "卡号<CARD>，"),
    ("pay 4111-1111-\n1111-1111 now", "pay <CARD> now"),
    ("6222 0212\n3456 7890 128", "<CARD>"),
    ("3408 126914\n68109", "<CARD>"),
    ("卡号41111111\n11111111", "卡号<CARD>"),
]
KEPT = [
    "41111111\n11111111",  # two numbers in two lines
    "4111 1111\n1111 1112",  # not Luhn
    "4111\n1111\n1111\n1111",  # a column
    "1111 4111 1111\n1111 1111 1111",  # a table
    "11010519491231002X1",
    "110105194912310021",  # wrong check digit
    "110105194913310024",  # month 13
    "4111111111111112",  # not Luhn
    "零件E12345678到货",
    "皖A股的12345元,鲁B20000元",
    "统一社会信用代码911101085513850820",  # wrong check digit
    "GB29NWBK60161331926818",  # wrong check digits
    "000-12-3456 and 666-12-3456",  # no area of social security
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_numbers_that_identify_a_person_are_masked(text, expected):
    assert masked(text) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize("text", KEPT)
def test_wrong_check_digits_columns_and_part_numbers_stay(text):
    assert masked(text) == text


def test_no_gate_hides_a_value():
    check_gates([*KEPT, *(text for text, _ in MASKED)])
