"""Sources: what the section `sources` of params.yaml may say, what can be checked without Spark, how each is read.

A raw frame holds the mapped columns as text and four of the reader's own: `_source`, `_reason` and `_detail` (why the
row cannot be used, else null) and `_order` (landed pages: what comes later replaces what came before).
"""

import csv
import difflib
import glob
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import quote

import pandas as pd
from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lake.errors import UserError
from lake.params import parse

SOURCE, REASON, DETAIL, ORDER = "_source", "_reason", "_detail", "_order"  # no mapped column is called so
ROW = "_row"  # as a key: the row's place in its file
VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class AnnotationColumns:
    """Which columns of an annotations source hold what; `..._value` is a constant instead of a column."""

    record_key: str
    record_source: str | None = None
    record_source_value: str | None = None
    layer: str | None = None
    layer_value: str | None = None  # entity | term | scene
    annotator: str
    role: str | None = None
    role_value: str | None = None  # annotator | arbitrator | committee
    label: str
    quote: str | None = None
    start: str | None = None

    def __post_init__(self) -> None:
        for name in ("record_source", "layer", "role"):
            _one_of(self, name, f"{name}_value", required=True)


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """How the columns of a source become records. Lists of columns are joined: text by a line break, keys by |."""

    role: Literal["records", "annotations"] = "records"
    columns: AnnotationColumns | None = None  # for role annotations
    key: str | list[str] | None = None
    occurred_at: str | None = None  # column: ISO 8601, date, epoch seconds or milliseconds
    occurred_at_value: str | None = None
    text: str | list[str] | None = None
    business: str | None = None
    business_value: str | None = None
    lang: str | None = None
    lang_value: str | None = None  # zh | en | und
    numbers: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)  # layer -> column
    split: str | None = None

    def __post_init__(self) -> None:
        if self.role == "annotations":
            if self.columns is None:
                raise ValueError("role annotations needs `columns`; name those of record_key, annotator, label, ...")
            return
        if self.columns is not None:
            raise ValueError("`columns` belongs to role annotations; remove it or add role: annotations")
        if not self.key:
            raise ValueError("names no key; add key: the column that identifies a row")
        if not self.text and not self.numbers:
            raise ValueError("maps neither text nor numbers; add text: the column that holds the text")
        _one_of(self, "occurred_at", "occurred_at_value", required=True)
        _one_of(self, "business", "business_value")
        _one_of(self, "lang", "lang_value")
        if set(self.labels) - {"scene"}:
            raise ValueError("labels may name the layer scene alone; bring spans by a source with role: annotations")


@dataclass(frozen=True, kw_only=True)
class Database(Mapped):
    """A table or a query, read by JDBC."""

    url: str  # jdbc:sqlite:PATH (relative to the project) or jdbc:postgresql://HOST/NAME
    table: str | None = None
    query: str | None = None
    user: str | None = None
    password: str | None = None  # "${NAME}": from the environment
    partition_column: str | None = None  # a column of whole numbers
    partitions: int = 1
    fetch_size: int = 1000  # rows a round trip

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of(self, "table", "query", required=True)
        if not self.url.startswith(("jdbc:sqlite:", "jdbc:postgresql:", "${")):
            raise ValueError("url must begin with jdbc:sqlite: or jdbc:postgresql:")
        if self.partitions > 1 and not self.partition_column:
            raise ValueError("partitions needs partition_column: a column of whole numbers")


@dataclass(frozen=True, kw_only=True)
class Files(Mapped):
    """CSV, JSON lines or Parquet files."""

    path: str  # may hold * and ?
    format: Literal["csv", "jsonl", "parquet"]
    encoding: str = "UTF-8"
    delimiter: str = ","  # csv

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.key == ROW and self.format != "csv":
            raise ValueError(f"key {ROW} (the row's place in its file) is for csv alone; name a column")


@dataclass(frozen=True, kw_only=True)
class Api(Mapped):
    """Pages of an HTTP API, landed by `finelake pull`; columns may be paths such as customer.id."""

    url: str
    landing: str  # folder of landed pages
    items: str = "items"  # where a page holds its list
    cursor: str = "next_cursor"  # where a page holds the next cursor
    cursor_parameter: str = "cursor"  # how a request says it
    parameters: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # Authorization: "Bearer ${NAME}"
    item_schema: dict[str, Any] = field(default_factory=dict)  # JSON schema of an item
    requests_per_second: float = 10.0
    timeout: float = 30.0  # seconds
    attempts: int = 6  # for one page
    backoff: float = 0.5  # seconds before the second attempt, then doubled
    longest_wait: float = 300.0  # seconds, Retry-After included
    max_pages: int = 100_000  # in one pull

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.requests_per_second <= 0 or self.timeout <= 0 or self.attempts < 1 or self.max_pages < 1:
            raise ValueError("requests_per_second and timeout must be above 0, attempts and max_pages at least 1")


