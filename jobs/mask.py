"""Mask: personal data in texts, facts and source keys is replaced by the name of its kind.

A compiled pattern proposes, a check in Python decides (check digits, dates, numbering plans), so amounts, order
numbers and dates survive. Patterns look at neighbouring digits, never at `\\b`: a Chinese character is a word
character, so there is no word boundary between it and a digit.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import phonenumbers
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, LongType, StringType
from stdnum import luhn
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from jobs.stage import ANNOTATIONS, MASKED, REJECTS, Frames, Stage, rejects, struct
from jobs.text import normalise

# The most specific first: where two overlap, the first stays.
KINDS = ("email", "resident_id", "card", "phone", "ip")

COUNTS = struct(source=StringType(), lang=StringType(), kind=StringType(), count=LongType())
FOUND = struct(
    text=StringType(), source_key=StringType(), values=ArrayType(StringType()), counts=ArrayType(IntegerType())
)
QUOTE = struct(quote=StringType(), start=IntegerType())

Span = tuple[int, int, str]  # start, end, kind


@dataclass(frozen=True)
class Params:
    kinds: tuple[str, ...] = KINDS  # what is masked

    def __post_init__(self) -> None:
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown:
            raise ValueError(f"{unknown[0]} is not a kind; choose from {', '.join(KINDS)}")


STAGE = Stage(
    reads=("dedup.records", "ingest.annotations"),
    writes={"records": MASKED, "counts": COUNTS, "annotations": ANNOTATIONS, "rejects": REJECTS},
    params=Params,
    conserves=("annotations", "ingest.annotations"),
)


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """Records and annotations without personal data, counts by kind; annotations whose record is gone as rejects."""
    records, annotations = frames["dedup.records"], frames["ingest.annotations"]
    masked = mask_records(records, params.kinds)
    gone = annotations.join(records, on="record_id", how="left_anti")
    return {
        "records": masked,
        "counts": count(masked),
        "annotations": mask_annotations(annotations, records, params.kinds),
        "rejects": rejects(gone, "mask", F.lit("record_gone"), F.col("layer")),
    }


# --- tables ----------------------------------------------------------------------------------------------------------


def mask_records(records: DataFrame, kinds: Sequence[str]) -> DataFrame:
    """`records` with text, source_key and every fact masked, and `masked`: how many of each kind (only those found)."""

    @F.pandas_udf(FOUND)  # type: ignore[call-overload]
    def masked(texts: pd.Series, keys: pd.Series, values: pd.Series) -> pd.DataFrame:
        rows = [_mask_row(*row, kinds) for row in zip(texts, keys, values, strict=True)]
        return pd.DataFrame(rows, columns=FOUND.fieldNames())

    found = records.withColumn("found", masked("text", "source_key", F.map_values("facts")))
    counts = F.map_from_arrays(F.array(*[F.lit(kind) for kind in kinds]), F.col("found.counts"))
    new = {
        "text": F.col("found.text"),
        "source_key": F.col("found.source_key"),
        "facts": F.map_from_arrays(F.map_keys("facts"), F.col("found.values")),
        "masked": F.map_filter(counts, lambda _, number: number > 0),
    }
    return found.withColumns(new).select(*MASKED.fieldNames())


def _mask_row(text: str | None, key: str | None, values: Sequence[str] | None, kinds: Sequence[str]) -> tuple:
    total: Counter[str] = Counter()

    def masked(value: str | None) -> str | None:
        spans = find(value, kinds) if value else []
        total.update(kind for _, _, kind in spans)
        return replace(value, spans) if spans else value  # type: ignore[arg-type]

    done = masked(text), masked(key), None if values is None else [masked(value) for value in values]
    return *done, [total[kind] for kind in kinds]


def count(masked: DataFrame) -> DataFrame:
    """source, lang, kind, count over the column `masked` of records."""
    entries = masked.select("source", "lang", F.explode("masked").alias("kind", "number"))
    return entries.groupBy("source", "lang", "kind").agg(F.sum("number").cast("long").alias("count"))


def mask_annotations(annotations: DataFrame, records: DataFrame, kinds: Sequence[str]) -> DataFrame:
    """The annotations of `records`; quotes as they stand in the masked text, `start` = their offset there."""

    @F.pandas_udf(QUOTE)  # type: ignore[call-overload]
    def masked(quotes: pd.Series, starts: pd.Series, texts: pd.Series) -> pd.DataFrame:
        rows = [_optional(*row, kinds) for row in zip(quotes, starts, texts, strict=True)]
        frame = pd.DataFrame(rows, columns=QUOTE.fieldNames())
        return frame.assign(start=frame["start"].astype("Int32"))

    texts = records.select("record_id", F.col("text").alias("record_text"))
    joined = annotations.join(texts, on="record_id", how="inner")
    found = joined.withColumn("found", masked("quote", "start", "record_text"))
    new: dict[str, Column] = {name: F.col(f"found.{name}") for name in QUOTE.fieldNames()}
    return found.withColumns(new).select(*ANNOTATIONS.fieldNames())


def _optional(quote: str | None, start: float | None, text: str | None, kinds: Sequence[str]) -> tuple:
    place = None if start is None or pd.isna(start) else int(start)
    return (None, place) if quote is None else mask_quote(quote, place, text or "", kinds)


def mask_quote(quote: str, start: int | None, text: str, kinds: Sequence[str] = KINDS) -> tuple[str, int | None]:
    """The quote as it stands in the masked `text`, and its offset there.

    `text` is normalised and not masked; of several occurrences the one nearest to `start` counts. Masked values that
    the quote touches are part of the result as whole tags. A quote that `text` lacks is masked by itself.
    """
    alone = normalise(quote) or ""
    # What a mark is folded to depends on its neighbours, and at its ends a quote has lost them.
    wanted, folded = alone.translate(_FOLD), text.translate(_FOLD)
    places = [match.start() for match in re.finditer(f"(?={re.escape(wanted)})", folded)] if wanted else []
    if not places:
        return replace(alone, find(alone, kinds)), start
    return _cut(text, min(places, key=lambda place: abs(place - (start or 0))), len(wanted), kinds)


def _cut(text: str, begin: int, length: int, kinds: Sequence[str]) -> tuple[str, int]:
    spans = find(text, kinds)
    end = begin + length
    touched = [span for span in spans if span[0] < end and span[1] > begin]
    if touched:
        begin, end = min(begin, touched[0][0]), max(end, touched[-1][1])
    before = [span for span in spans if span[1] <= begin]
    inside = [(low - begin, high - begin, kind) for low, high, kind in touched]
    return replace(text[begin:end], inside), len(replace(text[:begin], before))


# --- finding ---------------------------------------------------------------------------------------------------------


def replace(text: str, spans: Sequence[Span]) -> str:
    """`text` with each span replaced by its tag, such as <PHONE>; spans sorted, not overlapping."""
    pieces, place = [], 0
    for start, end, kind in spans:
        pieces += [text[place:start], f"<{kind.upper()}>"]
        place = end
    return "".join([*pieces, text[place:]])


def find(text: str, kinds: Sequence[str] = KINDS) -> list[Span]:
    """Personal data in `text`: sorted (start, end, kind), not overlapping; offsets in characters."""
    if not _WORTH.search(text):
        return []
    folded = text.translate(_FOLD)
    found: list[Span] = []
    taken = bytearray(len(text))
    for kind in KINDS:
        if kind in kinds:
            found += [span for span in _candidates(folded, kind) if _claim(taken, span)]
    return sorted(found)


def _candidates(text: str, kind: str) -> list[Span]:
    spans: list[Span] = []
    taken = bytearray(len(text))
    for pattern, check in RECOGNISERS[kind]:
        for match in pattern.finditer(text):
            span = (match.start(), match.end(), kind)
            if check(match) and _claim(taken, span):
                spans.append(span)
    return spans


def _claim(taken: bytearray, span: Span) -> bool:
    """Mark a span's characters in `taken`, one byte each; False where one is marked already."""
    start, end, _ = span
    if 1 in taken[start:end]:
        return False
    taken[start:end] = b"\1" * (end - start)
    return True


