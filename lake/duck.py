"""DuckDB over the pinned tables: every table a view, stage.table, without Spark."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from lake.errors import UserError
from lake.snapshots import Table, arrow_schema, files, manifests


def connect(root: Path, lake_root: str) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with one view for each table that the work tree's manifests pin.

    clean.records; for a stage of a training run, tokenize_intent.samples. UserError names a table that is missing.
    """
    connection = open_database()
    create_views(connection, lake_root, manifests(root))
    return connection


def open_database() -> duckdb.DuckDBPyConnection:
    """An empty in-memory DuckDB that installs nothing while a question is asked."""
    connection = duckdb.connect()
    connection.execute("set autoinstall_known_extensions = false; set timezone = 'UTC'")
    return connection


def create_views(
    connection: duckdb.DuckDBPyConnection,
    lake_root: str,
    pinned: Mapping[str, Mapping[str, Table]],
    prefix: str = "",
) -> None:
    """Make each table of `pinned` (by stage and name) a view; `prefix` stands before the schema's name."""
    for stage, tables in pinned.items():
        schema = prefix + schema_name(stage)
        connection.execute(f"create schema if not exists {quoted(schema)}")
        for name, table in tables.items():
            _create_view(connection, (schema, name), lake_root, stage, table)


def schema_name(stage: str) -> str:
    """The schema of a stage's views: clean; tokenize_intent for tokenize@intent."""
    return stage.replace("@", "_")


def _create_view(
    connection: duckdb.DuckDBPyConnection, name: tuple[str, str], lake_root: str, stage: str, table: Table
) -> None:
    """Make a pinned table a view; exactly its files are read, never the folder, and a table without rows has none."""
    paths = files(lake_root, stage, table)
    if paths:
        listed = ", ".join(literal(path) for path in paths)
        rows = f"read_parquet([{listed}], hive_partitioning = true)"
    else:
        rows = quoted("empty " + ".".join(name))
        connection.register("empty " + ".".join(name), arrow_schema(lake_root, stage, table).empty_table())
    connection.execute(f"create view {quoted(name[0])}.{quoted(name[1])} as select * from {rows}")


def quoted(identifier: str) -> str:
    """An SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL text literal."""
    return "'" + text.replace("'", "''") + "'"


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """The query's answer. UserError for a query that DuckDB does not understand."""
    try:
        return connection.sql(query)
    except duckdb.Error as error:
        reason = str(error).split("\n")[0]
        raise UserError(f'the query failed ({reason}); `finelake sql "show all tables"` lists what there is') from None
