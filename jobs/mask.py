"""Mask: personal data in texts, facts, source keys and quotes give way to the name of their kind.

text/personal_data/ finds them; here is what becomes of each: a tag, a keyed pseudonym, a part of
the value that names nobody, or the whole record is rejected.

An annotation whose label holds personal data is rejected: <PHONE> is not a class. A label is the name of a class, so it
is judged by the PROVEN kinds and the user's patterns only: `Name: Change` and `Unit 3` are classes. An annotator who is
named by personal data becomes a code, so that no label is lost and two people stay two.
"""

import functools
import hashlib
import hmac
import importlib
import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any, Literal

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, LongType, StringType

from finelake.jobs.stage import ANNOTATIONS, MASKED, REJECTS, Frames, Stage, rejects, struct
from finelake.lake.config.project import MASK_KEY, mask_key
from finelake.lake.errors import UserError
from finelake.text.normalise import normalise
from finelake.text.personal_data import patterns
from finelake.text.personal_data.digits import FOLD, canonical
from finelake.text.personal_data.find import Ner, find
from finelake.text.personal_data.kinds import KINDS
from finelake.text.personal_data.recogniser import Span

Mode = Literal["tag", "pseudonym", "partial", "drop"]
# What of a value `partial` keeps: the last digits, the province, the country. Too many share it to name anybody.
PARTS = {
    "card": slice(-4, None),
    "phone": slice(-4, None),
    "resident_id": slice(2),
    "iban": slice(2),
    "plate": slice(2),
}
# What a token may hold of a value in mode `partial`: also of the rest of a value around another one.
SHAPES = {
    "card": r"[\da-z]{1,4}",
    "phone": r"[\da-z]{1,4}",
    "resident_id": r"[\dx]{1,2}",
    "iban": r"[\da-z]{1,2}",
    "plate": r"\w{1,2}",
}
# The kinds that a form or a check digit proves; the others (names, addresses, chats, IPs) are guessed from words.
PROVEN = ("url", "email", "resident_id", "credit_code", "iban", "card", "ssn", "passport", "phone", "plate")
SHORTEST = 32  # characters of a key: pseudonyms whose key can be guessed can be undone
LETTERS = 12  # of a pseudonym, 56 bits: two values in a hundred million meet by chance once in ten times

COUNTS = struct(source=StringType(), lang=StringType(), kind=StringType(), count=LongType())
FOUND = struct(
    text=StringType(),
    source_key=StringType(),
    business=StringType(),
    values=ArrayType(StringType()),
    counts=ArrayType(IntegerType()),
    columns=StringType(),
)
QUOTE = struct(quote=StringType(), start=IntegerType(), annotator=StringType(), personal=StringType())
OF_ANNOTATIONS = "^label: "  # how the detail of a rejected annotation begins


@dataclass(frozen=True)
class Params:
    kinds: tuple[str, ...] = KINDS  # what of the recognisers' kinds is masked
    patterns: dict[str, str] = field(default_factory=dict)  # expressions by kinds of one's own; always masked
    modes: dict[str, Mode] = field(default_factory=dict)  # by kind; tag where nothing is said
    key_fingerprint: str | None = None  # of the key of the pseudonyms; the key itself is in the environment
    ner: str | None = None  # package.module:function that takes a text and gives (start, end, kind) of what it finds
    key: str = field(default="", repr=False, metadata={"given": "by the runner"})

    def __post_init__(self) -> None:
        for kind, pattern in self.patterns.items():
            _check_pattern(kind, pattern)
        for kind in sorted({*self.kinds} & {*self.patterns}):
            raise ValueError(f"{kind} is one of patterns, which are always masked; remove it from kinds")
        for kind in sorted({*self.kinds, *self.modes} - {*KINDS, *self.patterns}):
            raise ValueError(f"{kind} is not a kind; choose from {', '.join((*KINDS, *self.patterns))}")
        for kind in sorted({*self.modes} - {*self.masked}):
            raise ValueError(f"{kind} has a mode and is not among kinds; add it there or remove its mode")
        for kind in sorted(kind for kind, mode in self.modes.items() if mode == "partial" and kind not in PARTS):
            raise ValueError(f"{kind} has no part that names nobody; partial is for {', '.join(PARTS)}")
        if self.ner is not None:
            _check_ner(self.ner)

    @property
    def masked(self) -> tuple[str, ...]:
        """Every kind that is masked."""
        return (*self.kinds, *self.patterns)


