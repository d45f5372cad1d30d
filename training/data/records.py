"""The records that a run selected, from the pinned files of select@RUN."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as dataset

from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots, storage


def read_records(root: Path, lake_root: str, run_name: str, part: str) -> list[dict[str, Any]]:
    """The records of `part` (train, validation, test), sorted by record_id: jobs/select.py names their columns.

    UserError when the table is missing, altered or damaged.
    """
    return _read(root, lake_root, run_name, "records", dataset.field("part") == part)


def count_rejects(root: Path, lake_root: str, run_name: str, part: str) -> int:
    """Records of `part` that the run's condition chose and select@RUN rejected: they lack a text or an answer."""
    return len(_read(root, lake_root, run_name, "rejects", dataset.field("detail") == part))


def _read(root: Path, lake_root: str, run_name: str, name: str, rows: dataset.Expression) -> list[dict[str, Any]]:
    stage = f"select@{run_name}"
    located = [
        storage.filesystem(path) for path in snapshots.files(lake_root, stage, snapshots.read_table(root, stage, name))
    ]
    if not located:
        return []
    partitioning = dataset.partitioning(pa.schema([("part", pa.string())]), flavor="hive")
    try:
        files = dataset.dataset(
            [path for _, path in located], filesystem=located[0][0], format="parquet", partitioning=partitioning
        )
        return files.to_table(filter=rows).sort_by("record_id").to_pylist()
    except (OSError, ValueError, KeyError) as error:  # pyarrow's ArrowInvalid is a ValueError
        if isinstance(error, OSError) and error.errno:
            raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{stage}.{name} cannot be read ({reason}); run `finelake verify --deep`") from None
