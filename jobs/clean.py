"""Clean: reject outliers, fill in and record missing values, normalise texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, LongType, StringType

from finelake.jobs.cleaning.intervals import INTERVALS
from finelake.jobs.stage import CLEANED, REJECTS, Frames, Stage, among, rejects, struct
from finelake.text.normalise import normalise

GROUP = ("source", "business_key")
BY = [*GROUP, "name"]


OUTLIERS = struct(
    source=StringType(),
    business=StringType(),
    column=StringType(),
    method=StringType(),
    chosen=BooleanType(),  # whether it is the method that rejects
    rows=LongType(),
    centre=DoubleType(),
    low=DoubleType(),  # a value outside low..high is an outlier; null: not judged
    high=DoubleType(),
    rejected=LongType(),
)


LIMITS = struct(
    source=StringType(),
    business_key=StringType(),
    name=StringType(),
    rows=LongType(),
    method=StringType(),
    centre=DoubleType(),
    low=DoubleType(),
    high=DoubleType(),
    rejected=LongType(),
)


@dataclass(frozen=True)
class Outliers:
    """How outliers are found: numbers too far from the others of their source, business and column."""

    # sigma: mean and sigma of the other values, so that no value hides itself (leave-one-out). iterated: repeated on
    # the remaining values, up to three times, so that none hides behind a larger one. mad: median and median deviation.
    method: Literal["sigma", "iterated", "mad", "none"] = "sigma"
    sigmas: float = 3.0  # distance from the centre
    min_rows: int = 30  # values; smaller groups are not judged
    min_distinct: int = 8  # distinct values; flags, ratings and codes have fewer and are not judged
    excluded: tuple[str, ...] = ()  # columns that are not judged
    log: tuple[str, ...] = ()  # columns judged on a logarithmic scale

    def __post_init__(self) -> None:
        if self.sigmas <= 0 or self.min_rows < 3 or self.min_distinct < 1:
            raise ValueError("sigmas must be above 0, min_rows at least 3 and min_distinct at least 1")


@dataclass(frozen=True)
class Missing:
    """How missing values are filled in: numbers by the median, facts by the most frequent value."""

    fit_share: float = 0.8  # the oldest share of the rows, from which the fill values are taken
    fit_before: str | None = None  # ISO time (UTC); instead of fit_share: rows before it
    mode_for: tuple[str, ...] | None = None  # facts to fill in; null: those with at most max_categories values
    max_categories: int = 20  # distinct values of a fact in a source
    excluded: tuple[str, ...] = ("split",)  # numbers and facts that are never filled in

    def __post_init__(self) -> None:
        if not 0 < self.fit_share <= 1:
            raise ValueError("fit_share must be above 0 and at most 1")
        if self.fit_before is not None:
            datetime.fromisoformat(self.fit_before)


# Whole sentences, compared without case, spaces and punctuation.
BOILERPLATE = (
    "see attached",
    "please see attached",
    "please see the attached file",
    "please find attached",
    "see attachment",
    "see above",
    "sent from my iPhone",
    "sent from my mobile",
    "this is an automated message",
    "this is an automated reply",
    "this is an automatically generated email",
    "please do not reply to this email",
    "please do not reply to this message",
    "I am out of the office",
    "this email and any attachments are confidential",
    "if you are not the intended recipient please delete this email",
    "请见附件",
    "请查收附件",
    "详见附件",
    "见附件",
    "此邮件由系统自动发送",
    "本邮件由系统自动发送",
    "请勿回复",
    "请勿直接回复",
    "请勿直接回复本邮件",
    "自动回复",
    "发自我的iPhone",
)


@dataclass(frozen=True)
class Params:
    outliers: Outliers = field(default_factory=Outliers)
    missing: Missing = field(default_factory=Missing)
    chinese_punctuation: bool = True  # full-width punctuation is kept next to Chinese characters
    encoding: bool = True  # mojibake is repaired
    markup: bool = True  # HTML tags and entities are resolved
    max_replaced: float = 0.05  # a text with a larger share of lost characters (U+FFFD) is mojibake
    boilerplate: tuple[str, ...] = BOILERPLATE  # a record with only these sentences and no numbers is rejected
    languages: tuple[str, ...] | None = None  # texts in others are rejected, texts without letters kept; null: all


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """The kept records with missing values filled in, the rejects, and what each method would reject."""
    # Both are read several times. Persisted, not checkpointed, so that the data of a lost executor are recomputed.
    records = normal_form(frames["ingest.records"], params).persist()
    allowed = limits(records, params.outliers).persist()
    far = outliers(records, allowed, params.outliers)
    judged = records.join(far, on="record_id", how="left").withColumn("reason", _reason(params))
    kept = judged.where(F.col("reason").isNull()).drop("reason", "columns").persist()
    dropped = judged.where(F.col("reason").isNotNull())
    return {
        "records": impute(kept, params.missing).select(*CLEANED.fieldNames()),
        "rejects": rejects(dropped, "clean", F.col("reason"), F.col("columns")),
        "outliers": report(allowed, params.outliers),
    }


def _reason(params: Params) -> Column:
    """The first reason that applies, null for a record that is kept."""
    rules = {
        "outlier": F.col("columns").isNotNull(),
        "empty": (F.coalesce("text", F.lit("")) == "") & (F.size("numbers") == 0),
        "mojibake": _replaced_share() > params.max_replaced,
        "boilerplate": _is_boilerplate(params.boilerplate) & (F.size("numbers") == 0),
        "language": ~among("lang", [*(params.languages or ()), "und"]) & F.lit(params.languages is not None),
    }
    return F.coalesce(*[F.when(rule, name) for name, rule in rules.items()])


def _replaced_share() -> Column:
    """The share of a text's characters that were lost; 锟斤拷 is two lost characters read as GBK."""
    left = F.length(F.regexp_replace("text", "\ufffd|锟斤拷", ""))
    return F.when(F.col("text").rlike("\ufffd|锟斤拷"), 1 - left / F.length("text"))


