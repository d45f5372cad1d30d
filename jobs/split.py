"""Split: every record goes to train, validation or test; a report says how well each guarantee is kept.

Time mode (all sources except the given ones, together): two cut times at about 8:1:1, so that every test row is later
than every train row; rows of one instant stay together. Given mode: the source's own split is kept.
Order by time and exact shares per stratum exclude each other; time wins, and the report shows the strata's deviation.

A near-duplicate cluster, and likewise one exact text, is assigned to one part. Its rows in other parts are rejected,
because moving a late row into train, or an early one into test, would break the order of time. The assigned part is
that of a given test row if there is one, else of a given validation row, else of the earliest row.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, StringType

from finelake.jobs.stage import MASKED, REJECTS, Frames, Stage, among, extend, rejects, struct
from finelake.lake.config.contract import PARTS
from finelake.lake.errors import UserError, did_you_mean

SYNONYMS = {"val": "validation", "dev": "validation"}
STRATA = ("business", "scene", "lang", "source", "difficulty")
SPLIT_RECORDS = extend(MASKED, scene=StringType(), difficulty=StringType(), split=StringType())
REPORT = struct(
    promise=StringType(), kept=BooleanType(), expected=DoubleType(), actual=DoubleType(), detail=StringType()
)


@dataclass(frozen=True)
class Ratios:
    """Shares of the rows split by time."""

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"the shares {', '.join(f'{share:g}' for share in shares)} must be 0 or more and sum to 1")


@dataclass(frozen=True)
class Params:
    """Section `split` of params.yaml."""

    ratios: Ratios = field(default_factory=Ratios)
    given: tuple[str, ...] = ()  # sources whose own split (facts.split) is kept
    validation_from_train: float = 0.1  # share of train, held out for a given source without validation rows
    strata: tuple[str, ...] = ("business", "scene")  # columns whose distribution should be similar in all parts
    long_text: int = 200  # characters; a longer text counts as harder
    ratio_tolerance: float = 0.02  # share of all rows
    strata_tolerance: float = 0.05  # share of a part's rows

    def __post_init__(self) -> None:
        if not 0 <= self.validation_from_train < 1:
            raise ValueError(f"validation_from_train is {self.validation_from_train}; it must be from 0 to below 1")
        unknown = [column for column in self.strata if column not in STRATA]
        if unknown:
            raise ValueError(f"strata: unknown column {unknown[0]!r}; {did_you_mean(unknown[0], STRATA)}")


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """Records with scene, difficulty and split; the report on each guarantee; rejects."""
    _check_given(frames["mask.records"], params.given)
    rows = _labelled(frames["mask.records"], frames["annotate.gold"], params.long_text)
    rows = rows.withColumn("given", among("source", params.given))
    assigned = _assigned(rows, params).persist()
    dropped = assigned.where(F.col("reason").isNotNull())
    return {
        "records": assigned.where(F.col("reason").isNull()).select(SPLIT_RECORDS.names),
        "report": rows.sparkSession.createDataFrame(_report(assigned, params), REPORT),
        "rejects": rejects(dropped, "split", F.col("reason"), F.col("detail")),
    }


# ---------------------------------------------------------------------------------------------------------------
# Rows and their parts


def _check_given(records: DataFrame, given: Sequence[str]) -> None:
    if not given:
        return
    sources = sorted(row[0] for row in records.select("source").distinct().collect())
    for name in given:
        if name not in sources:
            raise UserError(f"split.given names the source {name}, which has no rows; {did_you_mean(name, sources)}")


def _labelled(records: DataFrame, gold: DataFrame, long_text: int) -> DataFrame:
    """Records with scene and difficulty.

    Points: 2 where a committee voted on any layer, 1 where an arbitrator decided, and 1 for a text longer than
    `long_text` characters. 0 points are easy, 1 is medium, more are hard.
    """
    decided = F.col("decided_by")
    points = F.when(decided == "committee", 2).when(decided == "arbitrated", 1).otherwise(0)
    by_record = gold.groupBy("record_id").agg(
        F.max(F.when(F.col("layer") == "scene", F.col("label"))).alias("scene"), F.max(points).alias("points")
    )
    total = F.coalesce("points", F.lit(0)) + (F.coalesce(F.length("text"), F.lit(0)) > long_text).cast("int")
    difficulty = F.when(total == 0, "easy").when(total == 1, "medium").otherwise("hard")
    return records.join(by_record, on="record_id", how="left").withColumn("difficulty", difficulty).drop("points")


def _assigned(rows: DataFrame, params: Params) -> DataFrame:
    """Rows with `split`, or a reason (and detail) why they have none; also `claimed`, the part the source gave."""
    rows = _with_claim(rows, params.validation_from_train)
    first, second = _cuts(rows, params.ratios)
    time = F.unix_micros("occurred_at")
    by_time = F.when(time < first, "train").when(time < second, "validation").otherwise("test")
    split = F.when(F.col("given"), F.col("given_part")).when(F.col("occurred_at").isNotNull(), by_time)
    missing = F.when(F.col("given"), "bad_split").otherwise("no_time")
    why = F.when(~F.col("given"), "occurred_at is missing").otherwise(
        F.when(F.col("facts")["split"].isNull(), "facts.split is missing").otherwise("facts.split is an unknown word")
    )
    unassigned = F.col("split").isNull()
    rows = rows.withColumn("split", split).withColumns(
        {"reason": F.when(unassigned, missing), "detail": F.when(unassigned, why)}
    )
    rows = _enforce_one_part(rows, _cluster(), "cluster_crosses_cut")
    return _enforce_one_part(rows, F.col("text"), "text_crosses_cut")


def _with_claim(rows: DataFrame, share: float) -> DataFrame:
    """`claimed`: the known part in facts.split, for given sources; `given_part`: the same after validation is held out.

    Validation is held out by a hash of the cluster, so that clusters stay together and only content decides.
    """
    word = F.lower(F.trim(F.col("facts")["split"]))
    for synonym, part in SYNONYMS.items():
        word = F.when(word == synonym, part).otherwise(word)
    rows = rows.withColumn("claimed", F.when(F.col("given") & word.isin(*PARTS), word))
    own = rows.groupBy("source").agg(F.max(F.col("claimed") == "validation").alias("has_validation"))
    drawn = F.pmod(F.xxhash64(_cluster()), F.lit(1_000_000)) < round(share * 1_000_000)
    held_out = (F.col("claimed") == "train") & ~F.col("has_validation") & drawn
    given_part = F.when(held_out, "validation").otherwise(F.col("claimed"))
    rows = rows.join(F.broadcast(own), on="source", how="left")
    return rows.withColumn("given_part", given_part).drop("has_validation")


def _cuts(rows: DataFrame, ratios: Ratios) -> tuple[int, int]:
    timed = rows.where(~F.col("given") & F.col("occurred_at").isNotNull())
    counts = timed.groupBy(F.unix_micros("occurred_at").alias("time")).count().toArrow()
    return cut_times(counts["time"].to_numpy(), counts["count"].to_numpy(), ratios)


def cut_times(times: np.ndarray, counts: np.ndarray, ratios: Ratios) -> tuple[int, int]:
    """The two instants (microseconds, both exclusive for the earlier part) nearest to the configured shares.

    `times`: distinct instants, shape (n,), any order; `counts`: rows at each. All rows of one instant fall on one
    side. Of two instants equally near, the earlier. By exact ranks, whatever the distribution.
    """
    if not len(times):
        return 0, 0
    order = np.argsort(times)
    before = np.concatenate([[0], np.cumsum(counts[order])])  # rows before each candidate
    candidates = np.append(times[order], times.max() + 1)  # the last: nothing comes after it
    first = _nearest(before, ratios.train * before[-1], 0)
    second = _nearest(before, (ratios.train + ratios.validation) * before[-1], first)
    return int(candidates[first]), int(candidates[second])


def _nearest(before: np.ndarray, target: float, start: int) -> int:
    # Rounded, because 0.8 + 0.1 times 10 is not quite 9.
    return start + int(np.argmin(np.abs(before[start:] - round(target, 6))))


def _cluster() -> Column:
    return F.coalesce("cluster", "record_id")


def _enforce_one_part(rows: DataFrame, key: Column, reason: str) -> DataFrame:
    """Reject rows which share `key` with a row of another part that takes precedence."""
    kept = rows.where(F.col("reason").isNull())
    rank = F.when(F.col("claimed") == "test", 0).when(F.col("claimed") == "validation", 1).otherwise(2)
    precedence = F.struct(rank.alias("rank"), "occurred_at", "record_id")
    parts = (
        kept.where(key.isNotNull())
        .groupBy(key.alias("key"))
        .agg(F.min_by("split", precedence).alias("assigned"), F.min("split").alias("a"), F.max("split").alias("b"))
        .where(F.col("a") != F.col("b"))
        .select("key", "assigned")
    )
    joined = rows.withColumn("key", key).join(parts, on="key", how="left")
    elsewhere = F.col("reason").isNull() & (F.col("assigned") != F.col("split"))
    detail = F.concat(F.lit("in "), "split", F.lit(", kept in "), "assigned")
    return joined.withColumns(
        {
            "detail": F.when(elsewhere, detail).otherwise(F.col("detail")),
            "reason": F.when(elsewhere, reason).otherwise(F.col("reason")),
        }
    ).drop("key", "assigned")


# ---------------------------------------------------------------------------------------------------------------
# The report: one count over all rows, from which each function computes rows (promise, kept, expected, actual, detail)

Row = tuple[str, bool, float | None, float | None, str]


class Group(NamedTuple):
    """Rows that are equal in everything that the report reads; `first` and `last` in microseconds."""

    source: str
    given: bool
    claimed: str | None
    split: str | None
    reason: str | None
    scene: str | None
    stratum: str
    rows: int
    first: int | None
    last: int | None


def _report(assigned: DataFrame, params: Params) -> list[Row]:
    census = _census(assigned, params.strata)
    kept = [group for group in census if group.reason is None]
    return [
        _time_order(kept),
        *_ratios(kept, params),
        _together("clusters_together", _straddling(assigned, _cluster()), census, "cluster_crosses_cut"),
        _strata(kept, params),
        _together("no_text_in_two_parts", _straddling(assigned, F.col("text")), census, "text_crosses_cut"),
        _given_respected(census),
        _every_scene(kept),
    ]


def _census(assigned: DataFrame, strata: Sequence[str]) -> list[Group]:
    stratum = F.concat_ws(" x ", *[_stratum_value(F.col(column)) for column in strata])
    time = F.unix_micros("occurred_at")
    groups = assigned.groupBy(*Group._fields[:6], stratum.alias("stratum")).agg(F.count("*"), F.min(time), F.max(time))
    return [Group(*row) for row in groups.collect()]


def _stratum_value(value: Column) -> Column:
    """The value; in quotes where it could be confused with the separator ` x ` or with `none` for a missing value."""
    quoted = F.concat(F.lit('"'), F.regexp_replace(value, '"', '""'), F.lit('"'))
    return F.coalesce(F.when(value.rlike('"|(^| )x( |$)|^none$'), quoted), value, F.lit("none"))


def _straddling(assigned: DataFrame, key: Column) -> int:
    """The number of keys that are still in two parts."""
    kept = assigned.where(F.col("reason").isNull() & key.isNotNull())
    ends = kept.groupBy(key.alias("key")).agg(F.min("split").alias("a"), F.max("split").alias("b"))
    return ends.where(F.col("a") != F.col("b")).count()


def _time_order(kept: Sequence[Group]) -> Row:
    """Kept when the earliest test row is later than the latest train row; actual: the days between them."""
    timed = {part: _span(kept, False, part) for part in PARTS}
    gap = None
    if timed["train"] and timed["test"]:
        gap = (timed["test"][0] - timed["train"][1]) / 86_400e6
    lines = [
        f"{'given ' if given else ''}{part} {_iso(span[0])} to {_iso(span[1])}"
        for given in (False, True)
        for part in PARTS
        if (span := _span(kept, given, part))
    ]
    return "time_order", gap is None or gap > 0, 0.0, gap, "; ".join(lines)


def _span(kept: Iterable[Group], given: bool, part: str) -> tuple[int, int] | None:
    spans = [
        (group.first, group.last)
        for group in kept
        if group.given == given and group.split == part and group.first is not None and group.last is not None
    ]
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def _count(groups: Iterable[Group], column: str) -> Counter[Any]:
    """Rows by the value of one column."""
    counts: Counter[Any] = Counter()
    for group in groups:
        counts[getattr(group, column)] += group.rows
    return counts


def _listed(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _ratios(kept: Sequence[Group], params: Params) -> list[Row]:
    counts = _count((group for group in kept if not group.given), "split")
    total = counts.total()
    rows: list[Row] = []
    for part in PARTS:
        expected = getattr(params.ratios, part)
        actual = counts[part] / total if total else None
        fits = actual is None or abs(actual - expected) <= params.ratio_tolerance
        detail = f"{counts[part]} of {total} rows split by time, tolerance {params.ratio_tolerance:g}"
        rows.append((f"ratio_{part}", fits, expected, actual, detail))
    return rows


def _together(promise: str, straddling: int, census: Sequence[Group], reason: str) -> Row:
    rejected = _count((group for group in census if group.reason == reason), "split")
    return promise, straddling == 0, 0.0, float(straddling), f"rows rejected for it: {_listed(rejected)}"


def _strata(kept: Sequence[Group], params: Params) -> Row:
    """Actual: the largest difference between a stratum's share in a part and its share in all rows split by time."""
    table: dict[str, dict[str, int]] = {}
    for group in kept:
        if not group.given and group.split:
            parts = table.setdefault(group.stratum, dict.fromkeys(PARTS, 0))
            parts[group.split] += group.rows
    worst, where = strata_deviation(table)
    smallest = sorted((sum(parts.values()), name) for name, parts in table.items())[:3]
    listed = ", ".join(f"{name} {size}" for size, name in smallest) or "none"
    absent = sum(min(parts.values()) == 0 for parts in table.values())
    detail = f"{len(table)} strata, {absent} absent from a part; worst: {where}; smallest: {listed}"
    return "strata_max_deviation", worst <= params.strata_tolerance, params.strata_tolerance, worst, detail


