"""Readers: the raw rows of each source.

A raw frame holds the chosen columns as text and four of the reader's own: `_source`, `_reason` and `_detail` (why the
row cannot be used, else null) and `_order` (landed pages: what comes later replaces what came before).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pandas as pd
from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, NumericType, StringType, StructType

from finelake.jobs.sources.columns import (
    COLUMNS,
    CORRUPT,
    DETAIL,
    ORDER,
    REASON,
    SOURCE,
    Column,
    assign,
    declared,
    file_columns,
    names_to_read,
    remark,
)
from finelake.jobs.sources.config import (
    ROW,
    Api,
    Database,
    Documents,
    Files,
    Mapped,
    Source,
    dig,
    expand,
    is_sqlite,
    landed_pages,
    mapped_columns,
    matched_files,
    relation,
    sqlite_path,
)
from finelake.jobs.sources.document import reading
from finelake.jobs.sources.document.folder import document_files
from finelake.jobs.sources.document.headers import without_headers
from finelake.jobs.stage import named, struct
from finelake.lake.errors import UserError, one_line
from finelake.lake.quoting import quoted


def read_all(spark: SparkSession, root: Path, sources: Mapping[str, Source]) -> dict[str, DataFrame]:
    """What the stage ingest takes: each source's raw rows, keyed "source.NAME", and under "columns" all columns.

    Says in a line what became of columns that nothing maps.
    """
    described = {name: describe(spark, root, name, source) for name, source in sources.items()}
    for name, source in sources.items():
        if isinstance(source, Mapped) and (said := remark(name, source, described[name])):
            print(one_line(said), flush=True)
    frames = {
        f"source.{name}": read(spark, root, name, source, names_to_read(source, described[name]))
        for name, source in sources.items()
    }
    rows = [(name, column.name, column.type, column.used_as) for name in described for column in described[name]]
    return frames | {"columns": spark.createDataFrame(rows, COLUMNS)}


def describe(spark: SparkSession, root: Path, name: str, source: Source) -> list[Column]:
    """The source's columns and what becomes of them; none for documents. UserError as `columns.assign`."""
    if isinstance(source, Documents):
        return []
    found = declared(root, name, source)
    if found is None:
        with _refusals(name):
            found = _seen(spark, root, name, source)
    return assign(name, source, found)


def read(spark: SparkSession, root: Path, name: str, source: Source, columns: Sequence[str]) -> DataFrame:
    """The raw rows of a source: `_source`, the named columns as text, `_reason`, `_detail`, `_order`.

    Kept (memory, else disk) once computed: the outputs of ingest must see one and the same reading of a source that
    lives on, and OCR is dear. UserError when the source cannot be read.
    """
    with _refusals(name):
        raw = _read(spark, root, name, source, columns)
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


def _read(spark: SparkSession, root: Path, name: str, source: Source, columns: Sequence[str]) -> DataFrame:
    if isinstance(source, Database):
        return _read_database(spark, root, name, source, columns)
    if isinstance(source, Api):
        return _read_api(spark, landed_pages(root, name, source), columns)
    if isinstance(source, Files):
        return _read_files(spark, root, name, source, columns)
    folder = root / expand(source.path, name)
    return _read_documents(path_frame(spark, document_files(folder, name)), folder, source)


def _seen(spark: SparkSession, root: Path, name: str, source: Mapped) -> dict[str, str]:
    """Columns and types that only a server or the rows themselves can tell; before the first row, the mapped ones."""
    if isinstance(source, Database):
        options = _connection(root, name, source, expand(source.url, name))
        found = _select(spark, options, f"select * from {relation(source)}").schema
        return {field.name: field.dataType.simpleString() for field in found}
    if isinstance(source, Api):
        types = _item_types(spark, landed_pages(root, name, source), mapped_columns(source))
    else:
        types = _line_types(spark, matched_files(root, name, cast(Files, source)), cast(Files, source).encoding)
    return types or dict.fromkeys(mapped_columns(source), "null")


def text_schema(columns: Iterable[str]) -> StructType:
    """A schema of nullable text columns."""
    return struct(**dict.fromkeys(columns, StringType()))


# Databases


def _qualified(name: str) -> str:
    # SQLite takes an unknown bare "name" for a text.
    return f"t.{quoted(name)}"