@dataclass(frozen=True, kw_only=True)
class Documents:
    """A folder of PDF and DOCX files; one record a page."""

    path: str
    occurred_at_pattern: str | None = None  # regular expression on the file name: groups year, month, day
    business_value: str | None = None
    lang_value: str | None = None
    max_megabytes: float = 100.0  # larger files are rejects
    max_pages: int = 5000  # documents with more are rejects
    ocr: bool = True
    ocr_below: int = 16  # letters and digits on a page, under which its pictures are read
    dpi: int = 200  # of the picture given to OCR

    # The parser gives these columns, so they are no choice of the user.
    role = "records"
    columns = None
    key = "key"
    occurred_at = "occurred_at"
    occurred_at_value = None
    text = "text"
    business = None
    lang = None
    numbers = ()
    facts = ("file", "page", "part", "method")
    labels: Any = field(default_factory=dict, init=False)
    split = None

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.occurred_at_pattern or "").groupindex
        except re.error as error:
            raise ValueError(f"occurred_at_pattern is no regular expression ({error})") from None
        if self.occurred_at_pattern and set(groups) != {"year", "month", "day"}:
            raise ValueError("occurred_at_pattern needs the named groups year, month and day: (?P<year>[0-9]{4})...")


Source = Database | Files | Api | Documents
KINDS: dict[str, type] = {"database": Database, "documents": Documents, "api": Api, "files": Files}


def _one_of(section: Any, first: str, second: str, required: bool = False) -> None:
    given = [name for name in (first, second) if getattr(section, name) is not None]
    if len(given) == 2:
        raise ValueError(f"{first} and {second} contradict each other; keep one of them")
    if required and not given:
        raise ValueError(f"names no {first}; add {first} or {second}")


# ---------------------------------------------------------------- parsing


def parse_sources(mapping: Any) -> dict[str, Source]:
    """The section `sources`, each source as the dataclass of its kind. UserError for what does not fit.

    ${NAME} stays in the values until they are used, so that a printed source shows no secret.
    """
    if not isinstance(mapping, dict) or not mapping:
        raise UserError("params.yaml: sources is empty; add a source with its kind: database, documents, api or files")
    return {str(name): _parse_source(str(name), value) for name, value in mapping.items()}


def _parse_source(name: str, value: Any) -> Source:
    where = f"sources.{name}"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise UserError(f"params.yaml: {where}: a source's name has letters, digits, _ and - alone; rename it")
    if not isinstance(value, dict):
        raise UserError(f"params.yaml: {where} must be a mapping; write kind, key, occurred_at, text, ... under it")
    kind = value.get("kind")
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1, cutoff=0.5)
        mend = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(KINDS)}"
        raise UserError(f"params.yaml: {where}.kind: {kind!r} is not a kind of source; {mend}")
    return parse(KINDS[kind], {key: item for key, item in value.items() if key != "kind"}, where)


def expand(value: str, name: str, environment: Mapping[str, str] = os.environ) -> str:
    """`value` with each ${NAME} replaced. UserError naming a variable that is not set."""

    def replace(found: re.Match) -> str:
        if found[1] not in environment:
            raise UserError(
                f"sources.{name} needs the environment variable {found[1]}, which is not set; export {found[1]}=..."
            )
        return environment[found[1]]

    return VARIABLE.sub(replace, value)


def mapped_columns(source: Mapped | Documents) -> list[str]:
    """The columns a source maps, each once, in the order of params.yaml's fields."""
    if source.columns is not None:
        chosen = [value for name, value in vars(source.columns).items() if not name.endswith("_value")]
    else:
        chosen = [*_listed(source.key), source.occurred_at, *_listed(source.text), source.business, source.lang]
        chosen += [*source.numbers, *source.facts, *source.labels.values(), source.split]
    return list(dict.fromkeys(name for name in chosen if name))


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


# ---------------------------------------------------------------- checks before Spark


