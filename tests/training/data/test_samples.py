"""Data files of samples: what is missing or damaged is named, and a passing trouble is not reported as damage."""

import errno
import os
from pathlib import Path

import pytest

from finelake.lake.errors import UserError
from finelake.training.data import samples
from finelake.training.data.samples import count_labels, count_rows, read_rows, record_ids, split_parts
from tests.training.conftest import classified, write_part


@pytest.fixture
def part(tmp_path):
    return split_parts(write_part(tmp_path, "test", [classified(3), classified(2, first=3)]))["test"]


READERS = {
    "rows": lambda part: [count_rows(path) for path in part.files],
    "columns": lambda part: read_rows(part, ["record_ids"]),
    "labels": lambda part: count_labels(part, 3),
    "records": lambda part: record_ids(part, [0, 4]),
}


def test_whole_files_are_read(part):
    assert READERS["rows"](part) == [3, 2]
    assert READERS["columns"](part) == {"record_ids": [[f"r{number:05d}"] for number in range(5)]}
    assert sum(READERS["labels"](part)) == 5
    assert READERS["records"](part) == ["r00000", "r00004"]


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (Path.unlink, "is missing; run `finelake verify` to see what else is"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "cannot be read (.*); run `finelake verify`"),
        (lambda path: path.write_bytes(b""), "cannot be read (.*); run `finelake verify`"),
    ],
)
def test_a_missing_or_damaged_file_is_named(part, read, damage, reason):
    damage(Path(part.files[1]))
    with pytest.raises(UserError, match=f"data file {part.files[1]} {reason}"):
        read(part)


def test_a_passing_trouble_is_not_reported_as_damage(part, monkeypatch):
    def no_more_files(_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(samples, "_open", no_more_files)
    with pytest.raises(OSError, match="Too many open files"):
        count_rows(part.files[0])
