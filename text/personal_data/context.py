"""The context of a match: the words before it, the letters that touch it, the unit after it."""

import re
from string import ascii_letters

from finelake.text.personal_data.digits import TAKEN

# Letters, digits and _ that form one word with an adjacent Latin word or number; adjacent Chinese does not.
WORD = "A-Za-z0-9_À-ɏ"
START = f"(?<![{WORD}])"

_ORDER = re.compile(
    r"(?:订单|单号|流水|编号|交易号|参考号|合同号|凭证|案件|工单|运单|票号|批次"
    rf"|{START}(?:order|ref|reference|invoice|transaction|case|ticket|tracking|confirmation|complaint))"
    r"\s?(?:号码?|no|nr|number|id)?[^\w]{0,4}(?:是|为|is)?[^\w]{0,3}\Z",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r" ?(?:元|块|万|美元|人民币|%|dollars|usd|rmb|cny)", re.IGNORECASE)
_LINE_BREAK = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Labels that may touch a number without making it a code.
_LABEL = re.compile(r"(?:card|cc|no|visa|tel|phone|mobile|cell|call|fax|whatsapp|wechat|vx|wx|qq|mob)\Z", re.IGNORECASE)
PREFIX = 4  # capitals of a code, as TX, SN or ORD


def text_before(match: re.Match[str], width: int = 40) -> str:
    """The text before a match, from the last masked value on."""
    return match.string[max(0, match.start() - width) : match.start()].rpartition(TAKEN)[2]


def _line_before(match: re.Match[str]) -> str:
    """The text before a match on its line: a word in the line above does not make a number a code."""
    return _LINE_BREAK.split(text_before(match))[-1]


def text_after(match: re.Match[str], width: int = 10) -> str:
    """The text after a match."""
    return match.string[match.end() : match.end() + width]


def is_order(match: re.Match[str]) -> bool:
    """Follows a word for an order."""
    return bool(_ORDER.search(_line_before(match)))


def is_code(match: re.Match[str]) -> bool:
    """Follows a word for an order, or is part of a code of letters and digits such as TX138… or a hash.

    More than PREFIX capitals are a word that lost the space after it, as in <b>URGENT</b>138…; X stands for redacted
    characters.
    """
    if is_order(match):
        return True
    letters = _letters_before(match)
    if not letters or _LABEL.search(letters):
        return False
    return _is_in_letters(match) or letters.isupper() and len(letters) <= PREFIX and {*letters} != {"X"}


def _letters_before(match: re.Match[str]) -> str:
    """The Latin letters that touch a match from the left."""
    text = text_before(match)
    return text[len(text.rstrip(ascii_letters)) :]


def _is_in_letters(match: re.Match[str]) -> bool:
    """Letters on both sides, as in a hash."""
    return bool(_letters_before(match) and re.match("[A-Za-z]", text_after(match)))


def is_in_hash(match: re.Match[str]) -> bool:
    """Letters on both sides, of which those before it are not a label such as `card`."""
    return _is_in_letters(match) and not _LABEL.search(_letters_before(match))


def is_amount(match: re.Match[str]) -> bool:
    """Before a currency, 块, 万 or a percent sign."""
    return bool(_AMOUNT.match(text_after(match)))


def digits_of(match: re.Match[str]) -> str:
    """The digits of a match, without separators."""
    return "".join(filter(str.isdigit, match.group()))