def _is_boilerplate(sentences: Sequence[str]) -> Column:
    """Whether a text consists only of some of the sentences."""
    known = [re.sub(r"[\W_]", "", sentence).lower() for sentence in sentences]
    written = F.filter(F.transform(F.split("text", r"[\n.!?;。！？；]"), _letters), lambda one: one != "")
    longest = sum(map(len, sentences)) + 100 * len(sentences)  # a longer text holds more than each of them once
    only = (F.size(written) > 0) & (F.size(F.array_except(written, F.lit(known))) == 0)
    return F.when(F.length("text") <= longest, only) if known else F.lit(False)


def _letters(text: Column) -> Column:
    return F.lower(F.regexp_replace(text, r"[^\p{L}\p{N}]", ""))


# --- texts -----------------------------------------------------------------------------------------------------------


def normal_form(records: DataFrame, params: Params) -> DataFrame:
    """Texts and facts normalised. A missing value (null, NaN, infinite, empty) is absent from its map, never null."""

    form = partial(
        normalise,
        chinese_punctuation=params.chinese_punctuation,
        encoding=params.encoding,
        markup=params.markup,
    )

    @F.pandas_udf("string")  # type: ignore[call-overload]
    def text(texts: pd.Series) -> pd.Series:
        return texts.map(form, na_action="ignore").astype(object)

    @F.pandas_udf("array<string>")  # type: ignore[call-overload]
    def values(lists: pd.Series) -> pd.Series:
        return lists.map(lambda items: [form(item) for item in items], na_action="ignore")

    facts = F.map_from_arrays(F.map_keys("facts"), values(F.map_values("facts")))
    numbers = F.map_filter("numbers", lambda _, value: value.isNotNull() & ~F.isnan(value) & (F.abs(value) < _INFINITE))
    return (
        records.withColumn("text", F.nullif(text("text"), F.lit("")))
        .withColumn("facts", _sorted(F.map_filter(facts, lambda _, value: value.isNotNull() & (value != ""))))
        .withColumn("numbers", _sorted(numbers))
        .withColumn("business_key", F.coalesce("business", F.lit("")))
    )


_INFINITE = float("inf")


def _sorted(column: Column) -> Column:
    """A map sorted by its keys, so that equal maps are written alike. A null map becomes an empty one."""
    return F.map_from_entries(F.array_sort(F.coalesce(F.map_entries(column), F.array())))


# --- outliers --------------------------------------------------------------------------------------------------------


