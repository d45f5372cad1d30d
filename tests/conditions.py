"""DuckDB's reading of a condition on split.records: the reference for the rows that Spark selects."""

from datetime import datetime
from typing import Any

import duckdb
import pyarrow.dataset as dataset

from finelake.lake.config.conditions import CAPITALS, FUNCTIONS, NUMBER, SMALL, TIME, Node, parse
from finelake.lake.quoting import literal, quoted


def select(files: list[str], where: str) -> list[dict[str, Any]]:
    """The rows of Parquet files that satisfy `where`, sorted by record_id."""
    # Spark's timestamps would be read in nanoseconds, which end in the year 2262.
    form = dataset.ParquetFileFormat(coerce_int96_timestamp_unit="us")
    connection = duckdb.connect()
    connection.register("records", dataset.dataset(files, format=form))
    connection.execute("set timezone = 'UTC'")
    rows = connection.execute(f"select record_id, text from records where {sql(parse(where))} order by record_id")
    return [dict(zip(("record_id", "text"), row, strict=True)) for row in rows.fetchall()]


def sql(node: Node) -> str:
    """The condition for DuckDB, on a connection whose time zone is UTC."""
    if node.does == "column":
        name = quoted(node.parts[0])
        return f"{name}::timestamp" if node.kind == TIME else name
    if node.does == "entry":
        entry = f"{quoted(node.parts[0])}[{literal(node.parts[1])}]"
        return f"{entry}::double" if node.kind == NUMBER else entry
    if node.does == "literal":
        return _literal(node.parts[0])
    parts = [sql(part) for part in node.parts]
    if node.does in ("and", "or"):
        return f"({f' {node.does} '.join(parts)})"
    if node.does in ("lower", "upper"):
        letters = (CAPITALS, SMALL) if node.does == "lower" else (SMALL, CAPITALS)
        return f"translate({parts[0]}, {literal(letters[0])}, {literal(letters[1])})"
    forms = {"not": "(not {})", "null": "({} is null)", "like": "({} like {})", "same": "({} is not distinct from {})"}
    if node.does in forms:
        return forms[node.does].format(*parts)
    if node.does == "in":
        return f"({parts[0]} in ({', '.join(parts[1:])}))"
    if node.does in (*FUNCTIONS, "coalesce"):
        called = f"{node.does}({', '.join(parts)})"
        return f"{called}::double" if node.kind == NUMBER else called
    return f"({parts[0]} {node.does} {parts[1]})"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"'{value!r}'::double"
    if isinstance(value, datetime):
        return f"'{value.replace(tzinfo=None).isoformat(' ')}'::timestamp"
    return literal(value)
