"""Rows are chosen by the run's condition, which can look at nothing else."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from finelake.lake.errors import UserError
from finelake.lake.tables import storage
from finelake.training.data.records import select

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("record_id", "source", "source_key", "business", "lang", "text")),
        ("occurred_at", pa.timestamp("us", "UTC")),
        ("numbers", pa.map_(pa.string(), pa.float64())),
        ("facts", pa.map_(pa.string(), pa.string())),
        *((name, pa.string()) for name in ("cluster", "scene", "difficulty", "split")),
    ]
)


def record(number: int, **changes) -> dict:
    row = {
        "record_id": f"r{number}",
        "source": "tickets",
        "source_key": str(number),
        "occurred_at": datetime(2024, 1, number + 1, 23, tzinfo=UTC),
        "numbers": [("amount", float(number))],
        "cluster": f"r{number}",
        "business": "cards",
        "lang": "en",
        "text": f"text {number}",
        "facts": [("reply", f"reply {number}")],
        "scene": "lost",
        "difficulty": "easy",
        "split": "train",
    }
    return {**row, **changes}


@pytest.fixture
def files(tmp_path) -> list[str]:
    rows = [record(3), record(1), record(2, lang="zh"), record(4, split="test"), record(5, facts=[])]
    paths = [str(tmp_path / f"{half}.parquet") for half in "ab"]
    for path, half in zip(paths, (rows[:2], rows[2:]), strict=True):
        parquet.write_table(pa.Table.from_pylist(half, schema=SCHEMA), path)
    return paths


def test_rows_of_the_part_that_satisfy_the_condition_by_id(files):
    rows = select(files, "lang = 'en' and facts['reply'] is not null", "train")
    assert [row["record_id"] for row in rows] == ["r1", "r3"]
    assert rows[0]["facts"] == {"reply": "reply 1"}
    assert rows[0]["numbers"] == {"amount": 1.0}


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("numbers['amount'] > 2", ["r3", "r5"]),
        ("occurred_at >= timestamp '2024-01-03 23:00:00'", ["r2", "r3", "r5"]),
        ("split = 'train' and not (cluster = 'r2')", ["r1", "r3", "r5"]),
        ("source_key in ('1', '5')", ["r1", "r5"]),
    ],
)
def test_every_column_of_a_condition_is_there(files, where, ids):
    assert [row["record_id"] for row in select(files, where, "train")] == ids


def test_rows_of_an_object_store_are_those_of_a_folder(files, s3_lake):
    there = [f"{s3_lake}/records/{number}.parquet" for number in range(len(files))]
    for file, place in zip(files, there, strict=True):
        filesystem, path = storage.filesystem(place)
        parquet.write_table(parquet.read_table(file), path, filesystem=filesystem)
    assert select(there, "lang = 'en'", "train") == select(files, "lang = 'en'", "train")


@pytest.mark.parametrize(
    "where",
    [
        "langg = 'en'",
        "true) or (split = 'test'; drop table records; --",
        "exists (select * from read_text('/etc/hostname'))",
        "true; select 1",
        "true) or (split = 'test'",
        "getenv('HOME') = 'x'",
    ],
)
def test_other_conditions_are_refused(files, where):
    with pytest.raises(UserError, match="is not a condition on split.records"):
        select(files, where, "train")