def limits(records: DataFrame, params: Outliers) -> DataFrame:
    """The interval of each method in each group: source, business_key, name, rows, method, centre, low, high, rejected.

    One row for each method of INTERVALS; `rejected` counts the rows outside low..high. centre, low and high are null
    where a group is too small to be judged, or a method finds no spread; they are on the scale on which the column is
    judged. A worker holds the distinct values of one group.
    """
    counts = _scaled_values(records, params).groupBy(*BY, "value").agg(F.count("*").alias("rows"))

    def judge(key: tuple, group: pd.DataFrame) -> pd.DataFrame:
        group = group.sort_values("value")
        value, rows = group["value"].to_numpy(), group["rows"].to_numpy()
        limits = [dict(zip(BY, key, strict=True)) | row for row in _judged(value, rows, params)]
        return pd.DataFrame(limits, columns=LIMITS.fieldNames())

    return counts.groupBy(*BY).applyInPandas(judge, LIMITS)


def outliers(records: DataFrame, allowed: DataFrame, params: Outliers) -> DataFrame:
    """record_id and `columns` (names, comma-separated, sorted) of the records that hold an outlier."""
    bounds = allowed.where(F.col("method") == params.method).select(*BY, "low", "high")
    judged = _scaled_values(records, params).join(F.broadcast(bounds), on=BY, how="inner")
    far = judged.where("value < low or value > high")
    return far.groupBy("record_id").agg(F.concat_ws(",", F.array_sort(F.collect_list("name"))).alias("columns"))


def report(allowed: DataFrame, params: Outliers) -> DataFrame:
    """The limits as the table clean.outliers, in the units of the columns."""
    units = {name: _unscaled(F.col(name), F.col("name"), params.log).alias(name) for name in ("centre", "low", "high")}
    return allowed.select(
        "source",
        F.nullif("business_key", F.lit("")).alias("business"),
        F.col("name").alias("column"),
        "method",
        (F.col("method") == params.method).alias("chosen"),
        "rows",
        *units.values(),
        "rejected",
    )


def _scaled_values(records: DataFrame, params: Outliers) -> DataFrame:
    values = _values(records, "numbers").where(~among("name", params.excluded))
    return values.withColumn("value", _scaled(F.col("value"), params.log))


def _values(records: DataFrame, name: str) -> DataFrame:
    """One row for each entry of the map `name`: record_id, source, business_key, name, value."""
    return records.select("record_id", *GROUP, F.explode(name).alias("name", "value"))


def _scaled(value: Column, log: Sequence[str]) -> Column:
    return F.when(among("name", log), F.signum(value) * F.log1p(F.abs(value))).otherwise(value)


def _unscaled(value: Column, name: Column, log: Sequence[str]) -> Column:
    """The inverse of `_scaled`; null where the result is not finite."""
    back = F.when(name.isin(*log), F.signum(value) * F.expm1(F.abs(value))).otherwise(value)
    return F.when(F.abs(back) < _INFINITE, back)


def _judged(value: np.ndarray, rows: np.ndarray, params: Outliers) -> list[dict]:
    """rows, method, centre, low, high and rejected of each method, from the sorted distinct values and their rows."""
    total = int(rows.sum())
    large = total >= params.min_rows and len(value) >= params.min_distinct
    judged = []
    for method, interval in INTERVALS.items():
        allowed = interval(value, rows, params.sigmas) if large else None
        rejected = int(rows[(value < allowed.low) | (value > allowed.high)].sum()) if allowed else 0
        bounds = (allowed.centre, allowed.low, allowed.high) if allowed else (None, None, None)
        judged.append(dict(zip(LIMITS.fieldNames()[len(BY) :], (total, method, *bounds, rejected), strict=True)))
    return judged


# --- missing values --------------------------------------------------------------------------------------------------


def impute(records: DataFrame, params: Missing) -> DataFrame:
    """`records` with missing entries of `numbers` and `facts` filled in, and their names in `imputed`.

    An entry is missing when other rows of its source have it. Fill values come from the rows up to the cut, so that
    nothing leaks back from later ones; a source without such rows is unchanged.
    """
    fit = _fit_rows(records, params)
    numbers = _fill(records, _medians(fit, params), "numbers")
    facts = _fill(numbers, _modes(fit, params), "facts")
    return facts.withColumn("imputed", F.array_sort(F.concat("imputed_numbers", "imputed_facts")))


