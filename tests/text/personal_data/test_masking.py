"""What stands for a value: tags, pseudonyms and parts; quotes, labels and annotators beside a masked text."""

import re

import pytest

from finelake.text.personal_data.masking import (
    PARTS,
    Rules,
    annotator_code,
    label_kinds,
    mask_quote,
    mask_text,
    pseudonym,
)

KEY = "k" * 32
KEYED = Rules(modes={"email": "pseudonym", "phone": "pseudonym"}, key=KEY)


@pytest.mark.parametrize(
    ("quote", "start", "expected"),
    [
        ("转账", 0, ("转账", 0)),
        ("转账", 17, ("转账", 13)),  # the nearest of two, in the masked text
        ("13812345678", 3, ("<PHONE>", 3)),
        ("1381234", 3, ("<PHONE>", 3)),  # a part of what is masked must not remain
        ("给１３８１２３４５６７８，", 2, ("给<PHONE>，", 2)),
        ("not there a@b.cn", 7, ("not there <EMAIL>", 7)),
        ("转账", None, ("转账", 0)),
    ],
)
def test_quotes_follow_the_masked_text(quote, start, expected):
    assert mask_quote(quote, start, "转账给13812345678，不是转账", Rules()) == expected


def test_a_value_has_one_pseudonym_however_it_is_written():
    rules = KEYED
    written = mask_text("13812345678 / +86 138-1234-5678 / 一三八一二三四五六七八 / A@b.cn a@B.CN", rules)
    phones, mails = written.split(" / ")[:3], written.split(" / ")[3].split()
    assert len(set(phones)) == len(set(mails)) == 1
    assert re.fullmatch("<PHONE:[a-z]{12}>", phones[0]) and re.fullmatch("<EMAIL:[a-z]{12}>", mails[0])
    assert mask_text(written, rules) == written


@pytest.mark.parametrize("annotator", ["ann", "7", "annotator_a", "65f1c0ffee", "annotator-abcdefghijkl", None, ""])
def test_an_annotator_who_is_named_by_no_value_keeps_the_name(annotator):
    assert annotator_code(annotator, Rules()) == annotator


def test_an_annotator_who_is_named_by_a_value_becomes_a_code():
    people = ["li.wei@b.cn", "Li.Wei@b.cn", "wang@b.cn", "13812345678", "李先生", "4111111111111111", "li@例子.com"]
    codes = [annotator_code(one, Rules()) for one in people]
    assert len(set(codes)) == len(people)
    assert all(re.fullmatch("annotator-[a-z]{12}", code) for code in codes)
    assert codes == [annotator_code(code, Rules()) for code in codes]  # which stays
    assert codes == [annotator_code(one, Rules()) for one in people]
    # HMAC-SHA256 (RFC 2104) of "annotator", U+001F and the value, here under the empty key.
    assert codes[2] == "annotator-kekrdsdtnnck"
    rules = Rules(modes={"phone": "pseudonym"}, key=KEY)
    assert annotator_code("wang@b.cn", rules) == "annotator-" + pseudonym("annotator", "wang@b.cn", KEY)
    assert annotator_code("wang@b.cn", Rules(kinds=("phone",))) == "wang@b.cn"
    assert annotator_code("B1234567", Rules(patterns={"badge": r"B\d{7}"})).startswith("annotator-")


