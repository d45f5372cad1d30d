"""People and their numbers: checksum-valid, random and belonging to nobody. E-mail addresses end in example domains.

Every value is written in one of several forms; `canonical` undoes that.
"""

import random
import unicodedata
from datetime import date, timedelta
from typing import NamedTuple

from finelake.demo.chance import START, moment, rng

KINDS = ("phone", "resident_id", "card", "email")
MOBILE_PREFIXES = (
    "130",
    "132",
    "135",
    "136",
    "138",
    "139",
    "150",
    "152",
    "158",
    "166",
    "176",
    "178",
    "182",
    "186",
    "188",
    "189",
    "191",
    "198",
)
CARD_PREFIXES = {"4": 16, "51": 16, "53": 16, "622202": 19, "621700": 19, "622848": 19, "625912": 16, "62280": 17}
REGIONS = ("110101", "310104", "330106", "420106", "440305", "510104", "320102", "350203", "530102", "320106")
FAMILY = (
    ("Wang", "王"),
    ("Li", "李"),
    ("Zhang", "张"),
    ("Liu", "刘"),
    ("Chen", "陈"),
    ("Yang", "杨"),
    ("Zhao", "赵"),
    ("Huang", "黄"),
    ("Zhou", "周"),
    ("Wu", "吴"),
    ("Xu", "徐"),
    ("Sun", "孙"),
    ("Ma", "马"),
    ("Zhu", "朱"),
)
GIVEN = (
    ("Wei", "伟"),
    ("Fang", "芳"),
    ("Na", "娜"),
    ("Min", "敏"),
    ("Jing", "静"),
    ("Qiang", "强"),
    ("Lei", "磊"),
    ("Yang", "洋"),
    ("Yan", "艳"),
    ("Jie", "杰"),
    ("Juan", "娟"),
    ("Tao", "涛"),
    ("Ming", "明"),
    ("Xia", "霞"),
    ("Ping", "平"),
)
CITIES = ("Hangzhou", "Shanghai", "Chengdu", "Wuhan", "Shenzhen", "Nanjing", "Xiamen", "Suzhou", "Kunming")
FULLWIDTH = {i: i + 0xFEE0 for i in range(0x21, 0x7F)}


class Customer(NamedTuple):
    """One row of the table `customers`, in its column order."""

    customer_id: str
    name: str
    gender: str
    birth_date: str
    resident_id: str
    phone: str
    email: str
    card_number: str
    city: str
    segment: str
    opened_at: str
    lang: str


def digits(r: random.Random, n: int) -> str:
    return "".join(r.choices("0123456789", k=n))


def luhn_digit(payload: str) -> str:
    """The check digit of ISO/IEC 7812-1 for a number without it."""
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(payload))]
    return str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def luhn_valid(number: str) -> bool:
    return luhn_digit(number[:-1]) == number[-1]


def resident_digit(first17: str) -> str:
    """The check character of GB 11643 (ISO 7064, MOD 11-2)."""
    total = sum(int(d) * 2 ** (17 - i) for i, d in enumerate(first17))
    return "10X98765432"[total % 11]


def phone(r: random.Random) -> str:
    return r.choice(MOBILE_PREFIXES) + digits(r, 8)


def card(r: random.Random) -> str:
    prefix = r.choice(list(CARD_PREFIXES))
    payload = prefix + digits(r, CARD_PREFIXES[prefix] - len(prefix) - 1)
    return payload + luhn_digit(payload)


def resident_id(r: random.Random, born: date, woman: bool) -> str:
    """An 18-character number that is never also a Luhn-valid card, so that its kind is unambiguous."""
    while True:
        order = f"{r.randrange(500) * 2 + (0 if woman else 1):03d}"
        first = r.choice(REGIONS) + f"{born:%Y%m%d}" + order
        number = first + resident_digit(first)
        if number.endswith("X") or not luhn_valid(number):
            return number


