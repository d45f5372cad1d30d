"""The runner: everything around a stage that is not the stage."""

import importlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from finelake.jobs import STAGES
from finelake.jobs.sources import columns, readers
from finelake.jobs.sources import config as sources
from finelake.jobs.spark import commit
from finelake.jobs.spark.session import open_session
from finelake.jobs.stage import Frames, Stage
from finelake.jobs.tokenize import load_tokenizer
from finelake.lake.config.params import load, parse, unknown_key
from finelake.lake.config.project import PARAMS, Settings, mask_key
from finelake.lake.config.runs import parse_run, run_entries
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots, storage
from finelake.lake.tables.lockfile import check_output
from finelake.lake.tables.locks import writing

LOG = Path(".finelake/spark.log")
_OF_WORKER = re.compile(r"lake\.errors\.UserError: (.+)")  # in the traceback of a Python worker


@dataclass(frozen=True)
class Result:
    """What a run of a stage came to."""

    stage: str
    seconds: float
    rows: dict[str, int]  # by table
    rejected: dict[str, int]  # by reason


def run(root: Path, stage: str, settings: Settings) -> Result:
    """Run one stage of the project at `root` in a session of its own.

    `stage` is its name, for a training run's stage with the run: tokenize@intent.
    """
    started = time.monotonic()
    work = prepare(root, stage, settings.lake)
    spark = open_session(settings.master, settings.memory, root / LOG)
    try:
        tables, rejected = publish(spark, work)
    finally:
        spark.stop()
    return result(stage, started, tables, rejected)


def result(stage: str, started: float, tables: dict[str, snapshots.Table], rejected: dict[str, int]) -> Result:
    """What a run came to that started at `started` (time.monotonic)."""
    return Result(stage, time.monotonic() - started, {name: table.rows for name, table in tables.items()}, rejected)


@dataclass(frozen=True)
class Work:
    """A stage that is ready to compute: everything checked that can be checked without Spark."""

    root: Path
    lake: str
    stage: str
    module: ModuleType
    params: Any
    pinned: dict[str, snapshots.Table]


def prepare(root: Path, stage: str, lake: str) -> Work:
    """Check the parameters and the pinned inputs of a stage. UserError for what is wrong or missing."""
    storage.check(lake)
    name, _, run_name = stage.partition("@")
    module = importlib.import_module(f"finelake.jobs.{name}")
    params = stage_params(root, module, name, run_name)
    return Work(root, lake, stage, module, params, _pinned(root, module.STAGE, lake))


def publish(spark: SparkSession, work: Work) -> tuple[dict[str, snapshots.Table], dict[str, int]]:
    """Compute the stage's tables, commit them, check the balance, and last of all write the manifest.

    Returns the pinned tables and the number of rejects by reason.
    """
    snapshots.manifest_path(work.root, work.stage).unlink(missing_ok=True)
    folder = snapshots.stage_folder(work.stage)
    if work.module.STAGE.private:
        storage.make_private(work.lake, folder)
    with writing(work.lake, folder):
        return _publish(spark, work)


def _publish(spark: SparkSession, work: Work) -> tuple[dict[str, snapshots.Table], dict[str, int]]:
    try:
        frames = _read(spark, work)
        outputs = work.module.build(frames, work.params)
        tables = {name: _commit(work, name, outputs[name]) for name in work.module.STAGE.writes}
        written = {name: commit.read(spark, work.lake, table) for name, table in tables.items()}
        _check_balance(work, frames, written, tables)
        rejected = _count_rejects(written)
    except (PySparkException, Py4JJavaError) as error:
        known = of_worker(error)
        if known:
            raise known from None
        raise
    finally:
        spark.catalog.clearCache()
    snapshots.write_manifest(work.root, work.stage, tables)
    return tables, rejected


def of_worker(error: Exception) -> UserError | None:
    """The UserError that a Python worker raised, of which Spark shows the traceback; None for any other error."""
    found = _OF_WORKER.search(str(error))
    return UserError(found[1]) if found else None


