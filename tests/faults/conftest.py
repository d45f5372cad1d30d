"""The record of the cases, copies of the small project, and the table of figures at the end of a session."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.outcomes import Ledger
from tests.faults.report import FOLDER, table

RAN = pytest.StashKey[list[dict[str, str]]]()


@pytest.fixture
def ledger(request) -> Iterator[Ledger]:
    """The record of the cases of a test, kept in a file that the next run of the test replaces."""
    family = request.module.__name__.rpartition(".")[2].removeprefix("test_")
    size = "long" if request.node.get_closest_marker("long") else "slow"
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    kept = Ledger(FOLDER / f"{size}-{family}-{name}.jsonl", family, size)
    yield kept
    kept.write()
    request.config.stash.setdefault(RAN, []).extend(kept.rows)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_project) -> Path:
    """The small project after split, for the tests of a module: whoever damages it repairs it."""
    return shutil.copytree(small_project, tmp_path_factory.mktemp("faults") / "project")


def pytest_terminal_summary(terminalreporter, config) -> None:
    if rows := config.stash.get(RAN, []):
        terminalreporter.section("faults: what was tried")
        for line in table(rows):
            terminalreporter.write_line(line)
