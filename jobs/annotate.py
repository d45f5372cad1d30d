"""Annotate: what several people said of a record becomes one gold label, or a task for a human.

A unit is one (record, layer). Layers entity and term hold spans, layer scene holds one label of the whole record.
Two annotators with equal sets agree; else an arbitrator's set decides; what the arbitrator disputes goes to a
committee's vote. Agreement is measured by layer; a layer below the gate is withheld, stops the stage or is kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, IntegerType, LongType, StringType

from finelake.jobs.stage import REJECTS, Frames, Stage, struct
from finelake.lake.config.contract import (
    BY_HUMANS,
    DECIDED,
    HUMAN_ROLES,
    LAYERS,
    ROLES,
    SPAN_LAYERS,
    TODO_REASONS,
)
from finelake.lake.errors import UserError
from finelake.lake.keys import joined

DISPUTED = "__disputed__"  # the label by which an arbitrator hands a unit to the committee
OUTSIDE = "O"  # the label of a character outside all spans, and of a record without a scene

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
    annotators=IntegerType(),  # people on each unit; 0 where no unit has two
    units=LongType(),
    kappa=DoubleType(),
    gate=DoubleType(),
    passed=BooleanType(),  # null where nothing could be measured
)
TODO = struct(record_id=StringType(), layer=StringType(), reason=StringType())
# One row a unit, so that "looked, nothing found" counts (labels 0) and every annotation is accounted for:
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
    committee_votes: int = 3  # votes a label needs, beside more than half of the committee

    def __post_init__(self) -> None:
        trusted = () if isinstance(self.trust_source, bool) else self.trust_source
        for name, layers in (("layers", self.layers), ("trust_source", trusted)):
            unknown = [layer for layer in layers if layer not in LAYERS]
            if unknown:
                raise ValueError(f"{name} names {unknown[0]!r}; choose from {', '.join(LAYERS)}")
        if not -1 <= self.gate <= 1:
            raise ValueError(f"gate is {self.gate}; choose a kappa from -1 to 1")
        if self.committee_votes < 1:
            raise ValueError(f"committee_votes is {self.committee_votes}; choose 1 or more")

    def trusts(self, layer: str) -> bool:
        """Whether labels of this layer that the source carries count as gold."""
        return self.trust_source if isinstance(self.trust_source, bool) else layer in self.trust_source


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """Gold labels, agreement by layer, what needs a human, one row a unit, and rejected annotations.

    Raises UserError when a layer is below the gate and `below_gate` is stop.
    """
    # Read four times below; the adjudication in Python runs once.
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
# Spark: one row a unit


def _verdicts(records: DataFrame, annotations: DataFrame, params: Params) -> DataFrame:
    said = F.struct("source", "annotator", "role", "label", "quote", "start")
    units = annotations.groupBy("record_id", "layer").agg(F.collect_list(said).alias("marks"))
    known = records.select("record_id", F.coalesce("text", F.lit("")).alias("text"))
    # Texts travel to Python for span layers alone; null means: no such record.
    text = F.when(F.col("layer").isin(*SPAN_LAYERS) | F.col("text").isNull(), F.col("text")).otherwise("")
    joined = units.join(known, on="record_id", how="left").select("record_id", "layer", text.alias("text"), "marks")
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
    """Rows of AGREEMENT, one for each layer and number of annotators; small: a row a pair of labels is collected."""
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


# ---------------------------------------------------------------------------------------------------------------
# One unit, in plain Python

Mark = Mapping[str, Any]  # one annotation row: source, annotator, role, label, quote, start
Label = tuple[str, Any, Any]  # label, start and end (int); the last two None for a scene
NOTHING = None  # the committee's vote for "nothing found"


@dataclass(frozen=True)
class Opinion:
    """What one person says of one unit."""

    labels: frozenset[Label]
    whole: bool  # nothing of it was rejected, and it is no dispute: the set may be compared
    disputed: bool


@dataclass(frozen=True)
class Verdict:
    """`outcome` is one of DECIDED, a reason for todo, or None where no one's word counts."""

    outcome: str | None
    labels: frozenset[Label]
    rejected: tuple[tuple[Mark, str], ...]
    patterns: Mapping[tuple[str, ...], int]