def check(root: Path, sources: Mapping[str, Source]) -> None:
    """UserError for the first source whose data are not there, as far as one can see without Spark.

    An API's variables are not looked at: its pages have landed, and `pull` alone needs them.
    """
    for name, source in sources.items():
        if not isinstance(source, Api):
            _check_variables(name, source)
        if isinstance(source, Database):
            _check_database(root, name, source)
        elif isinstance(source, Documents):
            document_files(root, name, source)
        elif isinstance(source, Api):
            landed_pages(root, name, source)
        else:
            _check_files(root, name, source)


def _check_variables(name: str, source: Source) -> None:
    for value in vars(source).values():
        if isinstance(value, str):
            expand(value, name)


def _check_database(root: Path, name: str, source: Database) -> None:
    url = expand(source.url, name)
    if not url.startswith("jdbc:sqlite:"):
        return
    _require(name, source, sqlite_columns(root, name, source), source.table or "the query")


def sqlite_columns(root: Path, name: str, source: Database) -> list[str]:
    """The columns of the table or query. UserError when the file, the table or the query cannot be read."""
    path = sqlite_path(root, expand(source.url, name))
    if not path.is_file():
        raise UserError(f"the database of source {name}, {path}, does not exist; correct sources.{name}.url")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            return [column[0] for column in database.execute(f"select * from {_relation(source)} limit 0").description]
    except sqlite3.Error as error:
        raise UserError(
            f"the database of source {name}, {path}, cannot be read ({error}); correct sources.{name}"
        ) from None


def sqlite_path(root: Path, url: str) -> Path:
    """The file in a jdbc:sqlite: url; relative paths are relative to the project's root."""
    return root / url.removeprefix("jdbc:sqlite:")


def document_files(root: Path, name: str, source: Documents) -> list[str]:
    """The files under the folder, relative to it, sorted; hidden ones left out."""
    folder = root / expand(source.path, name)
    if not folder.is_dir():
        raise UserError(f"the folder of source {name}, {folder}, does not exist; correct sources.{name}.path")
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    files = sorted(str(path) for path in found if not any(part.startswith((".", "~$")) for part in path.parts))
    if not files:
        raise UserError(f"the folder of source {name}, {folder}, is empty; put PDF or DOCX files into it")
    return files


def landed_pages(root: Path, name: str, source: Api) -> list[Path]:
    """The landed pages in their order. UserError when there is none."""
    pages = sorted((root / source.landing).glob("[0-9]" * 8 + ".json"))
    if not pages:
        raise UserError(f"no page of source {name} has landed in {source.landing}; run `finelake pull {name}`")
    return pages


def matched_files(root: Path, name: str, source: Files) -> list[Path]:
    """The files that the path matches, sorted. UserError when there is none."""
    found = sorted(Path(path) for path in glob.glob(str(root / expand(source.path, name)), recursive=True))
    if not found:
        raise UserError(f"no file matches {source.path} of source {name}; correct sources.{name}.path")
    return found


def _check_files(root: Path, name: str, source: Files) -> None:
    for path in matched_files(root, name, source):
        if source.format == "csv":
            _require(name, source, csv_header(path, name, source), path.name)


def csv_header(path: Path, name: str, source: Files) -> list[str]:
    """The column names of a CSV file. UserError when its first line cannot be read."""
    encoding = "utf-8-sig" if source.encoding.upper() == "UTF-8" else source.encoding
    try:
        with path.open(encoding=encoding, newline="") as lines:
            header = next(csv.reader(lines, delimiter=source.delimiter), [])
    except (UnicodeError, csv.Error, OSError, LookupError) as error:
        raise UserError(f"{path.name} of source {name} cannot be read ({error}); correct the file") from None
    if not header or len(set(header)) < len(header):
        reason = "names a column twice" if header else "is empty"
        raise UserError(f"the header of {path.name} of source {name} {reason}; correct the file")
    return header


def _require(name: str, source: Mapped, found: Iterable[str], where: str) -> None:
    """UserError when a mapped column is not among those found."""
    known = list(found)
    for column in mapped_columns(source):
        if column not in known and column != ROW:
            near = difflib.get_close_matches(column, known, n=1, cutoff=0.5)
            mend = f"did you mean {near[0]}?" if near else f"its columns are: {', '.join(known)}"
            raise UserError(f"source {name}: {where} has no column {column}; {mend}")


# ---------------------------------------------------------------- reading


def read_all(spark: SparkSession, root: Path, sources: Mapping[str, Source]) -> dict[str, DataFrame]:
    """Each source's raw rows, keyed "source.NAME" as the stage ingest takes them."""
    return {f"source.{name}": read(spark, root, name, source) for name, source in sources.items()}


