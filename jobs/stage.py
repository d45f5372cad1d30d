"""The declaration of a stage, and the schemas and expressions that several stages share."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DoubleType,
    IntegerType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from finelake.lake.config.params import parse
from finelake.lake.config.stages import BY_NAME

Frames = Mapping[str, DataFrame]


def struct(**types) -> StructType:
    """A StructType from name=type pairs, in the order given."""
    return StructType([StructField(name, kind) for name, kind in types.items()])


RECORDS = struct(
    record_id=StringType(),
    source=StringType(),
    source_key=StringType(),
    occurred_at=TimestampType(),
    business=StringType(),
    lang=StringType(),
    text=StringType(),
    numbers=MapType(StringType(), DoubleType()),
    facts=MapType(StringType(), StringType()),
)

REJECTS = struct(
    record_id=StringType(), source=StringType(), stage=StringType(), reason=StringType(), detail=StringType()
)

ANNOTATIONS = struct(
    record_id=StringType(),
    source=StringType(),
    layer=StringType(),
    annotator=StringType(),
    role=StringType(),
    label=StringType(),
    quote=StringType(),
    start=IntegerType(),
)


def extend(schema: StructType, **types) -> StructType:
    """`schema` with more columns at its end."""
    return StructType([*schema.fields, *struct(**types).fields])


def rejects(rows: DataFrame, stage: str, reason: Column, detail: Column) -> DataFrame:
    """The rows as REJECTS: they have record_id and source; the detail never holds text or personal data."""
    columns = (F.lit(stage).alias("stage"), reason.alias("reason"), detail.alias("detail"))
    return rows.select("record_id", "source", *columns)


def named(column: str) -> Column:
    """A column by its exact name, whatever characters it holds."""
    return F.col(f"`{column.replace('`', '``')}`")


def among(name: str, values: Sequence[str]) -> Column:
    """Whether the column is one of `values`; false where `values` is empty."""
    return F.col(name).isin(*values) if values else F.lit(False)


# The columns that each stage adds to a record; here, so that no stage depends on another's module.
CLEANED = extend(RECORDS, imputed=ArrayType(StringType()))  # names of the imputed fields
CLUSTERED = extend(CLEANED, cluster=StringType())  # record_id of the survivor among near-duplicates
MASKED = extend(CLUSTERED, masked=MapType(StringType(), IntegerType()))  # number of masked values by kind


Balance = dict[str, tuple[int, int]]  # what -> (rows in, rows kept + rejected)


@dataclass(frozen=True)
class Stage:
    """A stage: what it reads and writes, and the functions that compute it. Each stage module has one, STAGE."""

    reads: tuple[str, ...]  # pinned tables, "stage.table"
    writes: Mapping[str, StructType]
    params: type
    build: Callable[[Frames, Any], dict[str, DataFrame]]
    # (output, input): rows of the input = rows of the output + rejects of the input's rows
    conserves: tuple[str, str] | None = None
    # where that rule does not fit: (frames, outputs, params) -> numbers of rows that must be equal
    balance: Callable[[Frames, Frames, Any], Balance] | None = None
    # output -> columns by whose values its files are partitioned
    partitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # (content of params.yaml, name of the run) -> params, without files or the environment; None: parse its section
    parse: Callable[[Mapping[str, Any], str], Any] | None = None
    # (project, params, name of the run) -> params, completed from files or the environment
    ready: Callable[[Path, Any, str], Any] = lambda root, params, run_name: params
    # content of params.yaml -> names of the secret environment variables that `ready` or a reader needs
    secrets: Callable[[Mapping[str, Any]], set[str]] = lambda content: set()


def load_stage(name: str) -> Stage:
    """The declaration of a Spark stage: STAGE of its module."""
    stage: Stage = importlib.import_module(f"finelake.jobs.{name}").STAGE
    return stage


def parse_params(name: str, content: Mapping[str, Any], run_name: str = "") -> Any:
    """The typed parameters of a stage from the content of params.yaml. UserError for invalid ones."""
    stage, section = load_stage(name), BY_NAME[name].section or name
    return stage.parse(content, run_name) if stage.parse else parse(stage.params, content.get(section), section)
