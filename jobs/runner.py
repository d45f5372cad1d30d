"""The runner: everything around a stage except its computation."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from finelake.jobs.sources import readers
from finelake.jobs.spark import commit
from finelake.jobs.spark.session import open_session
from finelake.jobs.stage import Frames, Stage, load_stage, parse_params
from finelake.lake.config import stages
from finelake.lake.config.contract import REJECT_REASONS
from finelake.lake.config.project import Settings
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots, storage
from finelake.lake.tables.locks import writing

LOG = Path(".finelake/spark.log")
_OF_WORKER = re.compile(r"finelake\.lake\.errors\.UserError: (.+)")  # in the traceback of a Python worker


@dataclass(frozen=True)
class Result:
    """Outcome of one stage run."""

    stage: str
    seconds: float
    rows: dict[str, int]  # by table
    rejected: dict[str, int]  # by reason


def run(root: Path, stage: str, settings: Settings, content: Mapping[str, Any]) -> Result:
    """Run one stage of the project at `root` in a separate session.

    `stage` is its name; of a training run, with the run's: tokenize@intent. `content` is that of params.yaml.
    """
    started = time.monotonic()
    work = prepare(root, stage, settings.lake, content)
    spark = open_session(settings.master, settings.memory, root / LOG)
    try:
        tables, rejected = publish(spark, work)
    finally:
        spark.stop()
    return result(stage, started, tables, rejected)


def result(stage: str, started: float, tables: dict[str, snapshots.Table], rejected: dict[str, int]) -> Result:
    """The outcome of a run that started at `started` (time.monotonic)."""
    return Result(stage, time.monotonic() - started, {name: table.rows for name, table in tables.items()}, rejected)


@dataclass(frozen=True)
class Work:
    """A stage that is ready to run: everything that can be checked without Spark is checked."""

    root: Path
    lake: str
    stage: str  # its name; of a training run, tokenize@intent
    declared: Stage
    params: Any
    pinned: dict[str, snapshots.Table]

    @property
    def name(self) -> str:
        """The stage's name without the run's."""
        return self.stage.partition("@")[0]


def prepare(root: Path, stage: str, lake: str, content: Mapping[str, Any]) -> Work:
    """Check the parameters and the pinned inputs of a stage. UserError for an invalid or missing one."""
    storage.check(lake)
    name, _, run_name = stage.partition("@")
    declared = load_stage(name)
    params = declared.ready(root, parse_params(name, content, run_name), run_name)
    return Work(root, lake, stage, declared, params, _pinned(root, declared, run_name, lake))


def publish(spark: SparkSession, work: Work) -> tuple[dict[str, snapshots.Table], dict[str, int]]:
    """Compute the stage's tables, commit them, check the balance, and write the manifest last.

    Returns the pinned tables and the number of rejects by reason.
    """
    snapshots.manifest_path(work.root, work.stage).unlink(missing_ok=True)
    folder = snapshots.stage_folder(work.stage)
    if stages.BY_NAME[work.name].private:
        storage.make_private(work.lake, folder)
    with writing(work.lake, folder):
        return _publish(spark, work)


def _publish(spark: SparkSession, work: Work) -> tuple[dict[str, snapshots.Table], dict[str, int]]:
    try:
        frames = _read(spark, work)
        outputs = work.declared.build(frames, work.params)
        tables = {name: _commit(work, name, outputs[name]) for name in work.declared.writes}
        written = {name: commit.read(spark, work.lake, table) for name, table in tables.items()}
        _check_balance(work, frames, written, tables)
        rejected = _count_rejects(work, written)
    except (PySparkException, Py4JJavaError) as error:
        user_error = of_worker(error)
        if user_error:
            raise user_error from None
        raise
    finally:
        spark.catalog.clearCache()
    snapshots.write_manifest(work.root, work.stage, tables)
    return tables, rejected


def of_worker(error: Exception) -> UserError | None:
    """The UserError that a Python worker raised, from the traceback in Spark's error; None for any other error."""
    message = _OF_WORKER.search(str(error))
    return UserError(message[1]) if message else None


def _pinned(root: Path, stage: Stage, run_name: str, lake_root: str) -> dict[str, snapshots.Table]:
    """The tables that the stage reads, each checked to be complete."""
    tables = {}
    for key in stage.reads:
        if key == "sources":
            continue
        name, _, table = key.partition(".")
        source = stages.of_run(name, run_name)
        tables[key] = snapshots.read_table(root, source, table)
        snapshots.require(lake_root, source, tables[key])
    return tables


def _read(spark: SparkSession, work: Work) -> Frames:
    frames = {key: commit.read(spark, work.lake, table) for key, table in work.pinned.items()}
    if "sources" in work.declared.reads:
        frames |= readers.read_all(spark, work.root, work.params.sources)
    return frames


def _commit(work: Work, name: str, frame: DataFrame) -> snapshots.Table:
    schema, partitions = work.declared.writes[name], work.declared.partitions.get(name, ())
    _check_schema(work.stage, name, frame, schema)
    return commit.commit(frame, work.lake, snapshots.table_path(work.stage, name), schema, partitions)


def _check_schema(stage: str, name: str, frame: DataFrame, schema: StructType) -> None:
    actual = [(field.name, field.dataType.simpleString()) for field in frame.schema.fields]
    declared = [(field.name, field.dataType.simpleString()) for field in schema.fields]
    if actual != declared:
        raise TypeError(f"{stage}.{name} has columns {actual}, declared are {declared}")


def _check_balance(work: Work, frames: Frames, written: Frames, tables: dict[str, snapshots.Table]) -> None:
    """Check that rows in = rows kept + rows rejected. Anything else is a fault of the stage: nothing is pinned."""
    if work.declared.balance:
        balance = work.declared.balance(frames, written, work.params)
    elif work.declared.conserves:
        kept, source = work.declared.conserves
        rejected = written["rejects"].join(frames[source].select("record_id"), "record_id", how="left_semi")
        balance = {source: (work.pinned[source].rows, tables[kept].rows + rejected.count())}
    else:
        balance = {}
    for what, (rows_in, rows_out) in balance.items():
        if rows_in != rows_out:
            raise AssertionError(f"{work.stage}: {what}: {rows_in} rows in, but {rows_out} kept or rejected")


def _count_rejects(work: Work, written: Frames) -> dict[str, int]:
    """Rows by reason, sorted. A reason that the contract does not list is a fault of the stage: nothing is pinned."""
    if "rejects" not in written:
        return {}
    counts = written["rejects"].groupBy("reason").agg(F.count("*").alias("rows")).collect()
    rejected = {row["reason"]: row["rows"] for row in sorted(counts, key=lambda row: str(row["reason"]))}
    undeclared = rejected.keys() - REJECT_REASONS.get(work.name, ())
    if undeclared:
        raise TypeError(f"{work.stage} rejects rows for {sorted(map(str, undeclared))}, which it does not declare")
    return rejected


def describe(result: Result) -> str:
    """One line: rows by table, rejects by reason, seconds."""
    rows = ", ".join(f"{count:,} {table}" for table, count in result.rows.items())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in result.rejected.items())
    return f"{result.stage}: {rows}" + (f" ({reasons})" if reasons else "") + f", {result.seconds:.1f} s"