def read(spark: SparkSession, root: Path, name: str, source: Source) -> DataFrame:
    """The raw rows of a source: `_source`, the mapped columns as text, `_reason`, `_detail`, `_order`.

    Kept (memory, else disk) once computed: the outputs of ingest must see one and the same reading of a source that
    lives on, and OCR is dear. UserError when the source cannot be read.
    """
    try:
        raw = _read(spark, root, name, source)
    except (PySparkException, Py4JJavaError) as error:
        said = error.java_exception.getMessage() if isinstance(error, Py4JJavaError) else str(error)
        raise UserError(f"source {name} cannot be read ({harmless(said)}); correct sources.{name}") from None
    own = [F.col(c) if c in raw.columns else F.lit(None).cast("string").alias(c) for c in (REASON, DETAIL, ORDER)]
    columns = [F.col(f"`{column}`") for column in mapped_columns(source)]
    return raw.select(F.lit(name).alias(SOURCE), *columns, *own).persist(StorageLevel.MEMORY_AND_DISK)


def harmless(message: str | None) -> str:
    """The first line of a driver's message, without urls and passwords."""
    first = ((message or "").strip() or "no reason given").splitlines()[0]
    return re.sub(r"jdbc:\S+|\w+://\S+|password=\S*", "...", first)[:200]


def _read(spark: SparkSession, root: Path, name: str, source: Source) -> DataFrame:
    if isinstance(source, Database):
        return _read_database(spark, root, name, source)
    if isinstance(source, Api):
        return _read_api(spark, root, name, source)
    if isinstance(source, Files):
        return _read_files(spark, root, name, source)
    from jobs.documents import read_documents  # pdf and picture libraries: only where there are documents

    folder = root / expand(source.path, name)
    return read_documents(spark, folder, document_files(root, name, source), source)


def text_schema(columns: Iterable[str]) -> StructType:
    """A schema of nullable text columns."""
    return StructType([StructField(column, StringType()) for column in columns])


# Databases


