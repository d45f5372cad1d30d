import json
from datetime import datetime
from pathlib import Path

import pytest

from jobs import mask
from jobs.stage import ANNOTATIONS, CLUSTERED
from lake.errors import UserError
from lake.params import parse

SPANS = Path(__file__).parents[3] / "shared" / "data" / "pii_spans_en" / "synth_dataset_v2.json"


def masked(text):
    return mask.replace(text, mask.find(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("电话13812345678。", "电话<PHONE>。"),
        ("联系138-1234-5678或+86 138 1234 5678", "联系<PHONE>或<PHONE>"),
        ("手机(+86)13812345678,0086-13912345678", "手机<PHONE>,<PHONE>"),
        ("我的号是１３８１２３４５６７８！", "我的号是<PHONE>！"),
        ("1 3 8 1 2 3 4 5 6 7 8", "<PHONE>"),
        ("2021-03-04 13812345678 2021-03-05", "2021-03-04 <PHONE> 2021-03-05"),
        ("座机010-62345678转3", "座机<PHONE>转3"),
        ("电话号码是:62345678", "电话号码是:<PHONE>"),
        ("张三_13812345678.pdf", "张三_<PHONE>.pdf"),
        ("Call (555) 234-5678 x12 or +44 7700 900123.", "Call <PHONE> or <PHONE>."),
        ("phone: 0341 8387176", "phone: <PHONE>"),
        ("身份证11010519491231002X在此", "身份证<RESIDENT_ID>在此"),
        ("ID110105 19491231 002x", "ID<RESIDENT_ID>"),
        ("卡号6222 0212 3456 7890 128", "卡号<CARD>"),
        ("card 4111-1111-1111-1111 lost", "card <CARD> lost"),
        ("4111111111111111 2021-03-04", "<CARD> 2021-03-04"),
        ("American Express 340812691468109", "American Express <CARD>"),
        ("邮箱zhang.san@example.com。", "邮箱<EMAIL>。"),
        ("13812345678@qq.com", "<EMAIL>"),
        ("a＠ｂ．ｃｏｍ和b@c.com.cn", "<EMAIL>和<EMAIL>"),
        ("from 192.168.1.254 and 2001:db8::8a2e:370:7334", "from <IP> and <IP>"),
    ],
)
def test_personal_data_is_replaced(text, expected):
    assert masked(text) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "订单号13812345678已发货",
        "订单号:4111111111111111",
        "order no. 4111111111111111",
        "流水号202304151234567890123",
        "913812345678901",
        "金额13812345678.50元",
        "收益率0.13812345678",
        "转账¥13812345678",
        "单据TX13812345678",
        "sha ab13812345678cd",
        "11010519491231002X1",
        "110105194912310021",  # wrong check digit
        "110105194913310024",  # month 13
        "4111111111111112",  # not Luhn
        "12812345678",  # no mobile prefix
        "2021-03-04 15:30:00",
        "call me back on 2021-03-04",
        "电话费共1234567元",
        "version 1.2.3, 999.1.1.1 and 12:30:45",
        "paid $12,345,678.90 on 01/02/2021",
        "me @ home",
    ],
)
def test_amounts_orders_and_dates_survive(text):
    assert masked(text) == text


def test_find_gives_offsets_and_kinds():
    text = "卡6222021234567890128,邮箱a@b.cn"
    assert mask.find(text) == [(1, 20, "card"), (23, 29, "email")]
    assert mask.find(text, ["email"]) == [(23, 29, "email")]


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
    assert mask.mask_quote(quote, start, "转账给13812345678，不是转账") == expected


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


def test_unknown_kind_is_refused():
    with pytest.raises(UserError, match="mask: phones is not a kind"):
        parse(mask.Params, {"kinds": ["phones"]}, "mask")


@pytest.mark.skipif(not SPANS.exists(), reason="the public set is not here")
def test_figures_on_the_public_set():
    rows = json.loads(SPANS.read_text(encoding="utf-8"))
    kinds = {"PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip"}
    hits, wanted, found, right = ({kind: 0 for kind in kinds.values()} for _ in range(4))
    for row in rows:
        truth = [(s["start_position"], s["end_position"], kinds.get(s["entity_type"])) for s in row["spans"]]
        spans = mask.find(row["full_text"])
        for span in filter(lambda item: item[2], truth):
            wanted[span[2]] += 1
            hits[span[2]] += any(_meet(span, other) for other in spans)
        for span in spans:
            found[span[2]] += 1
            right[span[2]] += any(_meet(span, other) for other in truth)
    figures = {kind: (round(right[kind] / found[kind], 3), round(hits[kind] / wanted[kind], 3)) for kind in found}
    print(figures)
    assert all(precision >= 0.99 for precision, _ in figures.values())
    assert {kind: recall for kind, (_, recall) in figures.items() if kind != "phone"} == dict(card=1, email=1, ip=1)
    assert figures["phone"][1] >= 0.94


def _meet(left, right):
    return left[2] == right[2] and left[0] < right[1] and right[0] < left[1]