def stage_params(root: Path, module: ModuleType, name: str, run_name: str = "") -> Any:
    """The typed parameters of a stage, with all that can be checked before Spark starts."""
    content = load(root / PARAMS)
    if name == "ingest":
        found = sources.parse_sources(content.get("sources"))
        columns.check(root, found)
        return module.Params(sources=found)
    if name == "tokenize":
        check_output(root, f"models/{run_name}/tokenizer")
        return module.Params(run=parse_run(content, run_name), tokenizer=load_tokenizer(root / "models" / run_name))
    found = parse(module.STAGE.params, content.get(name), name)
    return module.ready(found, mask_key()) if name == "mask" else found


def check_params(root: Path) -> None:
    """Every section of params.yaml but `quality` parses; UserError names the first that does not."""
    content = load(root / PARAMS)
    with_section = STAGES[1:]  # ingest reads `sources`
    unknown_key(content, ("finelake", "sources", "quality", "runs", *with_section), "")
    sources.parse_sources(content.get("sources"))
    for name in with_section:
        parse(importlib.import_module(f"finelake.jobs.{name}").STAGE.params, content.get(name), name)
    for run_name in run_entries(content):
        parse_run(content, run_name)


def _pinned(root: Path, stage: Stage, lake_root: str) -> dict[str, snapshots.Table]:
    """The tables that the stage reads, each checked to be there."""
    tables = {}
    for key in stage.reads:
        if key == "sources":
            continue
        source, _, table = key.partition(".")
        tables[key] = snapshots.read_table(root, source, table)
        snapshots.require(lake_root, source, tables[key])
    return tables


def _read(spark: SparkSession, work: Work) -> Frames:
    frames = {key: commit.read(spark, work.lake, table) for key, table in work.pinned.items()}
    if "sources" in work.module.STAGE.reads:
        frames |= readers.read_all(spark, work.root, work.params.sources)
    return frames


def _commit(work: Work, name: str, frame: DataFrame) -> snapshots.Table:
    declared: Stage = work.module.STAGE
    _check_schema(work.stage, name, frame, declared.writes[name])
    path = snapshots.table_path(work.stage, name)
    return commit.commit(frame, work.lake, path, declared.writes[name], declared.partitions.get(name, ()))


def _check_schema(stage: str, name: str, frame: DataFrame, schema: StructType) -> None:
    found = [(field.name, field.dataType.simpleString()) for field in frame.schema.fields]
    wanted = [(field.name, field.dataType.simpleString()) for field in schema.fields]
    if found != wanted:
        raise TypeError(f"{stage}.{name} has columns {found}, declared are {wanted}")


def _check_balance(work: Work, frames: Frames, written: Frames, tables: dict[str, snapshots.Table]) -> None:
    """Rows in = rows kept + rows rejected; anything else is a fault of the stage, and nothing is pinned."""
    if hasattr(work.module, "balance"):
        balance = work.module.balance(frames, written, work.params)
    elif work.module.STAGE.conserves:
        kept, source = work.module.STAGE.conserves
        rejected = written["rejects"].join(frames[source].select("record_id"), "record_id", how="left_semi")
        balance = {source: (work.pinned[source].rows, tables[kept].rows + rejected.count())}
    else:
        balance = {}
    for what, (rows_in, rows_out) in balance.items():
        if rows_in != rows_out:
            raise AssertionError(f"{work.stage}: {what}: {rows_in} rows in, but {rows_out} kept or rejected")


def _count_rejects(written: dict[str, DataFrame]) -> dict[str, int]:
    if "rejects" not in written:
        return {}
    counts = written["rejects"].groupBy("reason").agg(F.count("*").alias("rows")).collect()
    return {row["reason"]: row["rows"] for row in sorted(counts, key=lambda row: row["reason"])}


def describe(result: Result) -> str:
    """One line: rows by table, rejects by reason, seconds."""
    rows = ", ".join(f"{count:,} {table}" for table, count in result.rows.items())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in result.rejected.items())
    return f"{result.stage}: {rows}" + (f" ({reasons})" if reasons else "") + f", {result.seconds:.1f} s"
