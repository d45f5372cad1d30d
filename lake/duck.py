"""DuckDB over the pinned tables: every table a view, stage.table, without Spark."""

from pathlib import Path

import duckdb

from lake.errors import UserError
from lake.revisions import manifests_at
from lake.snapshots import Table, arrow_schema, files, manifests

MEMORY = "1GiB"
SCRATCH = ".finelake"


def connect(root: Path, lake_root: str, rev: str | None = None, memory: str = MEMORY) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with one view for each table that the work tree's manifests, or those of `rev`, pin.

    clean.records; for a stage of a training run, tokenize_intent.samples. UserError names a table that is missing.
    """
    connection = open_database(root, memory)
    for stage, tables in (manifests(root) if rev is None else manifests_at(root, rev)).items():
        connection.execute(f"create schema {quoted(schema_name(stage))}")
        for name, table in tables.items():
            paths = files(lake_root, stage, table)
            create_view(connection, (schema_name(stage), name), lake_root, stage, table, paths)
    return connection


def open_database(root: Path, memory: str = MEMORY) -> duckdb.DuckDBPyConnection:
    """An empty in-memory DuckDB that keeps to `memory` and spills into the project's scratch folder."""
    (root / SCRATCH).mkdir(exist_ok=True)
    connection = duckdb.connect()
    # Nothing may be downloaded and installed while a question is asked.
    connection.execute("set autoinstall_known_extensions = false; set timezone = 'UTC'")
    connection.execute(f"set temp_directory = {literal(str(root / SCRATCH / 'duckdb'))}")
    connection.execute(f"set memory_limit = {literal(memory)}")
    return connection


def schema_name(stage: str) -> str:
    """The schema of a stage's views: tokenize_intent for tokenize@intent."""
    return stage.replace("@", "_")


def create_view(
    connection: duckdb.DuckDBPyConnection,
    name: tuple[str, str],
    lake_root: str,
    stage: str,
    table: Table,
    paths: list[str],
) -> None:
    """Make a pinned table a view; exactly its files are read, never the folder, and a table without rows has none."""
    if paths:
        listed = ", ".join(literal(path) for path in paths)
        rows = f"select * from read_parquet([{listed}], hive_partitioning = true)"
    else:
        columns = connection.from_arrow(arrow_schema(lake_root, stage, table).empty_table())
        typed = zip(columns.columns, columns.types, strict=True)
        rows = f"select {', '.join(f'null::{kind} as {quoted(name)}' for name, kind in typed)} where false"
    connection.execute(f"create view {quoted(name[0])}.{quoted(name[1])} as {rows}")


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
