"""Annotate: the annotations of several people become gold labels, or an entry in the review queue.

A unit is one (record, layer). Layers entity and term hold spans; layer scene holds one label for the whole record.
Two annotators with equal label sets agree; otherwise an arbitrator's set decides; a set that the arbitrator disputes
goes to the vote of a committee. Agreement is measured per layer; a layer below the gate is withheld, stops the stage or
is kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, IntegerType, LongType, StringType

from finelake.jobs.annotation.adjudicate import judge
from finelake.jobs.annotation.kappa import cohen_kappa, fleiss_kappa
from finelake.jobs.stage import REJECTS, Frames, Stage, struct
from finelake.lake.config.contract import (
    BY_HUMANS,
    DECIDED,
    LAYERS,
    ROLES,
    SPAN_LAYERS,
    TODO_REASONS,
)
from finelake.lake.errors import UserError, did_you_mean

GOLD = struct(
    record_id=StringType(),
    layer=StringType(),
    label=StringType(),
    start=IntegerType(),
    end=IntegerType(),
    decided_by=StringType(),
)
AGREEMENT = struct(
    layer=StringType(),
    annotators=IntegerType(),  # people per unit; 0 where no unit has two
    units=LongType(),
    kappa=DoubleType(),
    gate=DoubleType(),
    passed=BooleanType(),  # null where nothing could be measured
)
TODO = struct(record_id=StringType(), layer=StringType(), reason=StringType())
# One row per unit, so that a unit without findings counts (labels 0) and every annotation is accounted for:
# rows of mask.annotations = sum of `annotations` + rejects.
UNITS = struct(
    record_id=StringType(),
    layer=StringType(),
    outcome=StringType(),  # decided_by, or the reason in todo
    annotations=IntegerType(),  # annotation rows taken into account
    labels=IntegerType(),  # rows in gold
)


@dataclass(frozen=True)
class Params:
    """Section `annotate` of params.yaml."""

    layers: tuple[str, ...] = LAYERS
    gate: float = 0.85  # least kappa of a layer
    below_gate: Literal["withhold", "stop", "keep"] = "withhold"
    trust_source: bool | tuple[str, ...] = False  # layers whose labels from the source are gold; true = all
    committee_votes: int = 3  # votes that a label needs, in addition to more than half of the committee

    def __post_init__(self) -> None:
        trusted = () if isinstance(self.trust_source, bool) else self.trust_source
        for name, layers in (("layers", self.layers), ("trust_source", trusted)):
            unknown = [layer for layer in layers if layer not in LAYERS]
            if unknown:
                raise ValueError(f"{name}: unknown layer {unknown[0]!r}; {did_you_mean(unknown[0], LAYERS)}")
        if not -1 <= self.gate <= 1:
            raise ValueError(f"gate is {self.gate}; write a kappa from -1 to 1")
        if self.committee_votes < 1:
            raise ValueError(f"committee_votes is {self.committee_votes}; write 1 or more")

    def trusts(self, layer: str) -> bool:
        """Whether the source's labels of this layer count as gold."""
        return self.trust_source if isinstance(self.trust_source, bool) else layer in self.trust_source


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """Gold labels, agreement by layer, the review queue, one row per unit, and rejected annotations.

    Raises UserError when a layer is below the gate and `below_gate` is stop.
    """
    # Persisted, because it is read four times and the adjudication runs in Python.
    verdicts = _verdicts(frames["mask.records"], frames["mask.annotations"], params).persist()
    agreement = _agreement(verdicts, params)
    failed = sorted({row[0] for row in agreement if row[-1] is False})
    if failed and params.below_gate == "stop":
        raise _below_gate(agreement)
    withheld = F.col("layer").isin(failed if params.below_gate == "withhold" else [])
    units = verdicts.where(F.col("outcome").isNotNull()).withColumn(
        "outcome", F.when(withheld & F.col("outcome").isin(*BY_HUMANS), "below_gate").otherwise(F.col("outcome"))
    )
    return {
        "gold": _gold(units),
        "agreement": verdicts.sparkSession.createDataFrame(agreement, AGREEMENT),
        "todo": units.where(F.col("outcome").isin(*TODO_REASONS)).select(
            "record_id", "layer", F.col("outcome").alias("reason")
        ),
        "units": units.select(
            "record_id",
            "layer",
            "outcome",
            "annotations",
            F.when(F.col("outcome").isin(*DECIDED), F.size("labels")).otherwise(0).alias("labels"),
        ),
        "rejects": _rejects(verdicts),
    }


def balance(frames: Frames, outputs: Frames, params: Params) -> dict[str, tuple[int, int]]:
    """Every annotation row is taken into account in its unit, or rejected: {what: (rows in, rows used + rejected)}."""
    used = outputs["units"].agg(F.coalesce(F.sum("annotations"), F.lit(0))).collect()[0][0]
    return {"mask.annotations": (frames["mask.annotations"].count(), used + outputs["rejects"].count())}


# ---------------------------------------------------------------------------------------------------------------
# Spark: one row per unit


