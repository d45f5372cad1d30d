"""Writing a table: Spark writes data files and hashes the rows in one pass, delta-rs commits the files.

Each write puts its data files into a separate folder, TABLE/data/UUID. Spark writes them as a temporary Delta table, so
no file is ever renamed (on an object store a rename is a copy). This process publishes them by a commit after the last
byte is written: an atomic rename in a folder, a conditional put in an object store. The folder holds a mark from before
its first byte until after the commit (lake/tables/locks.py), so a killed writer leaves only a marked folder, and two
writers cannot overwrite each other's commit.
"""

import hashlib
import json
import random
import time
import uuid
from pathlib import PurePosixPath

from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, CommitProperties, create_table_with_add_actions
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, AtomicType, DataType, MapType, StringType, StructType

from finelake.lake.errors import UserError
from finelake.lake.tables import storage
from finelake.lake.tables.locks import mark, unmark
from finelake.lake.tables.snapshots import DATA, LOG, Table, find_version, intact
from finelake.lake.tables.storage import location

LANES = 4  # a 128-bit hash is summed as four 32-bit lanes: a long holds 2**31 of them without overflow
NOTHING = "\0"  # replaces a null where it must be distinguished from a text
ATTEMPTS = 20  # of a commit that loses the race against another writer
PROPERTIES = {
    # Plain Parquet readers must see plain Parquet, and a pinned version must stay for ten years.
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
    # No minima and maxima in the log: stages read whole tables, and some hold personal data.
    "delta.dataSkippingNumIndexedCols": "0",
}


def commit(
    frame: DataFrame, lake_root: str, path: str, schema: StructType, partition_by: tuple[str, ...] = ()
) -> Table:
    """Publish the rows of `frame` as a version of the table at `path`, unless a version already holds them.

    The frame is computed once. UserError when the table's log cannot be read.
    """
    batch = f"{DATA}/{uuid.uuid4().hex}"
    folder = f"{path}/{batch}"
    try:
        mark(lake_root, folder)
        (rows, content), files = _write(frame, lake_root, folder, partition_by)
        table = Table(path=path, rows=rows, schema=schema_hash(schema), content=content)
        # Before the commit, so that a killed writer leaves only the files that its version names.
        _tidy(lake_root, folder, files)
        added = [_under(batch, file) for file in files]
        published = _publish(lake_root, table, added, schema, partition_by)
    except BaseException:
        storage.delete_folders(lake_root, [folder])
        raise
    if published and files:
        unmark(lake_root, folder)
    else:
        storage.delete_folders(lake_root, [folder])
    return table


def read(spark: SparkSession, lake_root: str, table: Table) -> DataFrame:
    """The pinned rows. UserError where the version has vanished since `snapshots.require` checked it."""
    version = find_version(lake_root, table)
    if version is None:
        raise UserError(
            f"table {table.path} vanished from the lake {lake_root} while the stage ran; mount or restore the lake and "
            "run the same command again"
        )
    return spark.read.format("delta").option("versionAsOf", version).load(location(lake_root, table.path))


# --- writing ---------------------------------------------------------------------------------------------------------


def _write(
    frame: DataFrame, lake_root: str, folder: str, partition_by: tuple[str, ...]
) -> tuple[tuple[int, str], list[AddAction]]:
    """Write the rows' files below `folder`: (rows, content hash), files with paths relative to `folder`."""
    seen = Observation()
    writer = frame.observe(seen, *_sums(frame)).write.format("delta")
    if partition_by:
        writer = writer.partitionBy(*partition_by)
    writer.save(location(lake_root, folder))
    files = _written(lake_root, folder)
    rows = sum(json.loads(file.stats)["numRecords"] for file in files)
    hashed = _combined(seen.get) if rows else (0, f"{0:032x}")
    if hashed[0] != rows:
        # Spark guarantees to observe each task once; in case it does not, the files are hashed.
        hashed = content_hash(frame.sparkSession.read.format("delta").load(location(lake_root, folder)))
    return hashed, files


def _written(lake_root: str, folder: str) -> list[AddAction]:
    """The files in the only commit of a temporary Delta table."""
    lines = storage.read_bytes(lake_root, f"{folder}/{LOG}/{0:020d}.json").decode().splitlines()
    adds = [action["add"] for action in map(json.loads, lines) if "add" in action]
    return [
        AddAction(a["path"], a["size"], a["partitionValues"], a["modificationTime"], True, a["stats"]) for a in adds
    ]


def _tidy(lake_root: str, folder: str, files: list[AddAction]) -> None:
    """Delete what no version names: the temporary log, and the file without rows that Spark's first task writes."""
    storage.delete_folders(lake_root, [f"{folder}/{LOG}"])
    named = {file.path for file in files}
    extra = [PurePosixPath(file.path) for file in storage.list_files(lake_root, folder) if file.path not in named]
    empty = [path for path in extra if path.suffix == ".parquet"]
    checksums = [path.with_name(f".{path.name}.crc") for path in empty]
    storage.delete_files(lake_root, [f"{folder}/{path}" for path in [*empty, *checksums]])


def _under(batch: str, file: AddAction) -> AddAction:
    return AddAction(f"{batch}/{file.path}", file.size, file.partition_values, file.modification_time, True, file.stats)


# --- committing ------------------------------------------------------------------------------------------------------