def quoted(name: str) -> str:
    """An SQL identifier; schema.table becomes "schema"."table"."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _column(name: str) -> str:
    # Qualified: SQLite takes an unknown bare "name" for a text.
    return 't."' + name.replace('"', '""') + '"'


def _relation(source: Database) -> str:
    if source.table:
        return f"{quoted(source.table)} as t"
    return f"({cast(str, source.query).strip().rstrip(';')}) as t"


def sqlite_text(column: str) -> str:
    """SQL for a column's value as text, whatever its type; numbers keep every digit that matters.

    SQLite prints 15 digits of a real number; where these are not the number, 17 are.
    """
    short = f"cast({column} as text)"
    exact = f"case when cast({short} as real) = {column} then {short} else printf('%!.17g', {column}) end"
    return f"case typeof({column}) when 'real' then {exact} when 'blob' then hex({column}) else {short} end"


def _read_database(spark: SparkSession, root: Path, name: str, source: Database) -> DataFrame:
    url = expand(source.url, name)
    sqlite = url.startswith("jdbc:sqlite:")
    columns = mapped_columns(source)
    as_text = sqlite_text if sqlite else "cast({} as text)".format
    chosen = ", ".join(f"{as_text(_column(column))} as {_alias(column)}" for column in columns)
    options = _connection(root, name, source, url)
    ranges = _ranges(spark, source, options) if source.partitions > 1 else ["1 = 1"]
    # A schema given by us: SQLite's driver guesses types from the first row, or has none to guess from.
    options["customSchema"] = ", ".join(f"`{column.replace('`', '``')}` STRING" for column in columns)
    rows = f"select {chosen} from {_relation(source)} where"
    return _union([_select(spark, options, f"{rows} {condition}") for condition in ranges])


def _select(spark: SparkSession, options: dict[str, str], sql: str) -> DataFrame:
    return spark.read.format("jdbc").options(**options, dbtable=f"({sql}) r").load()


def _alias(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _connection(root: Path, name: str, source: Database, url: str) -> dict[str, str]:
    options = {"url": url, "fetchsize": str(source.fetch_size)}
    if url.startswith("jdbc:sqlite:"):
        read_only = {"driver": "org.sqlite.JDBC", "open_mode": "1"}
        return options | read_only | {"url": f"jdbc:sqlite:{sqlite_path(root, url).resolve()}"}
    login = {key: expand(value, name) for key in ("user", "password") if (value := getattr(source, key))}
    # The text of a time with a zone must not depend on the machine's.
    return options | login | {"driver": "org.postgresql.Driver", "sessionInitStatement": "set time zone 'UTC'"}


def _ranges(spark: SparkSession, source: Database, options: dict[str, str]) -> list[str]:
    """Conditions that part the rows by ranges of the partition column; nulls go with the first."""
    column = _column(cast(str, source.partition_column))
    bounds = f"select cast(min({column}) as text) as low, cast(max({column}) as text) as high from {_relation(source)}"
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


def _read_files(spark: SparkSession, root: Path, name: str, source: Files) -> DataFrame:
    paths = matched_files(root, name, source)
    if source.format == "csv":
        return _read_csv(spark, paths, name, source)
    columns = mapped_columns(source)
    if source.format == "jsonl":
        lines = spark.read.schema(text_schema([*columns, "_corrupt"])).option("encoding", source.encoding)
        loaded = lines.option("columnNameOfCorruptRecord", "_corrupt").json([str(path) for path in paths])
        return _corrupt(loaded, columns)
    loaded = spark.read.parquet(*[str(path) for path in paths])
    _require(name, source, loaded.columns, source.path)
    return loaded.select(*[F.col(f"`{column}`").cast("string").alias(column) for column in columns])


def _read_csv(spark: SparkSession, paths: list[Path], name: str, source: Files) -> DataFrame:
    """Files with the same header are read together: Spark goes by position and would mix up columns in silence."""
    headers: dict[tuple[str, ...], list[str]] = {}
    for path in paths:
        headers.setdefault(tuple(csv_header(path, name, source)), []).append(str(path))
    columns = mapped_columns(source)
    return _union([_read_csv_group(spark, list(header), group, columns, source) for header, group in headers.items()])


def _read_csv_group(
    spark: SparkSession, header: list[str], paths: list[str], columns: list[str], source: Files
) -> DataFrame:
    reader = spark.read.schema(text_schema([*header, "_corrupt"])).options(
        header=True,
        multiLine=True,
        quote='"',
        escape='"',
        encoding=source.encoding,
        sep=source.delimiter,
        columnNameOfCorruptRecord="_corrupt",
        columnPruning=False,  # else a row with too few values is not seen as corrupt
    )
    loaded = reader.csv(paths)
    return _corrupt(_with_rows(loaded) if ROW in columns else loaded, columns)


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


def _corrupt(loaded: DataFrame, columns: list[str]) -> DataFrame:
    reason = F.when(F.col("_corrupt").isNotNull(), F.lit("corrupt_row"))
    return loaded.select(*[F.col(f"`{column}`") for column in columns], reason.alias(REASON))


# Landed pages


def _read_api(spark: SparkSession, root: Path, name: str, source: Api) -> DataFrame:
    paths = [str(path) for path in landed_pages(root, name, source)]
    columns = mapped_columns(source)

    def parse_pages(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for path in batch["path"]:
                yield pd.DataFrame(page_rows(Path(path), columns), columns=[*columns, REASON, DETAIL, ORDER])

    schema = text_schema([*columns, REASON, DETAIL, ORDER])
    return path_frame(spark, paths).mapInPandas(parse_pages, schema)  # type: ignore[arg-type]


def path_frame(spark: SparkSession, paths: list[str]) -> DataFrame:
    """One row a path, spread over a few tasks a core."""
    tasks = min(len(paths), 4 * spark.sparkContext.defaultParallelism)
    return spark.createDataFrame([(path,) for path in paths], "path string").repartition(tasks, "path")


def page_rows(path: Path, columns: list[str]) -> list[list[str | None]]:
    """The items of a landed page, one row each: the columns as text, reason, detail, order."""
    try:
        items = json.loads(path.read_bytes())["items"]
    except (ValueError, KeyError, TypeError):
        items = [None]
    return [_item_row(item, columns, path, place) for place, item in enumerate(items)]


def _item_row(item: Any, columns: list[str], path: Path, place: int) -> list[str | None]:
    order = f"{path.stem}#{place:06d}"
    if not isinstance(item, dict):
        return [None] * len(columns) + ["corrupt_row", path.name, order]
    return [as_text(dig(item, column)) for column in columns] + [None, path.name, order]


def dig(item: Any, path: str) -> Any:
    """The value at a path such as customer.id, or None."""
    if isinstance(item, dict) and path in item:
        return item[path]
    for part in path.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return item


def as_text(value: Any) -> str | None:
    """A JSON value as text: texts as they are, everything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