def _verdicts(records: DataFrame, annotations: DataFrame, params: Params) -> DataFrame:
    mark = F.struct("source", "annotator", "role", "label", "quote", "start")
    units = annotations.groupBy("record_id", "layer").agg(F.collect_list(mark).alias("marks"))
    texts = records.select("record_id", F.coalesce("text", F.lit("")).alias("text"))
    # Texts are sent to Python only for span layers; null: no such record.
    text = F.when(F.col("layer").isin(*SPAN_LAYERS) | F.col("text").isNull(), F.col("text")).otherwise("")
    joined = units.join(texts, on="record_id", how="left").select("record_id", "layer", text.alias("text"), "marks")
    return joined.mapInArrow(partial(_judge_batches, params=params), VERDICTS)


def _judge_batches(batches: Iterable[pa.RecordBatch], params: Params) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = [_verdict_row(unit, params) for unit in batch.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, schema=ARROW_VERDICTS)


def _verdict_row(unit: Mapping[str, Any], params: Params) -> dict[str, Any]:
    verdict = judge(unit["layer"], unit["text"], unit["marks"], params)
    layer = unit["layer"] if unit["layer"] in LAYERS else "unknown"
    return {
        "record_id": unit["record_id"],
        "layer": unit["layer"],
        "outcome": verdict.outcome,
        "annotations": len(unit["marks"]) - len(verdict.rejected),
        "labels": [dict(zip(("label", "start", "end"), label, strict=True)) for label in sorted(verdict.labels)],
        "rejected": [
            {
                "source": mark["source"],
                "reason": reason,
                "detail": f"layer {layer}, role {mark['role'] if mark['role'] in ROLES else 'unknown'}",
            }
            for mark, reason in verdict.rejected
        ],
        "patterns": [{"labels": list(key), "count": count} for key, count in sorted(verdict.patterns.items())],
    }


VERDICTS = """record_id string, layer string, outcome string, annotations int,
    labels array<struct<label: string, start: int, end: int>>,
    rejected array<struct<source: string, reason: string, detail: string>>,
    patterns array<struct<labels: array<string>, count: bigint>>"""
_TEXT = pa.string()
ARROW_VERDICTS = pa.schema(
    [
        ("record_id", _TEXT),
        ("layer", _TEXT),
        ("outcome", _TEXT),
        ("annotations", pa.int32()),
        ("labels", pa.list_(pa.struct([("label", _TEXT), ("start", pa.int32()), ("end", pa.int32())]))),
        ("rejected", pa.list_(pa.struct([("source", _TEXT), ("reason", _TEXT), ("detail", _TEXT)]))),
        ("patterns", pa.list_(pa.struct([("labels", pa.list_(_TEXT)), ("count", pa.int64())]))),
    ]
)


def _gold(units: DataFrame) -> DataFrame:
    decided = units.where(F.col("outcome").isin(*DECIDED))
    exploded = decided.select("record_id", "layer", "outcome", F.explode("labels").alias("one"))
    return exploded.select(
        "record_id", "layer", "one.label", "one.start", "one.end", F.col("outcome").alias("decided_by")
    )


def _rejects(verdicts: DataFrame) -> DataFrame:
    exploded = verdicts.select("record_id", F.explode("rejected").alias("one"))
    return exploded.select("record_id", "one.source", F.lit("annotate").alias("stage"), "one.reason", "one.detail")


def _agreement(verdicts: DataFrame, params: Params) -> list[tuple]:
    """Rows of AGREEMENT, one per layer and number of annotators. Collects one small row per tuple of labels."""
    measured = verdicts.where(F.size("patterns") > 0)
    size = F.size(F.col("patterns")[0]["labels"])
    units = measured.groupBy("layer", size.alias("annotators")).count().collect()
    one = measured.select("layer", F.explode("patterns").alias("one"))
    counts = one.groupBy("layer", "one.labels").agg(F.sum("one.count").alias("count")).collect()
    tables: dict[tuple[str, int], dict[tuple[str, ...], int]] = {}
    for layer, labels, count in counts:
        tables.setdefault((layer, len(labels)), {})[tuple(labels)] = count
    rows = [_measure(layer, number, n, tables[layer, number], params) for layer, number, n in units]
    unmeasured = [layer for layer in params.layers if layer not in {row[0] for row in rows}]
    return sorted([*rows, *((layer, 0, 0, None, params.gate, None) for layer in unmeasured)], key=lambda r: r[:2])


def _measure(layer: str, annotators: int, units: int, table: Mapping[tuple[str, ...], int], params: Params) -> tuple:
    kappa = cohen_kappa(table) if annotators == 2 else fleiss_kappa(table)
    return layer, annotators, units, kappa, params.gate, kappa >= params.gate


def _below_gate(agreement: Iterable[tuple]) -> UserError:
    failed = [f"{row[0]} (kappa {row[3]:.3f}, gate {row[4]:g})" for row in agreement if row[-1] is False]
    return UserError(
        f"annotate: inter-annotator agreement is below the gate: {', '.join(failed)}; revise the guideline and label "
        "again, or set annotate.below_gate to withhold or keep"
    )


STAGE = Stage(
    reads=("mask.records", "mask.annotations"),
    writes={"gold": GOLD, "agreement": AGREEMENT, "todo": TODO, "units": UNITS, "rejects": REJECTS},
    params=Params,
    build=build,
    balance=balance,
)
