"""Databases: SQLite and PostgreSQL, read by JDBC."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import quote

from pyspark.sql import DataFrame, SparkSession

from finelake.jobs.sources.mapping import one_of
from finelake.jobs.sources.readers import union
from finelake.jobs.sources.source import Mapped, expand
from finelake.lake.errors import UserError
from finelake.lake.quoting import quoted

SQLITE = "jdbc:sqlite:"
UNTYPED = "untyped"


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
        one_of(self, "table", "query", required=True)
        if not self.url.startswith((SQLITE, "jdbc:postgresql:", "${")):
            raise ValueError("url must begin with jdbc:sqlite: or jdbc:postgresql:")
        if self.partitions > 1 and not self.partition_column:
            raise ValueError("partitions needs partition_column: a column of whole numbers")

    @property
    def declares_types(self) -> bool:
        return True

    @property
    def holder(self) -> str:
        return self.table or "the query"

    def declared(self, root: Path, name: str) -> dict[str, str] | None:
        url = expand(self.url, name)
        return _sqlite_columns(sqlite_path(root, url), name, self) if is_sqlite(url) else None

    def inferred(self, spark: SparkSession, root: Path, name: str) -> dict[str, str]:
        found = _select(spark, self._connection(root, name), f"select * from {self.relation()}").schema
        return {field.name: field.dataType.simpleString() for field in found}

    def local_path(self, name: str) -> str | None:
        url = expand(self.url, name)
        return url.removeprefix(SQLITE) if is_sqlite(url) else None

    def relation(self) -> str:
        """The table or query in SQL, called t; schema.table becomes "schema"."table"."""
        if self.table:
            return f"{'.'.join(map(quoted, self.table.split('.')))} as t"
        return f"({cast(str, self.query).strip().rstrip(';')}) as t"

    def read(self, spark: SparkSession, root: Path, name: str, columns: Sequence[str]) -> DataFrame:
        as_text = sqlite_text if is_sqlite(expand(self.url, name)) else "cast({} as text)".format
        chosen = ", ".join(f"{as_text(_qualified(column))} as {quoted(column)}" for column in columns)
        options = self._connection(root, name)
        ranges = _ranges(spark, self, options) if self.partitions > 1 else ["1 = 1"]
        # A schema given by us: SQLite's driver guesses types from the first row, or has none to guess from.
        options["customSchema"] = ", ".join(f"`{column.replace('`', '``')}` STRING" for column in columns)
        rows = f"select {chosen} from {self.relation()} where"
        return union([_select(spark, options, f"{rows} {condition}") for condition in ranges])

    def _connection(self, root: Path, name: str) -> dict[str, str]:
        url = expand(self.url, name)
        options = {"url": url, "fetchsize": str(self.fetch_size)}
        if is_sqlite(url):
            read_only = {"driver": "org.sqlite.JDBC", "open_mode": "1"}
            return options | read_only | {"url": f"{SQLITE}{sqlite_path(root, url).resolve()}"}
        login = {key: expand(value, name) for key in ("user", "password") if (value := getattr(self, key))}
        # The text of a time with a zone must not depend on the machine's.
        return options | login | {"driver": "org.postgresql.Driver", "sessionInitStatement": "set time zone 'UTC'"}


def is_sqlite(url: str) -> bool:
    return url.startswith(SQLITE)


def sqlite_path(root: Path, url: str) -> Path:
    """The file in a jdbc:sqlite: url; relative paths are relative to the project's root."""
    return root / url.removeprefix(SQLITE)


def _sqlite_columns(path: Path, name: str, source: Database) -> dict[str, str]:
    """Declared types; an expression in a query has none."""
    if not path.is_file():
        raise UserError(f"the database of source {name}, {path}, does not exist; correct sources.{name}.url")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            # A view of this connection alone: the only way to the declared types of a query's columns.
            database.execute(f"create temp view finelake_columns as select * from {source.relation()}")
            found = database.execute("select name, type from pragma_table_info('finelake_columns')").fetchall()
    except sqlite3.Error as error:
        raise UserError(
            f"the database of source {name}, {path}, cannot be read ({error}); correct sources.{name}"
        ) from None
    # Lower case, since newer versions of SQLite write known types in capitals.
    return {column: kind.lower() or UNTYPED for column, kind in found}


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


def _select(spark: SparkSession, options: dict[str, str], sql: str) -> DataFrame:
    return spark.read.format("jdbc").options(**options, dbtable=f"({sql}) r").load()


def _ranges(spark: SparkSession, source: Database, options: dict[str, str]) -> list[str]:
    """Conditions that part the rows by ranges of the partition column; nulls go with the first."""
    column = _qualified(cast(str, source.partition_column))
    bounds = f"select cast(min({column}) as text) as low, cast(max({column}) as text) as high from {source.relation()}"
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
