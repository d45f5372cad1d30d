"""The raw rows of all sources, and what the kinds share to read theirs.

A raw frame holds the columns that are read as text and four of the reader's own: `_source`, `_reason` and `_detail`
(why the row cannot be used, else null) and `_order` (landed pages: what comes later replaces what came before).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

from finelake.jobs.sources.columns import COLUMNS, DETAIL, ORDER, REASON, SOURCE, Column, names_to_read, remark
from finelake.jobs.sources.source import Source
from finelake.jobs.stage import named, struct
from finelake.lake.errors import UserError, one_line


def read_all(spark: SparkSession, root: Path, sources: Mapping[str, Source]) -> dict[str, DataFrame]:
    """What the stage ingest takes: each source's raw rows, keyed "source.NAME", and under "columns" all columns.

    Says in a line what became of columns that nothing maps.
    """
    described = {name: describe(spark, root, name, source) for name, source in sources.items()}
    for name, source in sources.items():
        if said := remark(name, source.mapping, described[name]):
            print(one_line(said), flush=True)
    frames = {
        f"source.{name}": read(spark, root, name, source, names_to_read(source.mapping, described[name]))
        for name, source in sources.items()
    }
    rows = [(name, column.name, column.type, column.used_as) for name in described for column in described[name]]
    return frames | {"columns": spark.createDataFrame(rows, COLUMNS)}


def describe(spark: SparkSession, root: Path, name: str, source: Source) -> list[Column]:
    """`Source.describe`; UserError also for what Spark or a driver refuses."""
    with _refusals(name):
        return source.describe(spark, root, name)


def read(spark: SparkSession, root: Path, name: str, source: Source, columns: Sequence[str]) -> DataFrame:
    """The raw rows of a source: `_source`, the named columns as text, `_reason`, `_detail`, `_order`.

    Kept (memory, else disk) once computed: the outputs of ingest must see one and the same reading of a source that
    lives on, and OCR is dear. UserError when the source cannot be read.
    """
    with _refusals(name):
        raw = source.read(spark, root, name, columns)
    own = [F.col(c) if c in raw.columns else F.lit(None).cast("string").alias(c) for c in (REASON, DETAIL, ORDER)]
    chosen = [named(column) for column in columns]
    return raw.select(F.lit(name).alias(SOURCE), *chosen, *own).persist(StorageLevel.MEMORY_AND_DISK)


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    """What Spark or a driver refuses becomes a UserError that names the source."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        said = error.java_exception.getMessage() if isinstance(error, Py4JJavaError) else str(error)
        raise UserError(f"source {name} cannot be read ({harmless(said)}); correct sources.{name}") from None


def harmless(message: str | None) -> str:
    """The first line of a driver's message, without urls and passwords."""
    first = ((message or "").strip() or "no reason given").splitlines()[0]
    return re.sub(r"jdbc:\S+|\w+://\S+|password=\S*", "...", first)[:200]


# ---------------------------------------------------------------- what kinds share


def text_schema(columns: Iterable[str]) -> StructType:
    """A schema of nullable text columns."""
    return struct(**dict.fromkeys(columns, StringType()))


def union(frames: Iterable[DataFrame]) -> DataFrame:
    """The rows of all frames, which have the same columns."""
    return reduce(DataFrame.unionByName, frames)


def path_frame(spark: SparkSession, paths: Iterable[str]) -> DataFrame:
    """One row a path, spread over a few tasks a core."""
    rows = [(path,) for path in paths]
    tasks = min(len(rows), 4 * spark.sparkContext.defaultParallelism)
    return spark.createDataFrame(rows, "path string").repartition(tasks, "path")
