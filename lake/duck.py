"""DuckDB over the pinned tables: every table a view, stage.table, without Spark."""

from pathlib import Path

import duckdb

from lake.errors import UserError
from lake.snapshots import Table, arrow_schema, files, manifests


def connect(root: Path, lake_root: str) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with one view for each table that the work tree's manifests pin.

    clean.records; for a stage of a training run, tokenize_intent.samples. UserError names a table that is missing.
    """
    connection = duckdb.connect()
    # Neither version lies on disk next to a project; nothing may be installed while a question is asked.
    connection.execute("set autoinstall_known_extensions = false; set timezone = 'UTC'")
    for stage, tables in manifests(root).items():
        schema = stage.replace("@", "_")
        connection.execute(f"create schema {quoted(schema)}")
        for name, table in tables.items():
            _create_view(connection, (schema, name), lake_root, stage, table)
    return connection


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
