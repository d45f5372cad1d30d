"""Rows of split.records as a run selects them, from the pinned files, without Spark."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset as dataset

from lake import snapshots, storage
from lake.errors import UserError

COLUMNS = ("record_id", "source", "business", "lang", "text", "facts", "scene", "difficulty", "split")


def read_records(root: Path, lake_root: str, where: str, part: str) -> list[dict[str, Any]]:
    """The records of `part` (train, validation, test) that satisfy `where`, sorted by record_id; facts are a dict."""
    table = snapshots.read_manifest(root, "split")["records"]
    return select(snapshots.files(lake_root, "split", table), where, part)


def select(files: list[str], where: str, part: str) -> list[dict[str, Any]]:
    """read_records() over explicit files. UserError when DuckDB does not understand `where`."""
    connection = duckdb.connect()
    located = [storage.filesystem(path) for path in files]
    filesystem = located[0][0] if located else None
    rows = dataset.dataset([path for _, path in located], filesystem=filesystem, format="parquet", partitioning="hive")
    connection.register("records", rows)
    # The condition is text from a file: it may look at the records, and at nothing else on this machine.
    connection.execute("set enable_external_access = false; set lock_configuration = true")
    query = f"select {', '.join(COLUMNS)} from records where split = $part and ({where}\n) order by record_id"
    try:
        if len(duckdb.extract_statements(query)) != 1:
            raise duckdb.ParserException("more than one statement")
        found = connection.execute(query, {"part": part}).fetchall()
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"params.yaml: where {where!r} is not a condition on split.records ({reason})") from None
    finally:
        connection.close()
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]
