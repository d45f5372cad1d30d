"""Samples as files in the layout of tokenize/RUN/samples: one file and one row group a shard."""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
from pyspark.sql.pandas.types import to_arrow_schema

from finelake.jobs.tokenize import SAMPLES

SCHEMA = to_arrow_schema(SAMPLES)


def write_samples(samples: Iterable[dict], folder: Path) -> list[str]:
    """Write samples that come sorted by part and shard; the paths in that order."""
    return [
        write_shard(pa.Table.from_pylist(list(rows), SCHEMA), part, shard, folder)
        for (part, shard), rows in groupby(samples, key=itemgetter("part", "shard"))
    ]


def write_shard(table: pa.Table, part: str, shard: int, folder: Path) -> str:
    path = folder / f"part={part}" / f"shard={shard}" / "samples.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table.drop_columns(["part", "shard"]), path, row_group_size=max(len(table), 1))
    return str(path)
