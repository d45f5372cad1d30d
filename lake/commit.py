"""Writing a table: hash the rows, find the content in the lake, commit a new version only when it is not there."""

import hashlib

from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType, TimestampType

from lake.snapshots import Table, find_version, intact, location

LANES = 4  # a 128-bit hash is summed as four 32-bit lanes: a long holds 2**31 of them without overflow
ATTEMPTS = 5  # commits that lost a race against another writer are tried again


def commit(
    frame: DataFrame, lake_root: str, path: str, schema: StructType, partition_by: tuple[str, ...] = ()
) -> Table:
    """Publish the rows of `frame` as a version of the table at `path`, unless a version already holds them.

    The frame is computed once: it is kept on disk while it is hashed and written.
    """
    kept = frame.persist(StorageLevel.DISK_ONLY)
    try:
        rows, content = content_hash(kept)
        table = Table(path=path, rows=rows, schema=schema_hash(schema), content=content)
        for attempt in range(ATTEMPTS):
            if intact(lake_root, table):
                break
            try:
                _write(kept, lake_root, table, partition_by)
            except PySparkException as error:
                if attempt == ATTEMPTS - 1 or "DELTA_CONCURRENT" not in str(error):
                    raise
    finally:
        kept.unpersist()
    return table


def _write(frame: DataFrame, lake_root: str, table: Table, partition_by: tuple[str, ...]) -> None:
    writer = frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    writer = writer.option("userMetadata", table.metadata())
    if partition_by:
        writer = writer.partitionBy(*partition_by)
    writer.save(location(lake_root, table.path))


def read(spark, lake_root: str, table: Table) -> DataFrame:
    """The pinned rows. The version must be there: see `lake.snapshots.require`."""
    version = find_version(lake_root, table)
    return spark.read.format("delta").option("versionAsOf", version).load(location(lake_root, table.path))


def schema_hash(schema: StructType) -> str:
    """Hash of names, types and nullability, in column order: 32 hexadecimal digits."""
    return hashlib.sha256(schema.json().encode()).hexdigest()[:32]


def content_hash(frame: DataFrame) -> tuple[int, str]:
    """The number of rows and their order-insensitive hash, 32 hexadecimal digits.

    The sum modulo 2**128 of the rows' MD5 sums: a multiset hash (AdHash; Bellare and Micciancio, 1997), which
    guards against accidents, not against an adversary.
    """
    row = F.to_json(F.struct(*_canonical_fields(frame)), {"ignoreNullFields": "false"})
    digest = frame.select(F.md5(row.cast("binary")).alias("digest"))
    lanes = [F.conv(F.substring("digest", 8 * lane + 1, 8), 16, 10).cast("long") for lane in range(LANES)]
    (sums,) = digest.agg(F.count("*"), *[F.sum(lane) for lane in lanes]).collect()
    rows, totals = sums[0], [total or 0 for total in sums[1:]]
    content = sum(total << (32 * (LANES - 1 - lane)) for lane, total in enumerate(totals)) % 2**128
    return rows, f"{content:032x}"


def _canonical_fields(frame: DataFrame) -> list[Column]:
    return [
        canonical(F.col(f"`{field.name}`"), field.dataType).alias(field.name)
        for field in sorted(frame.schema.fields, key=lambda field: field.name)
    ]


def canonical(column: Column, kind: DataType) -> Column:
    """The column in a form whose JSON depends on the value alone: maps sorted by key, times as microseconds."""
    if isinstance(kind, MapType):
        value_type = kind.valueType
        entries = F.transform(
            F.map_entries(column),
            lambda entry: F.struct(entry["key"].alias("key"), canonical(entry["value"], value_type).alias("value")),
        )
        return F.array_sort(entries)
    if isinstance(kind, ArrayType):
        element_type = kind.elementType
        return F.transform(column, lambda item: canonical(item, element_type))
    if isinstance(kind, StructType):
        fields = [canonical(column[field.name], field.dataType).alias(field.name) for field in kind.fields]
        return F.when(column.isNotNull(), F.struct(*fields))
    if isinstance(kind, TimestampType):
        return F.unix_micros(column)
    return column
