"""Mask: replace personal data in texts, facts, source keys and quotes by tokens.

text/personal_data/ finds them and has what stands for each (masking.py): a tag, a keyed pseudonym or a part of the
value that identifies nobody; or its record is rejected.

An annotation whose label holds personal data is rejected: <PHONE> is not a class. A label is the name of a class, so it
is judged only by the PROVEN kinds and the user's patterns: `Name: Change` and `Unit 3` are classes. An annotator whose
name is personal data becomes a code, so that no label is lost and two people stay distinct.
"""

import functools
import hmac
import importlib
import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, LongType, StringType

from finelake.jobs.stage import ANNOTATIONS, MASKED, REJECTS, Frames, Stage, rejects, struct
from finelake.lake.config.project import MASK_KEY, mask_key
from finelake.lake.errors import UserError, did_you_mean
from finelake.text.personal_data import patterns
from finelake.text.personal_data.find import Ner
from finelake.text.personal_data.kinds import KINDS
from finelake.text.personal_data.masking import (
    PARTS,
    Mode,
    Rules,
    annotator_code,
    find_in,
    kinds_in,
    label_kinds,
    listed,
    mask_quote,
    mask_spans,
)
from finelake.text.personal_data.recogniser import Span

SHORTEST = 32  # characters of a key: whoever guesses the key can reverse the pseudonyms

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
    kinds: tuple[str, ...] = KINDS  # the recognisers' kinds that are masked
    patterns: dict[str, str] = field(default_factory=dict)  # regular expressions by the user's kinds; always masked
    modes: dict[str, Mode] = field(default_factory=dict)  # by kind; default: tag
    key_fingerprint: str | None = None  # of the key of the pseudonyms; the key itself is in the environment
    ner: str | None = None  # package.module:function that takes a text and returns (start, end, kind) of each value
    key: str = field(default="", repr=False, metadata={"given": "by the runner"})

    def __post_init__(self) -> None:
        for kind, pattern in self.patterns.items():
            _check_pattern(kind, pattern)
        for kind in sorted({*self.kinds} & {*self.patterns}):
            raise ValueError(f"{kind} is one of patterns, which are always masked; remove it from kinds")
        for kind in sorted({*self.kinds, *self.modes} - {*KINDS, *self.patterns}):
            raise ValueError(f"{kind} is not a kind; {did_you_mean(kind, (*KINDS, *self.patterns))}")
        for kind in sorted({*self.modes} - {*self.masked}):
            raise ValueError(f"{kind} has a mode and is not among kinds; add it there or remove its mode")
        for kind in sorted(kind for kind, mode in self.modes.items() if mode == "partial" and kind not in PARTS):
            raise ValueError(f"every part of {kind} may identify a person; partial is for {', '.join(PARTS)}")
        if self.ner is not None:
            _check_ner(self.ner)

    @property
    def masked(self) -> tuple[str, ...]:
        """Every kind that is masked."""
        return (*self.kinds, *self.patterns)

    def rules(self) -> Rules:
        """For the functions that mask; a model of `ner` is imported here, in the process that masks."""
        return Rules(self.kinds, self.patterns, self.modes, self.key, load_ner(self.ner) if self.ner else None)


def _check_pattern(kind: str, pattern: str) -> None:
    if not re.fullmatch("[a-z][a-z0-9_]{0,31}", kind):
        raise ValueError(
            f"patterns: {kind!r} is not the name of a kind; write up to 32 of a-z, 0-9 and _, a letter first"
        )
    if kind in KINDS:
        raise ValueError(f"patterns: {kind} is a kind of Finelake's; give yours another name")
    try:
        patterns.compiled(pattern)
    except ValueError as error:
        raise ValueError(f"patterns.{kind} {error}; correct it") from None


def _check_ner(name: str) -> None:
    if not re.fullmatch(r"\w+(?:\.\w+)*:\w+", name):
        raise ValueError(f"ner is {name!r}; write package.module:function")
    if _is_standard_library(name.partition(":")[0]):
        raise ValueError(f"ner names {name}, a part of Python itself; name a function of your own package")


