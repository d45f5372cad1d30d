"""Files: CSV, JSON lines and Parquet."""

import csv
import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import pandas as pd
import pyarrow.parquet
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, NumericType, StringType, StructType

from finelake.jobs.sources.columns import CORRUPT, REASON, require
from finelake.jobs.sources.mapping import ROW, listed
from finelake.jobs.sources.readers import text_schema, union
from finelake.jobs.sources.source import Mapped, expand
from finelake.jobs.stage import named
from finelake.lake.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Files(Mapped):
    """CSV, JSON lines or Parquet files."""

    path: str  # may hold * and ?
    format: Literal["csv", "jsonl", "parquet"]
    encoding: str = "UTF-8"
    delimiter: str = ","  # csv

    def __post_init__(self) -> None:
        super().__post_init__()
        if ROW in listed(self.key) and self.format != "csv":
            raise ValueError(f"key {ROW} (the row's place in its file) is for csv alone; name a column")
        if len(self.delimiter) != 1 or not self.delimiter.isprintable() and self.delimiter != "\t":
            raise ValueError(f"delimiter is {self.delimiter!r}; write one character, such as ';' or \"\\t\"")

    @property
    def declares_types(self) -> bool:
        return self.format == "parquet"

    @property
    def holder(self) -> str:
        return self.path

    def declared(self, root: Path, name: str) -> dict[str, str] | None:
        paths = matched_files(root, name, self)
        if self.format == "jsonl":
            return None
        found: dict[str, set[str]] = {}
        for path in paths:
            columns = _file_columns(path, name, self)
            require(name, self, columns, path.name)
            for column, kind in columns.items():
                found.setdefault(column, set()).add(kind)
        return {column: "|".join(sorted(kinds)) for column, kinds in found.items()}

    def inferred(self, spark: SparkSession, root: Path, name: str) -> dict[str, str]:
        types = _line_types(spark, matched_files(root, name, self), self.encoding)
        return types or dict.fromkeys(self.mapped_columns(), "null")

    def local_path(self, name: str) -> str | None:
        return expand(self.path, name)

    def read(self, spark: SparkSession, root: Path, name: str, columns: Sequence[str]) -> DataFrame:
        paths = matched_files(root, name, self)
        if self.format == "jsonl":
            lines = spark.read.schema(text_schema([*columns, CORRUPT])).option("encoding", self.encoding)
            return _corrupt(lines.option("columnNameOfCorruptRecord", CORRUPT).json(_exactly(paths)), columns)
        # Files with the same columns are read together: Spark goes by the first file's, in CSV by position, and would
        # mix up columns or drop them in silence.
        groups: dict[tuple[tuple[str, str], ...], list[Path]] = {}
        for path in paths:
            groups.setdefault(tuple(_file_columns(path, name, self).items()), []).append(path)
        read_group = _read_csv if self.format == "csv" else _read_parquet
        return union(read_group(spark, _exactly(group), dict(found), columns, self) for found, group in groups.items())


# ---------------------------------------------------------------- which files, and their columns


def matched_files(root: Path, name: str, source: Files) -> list[Path]:
    """The files that the path matches, sorted. UserError when there is none."""
    pattern = expand(source.path, name)
    _refuse_unreadable(root, name, pattern)
    # Below the root, whose own name may hold [ or *.
    found = sorted(root / path for path in glob.glob(pattern, root_dir=root, recursive=True))
    _refuse_bytes(name, map(str, found))
    if not found:
        raise UserError(f"no file matches {source.path} of source {name}; correct sources.{name}.path")
    folders = [path for path in found if path.is_dir()]
    if folders:
        raise UserError(f"{folders[0]} of source {name} is a folder; write sources.{name}.path: {source.path}/*")
    return found


def _refuse_unreadable(root: Path, name: str, pattern: str) -> None:
    """UserError for a folder that a pattern leads through and that cannot be listed: glob would leave it out."""
    for parent in Path(pattern).parents:
        for folder in [root / path for path in glob.glob(str(parent), root_dir=root, recursive=True)]:
            if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
                raise UserError(f"the folder {folder} of source {name} cannot be read; give this user access to it")


def _refuse_bytes(name: str, files: Iterable[str]) -> None:
    """UserError for the first name that is not text: Spark could not open the file."""
    for file in files:
        try:
            file.encode("utf-8")
        except UnicodeError:
            raise UserError(f"the name of the file {file!a} of source {name} is not valid UTF-8; rename it") from None


def _file_columns(path: Path, name: str, source: Files) -> dict[str, str]:
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


# ---------------------------------------------------------------- their rows


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
