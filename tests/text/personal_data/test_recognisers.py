"""Each kind in each of its dresses is found; amounts, order numbers, dates and wrong check digits are not."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finelake.jobs import mask
from finelake.text.personal_data.recognisers import FOLD, KINDS, REACH, RECOGNISERS, TAKEN, canonical, find

SPANS = Path(__file__).parents[4] / "shared" / "data" / "pii_spans_en" / "synth_dataset_v2.json"


def masked(text):
    return mask.mask_text(text, mask.Params())


PAIRS = [
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
    ("IP是10.0.0.1", "IP是<IP>"),
    ("打一三八一二三四五六七八", "打<PHONE>"),
    ("幺三八 一二三四 五六七八", "<PHONE>"),
    ("周一13812345678", "周一<PHONE>"),
    ("①③⑧①②③④⑤⑥⑦⑧", "<PHONE>"),
    ("138.1234.5678", "<PHONE>"),
    ("壹壹零壹零伍 19491231 002X", "<RESIDENT_ID>"),
    ("护照号码：E12345678,港澳通行证C1234567", "护照号码：<PASSPORT>,港澳通行证<PASSPORT>"),
    ("my passport number is 533380006.", "my passport number is <PASSPORT>."),
    ("车牌京A12345和粤B·D12345,沪A1234学", "车牌<PLATE>和<PLATE>,<PLATE>"),
    ("代码91110108551385082Q", "代码<CREDIT_CODE>"),
    ("微信号：zhang_san,加我vx lisi1988", "微信号：<WECHAT>,加我vx <WECHAT>"),
    ("微信：zhangsan", "微信：<WECHAT>"),
    ("WeChat ID: janedoe", "WeChat ID: <WECHAT>"),
    ("QQ:123456789,扣扣号是98765", "QQ:<QQ>,扣扣号是<QQ>"),
    ("IBAN GB29 NWBK 6016 1331 9268 19 please", "IBAN <IBAN> please"),
    ("my iban is gb29nwbk60161331926819", "my iban is <IBAN>"),
    ("SSN: 460-89-9847 or social security number 460899847", "SSN: <SSN> or social security number <SSN>"),
    ("https://ann:s3cret@example.com/x?id=7", "https://<URL>@example.com/x?id=7"),
    ("见https://e.com/a?page=2&access_token=eyJhbGciOi。", "见https://e.com/a?page=2&access_token=<URL>。"),
    ("我叫王小明，找欧阳先生", "我叫<NAME>，找<NAME>先生"),
    ("收件人:张伟 电话13812345678", "收件人:<NAME> 电话<PHONE>"),
    ("My name is John Q. Smith. Call Dr. O'Neil-Brown.", "My name is <NAME>. Call Dr. <NAME>."),
    ("Thank you, Mr. Chairman Lee and Dr. Ng", "Thank you, Mr. <NAME> and Dr. <NAME>"),
    ("Dear Mrs. Garcia, Best regards,\nŠárka Ottová", "Dear Mrs. <NAME>, Best regards,\n<NAME>"),
    ("住在北京市朝阳区建国路88号3号楼501室，", "住在<ADDRESS>，"),
    ("寄到幸福小区5栋2单元1103", "寄到<ADDRESS>"),
    ("地址：浦东新区张江镇某处", "地址：<ADDRESS>"),
    ("地址是：浦东新区张江镇某处", "地址是：<ADDRESS>"),
    ("at 123 Main Street, Apt 5, Springfield, IL 62704.", "at <ADDRESS>."),
    ("P.O. Box 1234, zip code 62704", "<ADDRESS>, zip code <ADDRESS>"),
    ("服务器2001:db8::8a2e:370:7334连不上", "服务器<IP>连不上"),
    ("我的社会安全号码是123-45-6789", "我的社会安全号码是<SSN>"),
    ("社会安全号码：460899847，我的ssn 460899847", "社会安全号码：<SSN>，我的ssn <SSN>"),
    ("电话62345678转3", "电话<PHONE>转3"),
    ("请发到li.wei@例子.com谢谢", "请发到<EMAIL>谢谢"),
    ("li@例子.中国和ivan@почта.рф, a@b.xn--fiqs8s", "<EMAIL>和<EMAIL>, <EMAIL>"),
    ("a@b.com.谢谢", "<EMAIL>.谢谢"),
    ("收货地在123 Main Street旁", "收货地在<ADDRESS>旁"),
    ("URGENT13812345678", "URGENT<PHONE>"),
    ("XX4111111111111111", "XX<CARD>"),
    ("XXXX13812345678", "XXXX<PHONE>"),
    ("PLEASE HELP4111111111111111", "PLEASE HELP<CARD>"),
    ("卡号4111 1111\n1111 1111，", "卡号<CARD>，"),
    ("pay 4111-1111-\n1111-1111 now", "pay <CARD> now"),
    ("6222 0212\n3456 7890 128", "<CARD>"),
    ("3408 126914\n68109", "<CARD>"),
    ("卡号41111111\n11111111", "卡号<CARD>"),
    ("138 1234\n5678", "<PHONE>"),
    ("138\n1234 5678", "<PHONE>"),
    ("+86 138-1234-\n5678", "<PHONE>"),
    ("手机1381234\n5678。", "手机<PHONE>。"),
    ("from 192.168.1.254 and 2001:db8::8a2e:370:7334", "from <IP> and <IP>"),
]
TRAPS = [
    "",
    "订单号13812345678已发货",
    "订单号:4111111111111111",
    "order no. 4111111111111111",
    "流水号202304151234567890123",
    "913812345678901",
    "ORD13812345678",
    "SN4111111111111112",
    "AB4111111111111111CD",
    "41111111\n11111111",  # two numbers in two lines
    "1381234\n5678",
    "4111 1111\n1111 1112",  # not Luhn
    "4111\n1111\n1111\n1111",  # a column
    "138\n1234\n5678",
    "1111 4111 1111\n1111 1111 1111",  # a table
    "2021 138 1234\n5678 138",
    "电话2021-03-04 15:30打过",
    "部门x@某处.请看",
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
    "第一二三四五六七八九十章",
    "周一3812345678",
    "二〇二四年一月二十三日下午三点五十分",
    "零件E12345678到货",
    "皖A股的12345元,鲁B20000元",
    "统一社会信用代码911101085513850820",  # wrong check digit
    "用微信支付,WeChat payment, 微信小程序, wechat: payment failed",
    "QQ空间,QQ 2024年,QQ:12345元",
    "GB29NWBK60161331926818",  # wrong check digits
    "000-12-3456 and 666-12-3456",  # no area of social security
    "https://example.com/a?page=2&lang=zh#top",
    "见3.2.1.10节与版本1.2.3.4",
    "学校的人力成本包括老师的薪资",
    "任何先生女士,高级老师,尊敬的先生",
    "Dear Customer, Dear Sir or Madam, the Name: field, Dr. no",
    "乘坐中山路5号线,5月1号上路",
    "My name is XXXX XXXX, account name: CAPITAL ONE",
    "Thank you, Mr. Chairman. Dear CFPB, Dear Experian Consumer Relations, Sincerely, Under penalty of perjury",
    "5 Things, 10 Way Streets of 2024",
]
POSITIVE = [text for text, _ in PAIRS]


@pytest.mark.parametrize(("text", "expected"), PAIRS)
def test_personal_data_is_replaced(text, expected):
    assert masked(text) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize("text", TRAPS)
def test_amounts_orders_and_dates_survive(text):
    assert masked(text) == text


# Of each kind one value as it stands in a text, with the words that its recogniser needs, and what of it must go.
PLANTED = {
    "url": ("https://e.com/a?token=s3cr3tpw", "s3cr3tpw"),
    "email": ("jane.roe@mail.example", "jane.roe@mail.example"),
    "resident_id": ("11010519491231002X", "11010519491231002X"),
    "credit_code": ("91110108551385082Q", "91110108551385082Q"),
    "iban": ("GB29NWBK60161331926819", "GB29NWBK60161331926819"),
    "card": ("4111111111111111", "4111111111111111"),
    "ssn": ("460-89-9847", "460-89-9847"),
    "passport": ("护照E87654321", "E87654321"),
    "phone": ("13987654321", "13987654321"),
    "plate": ("京A98765", "京A98765"),
    "wechat": ("微信号roe_jane77", "roe_jane77"),
    "qq": ("QQ:987654321", "987654321"),
    "ip": ("203.0.113.77", "203.0.113.77"),
    "address": ("北京市朝阳区建国路88号", "北京市朝阳区建国路88号"),
    "name": ("我叫欧阳菲菲，", "欧阳菲菲"),
}
# Ends of lines that say something of what follows them in the same line, and of lines that end anyhow.
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


def test_a_value_of_each_kind_is_planted():
    assert {*PLANTED} == {*KINDS}


@given(LINES, BREAKS, st.sampled_from(sorted(PLANTED)))
@settings(max_examples=1500, deadline=None)
def test_a_value_in_a_line_of_its_own_is_found_behind_any_line(line, end, kind):
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
KEYED = mask.Params(modes=dict.fromkeys(KINDS, "pseudonym"), key="k" * 32)
PARTIAL = mask.Params(modes=dict.fromkeys(mask.PARTS, "partial"))
OWN = mask.Params(patterns={"badge": r"[A-Z]\d{3,}", "rest": r".{9,}"}, kinds=("phone", "email"))
LABELLED = mask.Params(patterns={"case": r"(?:phone|card|订单)\W{0,3}(?P<value>\w{4,20})", "end": r"\S+$"})


@given(MIXED, st.sampled_from([mask.Params(), KEYED, PARTIAL, OWN, LABELLED]))
@settings(max_examples=1500, deadline=None)
def test_masking_a_masked_text_changes_nothing(text, params):
    done = mask.mask_text(text, params)
    assert mask.mask_text(done, params) == done


@given(MIXED)
@settings(deadline=None)
def test_spans_lie_in_the_text_one_behind_the_other(text):
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
        # Words speak of the next value, not of the one behind it; a tag is not a word for what follows it.
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


def test_a_pattern_of_one_s_own_finds_what_the_recognisers_leave():
    patterns = {"badge": r"(?:badge|工号)\W*(?P<value>[A-Z]?\d{5,})", "word": "secret|秘密"}
    text = "badge: B12345, 工号：１２３４５６７, badge 13812345678, secret"
    found = [(text[start:end], kind) for start, end, kind in find(text, patterns=patterns)]
    assert found == [("B12345", "badge"), ("１２３４５６７", "badge"), ("13812345678", "phone"), ("secret", "word")]
    case = {"case": r"case no\W{0,3}(?P<value>[\w-]{4,20})"}
    assert find("case no A-1234 closed", patterns=case) == [(8, 14, "case")]
    parts = [(0, 2, "all"), (2, 13, "phone"), (13, 15, "all")]
    assert find("号码13812345678在此", ("phone",), patterns={"all": ".+"}) == parts


def test_a_gate_hides_nothing_of_these_texts():
    for text in (*POSITIVE, *TRAPS):
        folded = text.translate(FOLD)
        for one in RECOGNISERS:
            assert one.gate.search(folded) or not list(one.spans(folded)), (one.kind, text)


def test_find_gives_offsets_and_kinds():
    text = "卡6222021234567890128,邮箱a@b.cn"
    assert find(text) == [(1, 20, "card"), (23, 29, "email")]
    assert find(text, ("email",)) == [(23, 29, "email")]


@pytest.mark.skipif(not SPANS.exists(), reason="the public set is not here")
def test_figures_on_the_public_set():
    rows = json.loads(SPANS.read_text(encoding="utf-8"))
    kinds = {"PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip"}
    kinds |= {"IBAN_CODE": "iban", "US_SSN": "ssn"}
    hits, wanted, found, right = ({kind: 0 for kind in kinds.values()} for _ in range(4))
    for row in rows:
        truth = [(s["start_position"], s["end_position"], kinds.get(s["entity_type"])) for s in row["spans"]]
        spans = find(row["full_text"], tuple(kinds.values()))
        for span in filter(lambda item: item[2], truth):
            wanted[span[2]] += 1
            hits[span[2]] += any(_meet(span, other) for other in spans)
        for span in spans:
            found[span[2]] += 1
            right[span[2]] += any(_meet(span, other) for other in truth)
    figures = {kind: (round(right[kind] / found[kind], 3), round(hits[kind] / wanted[kind], 3)) for kind in found}
    assert all(precision >= 0.99 for precision, _ in figures.values())
    assert {kind for kind, (_, recall) in figures.items() if recall == 1} == {"card", "email", "ip", "iban", "ssn"}
    assert figures["phone"][1] >= 0.94


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


def test_a_model_is_asked_for_every_text_and_gives_way_to_recognisers():
    def model(text):
        return [(0, 3, "name"), (4, 15, "name"), (3, 3, "name"), (0, 1, "planet")]

    assert find("Ann 13812345678", ner=model) == [(0, 3, "name"), (4, 15, "phone")]
    assert find("Ann 13812345678", ("phone",), model) == [(4, 15, "phone")]


def _meet(left, right):
    return left[2] == right[2] and left[0] < right[1] and right[0] < left[1]