# One character becomes one character, so that offsets hold: full-width forms, dashes, spaces.
_FOLD = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_FOLD |= dict.fromkeys(map(ord, "‐‑‒–—−"), ord("-")) | dict.fromkeys(map(ord, "\u3000\xa0\u2009\u202f"), ord(" "))

# Most texts hold nothing that any pattern could match.
_WORTH = re.compile(r"[@＠]|(?:\d\D{0,3}){6}\d|[0-9A-Fa-f]:[0-9A-Fa-f:]*:|\d\.\d+\.\d+\.\d")
_ORDER = re.compile(
    r"(?:订单|单号|流水|编号|交易号|参考号|合同号|凭证|案件|工单|运单|票号|批次"
    r"|\border|\bref|\breference|\binvoice|\btransaction|\bcase|\bticket|\btracking|\bconfirmation|\bcomplaint)"
    r"\s?(?:号码?|no|nr|number|id)?[^\w]{0,4}(?:是|为|is)?[^\w]{0,3}$",
    re.IGNORECASE,
)
_CARD_CONTEXT = re.compile(r"(?:卡号?|账号|\bcard|\bcc|visa|mastercard)[^\d]{0,20}$", re.IGNORECASE)
_PHONE_CONTEXT = re.compile(
    r"(?:phone|mobile|\bcell|\btel|\bfax|\bdesk|whatsapp|\b(?:call|text|reach|ring)(?:ed|ing)? (?:\w+ )?(?:on|at|back)"
    r"|answering at|messages? (?:to|on|at))[^\d]{0,12}$"
    r"|(?:手机|电话|座机|传真|联系方式|致电|拨打)(?:号码?)?[是为]?[^\w]{0,4}$",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d\d[-. ]\d{1,2}[-. ]\d{1,2}|\d{1,2}[-. ]\d{1,2}[-. ](?:19|20)?\d\d|(?:19|20)\d{6}")
_AMOUNT = re.compile(r" ?(?:元|块|万|美元|人民币|%|dollars|usd|rmb|cny)", re.IGNORECASE)
_LABEL = re.compile(r"(?:card|cc|no|visa|tel|phone|mobile|cell|call|fax|whatsapp|wechat|vx|wx|qq|mob)$", re.IGNORECASE)


def _before(match: re.Match, width: int = 40) -> str:
    return match.string[max(0, match.start() - width) : match.start()]


def _digits(match: re.Match) -> str:
    return "".join(filter(str.isdigit, match.group()))


def _resident_id(match: re.Match) -> bool:
    """18 characters, GB 11643 check digit, a real birth date since 1850. Districts come and go: not checked."""
    number = re.sub(r"[ -]", "", match.group()).upper()
    try:
        return number[-1] == ric.calc_check_digit(number) and 1850 <= ric.get_birth_date(number).year <= 2100
    except ValidationError:
        return False


# First digits and lengths that card networks issue (ISO/IEC 7812): UnionPay, Visa, Mastercard, Discover, Maestro, JCB,
# American Express, Diners. 19 and 20 lead no card: most long numbers that begin with a year are no cards.
_BRAND = re.compile(
    r"62\d{14,17}|4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}|35\d{14,17}|(?:2131|1800)\d{11}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,13}"
    r"|(?:5[06-9]|6[0-9]|9[0-9])\d{14,17}"
)


def _card(match: re.Match) -> bool:
    number = _digits(match)
    if not luhn.is_valid(number) or _is_code(match):
        return False
    return bool(_BRAND.fullmatch(number) or _CARD_CONTEXT.search(_before(match)))


def _mobile(match: re.Match) -> bool:
    return not _is_code(match)


def _is_code(match: re.Match) -> bool:
    """Behind a word for an order, or inside a code of letters and digits such as TX138… or a hash."""
    if _ORDER.search(_before(match)):
        return True
    letters = re.search(r"[A-Za-z]+$", _before(match))
    if letters is None or _LABEL.search(letters.group()):
        return False
    return letters.group().isupper() or bool(re.match("[A-Za-z]", match.string[match.end() : match.end() + 1]))


def _landline(match: re.Match) -> bool:
    """With a separator or after a word for telephone, and a number that the numbering plan knows."""
    marked = not match.group().isdigit() or bool(_PHONE_CONTEXT.search(_before(match)))
    return marked and not _ORDER.search(_before(match)) and _valid(match.group(), "CN")


def _international(match: re.Match) -> bool:
    return _valid("+" + _digits(match).removeprefix("00"), None, possible=True)


def _valid(number: str, region: str | None, possible: bool = False) -> bool:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(parsed) if possible else phonenumbers.is_valid_number(parsed)


def _in_context(match: re.Match) -> bool:
    """7 to 15 digits right behind a word for telephone, or right before one; not a date."""
    after = match.string[match.end() : match.end() + 10]
    if _DATE.fullmatch(match.group()) or _ORDER.search(_before(match)) or _AMOUNT.match(after):
        return False
    return bool(_PHONE_CONTEXT.search(_before(match)) or re.match(r"[ -](?:office|fax|mobile|cell|home)", after, re.I))


def _address(match: re.Match) -> bool:
    try:
        ipaddress.ip_address(match.group())
    except ValueError:
        return False
    return sum(map(str.isalnum, match.group())) > 3


def _always(match: re.Match) -> bool:
    return True


Recogniser = tuple[re.Pattern, Callable[[re.Match], bool]]
RECOGNISERS: dict[str, list[Recogniser]] = {
    "email": [(re.compile(r"[A-Za-z0-9À-ɏ_.%+-]{1,64}@(?:[A-Za-z0-9À-ɏ-]{1,63}\.){1,8}[A-Za-z]{2,24}"), _always)],
    "resident_id": [
        (re.compile(r"(?<!\d)\d{6}[ -]?\d{4}[ -]?\d{2}[ -]?\d{2}[ -]?\d{3}[ -]?[\dXx](?!\d)"), _resident_id),
    ],
    "card": [
        (re.compile(r"(?<!\d)(?<!\d\.)\d{12,19}(?!\d)(?!\.\d)"), _card),
        (re.compile(r"(?<!\d)\d{4}([ -])\d{4}\1\d{4}\1\d{4}\1\d{1,3}(?!\d)"), _card),
        (re.compile(r"(?<!\d)\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?!\d)"), _card),
        (re.compile(r"(?<!\d)(?:\d{4}[ -]\d{6}[ -]\d{4,5}|\d{6}[ -]\d{10,13})(?!\d)"), _card),
    ],
    "phone": [
        (
            re.compile(
                r"(?<!\d)(?<!\d\.)(?<![¥$€£])(?:(?:\+|00)?86[ -]?|\(\+?86\) ?)?"
                r"(?:1[3-9](?:\d{9}|\d[ -]\d{4}[ -]\d{4}|\d[ -]\d{3}[ -]\d{5}|\d{2}[ -]\d{3}[ -]\d{4}|\d[ -]\d{8}"
                r"|\d{5}[ -]\d{4})|1[ -][3-9](?:[ -]\d){9})(?!\d)(?!\.\d)"
            ),
            _mobile,
        ),
        (re.compile(r"(?<!\d)\(?0(?:10|2\d|[3-9]\d{2})\)?[ -]?[2-8]\d{2,3}[ -]?\d{4}(?!\d)"), _landline),
        (re.compile(r"(?<![\d+])(?:\+ ?|00)[1-9](?:[ .()/-]{0,2}\d){6,14}(?!\d)"), _international),
        (
            re.compile(
                r"(?<![\d.-])(?:\+?1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[.-]\d{4}"
                r"(?:(?: ?x| ext\.? )\d{1,5})?(?![\d-])"
            ),
            _always,
        ),
        (re.compile(r"(?<![\w.,¥$€£])\(?\d(?:[ .()-]{0,2}\d){6,14}(?![\w]|[.,]\d)"), _in_context),
    ],
    "ip": [
        (re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)"), _address),
        (re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"), _address),
    ],
}
