"""Columns: which a source has, what becomes of each, and what is refused when its schema changes.

Every column is mapped, listed under `ignored`, or falls under `other_columns`; none is dropped in silence. What became
of each stands in the table ingest.columns.
"""

import csv
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet
from pyspark.sql.types import StringType

from finelake.jobs.sources.config import (
    ROW,
    Api,
    Database,
    Documents,
    Files,
    Mapped,
    Source,
    expand,
    is_sqlite,
    landed_pages,
    mapped_columns,
    matched_files,
    relation,
    sqlite_path,
    uses,
)
from finelake.jobs.sources.document.folder import document_files
from finelake.jobs.stage import struct
from finelake.lake.errors import UserError, did_you_mean

# Columns of a raw frame that are the reader's own; no column of a source may be called so.
SOURCE, REASON, DETAIL, ORDER, CORRUPT = "_source", "_reason", "_detail", "_order", "_corrupt"
COLUMNS = struct(source=StringType(), name=StringType(), type=StringType(), used_as=StringType())
TAKEN, IGNORED = "taken", "ignored"
UNTYPED = "untyped"
# Types of SQLite, PostgreSQL (as Spark names them), Parquet and JSON that hold numbers; widening stays among them.
NUMERIC = re.compile(
    r"(?:u|big|small|tiny|medium)?int(?:eger)?\d*(?![a-z])|real|float|half|double|dec|num|null|untyped", re.IGNORECASE
)

