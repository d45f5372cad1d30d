"""Clean: outliers are rejected, missing values filled in and recorded, texts brought to one form."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.stage import CLEANED, REJECTS, Frames, Stage, among, rejects
from jobs.text import normalise

GROUP = ("source", "business_key")
MAD_TO_SIGMA = 1.4826  # the sigma of a normal distribution, in median absolute deviations
# Sums of doubles depend on their order in the last digits; a decision must not.
SLACK = 1e-9


@dataclass(frozen=True)
class Outliers:
    """Which rows hold a number too far from the others of its source, business and column."""

    method: Literal["sigma", "mad", "none"] = "sigma"
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
            raise ValueError("fit_share must lie above 0 and at most at 1")
        if self.fit_before is not None:
            datetime.fromisoformat(self.fit_before)


@dataclass(frozen=True)
class Params:
    outliers: Outliers = field(default_factory=Outliers)
    missing: Missing = field(default_factory=Missing)
    chinese_punctuation: bool = True  # full-width punctuation stays as it is next to Chinese characters


STAGE = Stage(
    reads=("ingest.records",),
    writes={"records": CLEANED, "rejects": REJECTS},
    params=Params,
    conserves=("records", "ingest.records"),
    private=True,
)


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """The records without outliers and empty ones, missing values filled in; the rejects."""
    # Both are read several times. Kept, and not checkpointed, so that what a lost executor held is computed again.
    records = normal_form(frames["ingest.records"], params.chinese_punctuation).persist()
    found = outliers(records, params.outliers)
    judged = records.join(found, on="record_id", how="left").withColumn("reason", _reason())
    kept = judged.where(F.col("reason").isNull()).drop("reason", "columns").persist()
    dropped = judged.where(F.col("reason").isNotNull())
    return {
        "records": impute(kept, params.missing).select(*CLEANED.fieldNames()),
        "rejects": rejects(dropped, "clean", F.col("reason"), F.col("columns")),
    }


def _reason() -> Column:
    empty = (F.coalesce("text", F.lit("")) == "") & (F.size("numbers") == 0)
    return F.when(F.col("columns").isNotNull(), "outlier").when(empty, "empty")


# --- texts -----------------------------------------------------------------------------------------------------------


def normal_form(records: DataFrame, chinese_punctuation: bool) -> DataFrame:
    """Texts and facts normalised; what is missing (null, no number, empty fact) absent from the maps, never null."""

    @F.pandas_udf("string")  # type: ignore[call-overload]
    def text(texts: pd.Series) -> pd.Series:
        return texts.map(lambda value: normalise(value, chinese_punctuation), na_action="ignore").astype(object)

    @F.pandas_udf("array<string>")  # type: ignore[call-overload]
    def values(lists: pd.Series) -> pd.Series:
        return lists.map(lambda items: [normalise(item, chinese_punctuation) for item in items], na_action="ignore")

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
    """A map in the order of its keys: equal maps are written alike. A null map becomes an empty one."""
    return F.map_from_entries(F.array_sort(F.coalesce(F.map_entries(column), F.array())))


# --- outliers --------------------------------------------------------------------------------------------------------


def outliers(records: DataFrame, params: Outliers) -> DataFrame:
    """record_id and `columns` (names, comma-separated, sorted) of the records that hold an outlier."""
    values = _values(records, "numbers").where(~among("name", params.excluded))
    values = values.withColumn("value", _scaled(F.col("value"), params.log))
    judge = {"sigma": _beyond_sigma, "mad": _beyond_mad, "none": lambda values, _: values.where(F.lit(False))}
    far = judge[params.method](values, params)
    return far.groupBy("record_id").agg(F.concat_ws(",", F.array_sort(F.collect_list("name"))).alias("columns"))


def _values(records: DataFrame, name: str) -> DataFrame:
    """One row for each entry of the map `name`: record_id, source, business_key, name, value."""
    return records.select("record_id", *GROUP, F.explode(name).alias("name", "value"))


def _scaled(value: Column, log: Sequence[str]) -> Column:
    return F.when(among("name", log), F.signum(value) * F.log1p(F.abs(value))).otherwise(value)


def _beyond_sigma(values: DataFrame, params: Outliers) -> DataFrame:
    """Each value against mean and sigma of the others in its group (leave-one-out), so none can hide itself.

    From n, mean and the sum of squared deviations in one pass: without x, the mean is mean - d / (n - 1) and the sum
    m2 - d^2 n / (n - 1), where d = x - mean (Welford's update, reversed).
    """
    groups = values.groupBy(*GROUP, "name").agg(
        F.count("value").alias("n"),
        F.avg("value").alias("mean"),
        (F.var_pop("value") * F.count("value")).alias("m2"),
        F.count_distinct("value").alias("distinct"),
    )
    joined = values.join(F.broadcast(_large(groups, params)), on=[*GROUP, "name"], how="inner")
    d, n = F.col("value") - F.col("mean"), F.col("n")
    rest = F.greatest(F.col("m2") - d * d * n / (n - 1), F.lit(0.0))
    sigma = F.sqrt(rest / (n - 2))
    away = F.abs(d) * n / (n - 1)
    return joined.where(away > _limit(sigma, F.col("mean"), params))


def _beyond_mad(values: DataFrame, params: Outliers) -> DataFrame:
    """Each value against median and median absolute deviation of its group; a deviation of 0 judges nothing."""
    by = [*GROUP, "name"]
    groups = values.groupBy(*by).agg(F.count("value").alias("n"), F.count_distinct("value").alias("distinct"))
    medians = median(values.join(F.broadcast(_large(groups, params)), on=by, how="left_semi"), by)
    joined = values.join(F.broadcast(medians.withColumnRenamed("value", "median")), on=by, how="inner")
    away = F.abs(F.col("value") - F.col("median"))
    spread = median(joined.withColumn("value", away), by).withColumnRenamed("value", "spread").where("spread > 0")
    judged = joined.join(F.broadcast(spread), on=by, how="inner")
    return judged.where(away > _limit(F.col("spread") * MAD_TO_SIGMA, F.col("median"), params))


def _large(groups: DataFrame, params: Outliers) -> DataFrame:
    return groups.where((F.col("n") >= params.min_rows) & (F.col("distinct") >= params.min_distinct))


def _limit(sigma: Column, centre: Column, params: Outliers) -> Column:
    return sigma * (params.sigmas * (1 + SLACK)) + F.abs(centre) * SLACK


# --- missing values --------------------------------------------------------------------------------------------------


def impute(records: DataFrame, params: Missing) -> DataFrame:
    """`records` with missing entries of `numbers` and `facts` filled in, and their names in `imputed`.

    An entry is missing when other rows of its source have it. Fill values come from the rows up to the cut, so that
    nothing leaks back from later ones; a source without such rows is left as it is.
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
    # Without any time there is no order in which something could leak.
    early = "cut is null or unix_micros(occurred_at) <= cut"
    return records.crossJoin(F.broadcast(cut)).where(early).drop("cut")


def _medians(fit: DataFrame, params: Missing) -> DataFrame:
    values = _values(fit, "numbers").where(~among("name", params.excluded))
    return median(_both_levels(values), [*GROUP, "name"])


def median(values: DataFrame, by: list[str]) -> DataFrame:
    """The exact median `value` of each group."""
    middle = F.col("total") / 2
    # Of an even number of rows there are two in the middle.
    ends = [F.min(F.when(F.col("upto") >= least, F.col("value"))) for least in (middle, F.floor(middle) + 1)]
    return ranked(values, by).groupBy(*by).agg(((ends[0] + ends[1]) / 2).alias("value"))


def ranked(values: DataFrame, by: list[str]) -> DataFrame:
    """The distinct values of each group with `upto`, the number of its rows up to the value, and `total`, of all.

    By sorting, which spills: Spark's own percentiles keep all distinct values of a group in memory.
    """
    counts = values.groupBy(*by, "value").agg(F.count("*").alias("rows"))
    group = Window.partitionBy(*by)
    return counts.withColumns({"upto": F.sum("rows").over(group.orderBy("value")), "total": F.sum("rows").over(group)})


def _modes(fit: DataFrame, params: Missing) -> DataFrame:
    """The most frequent value of each fact that may be filled in; of several, the smallest."""
    values = _values(fit, "facts").where(~among("name", params.excluded))
    if params.mode_for is not None:
        values = values.where(among("name", params.mode_for))
    counts = _both_levels(values).groupBy(*GROUP, "name", "value").agg((-F.count("value")).alias("order"))
    best = F.min(F.struct("order", "value"))["value"].alias("value")
    modes = counts.groupBy(*GROUP, "name").agg(best, F.count("value").alias("categories"))
    if params.mode_for is not None:
        return modes
    in_source = F.max("categories").over(Window.partitionBy("source", "name"))
    return modes.withColumn("categories", in_source).where(F.col("categories") <= params.max_categories)


def _both_levels(values: DataFrame) -> DataFrame:
    """Each value twice: for its business, and with a null business_key for its whole source."""
    levels = F.explode(F.array("business_key", F.lit(None))).alias("level")
    return values.select("source", levels, "name", "value").withColumnRenamed("level", "business_key")


def _fill(records: DataFrame, values: DataFrame, name: str) -> DataFrame:
    """`records` with the map `name` completed, and array imputed_<name> of "<name>.<key>" that were filled in."""
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
    chosen = F.transform_values(F.col(wide), lambda key, value: F.coalesce(F.try_element_at(own, key), value))
    return F.map_from_entries(F.coalesce(F.map_entries(chosen), F.array()))