def _check_pattern(kind: str, pattern: str) -> None:
    if not re.fullmatch("[a-z][a-z0-9_]{0,31}", kind):
        raise ValueError(
            f"patterns: {kind!r} is not a name of a kind; write up to 32 of a-z, 0-9 and _, a letter first"
        )
    if kind in KINDS:
        raise ValueError(f"patterns: {kind} is a kind that Finelake knows; give yours another name")
    try:
        patterns.compiled(pattern)
    except ValueError as error:
        raise ValueError(f"patterns.{kind} {error}; correct it") from None


def _check_ner(name: str) -> None:
    if not re.fullmatch(r"\w+(?:\.\w+)*:\w+", name):
        raise ValueError(f"ner is {name!r}; write package.module:function")
    if _is_python_s_own(name.partition(":")[0]):
        raise ValueError(f"ner names {name}, a part of Python itself; name a function of your own package")


def _is_python_s_own(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """Records and annotations without personal data, counts by kind.

    Rejected are the records that hold a kind whose mode is `drop` or that have a column named by a personal value, the
    annotations whose label holds one, and the annotations whose record is gone.
    """
    records, annotations = frames["dedup.records"], frames["ingest.annotations"]
    masked = mask_records(records, params).persist()
    unwanted = F.array(*[F.lit(kind) for kind in params.masked if params.modes.get(kind) == "drop"])
    dropped = F.array_sort(F.array_intersect(F.map_keys("masked"), unwanted.cast("array<string>")))
    judged = masked.withColumn("dropped", F.concat_ws(",", dropped, F.concat(F.lit("column: "), "columns")))
    kept = judged.where("dropped = ''").select(*MASKED.fieldNames())
    unfit = judged.where("dropped <> ''")
    gone = annotations.join(kept, on="record_id", how="left_anti")
    marks = mask_annotations(annotations.join(kept, "record_id", how="left_semi"), records, params).persist()
    personal = F.lit("personal_data")
    return {
        "records": kept,
        "counts": count(kept),
        "annotations": marks.where("personal is null").select(*ANNOTATIONS.fieldNames()),
        "rejects": rejects(unfit, "mask", personal, F.col("dropped"))
        .unionByName(rejects(marks.where("personal is not null"), "mask", personal, F.col("personal")))
        .unionByName(rejects(gone, "mask", F.lit("record_gone"), F.col("layer"))),
    }


def balance(frames: Frames, outputs: Frames, params: Params) -> dict[str, tuple[int, int]]:
    """Records and annotations: rows in, and rows kept or rejected."""
    rows = {name: frame.count() for name, frame in {**frames, **outputs}.items()}
    of_records = (F.col("reason") == "personal_data") & ~F.col("detail").rlike(OF_ANNOTATIONS)
    unfit = outputs["rejects"].where(of_records).count()
    return {
        "records": (rows["dedup.records"], rows["records"] + unfit),
        "annotations": (rows["ingest.annotations"], rows["annotations"] + rows["rejects"] - unfit),
    }


# --- the key and the model -------------------------------------------------------------------------------------------


def ready(params: Params, key: str | None) -> Params:
    """`params` with the key of the pseudonyms, where a mode needs it. UserError for a missing, short or other key, and
    for a model that cannot be loaded."""
    if params.ner:
        load_ner(params.ner)
    if "pseudonym" not in params.modes.values():
        return params
    if not key:
        raise UserError(f"mask makes pseudonyms and {MASK_KEY} is not set; export the key (see docs/personal-data.md)")
    if len(key) < SHORTEST:
        raise UserError(
            f"{MASK_KEY} has {len(key)} characters; take {SHORTEST} or more, as `openssl rand -hex 32` gives"
        )
    found = fingerprint(key)
    if params.key_fingerprint is None:
        raise UserError(f"params.yaml: mask.key_fingerprint is missing; write {found}, that of {MASK_KEY}")
    if found != params.key_fingerprint:
        raise UserError(
            f"{MASK_KEY} is another key ({found}) than mask.key_fingerprint in params.yaml names; export the right "
            f"one, or write {found} to mask everything anew"
        )
    return replace(params, key=key)


def secrets(content: Mapping[str, Any]) -> set[str]:
    """The environment variable of the pseudonyms' key, where a mode needs it."""
    modes = (content.get("mask") or {}).get("modes") or {}
    return {MASK_KEY} if "pseudonym" in modes.values() else set()


def fingerprint(key: str) -> str:
    """16 hexadecimal digits that tell keys apart and tell nothing of them."""
    return hmac.digest(key.encode(), b"fingerprint", "sha256").hex()[:16]


@lru_cache
def load_ner(name: str) -> Ner:
    """The function that `package.module:function` names. UserError where it cannot be imported or is not fit."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:  # the module is the user's own and may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
        raise UserError(f"mask.ner names {name}, which cannot be imported ({reason}); install or correct it") from None
    unfit = _unfit(found)
    if unfit:
        raise UserError(f"mask.ner names {name}, which {unfit}; name a function of your own that takes a text")

    def spans(text: str) -> list[Span]:
        try:
            return [(start, end, kind) for start, end, kind in found(text)]
        except Exception as error:  # whose own words could hold the text
            raise UserError(f"{name} failed on a text: {type(error).__name__}; correct that function") from None

    return spans


def _unfit(found: Any) -> str | None:
    """Why an object does not do as a model; None where it does."""
    home = getattr(_innermost(found), "__module__", None)
    if not callable(found) or not isinstance(home, str):
        return "is not a function"
    if _is_python_s_own(home):
        return f"is a part of Python itself ({home})"
    try:
        inspect.signature(found).bind("")
    except TypeError:
        return "cannot be called with one text"
    except ValueError:  # compiled functions may not say what they take
        return None
    return None


def _innermost(found: Any) -> Any:
    """What a partial calls: the module of a partial itself is functools."""
    while isinstance(found, functools.partial):
        found = found.func
    return found


# --- tables ----------------------------------------------------------------------------------------------------------


def mask_records(records: DataFrame, params: Params) -> DataFrame:
    """`records` with text, source_key, business and every fact masked, `masked`: how many of each kind (only those
    found), and `columns`: the kinds that names of facts and numbers hold, null for none."""

    @F.pandas_udf(FOUND)  # type: ignore[call-overload]
    def masked(
        texts: pd.Series, keys: pd.Series, businesses: pd.Series, values: pd.Series, names: pd.Series
    ) -> pd.DataFrame:
        named = cache(lambda name: kinds_in(name, params, params.kinds))
        rows = [
            (*_mask_row(row, params), _joined(kind for name in columns for kind in named(name)))
            for *row, columns in zip(texts, keys, businesses, values, names, strict=True)
        ]
        return pd.DataFrame(rows, columns=FOUND.fieldNames())

    nothing = F.array().cast("array<string>")
    names = F.concat(*[F.coalesce(F.map_keys(column), nothing) for column in ("facts", "numbers")])
    found = records.withColumn("found", masked("text", "source_key", "business", F.map_values("facts"), names))
    counts = F.map_from_arrays(F.array(*[F.lit(kind) for kind in params.masked]), F.col("found.counts"))
    new = {
        "text": F.col("found.text"),
        "source_key": F.col("found.source_key"),
        "business": F.col("found.business"),
        "facts": F.map_from_arrays(F.map_keys("facts"), F.col("found.values")),
        "masked": F.map_filter(counts, lambda _, number: number > 0),
        "columns": F.col("found.columns"),
    }
    return found.withColumns(new).select(*MASKED.fieldNames(), "columns")


def _mask_row(row: Sequence, params: Params) -> tuple:
    *texts, values = row
    total: Counter[str] = Counter()

    def masked(value: str | None) -> str | None:
        if not value:
            return value
        spans = find_in(value, params)
        total.update(kind for _, _, kind in spans)
        return mask_spans(value, spans, params)

    done = [masked(text) for text in texts]
    facts = None if values is None else [masked(value) for value in values]
    return *done, facts, [total[kind] for kind in params.masked]


def _joined(kinds: Iterable[str]) -> str | None:
    return ",".join(sorted({*kinds})) or None


def count(masked: DataFrame) -> DataFrame:
    """source, lang, kind, count over the column `masked` of records."""
    entries = masked.select("source", "lang", F.explode("masked").alias("kind", "number"))
    return entries.groupBy("source", "lang", "kind").agg(F.sum("number").cast("long").alias("count"))


def mask_annotations(annotations: DataFrame, records: DataFrame, params: Params) -> DataFrame:
    """The annotations of `records`; quotes as they stand in the masked text, `start` = their offset there, annotators
    as `annotator_code` gives them, and `personal`: the kinds that the label holds (`label: phone`), null for none."""

    @F.pandas_udf(QUOTE)  # type: ignore[call-overload]
    def masked(
        quotes: pd.Series, starts: pd.Series, texts: pd.Series, labels: pd.Series, annotators: pd.Series
    ) -> pd.DataFrame:
        coded = cache(lambda annotator: annotator_code(annotator, params))
        judged = cache(lambda label: _personal(label, params))
        rows = [
            (*_optional(quote, start, text, params), coded(annotator), judged(label))
            for quote, start, text, label, annotator in zip(quotes, starts, texts, labels, annotators, strict=True)
        ]
        frame = pd.DataFrame(rows, columns=QUOTE.fieldNames())
        return frame.assign(start=frame["start"].astype("Int32"))

    texts = records.select("record_id", F.col("text").alias("record_text"))
    joined = annotations.join(texts, on="record_id", how="inner")
    found = joined.withColumn("found", masked("quote", "start", "record_text", "label", "annotator"))
    new: dict[str, Column] = {name: F.col(f"found.{name}") for name in QUOTE.fieldNames()}
    return found.withColumns(new).select(*ANNOTATIONS.fieldNames(), "personal")


def annotator_code(annotator: str | None, params: Params) -> str | None:
    """The annotator; where the value holds personal data, `annotator-` and 12 letters that follow from the value.

    Exactly equal values get equal codes, in every row and run. Without a key (no mode is `pseudonym`) whoever guesses
    the value can confirm it. A model of `ner` is not called: it takes any name for a person's.
    """
    if not annotator or not kinds_in(annotator, params, params.kinds):
        return annotator
    return f"annotator-{pseudonym('annotator', annotator, params.key)}"


def _personal(label: str | None, params: Params) -> str | None:
    """Such as `label: phone`."""
    proven = tuple(kind for kind in params.kinds if kind in PROVEN)
    kinds = _joined(kinds_in(label, params, proven)) if label else None
    return f"label: {kinds}" if kinds else None


def _optional(quote: str | None, start: float | None, text: str | None, params: Params) -> tuple:
    place = None if start is None or pd.isna(start) else int(start)
    return (None, place) if quote is None else mask_quote(quote, place, text or "", params)


def mask_quote(quote: str, start: int | None, text: str, params: Params) -> tuple[str, int | None]:
    """The quote as it stands in the masked `text`, and its offset there.

    `text` is normalised and not masked; of several occurrences the one nearest to `start` counts. Masked values that
    the quote touches are part of the result as a whole. A quote that `text` lacks is masked by itself.
    """
    alone = normalise(quote) or ""
    # What a mark is folded to depends on its neighbours, and at its ends a quote has lost them.
    wanted, folded = alone.translate(FOLD), text.translate(FOLD)
    places = [match.start() for match in re.finditer(f"(?={re.escape(wanted)})", folded)] if wanted else []
    if not places:
        return mask_text(alone, params), start
    return _cut(text, min(places, key=lambda place: abs(place - (start or 0))), len(wanted), params)


def _cut(text: str, begin: int, length: int, params: Params) -> tuple[str, int]:
    spans = find_in(text, params)
    end = begin + length
    touched = [span for span in spans if span[0] < end and span[1] > begin]
    if touched:
        begin, end = min(begin, touched[0][0]), max(end, touched[-1][1])
    before = [span for span in spans if span[1] <= begin]
    inside = [(low - begin, high - begin, kind) for low, high, kind in touched]
    return mask_spans(text[begin:end], inside, params), len(mask_spans(text[:begin], before, params))


# --- texts -----------------------------------------------------------------------------------------------------------


def mask_text(text: str, params: Params) -> str:
    """`text` without the personal data that are found in it."""
    return mask_spans(text, find_in(text, params), params)


def find_in(text: str, params: Params) -> list[Span]:
    """The personal data of the kinds that are masked, also those that the model of `ner` and the patterns find."""
    return _find(text, params.kinds, load_ner(params.ner) if params.ner else None, params)


def _find(text: str, kinds: tuple[str, ...], ner: Ner | None, params: Params) -> list[Span]:
    try:
        return find(text, kinds, ner, params.patterns, tags(params))
    except patterns.SlowPattern as slow:
        raise UserError(
            f"mask.patterns.{slow} took more than {patterns.SECONDS} s for one text; write it without repetitions "
            "in repetitions, such as (a+)+"
        ) from None


def kinds_in(value: str, params: Params, kinds: tuple[str, ...]) -> set[str]:
    """Which of `kinds` and of the patterns a value holds that is not masked in part, unchanged or normalised."""
    written = {value, normalise(value) or ""}
    return {kind for text in written for _, _, kind in _find(text, kinds, None, params)}


def tags(params: Params) -> re.Pattern:
    """What `token` can give with these parameters. Whatever else looks like a tag is text, and may hold a value."""
    return _tags(tuple((kind, params.modes.get(kind, "tag")) for kind in params.masked))


@lru_cache
def _tags(modes: tuple[tuple[str, Mode], ...]) -> re.Pattern:
    held = {"pseudonym": lambda kind: f"(?::[a-z]{{{LETTERS}}})?", "partial": lambda kind: f"(?::{SHAPES[kind]})?"}
    named = "|".join(kind.upper() + (held[mode](kind) if mode in held else "") for kind, mode in modes)
    return re.compile(f"<(?:{named})>")


def mask_spans(text: str, spans: Sequence[Span], params: Params) -> str:
    """`text` with each span replaced by what stands for it; spans sorted, not overlapping."""
    pieces, place = [], 0
    for start, end, kind in spans:
        pieces += [text[place:start], token(kind, text[start:end], params)]
        place = end
    return "".join([*pieces, text[place:]])


def token(kind: str, value: str, params: Params) -> str:
    """What stands for a value: <PHONE>, as pseudonym <PHONE:hkqzbtrwmcye>, as part <PHONE:5678>."""
    mode = params.modes.get(kind, "tag")
    told = canonical(kind, value)
    if mode == "pseudonym":
        return f"<{kind.upper()}:{pseudonym(kind, told, params.key)}>"
    if mode == "partial":
        return f"<{kind.upper()}:{told[PARTS[kind]]}>"
    return f"<{kind.upper()}>"


def pseudonym(kind: str, value: str, key: str) -> str:
    """12 letters: HMAC-SHA256 (RFC 2104) of kind and value. No digits: a pseudonym must not look like a number."""
    digest = hmac.new(key.encode(), f"{kind}\x1f{value}".encode(), hashlib.sha256).digest()
    return "".join(chr(ord("a") + byte % 26) for byte in digest[:LETTERS])


STAGE = Stage(
    reads=("dedup.records", "ingest.annotations"),
    writes={"records": MASKED, "counts": COUNTS, "annotations": ANNOTATIONS, "rejects": REJECTS},
    params=Params,
    build=build,
    balance=balance,
    ready=lambda root, params, run_name: ready(params, mask_key()),
    secrets=secrets,
)