def sqlite_text(column: str) -> str:
    """SQL for a column's value as text, whatever its type; numbers keep every digit that matters.

    SQLite prints 15 digits of a real number; where these are not the number, 17 are.
    """
    short = f"cast({column} as text)"
    exact = f"case when cast({short} as real) = {column} then {short} else printf('%!.17g', {column}) end"
    return f"case typeof({column}) when 'real' then {exact} when 'blob' then hex({column}) else {short} end"


def _read_database(spark: SparkSession, root: Path, name: str, source: Database, columns: Sequence[str]) -> DataFrame:
    url = expand(source.url, name)
    as_text = sqlite_text if is_sqlite(url) else "cast({} as text)".format
    chosen = ", ".join(f"{as_text(_qualified(column))} as {quoted(column)}" for column in columns)
    options = _connection(root, name, source, url)
    ranges = _ranges(spark, source, options) if source.partitions > 1 else ["1 = 1"]
    # A schema given by us: SQLite's driver guesses types from the first row, or has none to guess from.
    options["customSchema"] = ", ".join(f"`{column.replace('`', '``')}` STRING" for column in columns)
    rows = f"select {chosen} from {relation(source)} where"
    return _union([_select(spark, options, f"{rows} {condition}") for condition in ranges])


def _select(spark: SparkSession, options: dict[str, str], sql: str) -> DataFrame:
    return spark.read.format("jdbc").options(**options, dbtable=f"({sql}) r").load()


def _connection(root: Path, name: str, source: Database, url: str) -> dict[str, str]:
    options = {"url": url, "fetchsize": str(source.fetch_size)}
    if is_sqlite(url):
        read_only = {"driver": "org.sqlite.JDBC", "open_mode": "1"}
        return options | read_only | {"url": f"jdbc:sqlite:{sqlite_path(root, url).resolve()}"}
    login = {key: expand(value, name) for key in ("user", "password") if (value := getattr(source, key))}
    # The text of a time with a zone must not depend on the machine's.
    return options | login | {"driver": "org.postgresql.Driver", "sessionInitStatement": "set time zone 'UTC'"}