def judge(layer: str | None, text: str | None, marks: Sequence[Mark], params: Params) -> Verdict:
    """The verdict on one unit. `text` None: no such record. The order of `marks` does not matter."""
    unit_reason = "unknown_layer" if layer not in params.layers else "unknown_record" if text is None else None
    if unit_reason:
        return Verdict(None, frozenset(), tuple((mark, unit_reason) for mark in marks), {})
    assert layer is not None and text is not None
    rejected: list[tuple[Mark, str]] = []
    people: dict[tuple[str, str], list[Mark]] = {}
    humans = any(mark["role"] in HUMAN_ROLES and mark["annotator"] for mark in marks)
    for mark in sorted(marks, key=_order):
        reason = _unfit(mark, params.trusts(layer), humans)
        if reason:
            rejected.append((mark, reason))
        else:
            people.setdefault((mark["role"], _name(mark)), []).append(mark)
    opinions: dict[str, list[Opinion]] = {role: [] for role in ROLES}
    for (role, _), own in people.items():
        opinions[role].append(_opinion(own, layer, text, rejected))
    outcome, labels = decide(opinions, params.committee_votes)
    return Verdict(outcome, labels, tuple(rejected), patterns(opinions["annotator"], layer, len(text)))


def decide(opinions: Mapping[str, Sequence[Opinion]], votes: int) -> tuple[str | None, frozenset[Label]]:
    """Outcome and labels from the opinions by role, in the order agreed, arbitrated, committee, source."""
    annotators, arbitrators = opinions["annotator"], opinions["arbitrator"]
    if len(annotators) >= 2 and _unanimous(annotators):
        return "agreed", annotators[0].labels
    if arbitrators:
        if any(one.disputed for one in arbitrators) or len({one.labels for one in arbitrators if one.whole}) > 1:
            return vote(opinions["committee"], votes)
        if _unanimous(arbitrators):
            return "arbitrated", arbitrators[0].labels
        return "needs_arbitrator", frozenset()
    if len(annotators) >= 2:
        return "needs_arbitrator", frozenset()
    source = opinions["source"]  # empty where humans labelled
    if source and _unanimous(source):
        return "source", source[0].labels
    return ("one_annotator" if any(opinions.values()) else None), frozenset()


