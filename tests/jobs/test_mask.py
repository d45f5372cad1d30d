import re
import sys
from datetime import datetime

import pytest

from jobs import mask
from jobs.stage import ANNOTATIONS, CLUSTERED
from lake.errors import UserError
from lake.params import parse


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
    assert mask.mask_quote(quote, start, "转账给13812345678，不是转账", mask.Params()) == expected


WHEN = datetime(2020, 1, 1)
RECORDS = [
    ("1", "a", "13812345678", WHEN, "x", "zh", "电话13812345678和13912345678", {"n": 13812345678.0},
     {"file": "a@b.cn.pdf", "reply": "ok"}, ["numbers.n"], "1"),
    ("2", "a", "k2", WHEN, "x", "zh", None, {}, {}, [], "1"),
    ("3", "b", "k3", WHEN, "x", "en", "card 4111111111111111", None, None, [], "3"),
]  # fmt: skip
LABELS = [
    ("1", "a", "entity", "ann", "annotator", "contact", "１３８１２３４５６７８", 2),
    ("1", "a", "scene", "ann", "annotator", "13812345678", None, None),
    ("gone", "a", "entity", "ann", "annotator", "contact", "13812345678", 2),
]


def shape(schema):
    return [(field.name, field.dataType.simpleString()) for field in schema]


def run(spark, partitions=1, **params):
    frames = {
        "dedup.records": spark.createDataFrame(RECORDS, CLUSTERED).repartition(partitions),
        "ingest.annotations": spark.createDataFrame(LABELS, ANNOTATIONS).repartition(partitions),
    }
    outputs = mask.build(frames, parse(mask.Params, params, "mask"))
    assert {name: shape(frame.schema) for name, frame in outputs.items()} == {
        name: shape(schema) for name, schema in mask.STAGE.writes.items()
    }
    return {name: sorted((tuple(row) for row in frame.collect()), key=str) for name, frame in outputs.items()}


def test_every_column_with_text_is_masked(spark):
    outputs = run(spark)
    assert outputs == {
        "records": [
            ("1", "a", "<PHONE>", WHEN, "x", "zh", "电话<PHONE>和<PHONE>", {"n": 13812345678.0},
             {"file": "<EMAIL>", "reply": "ok"}, ["numbers.n"], "1", {"email": 1, "phone": 3}),
            ("2", "a", "k2", WHEN, "x", "zh", None, {}, {}, [], "1", {}),
            ("3", "b", "k3", WHEN, "x", "en", "card <CARD>", None, None, [], "3", {"card": 1}),
        ],
        "counts": [("a", "zh", "email", 1), ("a", "zh", "phone", 3), ("b", "en", "card", 1)],
        "annotations": [
            ("1", "a", "entity", "ann", "annotator", "contact", "<PHONE>", 2),
            ("1", "a", "scene", "ann", "annotator", "13812345678", None, None),
        ],
        "rejects": [("gone", "a", "mask", "record_gone", "entity")],
    }  # fmt: skip
    assert run(spark, partitions=7) == outputs


def test_only_the_listed_kinds(spark):
    records = run(spark, kinds=["card"])["records"]
    assert [(row[6], row[-1]) for row in records] == [
        ("电话13812345678和13912345678", {}),
        (None, {}),
        ("card <CARD>", {"card": 1}),
    ]


KEY = "k" * 32
PSEUDONYMS = {"email": "pseudonym", "phone": "pseudonym"}


def keyed(**params):
    return mask.ready(mask.Params(key_fingerprint=mask.fingerprint(KEY), **params), KEY)


def test_a_value_has_one_pseudonym_however_it_is_written():
    params = keyed(modes=PSEUDONYMS)
    written = mask.mask_text("13812345678 / +86 138-1234-5678 / 一三八一二三四五六七八 / A@b.cn a@B.CN", params)
    phones, mails = written.split(" / ")[:3], written.split(" / ")[3].split()
    assert len(set(phones)) == len(set(mails)) == 1
    assert re.fullmatch("<PHONE:[a-z]{12}>", phones[0]) and re.fullmatch("<EMAIL:[a-z]{12}>", mails[0])
    assert mask.mask_text(written, params) == written


def test_another_key_gives_other_pseudonyms_and_a_kind_is_part_of_them():
    made = {mask.pseudonym(kind, "1", key) for kind in ("phone", "qq") for key in (KEY, KEY + "k")}
    assert len(made) == 4


