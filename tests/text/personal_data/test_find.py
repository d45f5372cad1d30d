"""Spans are sorted and disjoint, values that touch are all found, and masking a masked text changes nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finelake.text.personal_data.digits import TAKEN
from finelake.text.personal_data.find import REACH, find
from finelake.text.personal_data.kinds import KINDS
from finelake.text.personal_data.masking import PARTS, Rules, mask_text
from tests.text.personal_data.cases import PLANTED, masked

PIECES = st.sampled_from(
    [written for written, _ in PLANTED.values()]
    + [
        "a@b.cc",
        "123-45-6789",
        "+447700900123",
        "(555) 234-5678",
        "gb29 nwbk 6016 1331 9268 19",
        "一三八一二三四五六七八",
    ]
    + ["<PHONE>", "<NAME:abcdefghijkl>", "<CARD:1111>", "order ", "phone ", "卡号", "62345678", "1234567", "微信", "QQ"]
    + ["https://ann:", "pw@e.com", "/x?token=", "地址:", "Dear ", "Ann Lee", "x", "7", "号", "１２３４", TAKEN]
)
SEPARATORS = st.sampled_from(["", "", "", " ", "\n", ",", "。", ":", "-", "@", "/"])
MIXED = st.lists(st.tuples(PIECES | st.text(max_size=5), SEPARATORS), max_size=12).map(
    lambda pairs: "".join(piece + separator for piece, separator in pairs)
)
KEYED = Rules(modes=dict.fromkeys(KINDS, "pseudonym"), key="k" * 32)
PARTIAL = Rules(modes=dict.fromkeys(PARTS, "partial"))
OWN = Rules(patterns={"badge": r"[A-Z]\d{3,}", "rest": r".{9,}"}, kinds=("phone", "email"))
LABELLED = Rules(patterns={"case": r"(?:phone|card|订单)\W{0,3}(?P<value>\w{4,20})", "end": r"\S+$"})


@given(MIXED, st.sampled_from([Rules(), KEYED, PARTIAL, OWN, LABELLED]))
@settings(max_examples=1500, deadline=None)
def test_masking_a_masked_text_changes_nothing(text, params):
    done = mask_text(text, params)
    assert mask_text(done, params) == done


def test_nothing_is_found_in_an_empty_text():
    assert masked("") == ""


@given(MIXED)
@settings(deadline=None)
def test_spans_are_in_the_text_sorted_and_disjoint(text):
    spans = find(text)
    assert all(0 <= start < end <= len(text) for start, end, _ in spans)
    assert all(left[1] <= right[0] for left, right in zip(spans, spans[1:], strict=False))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b.cc123-45-6789", "<EMAIL><SSN>"),
        ("13812345678GB29NWBK60161331926819", "<PHONE><IBAN>"),
        ("+447700900123GB29NWBK60161331926819+447700900123", "<PHONE><IBAN><PHONE>"),
        ("<PHONE>123-45-6789", "<PHONE><SSN>"),
        # Words label the next value, not the one after it; a tag does not label what follows it.
        ("phone 13812345678, 12345678 points", "phone <PHONE>, 12345678 points"),
        ("13812345678 62345678 points", "<PHONE> 62345678 points"),
        ("4111111111111111: 1234567890128", "<CARD>: 1234567890128"),
    ],
)
def test_values_that_touch_are_all_found(text, expected):
    assert masked(text) == expected


def test_a_long_chain_of_touching_values_is_followed_to_its_end():
    chain = "+447700900123GB29NWBK60161331926819"
    text = "x " * REACH + chain * 50 + " x" * REACH
    assert masked(text) == "x " * REACH + "<PHONE><IBAN>" * 50 + " x" * REACH


def test_find_gives_offsets_and_kinds():
    text = "卡6222021234567890128,邮箱a@b.cn"
    assert find(text) == [(1, 20, "card"), (23, 29, "email")]
    assert find(text, ("email",)) == [(23, 29, "email")]


def test_a_model_is_called_for_every_text_and_recognisers_take_precedence():
    def model(text):
        return [(0, 3, "name"), (4, 15, "name"), (3, 3, "name"), (0, 1, "planet")]

    assert find("Ann 13812345678", ner=model) == [(0, 3, "name"), (4, 15, "phone")]
    assert find("Ann 13812345678", ("phone",), model) == [(4, 15, "phone")]
