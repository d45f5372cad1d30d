"""What a stage is, and the schemas and expressions that several stages share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
    """`schema` with further columns behind it."""
    return StructType([*schema.fields, *struct(**types).fields])


def rejects(rows: DataFrame, stage: str, reason: Column, detail: Column) -> DataFrame:
    """The rows as REJECTS: they have record_id and source; the detail never holds text or personal data."""
    told = (F.lit(stage).alias("stage"), reason.alias("reason"), detail.alias("detail"))
    return rows.select("record_id", "source", *told)


def named(column: str) -> Column:
    """A column by its exact name, whatever characters it holds."""
    return F.col(f"`{column.replace('`', '``')}`")


def among(name: str, values: Sequence[str]) -> Column:
    """Whether the column is one of `values`; false where there is none."""
    return F.col(name).isin(*values) if values else F.lit(False)


# What each stage adds to a record; here and not in the stages, so that no stage depends on another's module.
CLEANED = extend(RECORDS, imputed=ArrayType(StringType()))  # names of the imputed fields
CLUSTERED = extend(CLEANED, cluster=StringType())  # record_id of the survivor among near-duplicates
MASKED = extend(CLUSTERED, masked=MapType(StringType(), IntegerType()))  # how many by kind


@dataclass(frozen=True)
class Stage:
    """The declaration of a stage; `build(frames, params)` beside it in the module is the stage itself.

    A module may have `balance(frames, outputs, params)`, which returns {what: (rows in, rows kept + rejected)},
    where the rule of `conserves` does not fit.
    """

    reads: tuple[str, ...]  # pinned tables, "stage.table"
    writes: Mapping[str, StructType]
    params: type
    # (output, input): rows of the input = rows of the output + rejects of the input's rows
    conserves: tuple[str, str] | None = None
    private: bool = False  # its tables hold personal data: their owner alone may read them
    # output -> columns whose values become folders, one file each
    partitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
