"""The records that a run selected are read from its pinned files only."""

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots, storage
from finelake.training.data.records import count_rejects, read_records

TEXTS = ("record_id", "source", "business", "lang", "difficulty", "text", "label", "prompt", "target")
SCHEMA = pa.schema([*((name, pa.string()) for name in TEXTS), ("task", pa.int32()), ("part", pa.string())])
REJECTS = pa.schema([(name, pa.string()) for name in ("record_id", "source", "stage", "reason", "detail")])


def record(number: int, **changes) -> dict:
    row = {
        "record_id": f"r{number}",
        "source": "tickets",
        "business": "cards",
        "lang": "en",
        "difficulty": "easy",
        "text": f"text {number}",
        "label": "lost",
        "prompt": None,
        "target": None,
        "task": 0,
        "part": "train",
    }
    return {**row, **changes}


def write(folder: str, rows: list[dict]) -> list[str]:
    """Two files per part below `folder`, as Spark writes them: the part stands in the path."""
    paths = []
    for part in sorted({row["part"] for row in rows}):
        here = [row for row in rows if row["part"] == part]
        for half in (0, 1):
            table = pa.Table.from_pylist(here[half::2], schema=SCHEMA).drop_columns(["part"])
            path = f"{folder}/part={part}/{half}.parquet"
            filesystem, name = storage.filesystem(path)
            filesystem.create_dir(name.rpartition("/")[0])
            parquet.write_table(table, name, filesystem=filesystem)
            paths.append(path)
    return paths


ROWS = [record(3), record(1), record(2, part="test", label="stolen"), record(4)]


@pytest.fixture
def pinned(monkeypatch):
    """Sets the files of each pinned table."""
    files: dict[str, list[str]] = {}
    monkeypatch.setattr(snapshots, "read_table", lambda root, stage, name: f"{stage}.{name}")
    monkeypatch.setattr(snapshots, "files", lambda lake, stage, table: files[table])
    return files


def test_the_records_of_a_part_by_id(tmp_path, pinned):
    pinned["select@a.records"] = write(str(tmp_path), ROWS)
    rows = read_records(tmp_path, "lake", "a", "train")
    assert rows == [record(1), record(3), record(4)]
    assert [row["label"] for row in read_records(tmp_path, "lake", "a", "test")] == ["stolen"]
    assert read_records(tmp_path, "lake", "a", "validation") == []


def test_rows_of_an_object_store_are_those_of_a_folder(tmp_path, pinned, s3_lake):
    pinned["select@here.records"] = write(str(tmp_path), ROWS)
    pinned["select@there.records"] = write(f"{s3_lake}/records", ROWS)
    here, there = (read_records(tmp_path, "lake", name, "train") for name in ("here", "there"))
    assert here == there and len(here) == 3


def test_the_rejects_of_a_part_are_counted(tmp_path, pinned):
    rows = [dict(zip(REJECTS.names, ("r", "tickets", "select", "no_text", part), strict=True)) for part in "xxy"]
    parquet.write_table(pa.Table.from_pylist(rows, schema=REJECTS), tmp_path / "a.parquet")
    pinned["select@a.rejects"] = [str(tmp_path / "a.parquet")]
    assert [count_rejects(tmp_path, "lake", "a", part) for part in "xyz"] == [2, 1, 0]
    pinned["select@a.rejects"] = []
    assert count_rejects(tmp_path, "lake", "a", "x") == 0


def test_a_damaged_file_is_named(tmp_path, pinned):
    pinned["select@a.records"] = write(str(tmp_path), ROWS)
    for path in pinned["select@a.records"]:
        with open(path, "r+b") as file:
            file.truncate(20)
    with pytest.raises(UserError, match="select@a.records cannot be read .*; run `finelake verify --deep`"):
        read_records(tmp_path, "lake", "a", "train")