def _fit_rows(records: DataFrame, params: Missing) -> DataFrame:
    if params.fit_before is not None:
        return records.where(F.col("occurred_at") < F.lit(params.fit_before).cast("timestamp"))
    if params.fit_share == 1:
        return records
    times = ranked(records.select(F.unix_micros("occurred_at").alias("value")).where("value is not null"), [])
    # Rounded, because 0.07 times 100 is a little more than 7.
    within = F.col("upto") >= F.round(F.col("total") * params.fit_share, 6)
    cut = times.where(within).agg(F.min("value").alias("cut"))
    # Without any time there is no order, and nothing can leak.
    early = "cut is null or unix_micros(occurred_at) <= cut"
    return records.crossJoin(F.broadcast(cut)).where(early).drop("cut")


def _medians(fit: DataFrame, params: Missing) -> DataFrame:
    values = _values(fit, "numbers").where(~among("name", params.excluded))
    return median(_both_levels(values), BY)


def median(values: DataFrame, by: list[str]) -> DataFrame:
    """The exact median `value` of each group."""
    middle = F.col("total") / 2
    # An even number of rows has two middle values.
    ends = [F.min(F.when(F.col("upto") >= least, F.col("value"))) for least in (middle, F.floor(middle) + 1)]
    return ranked(values, by).groupBy(*by).agg(((ends[0] + ends[1]) / 2).alias("value"))


def ranked(values: DataFrame, by: list[str]) -> DataFrame:
    """The distinct values of each group, with `rows` of the value, `upto` (rows up to it) and `total` (of the group).

    Sorted, which spills to disk: Spark's percentiles keep all distinct values of a group in memory.
    """
    counts = values.groupBy(*by, "value").agg(F.count("*").alias("rows"))
    group = Window.partitionBy(*by)
    return counts.withColumns({"upto": F.sum("rows").over(group.orderBy("value")), "total": F.sum("rows").over(group)})


def _modes(fit: DataFrame, params: Missing) -> DataFrame:
    """The most frequent value of each fact that may be filled in; of equally frequent ones, the smallest."""
    values = _values(fit, "facts").where(~among("name", params.excluded))
    if params.mode_for is not None:
        values = values.where(among("name", params.mode_for))
    counts = _both_levels(values).groupBy(*BY, "value").agg((-F.count("value")).alias("order"))
    best = F.min(F.struct("order", "value"))["value"].alias("value")
    modes = counts.groupBy(*BY).agg(best, F.count("value").alias("categories"))
    if params.mode_for is not None:
        return modes
    in_source = F.max("categories").over(Window.partitionBy("source", "name"))
    return modes.withColumn("categories", in_source).where(F.col("categories") <= params.max_categories)


def _both_levels(values: DataFrame) -> DataFrame:
    """Each value twice: for its business, and with a null business_key for its whole source."""
    levels = F.explode(F.array("business_key", F.lit(None))).alias("level")
    return values.select("source", levels, "name", "value").withColumnRenamed("level", "business_key")


def _fill(records: DataFrame, values: DataFrame, name: str) -> DataFrame:
    """`records` with the map `name` completed, and the array imputed_<name> of filled-in "<name>.<key>"."""
    entries = F.map_from_entries(F.array_sort(F.collect_list(F.struct("name", "value"))))
    maps = values.groupBy(*GROUP).agg(entries.alias("own"))
    wide = maps.where("business_key is null").select("source", F.col("own").alias("wide"))
    joined = records.join(F.broadcast(maps), on=list(GROUP), how="left")
    joined = joined.join(F.broadcast(wide), on="source", how="left")
    new = F.map_filter(_with_default("own", "wide"), lambda key, _: ~F.map_contains_key(name, key))
    return (
        joined.withColumn("new", new)
        .withColumn(name, _sorted(F.map_concat(name, "new")))
        .withColumn(f"imputed_{name}", F.transform(F.map_keys("new"), lambda key: F.concat(F.lit(f"{name}."), key)))
        .drop("new", "own", "wide")
    )


def _with_default(own: str, wide: str) -> Column:
    """The map `own` completed by the entries of `wide` which it lacks; either may be null."""
    completed = F.transform_values(F.col(wide), lambda key, value: F.coalesce(F.try_element_at(own, key), value))
    return F.map_from_entries(F.coalesce(F.map_entries(completed), F.array()))


STAGE = Stage(
    reads=("ingest.records",),
    writes={"records": CLEANED, "rejects": REJECTS, "outliers": OUTLIERS},
    params=Params,
    build=build,
    conserves=("records", "ingest.records"),
)
