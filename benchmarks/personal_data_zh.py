"""Chinese texts with planted personal data and traps, from a seed: what is where is known to the character."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from stdnum import luhn
from stdnum.cn import ric, uscc
from stdnum.iban import calc_check_digits

Span = tuple[int, int, str]  # start, end, kind


@dataclass(frozen=True)
class Row:
    text: str
    spans: list[Span]


SENTENCES = (
    "您好,我的手机号是{phone},请尽快给我回电。", "客户{name}先生来电,称卡号{card}于{date}被盗刷{amount}元。",
    "订单号{order}一直没有发货,联系电话{phone}。", "本人身份证号{resident_id},想更换预留手机{phone}。",
    "转账流水{long}显示已扣款{amount}元,收款卡{card}。", "收件人:{name},地址:{address},电话:{phone}。",
    "我叫{name},在{date}办理了业务,单号{order}。", "住在{address}的客户{name}女士要求上门。",
    "发票抬头的统一社会信用代码是{credit_code},金额{amount}元。", "请发到邮箱{email}或者加微信号{wechat}。",
    "QQ:{qq},有空联系。版本{version}。", "护照号码{passport},航班{time}起飞。", "车牌{plate}的车在{time}违停。",
    "登录IP为{ip},时间{date} {time}。", "文件哈希{hash}校验通过,大小{amount}字节。",
    "身份证{bad_id}校验不通过,请核对后重填。", "卡号{bad_card}无效,请重新输入。",
    "客户回拨{phone}无人接听,座机{landline}也不通。", "{phone}这个号码打了三次,订单编号{order}。",
    "汇款账户{iban},附言{date}。", "链接https://pay.example.com/cb?order=12&access_token={token}打不开。",
    "合同号:{order},总价{amount}元,期限{date}。", "运单号{long}于{date}签收。", "余额{amount}元,积分{points}分。",
    "代码{bad_credit}不存在,请联系{phone}。", "设备序列号{serial},固件{version}。",
    "{date}{time}扣款{amount}元,商户编号{order}。",
    "手机{phone}尾号变更,新卡{card},旧卡已注销。", "参考号{long},请在{date}前答复。", "证件号{resident_id}。",
    "客户来电咨询理财产品,期限{points}天,年化收益率0.{long}。", "联系人{name},微信{phone}。",
)  # fmt: skip
FAMILY, GIVEN = "王李张刘陈杨赵黄周吴徐孙马朱胡郭何林高罗", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英华"
PLACES = ("北京市朝阳区", "上海市浦东新区", "广东省深圳市南山区", "四川省成都市武侯区", "浙江省杭州市西湖区")
ROADS = ("建国路", "人民路", "科技大道", "解放街", "文三路", "和平路", "中山大道")
ROOMS = ("", "3号楼502室", "2单元1101")
REGIONS = ("110105", "310101", "440305", "510107", "330106")
HAN_DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")


def texts(seed: int, count: int) -> list[Row]:
    """`count` texts of one to three sentences; the same for the same seed."""
    r = random.Random(seed)
    return [_row(r) for _ in range(count)]


def _row(r: random.Random) -> Row:
    text, spans = "", []
    for sentence in r.sample(SENTENCES, r.randint(1, 3)):
        for piece in re.split(r"(\{\w+\})", sentence):
            if not piece.startswith("{"):
                text += piece
                continue
            kind = piece.strip("{}")
            value = MAKERS[kind](r)
            if kind not in TRAPS:
                spans.append((len(text), len(text) + len(value), {"landline": "phone", "token": "url"}.get(kind, kind)))
            text += value
    return Row(text, spans)


def _digits(r: random.Random, count: int) -> str:
    return "".join(r.choices("0123456789", k=count))


def _letters(r: random.Random, count: int, of: str = "abcdefghijkmnpqrstuvwxyz") -> str:
    return "".join(r.choices(of, k=count))


def _phone(r: random.Random) -> str:
    number = f"1{r.choice('3456789')}{_digits(r, 9)}"
    grouped = f"{number[:3]}{{0}}{number[3:7]}{{0}}{number[7:]}"
    dresses = [number] * 6 + [grouped.format("-"), grouped.format(" "), f"+86 {number}", f"0086{number}"]
    dresses += [number.translate(table) for table in (HAN_DIGITS, WIDE, CIRCLED)]
    dresses += [number.translate(HAN_DIGITS).replace("一", "幺"), " ".join(number)]
    return r.choice(dresses)


def _landline(r: random.Random) -> str:
    area, rest = r.choice([("010", 8), ("021", 8), ("0755", 8), ("0571", 8), ("028", 8)])
    return f"{area}-{r.choice('268')}{_digits(r, rest - 1)}"


def _resident_id(r: random.Random) -> str:
    start = f"{r.choice(REGIONS)}{r.randint(1945, 2015)}{r.randint(1, 12):02d}{r.randint(1, 28):02d}{_digits(r, 3)}"
    number = start + ric.calc_check_digit(start + "0")
    return r.choice(
        [number, number, number.lower(), f"{number[:6]} {number[6:14]} {number[14:]}", number.translate(WIDE)]
    )


def _bad_id(r: random.Random) -> str:
    number = re.sub(r"\W", "", _resident_id(r)).translate(str.maketrans("０１２３４５６７８９", "0123456789"))[:17]
    wrong = [digit for digit in "0123456789" if digit != ric.calc_check_digit(number + "0")]
    wrong = [digit for digit in wrong if not luhn.is_valid(number + digit) and not uscc.is_valid(number + digit)]
    return number + r.choice(wrong)


def _card(r: random.Random) -> str:
    prefix, length = r.choice([("6222", 19), ("6217", 19), ("622848", 19), ("4", 16), ("52", 16), ("6228", 16)])
    start = prefix + _digits(r, length - len(prefix) - 1)
    number = start + luhn.calc_check_digit(start)
    return r.choice([number, number, " ".join(number[place : place + 4] for place in range(0, length, 4))])


def _bad_card(r: random.Random) -> str:
    number = _card(r).replace(" ", "")
    return number[:-1] + str((int(number[-1]) + r.randint(1, 9)) % 10)


def _credit_code(r: random.Random) -> str:
    start = f"91{r.choice(REGIONS)}MA{_letters(r, 7, '0123456789ABCDEFGHJKLMNPQRTUWXY')}"
    return start + uscc.calc_check_digit(start)


def _bad_credit(r: random.Random) -> str:
    code = _credit_code(r)
    return code[:-1] + r.choice([c for c in "0123456789ABCDEFGHJKLMNPQRTUWXY" if c != code[-1]])


def _iban(r: random.Random) -> str:
    account = f"{_letters(r, 4, 'BCDFGHKLMNPRSTW')}{_digits(r, 14)}"
    return f"GB{calc_check_digits('GB00' + account)}{account}"


def _plate(r: random.Random) -> str:
    serial = _letters(r, 1, "ABCDEFGHJK0123456789") + _digits(r, 4)
    return r.choice("京沪粤川浙苏") + r.choice("ABCDEFGH") + r.choice(["", "·"]) + serial


def _amount(r: random.Random) -> str:
    return r.choice(
        [f"{r.randrange(10**7):,}.{r.randrange(100):02d}", str(r.randrange(10**8)), f"{r.randrange(10**11)}.00"]
    )


def _order(r: random.Random) -> str:
    return r.choice([f"1{r.choice('3456789')}{_digits(r, 9)}", _digits(r, 10), f"TX{_digits(r, 11)}", _digits(r, 14)])


def _long(r: random.Random) -> str:
    """A number of 22 to 24 digits in which a telephone number stands."""
    return f"{_digits(r, 5)}1{r.choice('356789')}{_digits(r, 9)}{_digits(r, r.randint(6, 8))}"


def _date(r: random.Random) -> str:
    year, month, day = r.randint(2001, 2026), r.randint(1, 12), r.randint(1, 28)
    return r.choice([f"{year}-{month:02d}-{day:02d}", f"{year}年{month}月{day}日", f"{year}{month:02d}{day:02d}"])


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "phone": _phone,
    "landline": _landline,
    "resident_id": _resident_id,
    "card": _card,
    "credit_code": _credit_code,
    "iban": _iban,
    "email": lambda r: f"{_letters(r, 6)}{_digits(r, 2)}@{r.choice(['qq.com', 'example.com.cn', '163.com'])}",
    "ip": lambda r: ".".join(str(r.randint(1, 254)) for _ in range(4)),
    "passport": lambda r: f"{r.choice(['E', 'G', 'EA', 'EB'])}{_digits(r, 8)}"[:9],
    "plate": _plate,
    "wechat": lambda r: r.choice([f"{_letters(r, 5)}_{_digits(r, 3)}", f"wx{_letters(r, 6)}{_digits(r, 2)}"]),
    "qq": lambda r: r.choice("123456789") + _digits(r, r.randint(5, 9)),
    "token": lambda r: _letters(r, 24, "abcdef0123456789"),
    "name": lambda r: r.choice(FAMILY) + _letters(r, r.randint(1, 2), GIVEN),
    "address": lambda r: r.choice(PLACES) + r.choice(ROADS) + f"{r.randint(1, 999)}号" + r.choice(ROOMS),
    "order": _order,
    "long": _long,
    "date": _date,
    "amount": _amount,
    "bad_id": _bad_id,
    "bad_card": _bad_card,
    "bad_credit": _bad_credit,
    "hash": lambda r: _letters(r, 40, "abcdef0123456789"),
    "version": lambda r: f"{r.randint(1, 9)}.{r.randint(0, 20)}.{r.randint(0, 99)}",
    "time": lambda r: f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}",
    "points": lambda r: str(r.randrange(10**6)),
    "serial": lambda r: f"SN{_digits(r, 12)}",
}  # fmt: skip
TRAPS = {
    "order", "long", "date", "amount", "bad_id", "bad_card", "bad_credit", "hash", "version", "time", "points",
    "serial",
}  # fmt: skip
