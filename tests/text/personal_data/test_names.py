"""Names after a title or label are masked; roles, offices and greetings are not."""

import pytest

from tests.text.personal_data.cases import check_gates, masked

MASKED = [
    ("我叫王小明，找欧阳先生", "我叫<NAME>，找<NAME>先生"),
    ("收件人:张伟 电话13812345678", "收件人:<NAME> 电话<PHONE>"),
    ("My name is John Q. Smith. Call Dr. O'Neil-Brown.", "My name is <NAME>. Call Dr. <NAME>."),
    ("Thank you, Mr. Chairman Lee and Dr. Ng", "Thank you, Mr. <NAME> and Dr. <NAME>"),
    ("Dear Mrs. Garcia, Best regards,\nŠárka Ottová", "Dear Mrs. <NAME>, Best regards,\n<NAME>"),
]
KEPT = [
    "学校的人力成本包括老师的薪资",
    "任何先生女士,高级老师,尊敬的先生",
    "Dear Customer, Dear Sir or Madam, the Name: field, Dr. no",
    "My name is XXXX XXXX, account name: CAPITAL ONE",
    "Thank you, Mr. Chairman. Dear CFPB, Dear Experian Consumer Relations, Sincerely, Under penalty of perjury",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_names_are_masked(text, expected):
    assert masked(text) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize("text", KEPT)
def test_roles_offices_and_greetings_stay(text):
    assert masked(text) == text


def test_no_gate_hides_a_value():
    check_gates([*KEPT, *(text for text, _ in MASKED)])
