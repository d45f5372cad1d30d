"""Numbers and dates as people write them: with currencies, thousands separators, scales, units, names of months.

Libraries parse them: price-parser the amount and the currency, pint the unit, dateutil the date. Where a library would
guess, the value is refused here: an amount with ambiguous separators, a word next to it that is not a scale, a percent
sign or a unit of the column, and a date that is not written in full.
"""

import re
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

from dateutil import parser
from price_parser import Price

from finelake.text.normalise import normalise

if TYPE_CHECKING:
    from pint import UnitRegistry

SCALES = {"k": 1e3, "千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "mn": 1e6, "million": 1e6, "billion": 1e9}
NO_UNIT = {"", "元", "%"}  # words without effect: 12.5 % is 12.5
LONGEST = 64  # characters of a number or a date


# --- numbers ---------------------------------------------------------------------------------------------------------


def amount(text: str, decimal: str = ".", units: Collection[str] | str = ()) -> float | None:
    """The number in a text; None where the text is not a number or is ambiguous.

    `decimal` is the decimal separator, . or ,; the other one, spaces and ' separate thousands. `units` are the words
    that may follow, or, given as one string, the unit to which the number is converted. Currencies are not converted.
    """
    if len(text) > LONGEST:
        return None
    text = normalise(text) or ""
    price = Price.fromstring(text, decimal_separator=decimal)
    if not price.amount_text or price.amount is None or not _grouped(decimal).fullmatch(price.amount_text):
        return None
    currency = None if isinstance(units, str) else price.currency  # ft would be forints
    before, _, after = text.replace(currency or " ", " ", 1).partition(price.amount_text)
    if before.strip() not in ("", "-", "+"):
        return None
    value = float(price.amount) * (-1 if before.strip() == "-" else 1)
    return _converted(value, after.strip(), units) if isinstance(units, str) else _scaled(value, after.strip(), units)


def _scaled(value: float, word: str, units: Collection[str]) -> float | None:
    """`value`, multiplied by the scale in the word after it, which may be a unit, a scale, or both."""
    known = NO_UNIT | set(units)
    if word in known:
        return value
    scale, rest = _scale(word)
    return value * scale if scale and rest in known else None


def _converted(value: float, word: str, unit: str) -> float | None:
    """`value` of the unit `word`, or of a scale and a unit, in `unit`; a number without a unit is already in `unit`."""
    converted = convert(value, word, unit)
    scale, rest = _scale(word)
    return convert(value * scale, rest, unit) if converted is None and scale else converted


def _scale(word: str) -> tuple[float | None, str]:
    """The scale with which a word begins (None where there is none), and the rest."""
    scale = _SCALE.match(word)
    return (SCALES[scale[0].lower()], word[scale.end() :].strip()) if scale else (None, word)


_SCALE = re.compile("|".join(sorted(SCALES, key=len, reverse=True)), re.IGNORECASE)


def _grouped(decimal: str) -> re.Pattern[str]:
    group = "[,' ]" if decimal == "." else "[.' ]"
    return re.compile(rf"(?:\d{{1,3}}({group})\d{{3}}(?:\1\d{{3}})*|\d+)(?:{re.escape(decimal)}\d+)?")


# --- units -----------------------------------------------------------------------------------------------------------

# Chinese units in pint's syntax; 斤, 里 and 亩 are those of the mainland.
CHINESE_UNITS = """
公斤 = kilogram
千克 = kilogram
克 = gram
毫克 = milligram
吨 = metric_ton
斤 = 0.5 * kilogram
公里 = kilometer
千米 = kilometer
米 = meter
厘米 = centimeter
毫米 = millimeter
里 = 500 * meter
升 = liter
毫升 = milliliter
平方米 = meter ** 2
亩 = 2000 / 3 * meter ** 2
秒 = second
分钟 = minute
小时 = hour
天 = day
日 = day
周 = week
月 = month
个月 = month
年 = year
@alias degree_Celsius = 摄氏度
"""
# A unit, or one unit per another; other expressions are refused.
_UNIT = re.compile(r"[^\W\d_]+(?: [^\W\d_]+)*[23]?(?: ?/ ?[^\W\d_]+[23]?)?|°[CF]|%")
_POWER = re.compile(r"[23]\b")  # NFKC turns m² into m2, which pint reads as m**2


def convert(value: float, word: str, unit: str) -> float | None:
    """`value` of the unit `word` in `unit`; None where pint does not know the word, or it measures something else.

    The word is tried as written, then in lower case (KG). Without a word the value is already in `unit`.
    """
    from pint import PintError

    if not word:
        return value
    for spelt in (word, word.lower()) if _UNIT.fullmatch(word) else ():
        try:
            return float(_registry().Quantity(value, _POWER.sub(r"**\g<0>", spelt)).to(unit).magnitude)
        except (PintError, ValueError):
            continue
    return None


def is_unit(word: str) -> bool:
    """Whether numbers can be converted to this unit."""
    try:
        return bool(word) and _registry().Unit(word) is not None
    except Exception:  # pint's parser raises exceptions of any type
        return False


@cache
def _registry() -> "UnitRegistry[Any]":
    """pint's units and the Chinese ones; built once per process, and only where a column has a unit."""
    import pint

    registry: UnitRegistry[Any] = pint.UnitRegistry()
    registry.load_definitions(CHINESE_UNITS.strip().split("\n"))
    return registry


# --- dates -----------------------------------------------------------------------------------------------------------

# Wednesday, 4th of March, 2021 at 10:30 pm +0800; Mar 4 2021; 4-MAR-2021.
_WRITTEN = re.compile(
    r"(?:[a-z]{3,9}[.,]{0,2} )?"
    r"(?:\d{1,2}(?:st|nd|rd|th)?(?: of)?[ -][a-z]{3,9}\.?|[a-z]{3,9}\.? \d{1,2}(?:st|nd|rd|th)?)(?:, ?| |-)\d{4}"
    r"(?:(?:,? | at )\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?[ap]\.?m\.?)?(?: ?(?:z|utc|gmt|[+-]\d\d:?\d\d))?)?",
    re.IGNORECASE,
)
# A complete date parses to the same value under both defaults.
_DEFAULTS = datetime(2000, 1, 1), datetime(2004, 2, 2)


def written_date(text: str) -> str | None:
    """A date with an English month name, day and year (4 digits), in ISO 8601; None for every other text.

    A weekday (which is not checked), a time, am or pm, and an offset, UTC or GMT are optional; without an offset the
    time has no zone. Names of other zones are refused, because many are ambiguous.
    """
    if len(text) > LONGEST or not _WRITTEN.fullmatch(text := normalise(text) or ""):
        return None
    try:
        first, second = [parser.parse(text, default=default, tzinfos=_zone) for default in _DEFAULTS]
    except (ValueError, OverflowError):
        return None
    return first.isoformat() if first == second else None


def _zone(_: str | None, seconds: int | None) -> timezone | None:
    return None if seconds is None else timezone(timedelta(seconds=seconds))