def vote(committee: Sequence[Opinion], votes: int) -> tuple[str, frozenset[Label]]:
    """Labels with at least `votes` votes and more than half of the members; "nothing found" is voted on likewise."""
    count: Counter[Label | None] = Counter()
    for one in committee:
        count.update(one.labels or ([NOTHING] if one.whole else []))
    needed = max(votes, len(committee) // 2 + 1)
    won = {label for label, number in count.items() if number >= needed}
    if not won:
        return "needs_committee", frozenset()
    return "committee", frozenset(label for label in won if label is not NOTHING)


def anchor(text: str, quote: str | None, start: int | None) -> tuple[int, int] | None:
    """Start and end of the occurrence of `quote` nearest to `start` (of two equally near, the earlier), or None."""
    if not quote:
        return None
    near = start or 0
    after = text.find(quote, max(near, 0))
    before = text.rfind(quote, 0, max(near, 0) + len(quote) - 1)
    found = [place for place in (before, after) if place >= 0]  # the earlier first, so that it wins a tie
    if not found:
        return None
    place = min(found, key=lambda place: abs(place - near))
    return place, place + len(quote)


def patterns(annotators: Sequence[Opinion], layer: str, length: int) -> dict[tuple[str, ...], int]:
    """Label of each annotator (in their order) -> how many characters, or records for a scene, carry them.

    Empty unless two or more annotators have whole sets and nobody else's is broken. A character in several spans
    of one person carries their labels joined.
    """
    if len(annotators) < 2 or not all(one.whole for one in annotators):
        return {}
    if layer not in SPAN_LAYERS:
        return {tuple(_joined(label for label, _, _ in one.labels) for one in annotators): 1}
    edges = {edge for one in annotators for _, start, end in one.labels for edge in (start, end)}
    counts: Counter[tuple[str, ...]] = Counter()
    for left, right in pairwise(sorted({0, length, *edges})):
        counts[tuple(_joined(_covering(one.labels, left)) for one in annotators)] += right - left
    return dict(counts)


def cohen_kappa(table: Mapping[tuple[str, ...], int]) -> float:
    """Cohen's kappa (1960) from counts of label pairs; 1.0 where both used one and the same label throughout.

    In exact fractions, so that the order of the counts can't show in the last bit.
    """
    total = sum(table.values())
    observed = Fraction(sum(count for (a, b), count in table.items() if a == b), total)
    first, second = _marginal(table, 0), _marginal(table, 1)
    expected = Fraction(sum(first[label] * second[label] for label in first), total * total)
    return _beyond_chance(observed, expected)


def fleiss_kappa(table: Mapping[tuple[str, ...], int]) -> float:
    """Fleiss' kappa (1971) from counts of label tuples, all of one length; 1.0 where only one label was used."""
    people = len(next(iter(table)))
    total = sum(table.values())
    used: Counter[str] = Counter()
    agreeing = 0
    for labels, count in table.items():
        per_label = Counter(labels)
        used.update({label: number * count for label, number in per_label.items()})
        agreeing += count * sum(number * (number - 1) for number in per_label.values())
    observed = Fraction(agreeing, total * people * (people - 1))
    expected = Fraction(sum(number * number for number in used.values()), (total * people) ** 2)
    return _beyond_chance(observed, expected)


def _beyond_chance(observed: Fraction, expected: Fraction) -> float:
    return 1.0 if expected == 1 else float((observed - expected) / (1 - expected))


def _marginal(table: Mapping[tuple[str, ...], int], person: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for labels, count in table.items():
        counts[labels[person]] += count
    return counts


def _order(mark: Mark) -> tuple:
    return tuple(mark[key] or "" for key in ("role", "annotator", "label", "quote")) + (mark["start"] or 0,)


def _name(mark: Mark) -> str:
    return "" if mark["role"] == "source" else mark["annotator"]


def _unfit(mark: Mark, trusted: bool, humans: bool) -> str | None:
    if mark["role"] not in ROLES:
        return "unknown_role"
    if mark["role"] == "source":
        return "source_not_trusted" if not trusted else "human_labelled" if humans else None
    return None if mark["annotator"] else "no_annotator"


def _opinion(marks: Sequence[Mark], layer: str, text: str, rejected: list[tuple[Mark, str]]) -> Opinion:
    """One person's opinion; marks that cannot be used are appended to `rejected`."""
    if _contradictory(marks, layer):
        rejected.extend((mark, "contradictory") for mark in marks)
        return Opinion(frozenset(), whole=False, disputed=False)
    taken: set[Label | None] = set()
    lost = False
    for mark in marks:
        label = _anchored(mark, layer, text)
        if label == "lost":
            lost = True
            rejected.append((mark, "quote_not_found"))
        elif label in taken:
            rejected.append((mark, "repeated"))
        else:
            taken.add(label)
    disputed = any(mark["label"] == DISPUTED for mark in marks)
    labels = frozenset(label for label in taken if label is not NOTHING and label[0] != DISPUTED)
    return Opinion(labels, whole=not lost and not disputed, disputed=disputed)


def _contradictory(marks: Sequence[Mark], layer: str) -> bool:
    labels = {mark["label"] for mark in marks} - {DISPUTED}
    return len(labels) > 1 and (NOTHING in labels or layer not in SPAN_LAYERS)


def _anchored(mark: Mark, layer: str, text: str) -> Label | Literal["lost"] | None:
    label = mark["label"]
    if label is NOTHING:
        return NOTHING
    if label == DISPUTED or layer not in SPAN_LAYERS:
        return label, None, None
    place = anchor(text, mark["quote"], mark["start"])
    return (label, *place) if place else "lost"


def _unanimous(opinions: Sequence[Opinion]) -> bool:
    return all(one.whole and one.labels == opinions[0].labels for one in opinions)


def _covering(labels: Iterable[Label], place: int) -> list[str]:
    return [label for label, start, end in labels if start <= place < end]


def _joined(labels: Iterable[str]) -> str:
    """The labels of a character as one; a label that is called as OUTSIDE is written so that it stays another one."""
    name = joined(sorted(set(labels)))
    return f"\\{name}" if name == OUTSIDE else name or OUTSIDE


STAGE = Stage(
    reads=("mask.records", "mask.annotations"),
    writes={"gold": GOLD, "agreement": AGREEMENT, "todo": TODO, "units": UNITS, "rejects": REJECTS},
    params=Params,
    build=build,
    balance=balance,
)