def _is_standard_library(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """Records and annotations without personal data, counts by kind.

    Rejected are records that hold a kind whose mode is `drop` or have a column named by a personal value, annotations
    whose label holds one, and annotations whose record is gone.
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
    """`params` with the key of the pseudonyms, where a mode needs it. UserError for a missing, short or different key,
    and for a model that cannot be loaded."""
    if params.ner:
        load_ner(params.ner)
    if "pseudonym" not in params.modes.values():
        return params
    if not key:
        raise UserError(f"mask makes pseudonyms and {MASK_KEY} is not set; export the key (see docs/personal-data.md)")
    if len(key) < SHORTEST:
        raise UserError(
            f"{MASK_KEY} has {len(key)} characters; use {SHORTEST} or more, as `openssl rand -hex 32` gives"
        )
    actual = fingerprint(key)
    if params.key_fingerprint is None:
        raise UserError(f"params.yaml: mask.key_fingerprint is missing; write {actual}, that of {MASK_KEY}")
    if actual != params.key_fingerprint:
        raise UserError(
            f"{MASK_KEY} is another key ({actual}) than mask.key_fingerprint in params.yaml names; export the right "
            f"one, or write {actual} to mask everything anew"
        )
    return replace(params, key=key)


def secrets(content: Mapping[str, Any]) -> set[str]:
    """The environment variable of the pseudonyms' key, where a mode needs it."""
    modes = (content.get("mask") or {}).get("modes") or {}
    return {MASK_KEY} if "pseudonym" in modes.values() else set()


def fingerprint(key: str) -> str:
    """16 hexadecimal digits that distinguish keys and reveal nothing of them."""
    return hmac.digest(key.encode(), b"fingerprint", "sha256").hex()[:16]


@lru_cache
def load_ner(name: str) -> Ner:
    """The function that `package.module:function` names. UserError where it cannot be imported or is not fit."""
    module, _, function = name.partition(":")
    try:
        model = getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
        raise UserError(f"mask.ner names {name}, which cannot be imported ({reason}); install or correct it") from None
    unfit = _unfit(model)
    if unfit:
        raise UserError(f"mask.ner names {name}, which {unfit}; name a function of your own that takes a text")

    def spans(text: str) -> list[Span]:
        try:
            return [(start, end, kind) for start, end, kind in model(text)]
        except Exception as error:  # its message could hold the text
            raise UserError(f"{name} failed on a text: {type(error).__name__}; correct that function") from None

    return spans


def _unfit(model: Any) -> str | None:
    """Why an object cannot be a model; None where it can."""
    module = getattr(_innermost(model), "__module__", None)
    if not callable(model) or not isinstance(module, str):
        return "is not a function"
    if _is_standard_library(module):
        return f"is a part of Python itself ({module})"
    try:
        inspect.signature(model).bind("")
    except TypeError:
        return "cannot be called with one text"
    except ValueError:  # compiled functions may have no signature
        return None
    return None


def _innermost(function: Any) -> Any:
    """The function that a partial calls: the module of a partial itself is functools."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


# --- tables ----------------------------------------------------------------------------------------------------------


def mask_records(records: DataFrame, params: Params) -> DataFrame:
    """`records` with text, source_key, business and every fact masked; `masked`: the number of values by kind (above
    0), and `columns`: the kinds in the names of facts and numbers, null for none."""

    @F.pandas_udf(FOUND)  # type: ignore[call-overload]
    def masked(
        texts: pd.Series, keys: pd.Series, businesses: pd.Series, values: pd.Series, names: pd.Series
    ) -> pd.DataFrame:
        rules = params.rules()
        named = cache(lambda name: kinds_in(name, rules, rules.kinds))
        with _slow_patterns_named():
            rows = [
                (*_mask_row(row, rules), listed(kind for name in columns for kind in named(name)))
                for *row, columns in zip(texts, keys, businesses, values, names, strict=True)
            ]
        return pd.DataFrame(rows, columns=FOUND.fieldNames())

    nothing = F.array().cast("array<string>")
    names = F.concat(*[F.coalesce(F.map_keys(column), nothing) for column in ("facts", "numbers")])
    results = records.withColumn("result", masked("text", "source_key", "business", F.map_values("facts"), names))
    counts = F.map_from_arrays(F.array(*[F.lit(kind) for kind in params.masked]), F.col("result.counts"))
    new = {
        "text": F.col("result.text"),
        "source_key": F.col("result.source_key"),
        "business": F.col("result.business"),
        "facts": F.map_from_arrays(F.map_keys("facts"), F.col("result.values")),
        "masked": F.map_filter(counts, lambda _, number: number > 0),
        "columns": F.col("result.columns"),
    }
    return results.withColumns(new).select(*MASKED.fieldNames(), "columns")


@contextmanager
def _slow_patterns_named() -> Iterator[None]:
    try:
        yield
    except patterns.SlowPattern as slow:
        raise UserError(
            f"mask.patterns.{slow} took more than {patterns.SECONDS} s for one text; write it without repetitions "
            "in repetitions, such as (a+)+"
        ) from None


def _mask_row(row: Sequence, rules: Rules) -> tuple:
    *texts, values = row
    total: Counter[str] = Counter()

    def masked(value: str | None) -> str | None:
        if not value:
            return value
        spans = find_in(value, rules)
        total.update(kind for _, _, kind in spans)
        return mask_spans(value, spans, rules)

    done = [masked(text) for text in texts]
    facts = None if values is None else [masked(value) for value in values]
    return *done, facts, [total[kind] for kind in rules.masked]


def count(masked: DataFrame) -> DataFrame:
    """source, lang, kind, count over the column `masked` of records."""
    entries = masked.select("source", "lang", F.explode("masked").alias("kind", "number"))
    return entries.groupBy("source", "lang", "kind").agg(F.sum("number").cast("long").alias("count"))


def mask_annotations(annotations: DataFrame, records: DataFrame, params: Params) -> DataFrame:
    """The annotations of `records`, with quotes as in the masked text, `start`: their offset there, annotators as by
    `annotator_code`, and `personal`: the kinds in the label (`label: phone`), null for none."""

    @F.pandas_udf(QUOTE)  # type: ignore[call-overload]
    def masked(
        quotes: pd.Series, starts: pd.Series, texts: pd.Series, labels: pd.Series, annotators: pd.Series
    ) -> pd.DataFrame:
        rules = params.rules()
        coded = cache(lambda annotator: annotator_code(annotator, rules))
        judged = cache(lambda label: label_kinds(label, rules))
        with _slow_patterns_named():
            rows = [
                (*_optional(quote, start, text, rules), coded(annotator), judged(label))
                for quote, start, text, label, annotator in zip(quotes, starts, texts, labels, annotators, strict=True)
            ]
        frame = pd.DataFrame(rows, columns=QUOTE.fieldNames())
        return frame.assign(start=frame["start"].astype("Int32"))

    texts = records.select("record_id", F.col("text").alias("record_text"))
    joined = annotations.join(texts, on="record_id", how="inner")
    results = joined.withColumn("result", masked("quote", "start", "record_text", "label", "annotator"))
    new: dict[str, Column] = {name: F.col(f"result.{name}") for name in QUOTE.fieldNames()}
    return results.withColumns(new).select(*ANNOTATIONS.fieldNames(), "personal")


def _optional(quote: str | None, start: float | None, text: str | None, rules: Rules) -> tuple:
    offset = None if start is None or pd.isna(start) else int(start)
    return (None, offset) if quote is None else mask_quote(quote, offset, text or "", rules)


STAGE = Stage(
    reads=("dedup.records", "ingest.annotations"),
    writes={"records": MASKED, "counts": COUNTS, "annotations": ANNOTATIONS, "rejects": REJECTS},
    params=Params,
    build=build,
    balance=balance,
    ready=lambda root, params, run_name: ready(params, mask_key()),
    secrets=secrets,
)