def strata_deviation(table: Mapping[str, Mapping[str, int]]) -> tuple[float, str]:
    """Largest |share of a stratum in a part - its share overall| of counts[stratum][part], and where it is."""
    total = sum(sum(parts.values()) for parts in table.values())
    worst, where = 0.0, "none"
    for part in PARTS:
        size = sum(parts.get(part, 0) for parts in table.values())
        for name, parts in sorted(table.items()):
            deviation = abs(parts.get(part, 0) / size - sum(parts.values()) / total) if size else 0.0
            if deviation > worst:
                worst, where = deviation, f"{name} in {part}"
    return worst, where


def _given_respected(census: Sequence[Group]) -> Row:
    """Counts rows of given sources in another part than claimed (except held-out validation), and lost test rows."""
    claimed = [group for group in census if group.claimed]
    held_out = [group for group in claimed if group.claimed == "train" and group.split == "validation"]
    moved = [group for group in claimed if group.claimed != group.split and group not in held_out]
    lost = [group for group in claimed if group.claimed == "test" and group.reason]
    wrong = sum(group.rows for group in {*moved, *lost})
    tests = _count((group for group in claimed if group.claimed == "test"), "source")
    validation = _count((group for group in held_out if group.reason is None), "source")
    detail = f"test rows given: {_listed(tests)}; validation rows carved from train: {_listed(validation)}"
    return "given_respected", wrong == 0, 0.0, float(wrong), detail


def _every_scene(kept: Sequence[Group]) -> Row:
    """Counts scenes of test rows that no train row has."""
    trained = {group.scene for group in kept if group.split == "train"}
    missing = [group for group in kept if group.split == "test" and group.scene and group.scene not in trained]
    counts = _count(missing, "scene")
    return "every_scene_in_train", not counts, 0.0, float(len(counts)), f"missing (test rows): {_listed(counts)}"


STAGE = Stage(
    reads=("mask.records", "annotate.gold"),
    writes={"records": SPLIT_RECORDS, "report": REPORT, "rejects": REJECTS},
    params=Params,
    build=build,
    conserves=("records", "mask.records"),
)
