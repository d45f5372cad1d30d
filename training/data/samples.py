"""The pinned samples of a run: which files hold which part, and how many rows each has."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet

from finelake.lake.config.contract import PARTS
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots, storage


@dataclass(frozen=True)
class Part:
    """The files of one part, in shard order."""

    files: tuple[str, ...]
    rows: tuple[int, ...]  # rows of each file

    @property
    def samples(self) -> int:
        return sum(self.rows)

    def tasks(self, count: int, shards: int) -> list["Part"]:
        """The part of each task of a mix: `tokenize` gives task t the shards from t * `shards` on."""
        owners = [int(path.split("/shard=")[1].split("/")[0]) // shards for path in self.files]
        return [self._of(owners, task) for task in range(count)]

    def _of(self, owners: list[int], task: int) -> "Part":
        chosen = [index for index, owner in enumerate(owners) if owner == task]
        return Part(tuple(self.files[i] for i in chosen), tuple(self.rows[i] for i in chosen))


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
    table = tables.get("samples") or snapshots.read_table(root, stage, "samples")  # which says that it is not pinned
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
    return {
        name: Part(tuple(paths), tuple(storage.map_concurrently(count_rows, paths))) for name, paths in found.items()
    }


def count_rows(path: str) -> int:
    """Rows of a Parquet file, from its footer. UserError when it is missing or damaged."""
    with _reading(path):
        return _open(path).metadata.num_rows


def read_labels(files: Sequence[str]) -> tuple[str, ...]:
    """The class names in the order of their indexes."""
    rows = [row for path in files for row in _read(path, ["index", "label"]).to_pylist()]
    return tuple(row["label"] for row in sorted(rows, key=lambda row: row["index"]))


def read_rows(part: Part, columns: Sequence[str]) -> dict[str, list]:
    """Whole columns of a part, for evaluation: small parts alone."""
    tables = [_read(path, list(columns)).to_pydict() for path in part.files]
    return {name: [cell for table in tables for cell in table[name]] for name in columns}


def count_labels(part: Part, classes: int) -> list[int]:
    """How many samples of a part each class has."""
    counts = np.zeros(classes, dtype=np.int64)
    for path in part.files:
        labels = _read(path, ["labels"])["labels"].combine_chunks().flatten().to_numpy()
        counts += np.bincount(labels, minlength=classes)
    return counts.tolist()


def record_ids(part: Part, numbers: Sequence[int]) -> list[str]:
    """The records in samples of a part, which are numbered through its files."""
    ends = np.cumsum(part.rows)
    found = []
    for number in numbers:
        file = int(np.searchsorted(ends, number, side="right"))
        column = _read(part.files[file], ["record_ids"])["record_ids"]
        found += column[number - int(ends[file]) + part.rows[file]].as_py()
    return found


def _open(path: str) -> parquet.ParquetFile:
    filesystem, name = storage.filesystem(path)
    return parquet.ParquetFile(name, filesystem=filesystem)


def _read(path: str, columns: list[str]) -> pyarrow.Table:
    """Columns of a data file. UserError when it is missing or damaged."""
    with _reading(path):
        return _open(path).read(columns)


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Turns a missing or damaged file into a UserError; other errors of the system (too many open files) pass."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"data file {path} is missing; run `finelake verify` to see what else is") from None
    except (OSError, ValueError, KeyError) as error:  # pyarrow's ArrowInvalid is a ValueError
        if isinstance(error, OSError) and error.errno:
            raise
        raise UserError(f"data file {path} cannot be read ({error}); run `finelake verify`") from None
