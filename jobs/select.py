"""select: the records of a training run, with what its model reads and is to give: a label, or a prompt and a target.

`base`, `tokenize` and `evaluate` read this table, so that a run's condition and templates are evaluated once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, StringType

from finelake.jobs.spark.conditions import column
from finelake.jobs.stage import REJECTS, Frames, Stage, extend, rejects, struct
from finelake.lake.config import conditions
from finelake.lake.config.contract import SPAN_LAYERS
from finelake.lake.config.runs import Run, parse_run
from finelake.lake.errors import UserError
from finelake.text.templates import render, value

SPAN = struct(layer=StringType(), label=StringType(), start=IntegerType(), end=IntegerType())
SELECTED = struct(
    part=StringType(),
    record_id=StringType(),
    source=StringType(),
    business=StringType(),
    lang=StringType(),
    difficulty=StringType(),
    task=IntegerType(),  # of the train part: the number of its task in `mix`; else 0
    text=StringType(),
    spans=ArrayType(SPAN),  # gold entities and terms, as characters of `text`
    label=StringType(),  # classify
    prompt=StringType(),  # instruct, as `target`
    target=StringType(),
)
RENDERED = ("label", "prompt", "target", "reason")


@dataclass(frozen=True)
class Params:
    run: Run
    name: str = "NAME"  # of the run, for messages


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """The selected records and the rejects. UserError when no train record is left."""
    run = params.run
    chosen = select(frames["split.records"], run).withColumn("task", _task(run))
    spans = _spans(frames["annotate.gold"])
    rows = _render(chosen.join(spans, "record_id", "left"), run).persist()
    _check_train(rows, f"runs.{params.name}.select")
    return {
        "records": rows.where(F.col("reason").isNull()).select(*SELECTED.names),
        "rejects": rejects(rows.where(F.col("reason").isNotNull()), "select", F.col("reason"), F.col("part")),
    }


def _check_train(rows: DataFrame, where: str) -> None:
    counted = rows.where("part = 'train'").groupBy("reason").count().orderBy("reason").collect()
    if any(row["reason"] is None for row in counted):
        return
    rejected = ", ".join(f"{row['reason']} {row['count']:,}" for row in counted)
    found = f"every train record that it selects is rejected ({rejected})" if rejected else "it selects no train record"
    raise UserError(f"params.yaml: {where}: {found}; correct the condition, the label or the templates")


def balance(frames: Frames, outputs: Frames, params: Params) -> dict[str, tuple[int, int]]:
    """Every record that the condition chooses is kept or rejected."""
    chosen = select(frames["split.records"], params.run).count()
    return {"selected records": (chosen, outputs["records"].count() + outputs["rejects"].count())}


def select(records: DataFrame, run: Run) -> DataFrame:
    """The rows of split.records that the run's condition chooses, `part` added. UserError for another text."""
    where = column(conditions.check(run.select.where, "runs: select.where"))
    return records.where(where).withColumn("part", F.col("split"))


def _task(run: Run) -> Column:
    """The number of the first condition of `mix` that a train row satisfies, -1 where none does; other parts: 0."""
    task = F.lit(-1 if run.select.mix else 0)
    for number, condition in reversed(list(enumerate(run.select.mix))):
        task = F.when(column(conditions.check(condition, "runs: select.mix")), number).otherwise(task)
    return F.when(F.col("part") == "train", task).otherwise(0)


def _spans(gold: DataFrame) -> DataFrame:
    """The gold spans of each record that has some, in the order of its text."""
    spans = gold.where(F.col("layer").isin(*SPAN_LAYERS))
    span = F.struct("start", "end", "layer", "label")
    ordered = F.transform(F.sort_array(F.collect_list(span)), lambda one: F.struct(*(one[name] for name in SPAN.names)))
    return spans.groupBy("record_id").agg(ordered.cast(ArrayType(SPAN)).alias("spans"))


def _render(chosen: DataFrame, run: Run) -> DataFrame:
    """The rows with label, prompt and target; `reason` says why a record has none."""
    kept = [name for name in SELECTED.names if name not in RENDERED]

    def batches(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            rendered = [render_row(row, run) for row in frame.to_dict("records")]
            yield frame[kept].assign(**dict(zip(RENDERED, zip(*rendered, strict=True), strict=True)))

    spans = F.coalesce("spans", F.array().cast(ArrayType(SPAN)))
    rows = chosen.withColumn("spans", spans)
    return rows.mapInPandas(batches, extend(SELECTED, reason=StringType()))  # type: ignore[arg-type]


def render_row(row: dict[str, Any], run: Run) -> tuple[str | None, str | None, str | None, str | None]:
    """(label, prompt, target, None), or (None, None, None, why not)."""
    reason = "no_task" if row["task"] < 0 else None
    if run.task == "classify":
        label = value(run.select.label, row)
        reason = reason or ("no_text" if _blank(row["text"]) else "no_class" if _blank(label) else None)
        return (None, None, None, reason) if reason else (str(label), None, None, None)
    prompt, target = render(run.select.prompt, row), render(run.select.target, row)
    reason = reason or ("no_reply" if _blank(target) else "no_prompt" if _blank(prompt) else None)
    return (None, None, None, reason) if reason else (None, prompt, target, None)


def _blank(value: Any) -> bool:
    return value is None or not str(value).strip()


STAGE = Stage(
    reads=("split.records", "annotate.gold"),
    writes={"records": SELECTED, "rejects": REJECTS},
    params=Params,
    build=build,
    balance=balance,
    parse=lambda content, run_name: Params(parse_run(content, run_name), run_name),
    partitions={"records": ("part",)},
)