@pytest.mark.parametrize(
    "label",
    ["Name: Change", "Customer: Complaint", "Billing: Refund", "First Name: Typo", "Account holder: Deceased"]
    + ["Miss Payment", "Mr Cooper", "Prof. Services Fee", "Unit 3", "version 10.15.7.33", "微信12345", "高先生投诉"]
    + ["<PHONE>", "lost_card", "QQ:123456789", "PO Box 1234", "姓名：王小明", None, ""],
)
def test_a_class_named_by_words_is_kept(label):
    assert label_kinds(label, Rules()) is None


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("call 13812345678", "phone"),
        ("138\u200b12345678", "phone"),
        ("<PHONE:13812345678>", "phone"),
        ("a@b.cn", "email"),
        ("li@例子.com", "email"),
        ("11010519491231002X", "resident_id"),
        ("4111 1111 1111 1111", "card"),
        ("GB29NWBK60161331926819", "iban"),
        ("社会安全号码123-45-6789", "ssn"),
        ("91110108551385082Q", "credit_code"),
        ("https://ann:s3cret@e.com", "url"),
        ("京A12345", "plate"),
        ("护照E12345678", "passport"),
        ("case B1234567", "badge"),
    ],
)
def test_a_label_with_a_proven_value_is_rejected(label, kind):
    assert label_kinds(label, Rules(patterns={"badge": r"B\d{7}"})) == f"label: {kind}"


def test_labels_are_judged_by_the_kinds_that_are_masked_and_by_no_model():
    assert label_kinds("13812345678", Rules(kinds=("email",))) is None
    assert label_kinds("Ann", Rules(ner=lambda text: [(0, 3, "name")])) is None


@pytest.mark.parametrize(
    ("modes", "kept", "searched"),
    [
        ({}, ["<PHONE>", "<NAME>"], ["<PHONE:1381>", "<EMAIL:johnsmithabc>", "<NAME:王小明>", "<PLANET>", "<BADGE>"]),
        ({"email": "pseudonym"}, ["<EMAIL>", "<EMAIL:johnsmithabc>"], ["<EMAIL:john>", "<PHONE:johnsmithabc>"]),
        ({"phone": "partial"}, ["<PHONE>", "<PHONE:1381>"], ["<PHONE:王小明>", "<CARD:1381>", "<PHONE:johnsmithabc>"]),
        ({"plate": "partial"}, ["<PLATE:京a>"], ["<PLATE:京a1>"]),
        ({"resident_id": "partial"}, ["<RESIDENT_ID:11>"], ["<RESIDENT_ID:1101>", "<RESIDENT_ID:王>"]),
        ({"card": "drop"}, ["<CARD>"], ["<CARD:1111>"]),
    ],
)
def test_only_what_the_parameters_give_is_a_tag(modes, kept, searched):
    """What is not a tag is searched: a pattern that finds everything finds it."""
    rules = Rules(modes=modes, patterns={"all": r"[^<>]+|<[^<>]*>"}, key="k" * 32)
    assert [mask_text(tag, rules) for tag in kept] == kept
    assert [mask_text(text, rules) for text in searched] == ["<ALL>"] * len(searched)


def test_finds_a_value_in_text_that_looks_like_a_tag():
    assert mask_text("<NAME:a@b.cn><x>13812345678", Rules()) == "<NAME:<EMAIL>><x><PHONE>"
    assert mask_text("<IP:1381><PHONE>", Rules()) == "<IP:1381><PHONE>"
    assert mask_text("客户<NAME:我叫王小明，>来电", Rules()) == "客户<NAME:我叫<NAME>，>来电"


def test_another_key_gives_other_pseudonyms_and_a_kind_is_part_of_them():
    made = {pseudonym(kind, "1", key) for kind in ("phone", "qq") for key in (KEY, KEY + "k")}
    assert len(made) == 4


def test_partial_keeps_what_many_share():
    rules = Rules(modes=dict.fromkeys(PARTS, "partial"))
    text = "138-1234-5678 11010519491231002X 4111 1111 1111 1111 京A12345 gb29nwbk60161331926819"
    assert mask_text(text, rules) == "<PHONE:5678> <RESIDENT_ID:11> <CARD:1111> <PLATE:京a> <IBAN:gb>"


def test_quotes_hold_pseudonyms_too():
    rules = KEYED
    phone = mask_text("13812345678", rules)
    assert mask_quote("1381234", 3, "转账给13812345678，不是转账", rules) == (phone, 3)
    assert mask_quote("不是转账", 15, "转账给13812345678，不是转账", rules) == ("不是转账", 3 + len(phone) + 1)