def test_partial_keeps_what_many_share():
    params = mask.Params(modes=dict.fromkeys(mask.PARTS, "partial"))
    text = "138-1234-5678 11010519491231002X 4111 1111 1111 1111 京A12345 gb29nwbk60161331926819"
    assert mask.mask_text(text, params) == "<PHONE:5678> <RESIDENT_ID:11> <CARD:1111> <PLATE:京a> <IBAN:gb>"


def test_quotes_carry_pseudonyms_too():
    params = keyed(modes=PSEUDONYMS)
    phone = mask.mask_text("13812345678", params)
    assert mask.mask_quote("1381234", 3, "转账给13812345678，不是转账", params) == (phone, 3)
    assert mask.mask_quote("不是转账", 15, "转账给13812345678，不是转账", params) == ("不是转账", 3 + len(phone) + 1)


def test_a_dropped_kind_rejects_its_records_and_their_annotations(spark):
    outputs = run(spark, modes={"card": "drop", "email": "drop"})
    assert [row[0] for row in outputs["records"]] == ["2"]
    assert outputs["annotations"] == outputs["counts"] == []
    assert outputs["rejects"] == [
        ("1", "a", "mask", "personal_data", "email"),
        ("1", "a", "mask", "record_gone", "entity"),
        ("1", "a", "mask", "record_gone", "scene"),
        ("3", "b", "mask", "personal_data", "card"),
        ("gone", "a", "mask", "record_gone", "entity"),
    ]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"kinds": ["phones"]}, "mask: phones is not a kind; choose from url, email"),
        ({"modes": {"phones": "tag"}}, "mask: phones is not a kind"),
        ({"modes": {"phone": "tags"}}, "mask.modes.phone: 'tags' is not allowed; did you mean tag"),
        ({"modes": {"email": "partial"}}, "mask: email has no part that names nobody; partial is for card, phone"),
        ({"kinds": ["ip"], "modes": {"card": "drop"}}, "mask: card has a mode and is not among kinds"),
        ({"ner": "os.path"}, "mask: ner is 'os.path'; write package.module:function"),
        ({"key": KEY}, "mask.key is not a known key"),
    ],
)
def test_what_cannot_be_is_refused(params, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        parse(mask.Params, params, "mask")


@pytest.mark.parametrize(
    ("key", "pinned", "sentence"),
    [
        (None, None, "FINELAKE_MASK_KEY is not set; export the key"),
        ("short", None, "FINELAKE_MASK_KEY has 5 characters; take 32 or more"),
        (KEY, None, f"mask.key_fingerprint is missing; write {mask.fingerprint(KEY)}"),
        (KEY, "0" * 16, f"FINELAKE_MASK_KEY is another key ({mask.fingerprint(KEY)})"),
    ],
)
def test_pseudonyms_need_the_pinned_key(key, pinned, sentence):
    params = mask.Params(modes=PSEUDONYMS, key_fingerprint=pinned)
    with pytest.raises(UserError, match=re.escape(sentence)):
        mask.ready(params, key)
    assert mask.ready(mask.Params(key_fingerprint=pinned), key) == mask.Params(key_fingerprint=pinned)


def test_the_key_is_in_no_text_of_the_parameters():
    assert KEY not in repr(keyed(modes=PSEUDONYMS))


def finds_ann(text):
    return [(place.start(), place.end(), "name") for place in re.finditer("Ann", text)]


def fails(text):
    raise ValueError(text)


def test_a_model_of_one_s_own_finds_names(monkeypatch):
    monkeypatch.setitem(sys.modules, "own_model", sys.modules[__name__])
    params = mask.ready(mask.Params(ner="own_model:finds_ann", modes={"name": "tag"}), None)
    assert mask.mask_text("Ann wrote to a@b.cn", params) == "<NAME> wrote to <EMAIL>"
    with pytest.raises(RuntimeError, match="^own_model:fails failed on a text: ValueError$"):
        mask.mask_text("secret", mask.Params(ner="own_model:fails"))


@pytest.mark.parametrize("name", ["no_such_package.module:function", "os.path:no_such_function"])
def test_a_model_that_is_not_there_is_refused(name):
    with pytest.raises(UserError, match=f"mask.ner names {name}, which cannot be imported"):
        mask.ready(mask.Params(ner=name), None)
