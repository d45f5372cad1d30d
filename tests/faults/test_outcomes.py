"""The harness itself: what counts as a clear error, what the table adds up, and that damage is repaired."""

import os
import random
from pathlib import Path

import pytest

from tests.faults import outcomes
from tests.faults.damage import FOLDER, Damage, cuts, damaged, structures
from tests.faults.outcomes import Ended, Ledger, Outcome, classify, data_files, lost
from tests.faults.report import recorded, table

TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: x\n'


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        (Ended(0, "an answer\n"), Outcome.HELD),
        (Ended(2, "", "finelake: a is wrong; write b\n"), Outcome.REFUSED),
        (Ended(2, "", "ERROR: of DVC\nfinelake: a stage failed (see above); fix it\n"), Outcome.REFUSED),
        (Ended(2, "", "finelake: x needs y\nfinelake: a stage failed (see above); fix it\n"), Outcome.REFUSED),
        (Ended(2, "", "usage: finelake sql [-h]\nfinelake sql: error: argument --limit: invalid\n"), Outcome.REFUSED),
        (Ended(1, "1 error\n"), Outcome.WRONG),
        (Ended(2, "", "finelake: one\nfinelake: two\n"), Outcome.WRONG),
        (Ended(2, "", "finelake: a line\nbreak\n"), Outcome.WRONG),
        (Ended(2, "", "finelake: \x1b[31mred\n"), Outcome.WRONG),
        (Ended(2, "", f"finelake: {'a' * 10_000}\n"), Outcome.WRONG),
        (Ended(2, "", TRACEBACK + "finelake: x\n"), Outcome.TRACEBACK),
        (Ended(1, "", TRACEBACK), Outcome.TRACEBACK),
        (Ended(1, error="TypeError: x"), Outcome.TRACEBACK),
        (Ended(-11), Outcome.TRACEBACK),
        (Ended(134), Outcome.TRACEBACK),
        (Ended(None), Outcome.HUNG),
    ],
)
def test_what_came_of_a_command(ended, outcome):
    assert classify(ended) == outcome


def test_an_end_without_an_error_is_judged():
    assert classify(Ended(0, "whole"), lambda ended: ended.out != "whole") == Outcome.WRONG
    assert classify(Ended(1, "1 error\n"), lambda ended: "error" in ended.out) == Outcome.HELD


def test_a_command_in_this_process_leaves_nothing_behind(tmp_path):
    before, here = dict(os.environ), os.getcwd()
    ended = outcomes.call(tmp_path, "verify", FINELAKE_RANKS="2")
    assert (ended.code, ended.err.count("\n")) == (2, 1) and "is in no Finelake project" in ended.err
    assert (dict(os.environ), os.getcwd()) == (before, here)


def test_a_command_in_this_process_that_hangs_or_raises(tmp_path, monkeypatch):
    monkeypatch.setattr("finelake.cli.main", lambda arguments: [0 for _ in iter(int, 1)])
    assert classify(outcomes.call(tmp_path, seconds=1)) == Outcome.HUNG

    def fail(arguments):
        raise KeyError("x")

    monkeypatch.setattr("finelake.cli.main", fail)
    assert "KeyError: 'x' (test_outcomes.py:" in outcomes.call(tmp_path).error


def test_a_lost_or_altered_data_file_is_named(tmp_path):
    data = tmp_path / "lakehouse" / "a" / "b" / "data" / "c"
    data.mkdir(parents=True)
    for name in ("kept", "altered", "gone"):
        (data / f"{name}.parquet").write_bytes(b"x")
    before = data_files(tmp_path)
    (data / "altered.parquet").write_bytes(b"y")
    (data / "gone.parquet").unlink()
    assert [Path(path).stem for path in lost(tmp_path, before)] == ["altered", "gone"]


def test_damage_is_done_and_repaired(tmp_path):
    path, content = Path("a.json"), b'{"a": [1, {"b": 2}]}'
    (tmp_path / path).write_bytes(content)
    listed = [*cuts(path, content), *structures(path, content, random.Random(1), 20)]
    assert len({damage.name for damage in listed}) > 20
    for damage in listed:
        with damaged(tmp_path, damage) as changed:
            there = tmp_path / path
            now = FOLDER if there.is_dir() else there.read_bytes() if there.exists() else None
            assert changed == (now != content), damage
        assert (tmp_path / path).read_bytes() == content
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.json"]
    assert str(Damage(path, "cut", lambda content: content[:1])) == "a.json: cut"


def test_the_table_counts_by_family_and_set(tmp_path):
    for family, size, found in [("kills", "slow", Outcome.HELD), ("kills", "long", Outcome.LOST)]:
        ledger = Ledger(tmp_path / f"{size}-{family}.jsonl", family, size)
        ledger.add("first", found, "x")
        ledger.write()
    assert table(recorded(tmp_path))[2:] == [
        "| kills | long | 1 | 0 | 0 | 0 | 0 | 0 | 1 | 0 |",
        "| kills | slow | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 |",
        "| all |  | 2 | 1 | 0 | 0 | 0 | 0 | 1 | 0 |",
    ]


def test_a_wrong_case_fails_the_test(tmp_path):
    ledger = Ledger(tmp_path / "x.jsonl", "x", "slow")
    ledger.add("good", Outcome.REFUSED)
    ledger.check()
    ledger.add("bad", Outcome.LEAKED, "where it stands")
    with pytest.raises(AssertionError, match="1 of 2 cases\nbad: leaked: where it stands"):
        ledger.check()
