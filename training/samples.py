"""The pinned samples of a run: which files hold which part, and how many rows each has."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as parquet

from lake import snapshots, storage
from lake.errors import UserError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Part:
    """The files of one part, in shard order."""

    files: tuple[str, ...]
    rows: tuple[int, ...]  # rows of each file

    @property
    def samples(self) -> int:
        return sum(self.rows)


@dataclass(frozen=True)
class Samples:
    """What a run trains on: its parts, the class names (none for instruct) and the hash of the pinned content."""

    parts: dict[str, Part]
    labels: tuple[str, ...]
    content: str


def open_samples(root: Path, lake_root: str, run_name: str) -> Samples:
    """The samples that snapshots/tokenize-RUN.json pins. UserError when anything of them is missing or altered."""
    stage = f"tokenize@{run_name}"
    tables = snapshots.read_manifest(root, stage)
    table = tables["samples"]
    parts = split_parts(snapshots.files(lake_root, stage, table))
    found = sum(part.samples for part in parts.values())
    if found != table.rows:
        raise UserError(
            f"table {table.path} has {found} rows in its files, its manifest pins {table.rows}; "
            f"rebuild it with `finelake repair {stage}`"
        )
    labels: tuple[str, ...] = ()
    if "classes" in tables:
        labels = read_labels(snapshots.files(lake_root, stage, tables["classes"]))
    return Samples(parts, labels, table.content)


def split_parts(files: Sequence[str]) -> dict[str, Part]:
    """Files grouped by the `part=` folder in their path. UserError names a file that is missing or no Parquet."""
    found: dict[str, list[str]] = {name: [] for name in PARTS}
    for path in files:
        name = next(piece[5:] for piece in path.split("/") if piece.startswith("part="))
        found[name].append(path)
    return {name: Part(tuple(paths), tuple(storage.concurrently(count_rows, paths))) for name, paths in found.items()}


def count_rows(path: str) -> int:
    """Rows of a Parquet file, from its footer. UserError when it is missing or damaged."""
    try:
        return _open(path).metadata.num_rows
    except FileNotFoundError:
        raise UserError(f"data file {path} is missing; run `finelake verify` to see what else is") from None
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise UserError(f"data file {path} cannot be read ({error}); run `finelake verify`") from None


def read_labels(files: Sequence[str]) -> tuple[str, ...]:
    """The class names in the order of their indexes."""
    rows = [row for path in files for row in _open(path).read(["index", "label"]).to_pylist()]
    return tuple(row["label"] for row in sorted(rows, key=lambda row: row["index"]))


def read_rows(part: Part, columns: Sequence[str]) -> dict[str, list]:
    """Whole columns of a part, for evaluation: small parts alone."""
    tables = [_open(path).read(list(columns)).to_pydict() for path in part.files]
    return {name: [cell for table in tables for cell in table[name]] for name in columns}


def _open(path: str) -> parquet.ParquetFile:
    filesystem, name = storage.filesystem(path)
    return parquet.ParquetFile(name, filesystem=filesystem)
