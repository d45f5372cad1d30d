"""Numbers as people write them: with currencies, thousands separators, scales and units.

price-parser finds the amount and the currency; what it would guess is refused here: an amount whose separators fit no
one reading, and every word beside it that is no scale, no percent sign and no unit named for the column.
"""

import re
from collections.abc import Collection

from price_parser import Price

from jobs.text import normalise

SCALES = {"k": 1e3, "千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "mn": 1e6, "million": 1e6, "billion": 1e9}
NO_UNIT = {"", "元", "%"}  # 12.5 % is 12.5
LONGEST = 64  # characters of a number


def amount(text: str, decimal: str = ".", units: Collection[str] = ()) -> float | None:
    """The number that a text holds, None where it is none or can be read in two ways.

    `decimal` is the decimal separator, . or ,; the other one, spaces and ' separate thousands. `units` are the words
    that may follow. Currencies are not converted.
    """
    if len(text) > LONGEST:
        return None
    text = normalise(text) or ""
    price = Price.fromstring(text, decimal_separator=decimal)
    if not price.amount_text or price.amount is None or not _grouped(decimal).fullmatch(price.amount_text):
        return None
    before, _, after = text.replace(price.currency or " ", " ", 1).partition(price.amount_text)
    times = _scale(after.strip(), NO_UNIT | set(units))
    if before.strip() not in ("", "-", "+") or times is None:
        return None
    value = float(price.amount) * times
    return -value if before.strip() == "-" else value


def _scale(word: str, units: Collection[str]) -> float | None:
    """What a number is multiplied by for the word behind it: a unit, a scale, or a scale and a unit."""
    if word in units:
        return 1.0
    found = _SCALE.match(word)
    return SCALES[found[0].lower()] if found and word[found.end() :].strip() in units else None


_SCALE = re.compile("|".join(sorted(SCALES, key=len, reverse=True)), re.IGNORECASE)


def _grouped(decimal: str) -> re.Pattern:
    group = "[,' ]" if decimal == "." else "[.' ]"
    return re.compile(rf"(?:\d{{1,3}}({group})\d{{3}}(?:\1\d{{3}})*|\d+)(?:{re.escape(decimal)}\d+)?")