FLOATING = re.compile(r"half|float|double|real", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of a source."""

    name: str
    type: str  # as the source declares it; of several files "int32|int64"; text in CSV, JSON's own types in JSON
    used_as: str  # key, time, number, ... ("text,fact" where it is both), taken or ignored


def assign(name: str, source: Mapped, found: Mapping[str, str]) -> list[Column]:
    """What becomes of each column that was found (name -> type).

    UserError for a mapped column that is missing, a number that is none, a floating key, and a column that nothing
    maps where `other_columns` refuses it.
    """
    require(name, source, found, _place(source))
    mapped = uses(source)
    _check_numbers(name, source, found)
    _check_keys(name, mapped, found)
    others = [column for column in found if column not in mapped and column not in source.ignored]
    if others and source.other_columns == "refuse":
        raise UserError(
            f"source {name} has columns that nothing maps: {', '.join(others)}; map them, list them under "
            f"sources.{name}.ignored, or set sources.{name}.other_columns to ignore or take"
        )
    default = {column: TAKEN if source.other_columns == "take" else IGNORED for column in others}
    used = {column: ",".join(mapped[column]) for column in mapped}
    columns = [Column(column, kind, used.get(column) or default.get(column, IGNORED)) for column, kind in found.items()]
    _check_names(name, source, columns)
    return columns


def names_to_read(source: Mapped | Documents, columns: Sequence[Column]) -> list[str]:
    """The columns of a raw frame: those that are mapped, then those that are taken."""
    return [*mapped_columns(source), *[column.name for column in columns if column.used_as == TAKEN]]


def remark(name: str, source: Mapped, columns: Sequence[Column]) -> str | None:
    """A sentence on the columns that fell under `other_columns`; None where there are none."""
    others = [one.name for one in columns if one.used_as in (TAKEN, IGNORED) and one.name not in source.ignored]
    what = "taken into facts" if source.other_columns == "take" else "left out"
    return f"source {name}: columns that nothing maps are {what}: {', '.join(others)}" if others else None


def _place(source: Mapped) -> str:
    if isinstance(source, Database):
        return source.table or "the query"
    return source.path if isinstance(source, Files) else source.landing if isinstance(source, Api) else "it"


def require(name: str, source: Mapped, found: Iterable[str], where: str) -> None:
    """UserError when a mapped column is not among those found in the place `where`."""
    known = list(found)
    for column in mapped_columns(source):
        if column not in known and column != ROW:
            raise UserError(f"source {name}: {where} has no column {column}; {did_you_mean(column, known)}")


def declares_types(source: Mapped | Documents) -> bool:
    """Whether the source tells numbers from texts itself."""
    return isinstance(source, Database) or isinstance(source, Files) and source.format == "parquet"


def _check_numbers(name: str, source: Mapped, found: Mapping[str, str]) -> None:
    """CSV and JSON declare no types: a text in them may be a number, and what is none counts as missing."""
    for column in source.numbers:
        kinds = found[column].split("|")
        if not all(NUMERIC.match(kind) or kind == "text" and not declares_types(source) for kind in kinds):
            raise UserError(
                f"source {name}: {column} is mapped under numbers, but its type is {found[column]}; "
                f"map it under facts, or make it a number in the source"
            )


def _check_keys(name: str, mapped: Mapping[str, Sequence[str]], found: Mapping[str, str]) -> None:
    """A key that was widened to a floating number reads 1.0 where it was 1: every record would be a new one."""
    for column in (one for one in found if {"key", "record_key"} & set(mapped.get(one, ()))):
        if any(FLOATING.match(kind) for kind in found[column].split("|")):
            raise UserError(
                f"source {name}: {column} is a key, but its type is {found[column]}, which writes 1 as 1.0; "
                f"make it text or a whole number in the source"
            )


def _check_names(name: str, source: Mapped, columns: Sequence[Column]) -> None:
    """UserError for a name that Finelake uses itself, and for two that Spark cannot tell apart."""
    seen: dict[str, str] = {}
    for column in (one for one in columns if one.used_as != IGNORED):
        given_split = column.name == "split" and column.used_as == TAKEN and source.split
        if column.name in (SOURCE, REASON, DETAIL, ORDER, CORRUPT) or given_split:
            raise UserError(
                f"source {name}: Finelake has a column {column.name} of its own; "
                f"list it under sources.{name}.ignored or rename it in the source"
            )
        twin = seen.setdefault(column.name.lower(), column.name)
        if twin != column.name:
            raise UserError(
                f"source {name}: {twin} and {column.name} differ in case alone; list one under sources.{name}.ignored"
            )


# ---------------------------------------------------------------- what can be told without Spark


def check(root: Path, sources: Mapping[str, Source]) -> None:
    """UserError for the first source whose data or columns are not there, as far as one can see without Spark.

    An API's variables are not looked at: its pages have landed, and `pull` alone needs them.
    """
    for name, source in sources.items():
        if not isinstance(source, Api):
            _check_variables(name, source)
        if isinstance(source, Documents):
            document_files(root / expand(source.path, name), name)
        elif isinstance(source, Api):
            landed_pages(root, name, source)
        else:
            found = declared(root, name, source)
            if found is not None:
                assign(name, source, found)


def _check_variables(name: str, source: Source) -> None:
    for value in vars(source).values():
        if isinstance(value, str):
            expand(value, name)


def declared(root: Path, name: str, source: Mapped) -> dict[str, str] | None:
    """The columns and their types; None where only Spark can tell. UserError when the source cannot be read."""
    if isinstance(source, Database):
        return _sqlite_columns(root, name, source) if is_sqlite(expand(source.url, name)) else None
    if not isinstance(source, Files):
        return None
    paths = matched_files(root, name, source)
    if source.format == "jsonl":
        return None
    found: dict[str, set[str]] = {}
    for path in paths:
        columns = file_columns(path, name, source)
        require(name, source, columns, path.name)
        for column, kind in columns.items():
            found.setdefault(column, set()).add(kind)
    return {column: "|".join(sorted(kinds)) for column, kinds in found.items()}


def _sqlite_columns(root: Path, name: str, source: Database) -> dict[str, str]:
    """Declared types; an expression in a query has none."""
    path = sqlite_path(root, expand(source.url, name))
    if not path.is_file():
        raise UserError(f"the database of source {name}, {path}, does not exist; correct sources.{name}.url")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            # A view of this connection alone: the only way to the declared types of a query's columns.
            database.execute(f"create temp view finelake_columns as select * from {relation(source)}")
            found = database.execute("select name, type from pragma_table_info('finelake_columns')").fetchall()
    except sqlite3.Error as error:
        raise UserError(
            f"the database of source {name}, {path}, cannot be read ({error}); correct sources.{name}"
        ) from None
    # Lower case, since newer versions of SQLite write known types in capitals.
    return {column: kind.lower() or UNTYPED for column, kind in found}


def file_columns(path: Path, name: str, source: Files) -> dict[str, str]:
    """The columns of a CSV or Parquet file and their types. UserError when it cannot be read."""
    if source.format == "csv":
        return dict.fromkeys(_csv_header(path, name, source), "text")
    try:
        return {column.name: str(column.type) for column in pyarrow.parquet.read_schema(path)}
    except (pyarrow.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the system's, such as a permission that is missing
            raise
        raise UserError(f"{path.name} of source {name} cannot be read ({error}); correct the file") from None


def _csv_header(path: Path, name: str, source: Files) -> list[str]:
    """The column names of a CSV file. UserError when its first line cannot be read."""
    encoding = "utf-8-sig" if source.encoding.upper() == "UTF-8" else source.encoding
    try:
        with path.open(encoding=encoding, newline="") as lines:
            header = next(csv.reader(lines, delimiter=source.delimiter), [])
    except (UnicodeError, csv.Error, LookupError) as error:
        raise UserError(f"{path.name} of source {name} cannot be read ({error}); correct the file") from None
    if not header or len(set(header)) < len(header):
        reason = "names a column twice" if header else "is empty"
        raise UserError(f"the header of {path.name} of source {name} {reason}; correct the file")
    return header