def customer(seed: int, index: int, customers: int) -> Customer:
    """Customer `index` of `customers`: depends only on the seed, so no table of them has to be kept."""
    r = rng(seed, "customer", index)
    lang = "zh" if r.random() < 0.45 else "en"
    family, given, woman = r.choice(FAMILY), r.choice(GIVEN), r.random() < 0.5
    born = date(1945, 1, 1) + timedelta(days=r.randrange(21_500))
    name = family[1] + given[1] if lang == "zh" else f"{given[0]} {family[0]}"
    email = f"{given[0]}.{family[0]}{r.randrange(10, 9999)}@example.{r.choice(['com', 'org', 'net'])}".lower()
    opened = moment((index + r.random()) / customers) if r.random() < 0.6 else START
    return Customer(
        f"C{index + 1:07d}",
        name,
        "female" if woman else "male",
        born.isoformat(),
        resident_id(r, born, woman),
        phone(r),
        email,
        card(r),
        r.choice(CITIES),
        r.choice(["mass", "mass", "mass", "affluent", "private"]),
        opened.isoformat(sep=" "),
        lang,
    )


def value_of(person: Customer, kind: str) -> str:
    return {
        "phone": person.phone,
        "resident_id": person.resident_id,
        "card": person.card_number,
        "email": person.email,
    }[kind]


def grouped(number: str, sizes: tuple[int, ...], mark: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(number[at : at + size])
        at += size
    return mark.join([*parts, number[at:]] if at < len(number) else parts)


def written(r: random.Random, kind: str, value: str) -> str:
    """The value as a person writes it: plain, spaced, with hyphens, with a country code, or full-width."""
    plain = {
        "phone": lambda: [
            value,
            value,
            grouped(value, (3, 4), " "),
            grouped(value, (3, 4), "-"),
            f"+86 {value}",
            f"+86{value}",
            f"+86-{grouped(value, (3, 4), '-')}",
            value.translate(FULLWIDTH),
        ],
        "resident_id": lambda: [
            value,
            value,
            value,
            grouped(value, (6, 8), " "),
            value.lower(),
            value.translate(FULLWIDTH),
        ],
        "card": lambda: [
            value,
            grouped(value, (4,) * 4, " "),
            grouped(value, (4,) * 4, "-"),
            value,
            value.translate(FULLWIDTH),
        ],
        "email": lambda: [value, value, value.upper(), value.translate(FULLWIDTH)],
    }
    return r.choice(plain[kind]())


def canonical(kind: str, text: str) -> str:
    """Undo `written`: only digits (and X in a resident id), or the address in lower case."""
    text = unicodedata.normalize("NFKC", text)
    if kind == "email":
        return text.lower()
    text = "".join(c for c in text if c.isdigit() or c in "xX").upper()
    return text[2:] if kind == "phone" and len(text) == 13 and text.startswith("86") else text


def trap(r: random.Random, kind: str, day: date) -> str:
    """A number that looks personal and is not, so that it must survive masking."""
    if kind == "order_11":
        return r.choice("23456789") + digits(r, 10)
    if kind == "order_long":  # a phone number inside a longer number is not a phone number
        return r.choice("789") + digits(r, 3) + phone(r) + digits(r, 6)
    if kind == "card_invalid":
        number = r.choice("68") + digits(r, 15)
        return number if not luhn_valid(number) else number[:-1] + str((int(number[-1]) + 1) % 10)
    if kind == "id_invalid":
        return invalid_id(r)
    if kind == "amount":
        return f"{r.randrange(10_000, 99_999):,}.{r.randrange(100):02d}"
    return f"{day:%Y%m%d}" if r.random() < 0.5 else day.isoformat()


def invalid_id(r: random.Random) -> str:
    while True:
        born = f"{r.randrange(1950, 2005)}0{r.randrange(1, 10)}{r.randrange(10, 29)}"
        number = r.choice(REGIONS) + born + digits(r, 4)
        if resident_digit(number[:17]) != number[17] and not luhn_valid(number):
            return number
