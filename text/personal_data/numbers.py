"""Numbers that identify a person: cards, bank accounts, identity documents, number plates."""

import re

from stdnum import iban, luhn
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError
from stdnum.us import ssn

from finelake.text.personal_data.context import (
    START,
    WORD,
    digits_of,
    is_amount,
    is_code,
    is_in_hash,
    is_order,
    text_before,
)
from finelake.text.personal_data.recogniser import NUMBER, WRAPPED, recogniser

_PLATES = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼] ?[A-Za-z][·•. -]?[0-9A-Za-z]{5}"
)

_CARD_CONTEXT = re.compile(rf"(?:卡号?|账号|{START}(?:card|cc)|visa|mastercard)[^\d]{{0,20}}\Z", re.IGNORECASE)
_PASSPORT_CONTEXT = re.compile(
    rf"(?:护照|通行证|{START}passport)(?:号码?| ?(?:no|nr|number|id))?[^\w]{{0,3}}(?:[是为]|is)?[^\w]{{0,3}}\Z",
    re.IGNORECASE,
)
_SSN_CONTEXT = re.compile(
    rf"(?:{START}(?:ssn|social security|social)|社会安全号码?|社会保障号码?|社安号码?)"
    r"(?: ?(?:no|nr|number))?[^\w]{0,3}(?:[是为]|is)?[^\w]{0,3}\Z",
    re.IGNORECASE,
)


def _resident_id(match: re.Match[str]) -> bool:
    """18 characters, GB 11643 check digit, a real birth date since 1850. Districts change and are not checked."""
    number = re.sub(r"[ -]", "", match.group()).upper()
    try:
        return number[-1] == ric.calc_check_digit(number) and 1850 <= ric.get_birth_date(number).year <= 2100
    except ValidationError:
        return False


def _credit_code(match: re.Match[str]) -> bool:
    """18 characters of a registered body, GB 32100 check digit."""
    return uscc.is_valid(match.group())


def _iban(match: re.Match[str]) -> bool:
    """ISO 13616: two check digits over the rest."""
    return iban.is_valid(match.group(), check_country=False)


# First digits and lengths that card networks issue (ISO/IEC 7812): UnionPay, Visa, Mastercard, Discover, Maestro, JCB,
# American Express, Diners. Not 19 and 20: most long numbers that begin with a year are not cards.
_BRAND = re.compile(
    r"62\d{14,17}|4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}|35\d{14,17}|(?:2131|1800)\d{11}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,13}"
    r"|(?:5[06-9]|6[0-9]|9[0-9])\d{14,17}"
)


def _card(match: re.Match[str]) -> bool:
    """Luhn check digit, and issued by a network or after a word for a card."""
    number = digits_of(match)
    if not luhn.is_valid(number) or is_order(match) or is_in_hash(match):
        return False
    # The digits prove a number that a network issues, whatever capitals precede it.
    return bool(_BRAND.fullmatch(number)) or bool(_CARD_CONTEXT.search(text_before(match))) and not is_code(match)


def _wrapped_card(match: re.Match[str]) -> bool:
    """Over two lines: groups with one line break between them, of a number that a network issues."""
    return match.group().count("\n") == 1 and bool(_BRAND.fullmatch(digits_of(match))) and _card(match)


def _ssn(match: re.Match[str]) -> bool:
    return ssn.is_valid(digits_of(match)) and not is_order(match)


def _plate(match: re.Match[str]) -> bool:
    """GA 36: at most two letters among the last five, none of them I or O."""
    return sum(map(str.isdigit, match["serial"])) >= 3 and not is_amount(match)


# The gap in a number over two lines, as in the text of a PDF: a space or hyphen, or the end of a line.
_BREAK_OR_GAP = r"(?:[ -]|-?\n)"
_WRAPPED_CARD = rf"(?<!\d)(?<!\d[ -])\d{{4}}(?:{_BREAK_OR_GAP}\d{{4}}){{3}}"

WRAPPED_CARDS = (
    recogniser("card", WRAPPED, rf"{_WRAPPED_CARD}{_BREAK_OR_GAP}\d{{1,3}}(?![ -]?\d)", check=_wrapped_card),
    recogniser("card", WRAPPED, rf"{_WRAPPED_CARD}(?![ -]?\d)", check=_wrapped_card),
    recogniser(
        "card",
        WRAPPED,
        rf"(?<!\d)(?<!\d[ -])\d{{4}}{_BREAK_OR_GAP}\d{{6}}{_BREAK_OR_GAP}\d{{4,5}}(?![ -]?\d)",
        check=_wrapped_card,
    ),
    recogniser(
        "card",
        WRAPPED,
        r"(?<!\d)(?=[\d\n]{14,20}(?!\d))\d{1,18}\n\d{1,18}(?!\d)",
        check=_wrapped_card,
        before=_CARD_CONTEXT,
    ),
)
NUMBERS = (
    recogniser(
        "resident_id",
        NUMBER,
        r"(?<!\d)\d{6}[ -]?\d{4}[ -]?\d{2}[ -]?\d{2}[ -]?\d{3}[ -]?[\dXx](?!\d)",
        check=_resident_id,
    ),
    recogniser(
        "credit_code",
        NUMBER,
        r"(?<![A-Za-z0-9])[159][1-9]\d{6}[0-9A-HJ-NPQRTUWXY]{10}(?![A-Za-z0-9])",
        check=_credit_code,
    ),
    recogniser("iban", NUMBER, r"(?i:(?<![a-z0-9])[a-z]{2}\d{2}[a-z0-9]{11,30}(?![a-z0-9]))", check=_iban),
    recogniser(
        "iban",
        NUMBER,
        r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?(?![A-Za-z0-9])",
        check=_iban,
    ),
    recogniser("card", NUMBER, r"(?<!\d)(?<!\d\.)\d{12,19}(?!\d)(?!\.\d)", check=_card),
    recogniser("card", NUMBER, r"(?<!\d)\d{4}([ -])\d{4}\1\d{4}\1\d{4}\1\d{1,3}(?!\d)", check=_card),
    recogniser("card", NUMBER, r"(?<!\d)\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?!\d)", check=_card),
    recogniser("card", NUMBER, r"(?<!\d)(?:\d{4}[ -]\d{6}[ -]\d{4,5}|\d{6}[ -]\d{10,13})(?!\d)", check=_card),
    recogniser("ssn", NUMBER, rf"(?<![{WORD}-])\d{{3}}-\d{{2}}-\d{{4}}(?![{WORD}-])", check=_ssn),
    recogniser("ssn", NUMBER, r"(?<!\d)\d{3} ?\d{2} ?\d{4}(?!\d)", check=_ssn, before=_SSN_CONTEXT),
    recogniser(
        "passport", NUMBER, r"(?<![A-Za-z0-9])(?:[A-Za-z]{1,2}\d{7,8}|\d{9})(?![A-Za-z0-9])", before=_PASSPORT_CONTEXT
    ),
)
PLATES = (
    recogniser(
        "plate",
        _PLATES,
        r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼] ?[A-HJ-NP-Za-hj-np-z][·•. -]?"
        r"(?P<serial>[A-HJ-NP-Za-hj-np-z0-9]{5,6}|[A-HJ-NP-Z0-9]{4}[挂学警港澳])(?![A-Za-z0-9])",
        check=_plate,
    ),
)