def _publish(
    lake_root: str, table: Table, files: list[AddAction], schema: StructType, partition_by: tuple[str, ...]
) -> bool:
    """Commit the files as the newest version; False when a version already holds the content."""
    digests = storage.sha256(lake_root, [f"{table.path}/{file.path}" for file in files])
    named = {file.path: digests[f"{table.path}/{file.path}"] for file in files}
    # No retries by delta-rs: it would add these files to the version that another writer has just made, and the rows of
    # two writers would share a version. Here a writer that lost the race starts again from the winner's version.
    properties = CommitProperties(custom_metadata={"userMetadata": table.metadata(named)}, max_commit_retries=0)
    for attempt in range(ATTEMPTS):
        # Every byte is checked: only unaltered files may be reused.
        if intact(lake_root, table, deep=True):
            return False
        try:
            _commit_files(lake_root, table, files, Schema.from_json(schema.json()), list(partition_by), properties)
            return True
        except (CommitFailedError, DeltaError):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, 0.05 * (attempt + 1)))
    return False


def _commit_files(
    lake_root: str,
    table: Table,
    files: list[AddAction],
    schema: Schema,
    partition_by: list[str],
    properties: CommitProperties,
) -> None:
    try:
        existing: DeltaTable = storage.open_table(lake_root, table.path)
    except TableNotFoundError:
        create_table_with_add_actions(
            storage.delta_url(lake_root, table.path),
            schema,
            files,
            mode="error",
            partition_by=partition_by,
            configuration=PROPERTIES,
            storage_options=storage.delta_options(lake_root),
            commit_properties=properties,
        )
        return
    existing.create_write_transaction([*files], "overwrite", schema, partition_by, commit_properties=properties)


# --- hashing ---------------------------------------------------------------------------------------------------------


def schema_hash(schema: StructType) -> str:
    """Hash of names, types and nullability, in column order: 32 hexadecimal digits."""
    return hashlib.sha256(schema.json().encode()).hexdigest()[:32]


def content_hash(frame: DataFrame) -> tuple[int, str]:
    """The number of rows and their order-insensitive hash, 32 hexadecimal digits.

    The sum modulo 2**128 of the rows' hashes: a multiset hash (AdHash; Bellare and Micciancio, 1997). A row's hash is
    two XXH64 sums (Collet) of its values in the order of the columns' names, the second with a prefix. It guards
    against accidents, not against an adversary. TypeError for a column of an unsupported type.
    """
    return _combined(frame.agg(*_sums(frame)).collect()[0].asDict())


def _sums(frame: DataFrame) -> list[Column]:
    """Aggregates from which `_combined` computes the hash: `rows` and the sum of each 32-bit lane."""
    fields = sorted(frame.schema.fields, key=lambda field: field.name)
    row = [part for field in fields for part in _parts(F.col(f"`{field.name}`"), field.dataType)]
    halves = (F.xxhash64(*row), F.xxhash64(F.lit("finelake"), *row))
    lanes = [lane for half in halves for lane in (F.shiftrightunsigned(half, 32), half.bitwiseAND(F.lit(0xFFFFFFFF)))]
    return [F.count(F.lit(1)).alias("rows"), *[F.sum(lane).alias(f"lane{index}") for index, lane in enumerate(lanes)]]


def _combined(sums: dict[str, int | None]) -> tuple[int, str]:
    totals = [sums[f"lane{index}"] or 0 for index in range(LANES)]
    content = sum(total << (32 * (LANES - 1 - index)) for index, total in enumerate(totals)) % 2**128
    return sums["rows"] or 0, f"{content:032x}"


def _parts(column: Column, kind: DataType) -> list[Column]:
    """Columns whose hash distinguishes a value of this type from every other; maps sorted by key.

    Spark's XXH64 skips nulls, so nulls and sizes are hashed as well. No lambda: Spark would run it row by row without
    compiling it, which would cost more than all the rest.
    """
    if isinstance(kind, StructType):
        fields = [part for field in kind.fields for part in _parts(column[field.name], field.dataType)]
        return [column.isNull(), *fields]
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, AtomicType):
        return [_size(column), column, _null_positions(column.cast("array<string>"))]
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, StructType):
        # column["name"] is the array of that field's values.
        fields = [
            part for field in kind.elementType.fields for part in _parts(column[field.name], ArrayType(field.dataType))
        ]
        return [_size(column), _null_positions(column.cast("array<string>")), *fields]
    if isinstance(kind, MapType) and isinstance(kind.keyType, StringType) and isinstance(kind.valueType, AtomicType):
        entries = F.sort_array(F.map_entries(column))
        # Between two keys a number cannot be confused with a key; a text can.
        texts = [_null_positions(entries["value"])] if isinstance(kind.valueType, StringType) else []
        return [_size(column), entries, *texts]
    if isinstance(kind, AtomicType):
        return [column.isNull(), column]
    raise TypeError(f"rows with a {kind.simpleString()} cannot be hashed")


def _size(column: Column) -> Column:
    return F.coalesce(F.size(column), F.lit(-1))


def _null_positions(texts: Column) -> Column:
    """The positions of nulls in an array of strings; null where it holds none."""
    return F.when(F.array_contains(texts, NOTHING).isNull(), F.array_join(texts, ",", NOTHING))
