"""Telephone numbers: mobiles, landlines, international numbers, and digits labelled by a word for telephone."""

import re

import phonenumbers

from finelake.text.personal_data.context import (
    START,
    WORD,
    digits_of,
    is_amount,
    is_code,
    is_order,
    text_after,
    text_before,
)
from finelake.text.personal_data.recogniser import NUMBER, WRAPPED, recogniser

_PHONE_CONTEXT = re.compile(
    rf"(?:phone|mobile|whatsapp|{START}(?:cell|tel|fax|desk)"
    rf"|{START}(?:call|text|reach|ring)(?:ed|ing)? (?:\w+ )?(?:on|at|back)"
    r"|answering at|messages? (?:to|on|at))[^\d]{0,12}\Z"
    r"|(?:手机|电话|座机|传真|联系方式|致电|拨打)(?:号码?)?[是为]?[^\w]{0,4}\Z",
    re.IGNORECASE,
)
# Also with the hour of a time after it.
_DATE = re.compile(
    r"(?:(?:19|20)\d\d[-. ]\d{1,2}[-. ]\d{1,2}|\d{1,2}[-. ]\d{1,2}[-. ](?:19|20)?\d\d|(?:19|20)\d{6})(?: \d{1,2})?"
)
_MOBILE = (
    r"1[3-9](?:\d{9}|\d[ .-]\d{4}[ .-]\d{4}|\d[ -]\d{3}[ -]\d{5}|\d{2}[ -]\d{3}[ -]\d{4}|\d[ -]\d{8}|\d{5}[ -]\d{4})"
    r"|1[ -][3-9](?:[ -]\d){9}"
)


def _mobile(match: re.Match[str]) -> bool:
    """The pattern holds the numbering plan; it remains to exclude parts of a code."""
    return not is_code(match)


def _wrapped_mobile(match: re.Match[str]) -> bool:
    """Over two lines, after a word for telephone: two numbers on two lines may look the same."""
    return match.group().count("\n") == 1 and len(digits_of(match)) == 11 and not is_code(match)


def _landline(match: re.Match[str]) -> bool:
    """With a separator or after a word for telephone, and valid in the numbering plan."""
    marked = not match.group().isdigit() or bool(_PHONE_CONTEXT.search(text_before(match)))
    return marked and not is_order(match) and _is_in_plan(match.group(), "CN")


def _international(match: re.Match[str]) -> bool:
    return not is_code(match) and _is_in_plan("+" + digits_of(match).removeprefix("00"), None, possible=True)


def _is_in_plan(number: str, region: str | None, possible: bool = False) -> bool:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(parsed) if possible else phonenumbers.is_valid_number(parsed)


def _labelled_phone(match: re.Match[str]) -> bool:
    """7 to 15 digits directly after a word for telephone, or directly before one; not a date."""
    if _DATE.fullmatch(match.group()) or is_order(match) or is_amount(match):
        return False
    labelled = re.match(r"[ -](?:office|fax|mobile|cell|home)", text_after(match), re.IGNORECASE)
    return bool(labelled or _PHONE_CONTEXT.search(text_before(match)))


WRAPPED_PHONES = (
    recogniser(
        "phone",
        WRAPPED,
        r"(?<!\d)(?<!\d[ -])(?:\+?86[ -]?)?1[3-9]\d(?:[ -]\d{4}-?\n|-?\n\d{4}[ -])\d{4}(?![ -]?\d)(?!\.\d)",
        check=_mobile,
    ),
    recogniser(
        "phone",
        WRAPPED,
        r"(?<!\d)1(?=[\d\n]{11}(?!\d))\n?[3-9]\d*\n?\d+(?!\d)",
        check=_wrapped_mobile,
        before=_PHONE_CONTEXT,
    ),
)
PHONES = (
    recogniser(
        "phone",
        NUMBER,
        rf"(?<!\d)(?<!\d\.)(?<![¥$€£])(?:(?:\+|00)?86[ -]?|\(\+?86\) ?)?(?:{_MOBILE})(?!\d)(?!\.\d)",
        check=_mobile,
    ),
    recogniser(
        "phone", NUMBER, r"(?<!\d)\(?0(?:10|2\d|[3-9]\d{2})\)?[ -]?[2-8]\d{2,3}[ -]?\d{4}(?!\d)", check=_landline
    ),
    recogniser("phone", NUMBER, r"(?<![\d+])(?:\+ ?|00)[1-9](?:[ .()/-]{0,2}\d){6,14}(?!\d)", check=_international),
    recogniser(
        "phone",
        NUMBER,
        r"(?<![\d.-])(?:\+?1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[.-]\d{4}"
        r"(?:(?: ?x| ext\.? )\d{1,5})?(?![\d-])",
    ),
    recogniser(
        "phone",
        NUMBER,
        rf"(?<![{WORD}.,¥$€£])\(?\d(?:[ .()-]{{0,2}}\d){{6,14}}(?![{WORD}]|[.,]\d)",
        check=_labelled_phone,
    ),
)