def _ranges(spark: SparkSession, source: Database, options: dict[str, str]) -> list[str]:
    """Conditions that part the rows by ranges of the partition column; nulls go with the first."""
    column = _qualified(cast(str, source.partition_column))
    bounds = f"select cast(min({column}) as text) as low, cast(max({column}) as text) as high from {relation(source)}"
    row = _select(spark, options | {"customSchema": "low STRING, high STRING"}, bounds).collect()[0]
    if row.low is None:
        return ["1 = 1"]
    try:
        low, high = int(row.low), int(row.high)
    except ValueError:
        raise UserError(f"partition_column {source.partition_column} holds no whole numbers; choose another") from None
    count = min(source.partitions, high - low + 1)
    edges = [low + (high - low + 1) * part // count for part in range(1, count)]
    conditions = [f"{column} >= {left} and {column} < {right}" for left, right in zip(edges, edges[1:], strict=False)]
    if not edges:
        return ["1 = 1"]
    return [f"({column} < {edges[0]} or {column} is null)", *conditions, f"{column} >= {edges[-1]}"]


def _union(frames: list[DataFrame]) -> DataFrame:
    union = frames[0]
    for frame in frames[1:]:
        union = union.unionByName(frame)
    return union


# Files


def _read_files(spark: SparkSession, root: Path, name: str, source: Files, columns: Sequence[str]) -> DataFrame:
    paths = matched_files(root, name, source)
    if source.format == "jsonl":
        lines = spark.read.schema(text_schema([*columns, CORRUPT])).option("encoding", source.encoding)
        return _corrupt(lines.option("columnNameOfCorruptRecord", CORRUPT).json(_exactly(paths)), columns)
    # Files with the same columns are read together: Spark goes by the first file's, in CSV by position, and would mix
    # up columns or drop them in silence.
    groups: dict[tuple[tuple[str, str], ...], list[Path]] = {}
    for path in paths:
        groups.setdefault(tuple(file_columns(path, name, source).items()), []).append(path)
    read_group = _read_csv if source.format == "csv" else _read_parquet
    frames = [read_group(spark, _exactly(group), dict(found), columns, source) for found, group in groups.items()]
    return _union(frames)


def _exactly(paths: Sequence[Path]) -> list[str]:
    """The paths as Spark takes them: it would read a[1].csv as a pattern, and find a1.csv."""
    return [re.sub(r"([\\{}\[\]*?])", r"\\\1", str(path)) for path in paths]


def _read_parquet(
    spark: SparkSession, paths: list[str], found: dict[str, str], columns: Sequence[str], source: Files
) -> DataFrame:
    loaded = spark.read.parquet(*paths)
    return loaded.select(*[_or_null(column, found).cast("string").alias(column) for column in columns])


def _read_csv(
    spark: SparkSession, paths: list[str], found: dict[str, str], columns: Sequence[str], source: Files
) -> DataFrame:
    reader = spark.read.schema(text_schema([*found, CORRUPT])).options(
        header=True,
        multiLine=True,
        quote='"',
        escape='"',
        encoding=source.encoding,
        sep=source.delimiter,
        columnNameOfCorruptRecord=CORRUPT,
        columnPruning=False,  # else a row with too few values is not seen as corrupt
    )
    loaded = reader.csv(paths)
    return _corrupt(_with_rows(loaded) if ROW in columns else loaded, columns)


def _or_null(column: str, found: Iterable[str]) -> SparkColumn:
    """The column; null in files that lack it (they were written before it was added)."""
    return named(column) if column in found else F.lit(None).cast("string").alias(column)


def _with_rows(loaded: DataFrame) -> DataFrame:
    """`_row`, the file's name and the row's number in it: a file read with multiLine stays whole and in order."""
    named = loaded.select("*", F.col("_metadata.file_name").alias(ROW))
    return named.mapInPandas(_number_rows, named.schema)  # type: ignore[arg-type]


def _number_rows(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    seen: dict[str, int] = {}
    for batch in batches:
        names = batch[ROW]
        numbers = names.groupby(names).cumcount() + 1 + names.map(lambda name: seen.get(name, 0))
        seen.update(numbers.groupby(names).max().to_dict())
        yield batch.assign(**{ROW: names + "#" + numbers.astype(str)})


def _corrupt(loaded: DataFrame, columns: Sequence[str]) -> DataFrame:
    reason = F.when(F.col(CORRUPT).isNotNull(), F.lit("corrupt_row"))
    return loaded.select(*[_or_null(column, loaded.columns) for column in columns], reason.alias(REASON))


def _line_types(spark: SparkSession, paths: list[Path], encoding: str) -> dict[str, str]:
    """The JSON types of the keys of JSON lines; keys that differ in case alone are two."""
    setting = "spark.sql.caseSensitive"
    before = spark.conf.get(setting)
    spark.conf.set(setting, "true")
    try:
        lines = spark.read.options(encoding=encoding, columnNameOfCorruptRecord=CORRUPT)
        schema = lines.json(_exactly(paths)).schema
    finally:
        spark.conf.set(setting, cast(str, before))
    return {field.name: _json_type_of(field.dataType) for field in schema if field.name != CORRUPT}


def _json_type_of(kind: DataType) -> str:
    names = {NumericType: "number", StringType: "text", ArrayType: "array", StructType: "object"}
    return next((name for parent, name in names.items() if isinstance(kind, parent)), kind.typeName())


# Landed pages


def _read_api(spark: SparkSession, pages: Sequence[Path], columns: Sequence[str]) -> DataFrame:
    def parse_pages(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for path in batch["path"]:
                yield pd.DataFrame(page_rows(Path(path), columns), columns=[*columns, REASON, DETAIL, ORDER])

    schema = text_schema([*columns, REASON, DETAIL, ORDER])
    return path_frame(spark, map(str, pages)).mapInPandas(parse_pages, schema)  # type: ignore[arg-type]


def _item_types(spark: SparkSession, pages: Sequence[Path], mapped: Sequence[str]) -> dict[str, str]:
    """The JSON types of the items' keys and of the mapped paths, sorted; of several types "number|text"."""

    def types(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for path in batch["path"]:
                found = {pair for item in page_items(Path(path)) for pair in item_types(item, mapped).items()}
                yield pd.DataFrame(list(found), columns=["column", "type"])

    paths = path_frame(spark, map(str, pages))
    seen = paths.mapInPandas(types, "column string, type string")  # type: ignore[arg-type]
    rows = sorted(tuple(row) for row in seen.distinct().collect())
    found: dict[str, list[str]] = {}
    for column, kind in rows:
        found.setdefault(column, []).append(kind)
    # A null says nothing of the type where other items tell it.
    return {column: "|".join([kind for kind in kinds if kind != "null"] or kinds) for column, kinds in found.items()}


def item_types(item: Any, mapped: Sequence[str]) -> dict[str, str]:
    """The JSON type of each key of an item; a key under which mapped paths lie gives way to these."""
    if not isinstance(item, dict):
        return {}
    paths = [column for column in mapped if column not in item]
    values = {key: item[key] for key in item if not any(path.startswith(f"{key}.") for path in paths)}
    values |= {path: value for path in paths if (value := dig(item, path)) is not None}
    return {key: JSON_TYPES[type(value)] for key, value in values.items()}


JSON_TYPES = {int: "number", float: "number", str: "text", bool: "boolean", dict: "object", list: "array"}
JSON_TYPES[type(None)] = "null"


def path_frame(spark: SparkSession, paths: Iterable[str]) -> DataFrame:
    """One row a path, spread over a few tasks a core."""
    rows = [(path,) for path in paths]
    tasks = min(len(rows), 4 * spark.sparkContext.defaultParallelism)
    return spark.createDataFrame(rows, "path string").repartition(tasks, "path")


def page_rows(path: Path, columns: Sequence[str]) -> list[list[str | None]]:
    """The items of a landed page, one row each: the columns as text, reason, detail, order."""
    return [_item_row(item, columns, path, place) for place, item in enumerate(page_items(path))]


HALF = re.compile("[\ud800-\udfff]")  # half a surrogate pair
ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")  # a pair, or half of one, as JSON may write it


def page_items(path: Path) -> list[Any]:
    """The items of a landed page; one that is None where the page cannot be read.

    Half a surrogate pair, which some APIs send where they cut a text, becomes U+FFFD: no table can hold it.
    """
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
        items = json.loads(text)["items"]
        if HALF.search(text) or ESCAPE.search(text):
            items = json.loads(HALF.sub("\ufffd", json.dumps(items, ensure_ascii=False)))
    except (ValueError, KeyError, TypeError, RecursionError):
        return [None]
    return items if isinstance(items, list) else [None]


def _item_row(item: Any, columns: Sequence[str], path: Path, place: int) -> list[str | None]:
    order = f"{path.stem}#{place:06d}"
    corrupt: list[str | None] = [None] * len(columns) + ["corrupt_row", path.name, order]
    if not isinstance(item, dict):
        return corrupt
    try:
        return [as_text(dig(item, column)) for column in columns] + [None, path.name, order]
    except RecursionError:  # values in one another that could just be read, not written
        return corrupt


def as_text(value: Any) -> str | None:
    """A JSON value as text: texts as they are, everything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# Documents


def _read_documents(files: DataFrame, folder: Path, source: Documents) -> DataFrame:
    """The pages of the files (column `path`, relative to the folder), columns reading.COLUMNS.

    Text layers by file, then OCR by page, so that those of one long scan spread over all cores, then by file what its
    pages share.
    """
    schema = struct(**dict.fromkeys(reading.COLUMNS, StringType()))

    def extract(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for file in batch["path"]:
                yield pd.DataFrame(reading.document_rows(folder, file, source), columns=list(reading.COLUMNS))

    def recognise(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            rows = [reading.ocr_row(folder, row, source) for row in _rows(batch)]
            yield pd.DataFrame(rows, columns=list(reading.COLUMNS))

    def compare(pages: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(without_headers(_rows(pages), source), columns=list(reading.COLUMNS))

    pages = files.mapInPandas(extract, schema)  # type: ignore[arg-type]
    tasks = 4 * files.sparkSession.sparkContext.defaultParallelism
    recognised = pages.repartition(tasks, "key").mapInPandas(recognise, schema)  # type: ignore[arg-type]
    return recognised.groupBy("file").applyInPandas(compare, schema)


def _rows(frame: pd.DataFrame) -> list[reading.Row]:
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
