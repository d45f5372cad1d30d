"""Rows of split.records as a run selects them, from the pinned files, without Spark."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset as dataset

from finelake.lake.config import conditions
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots, storage

COLUMNS = (*conditions.TEXTS, "facts", "numbers")  # what labels and templates may name


def read_records(root: Path, lake_root: str, where: str, part: str) -> list[dict[str, Any]]:
    """The records of `part` (train, validation, test) that satisfy `where`, sorted by record_id; facts are a dict."""
    table = snapshots.read_table(root, "split", "records")
    return select(snapshots.files(lake_root, "split", table), where, part)


def select(files: list[str], where: str, part: str) -> list[dict[str, Any]]:
    """read_records() over explicit files. UserError for what is not a condition."""
    chosen = conditions.sql(conditions.check(where, "where"))
    connection = duckdb.connect()
    located = [storage.filesystem(path) for path in files]
    filesystem = located[0][0] if located else None
    # Spark's timestamps would be read in nanoseconds, which end in the year 2262.
    form = dataset.ParquetFileFormat(coerce_int96_timestamp_unit="us")
    rows = dataset.dataset([path for _, path in located], filesystem=filesystem, format=form, partitioning="hive")
    connection.register("records", rows)
    # The query is our own; should a condition hold more than it may, it still sees the records only.
    connection.execute("set timezone = 'UTC'; set enable_external_access = false; set lock_configuration = true")
    query = f"select {', '.join(COLUMNS)} from records where split = $part and {chosen} order by record_id"
    try:
        found = connection.execute(query, {"part": part}).fetchall()
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"split.records cannot be read ({reason}); run `finelake verify --deep`") from None
    finally:
        connection.close()
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]
