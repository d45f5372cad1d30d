"""A chain from nothing with planted personal values and a key: nothing is lost and nothing leaks.

The process list is watched while the chain runs, and every file that it leaves in the project and in the temporary
folder is searched.
"""

import csv
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from finelake.jobs import mask
from tests import small
from tests.faults import killer
from tests.faults.outcomes import Outcome, data_files
from tests.test_nothing_raw import BEFORE, KEY, LABELS, RAW, plant, written

PLACE = "中文 pro'ject"
LABELLED = 12  # notes whose label is a planted value


@dataclass(frozen=True)
class Chain:
    """A chain that ended: where, what it said, and what was seen while it ran."""

    project: Path
    temporary: Path
    code: int
    output: str
    command_lines: frozenset[bytes]
    open_to_others: frozenset[str]  # files of the temporary folders that others might have read


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Chain:
    """The small project with planted values in texts, facts, keys and labels, run up to split with a key."""
    folder = tmp_path_factory.mktemp("secrets")
    project, temporary = small.make(folder / PLACE / "project"), folder / "tmp"
    temporary.mkdir()
    plant(project / "data" / "notes.csv")
    plant_labels(project / "data" / "annotations.csv")
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["mask"] = {
        "modes": {"phone": "pseudonym", "email": "pseudonym"},
        "key_fingerprint": mask.fingerprint(KEY),
        "patterns": {"badge": r"B\d{7}"},
    }
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    command = [sys.executable, "-m", "finelake.cli", "repro", "split"]
    environment = small.environment(FINELAKE_MASK_KEY=KEY, **temporary_folder(temporary))
    with Watcher(temporary) as watcher, (folder / "output").open("wb") as output:
        code = subprocess.run(
            command, cwd=project, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ).returncode
    said = (folder / "output").read_text(encoding="utf-8", errors="replace")
    return Chain(project, temporary, code, said, frozenset(watcher.command_lines), frozenset(watcher.open_to_others))


def temporary_folder(folder: Path) -> dict[str, str]:
    """The variables that make Python and Java take a folder for temporary files."""
    return {"TMPDIR": str(folder), "JAVA_TOOL_OPTIONS": f"{small.QUICK_JAVA} -Djava.io.tmpdir={folder}"}


def plant_labels(annotations: Path) -> None:
    """Both annotators agree on a planted value as the label of some notes."""
    with annotations.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    for row in rows:
        number = int(row[header.index("id")])
        if number < LABELLED:
            row[header.index("label")] = list(LABELS.values())[number % len(LABELS)]
    with annotations.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


class Watcher:
    """Looks at the process list and the temporary folder as another user of the machine could, 50 times a second."""

    def __init__(self, temporary: Path) -> None:
        self.temporary = temporary
        self.command_lines: set[bytes] = set()
        self.open_to_others: set[str] = set()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watcher":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.stop.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.command_lines.add(path.read_bytes())
                except OSError:
                    continue
            self.open_to_others |= {str(path) for path in readable_by_others(self.temporary)}


def readable_by_others(folder: Path) -> Iterator[Path]:
    """The files below a folder that a user without rights of its own reaches and reads."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except OSError:
            continue
        if entry.is_dir(follow_symlinks=False):
            if mode & 0o001:
                yield from readable_by_others(Path(entry.path))
        elif mode & 0o004 and entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


@pytest.mark.slow
def test_the_chain_ends(chain, ledger):
    fine = chain.code == 0 and "Traceback" not in chain.output
    ledger.add(f"repro split in {PLACE!a}", Outcome.HELD if fine else Outcome.WRONG, chain.output[-400:])
    verified = small.run(chain.project, "verify", "--deep")
    ledger.add("verify --deep", Outcome.HELD if verified.endswith("rows).\n") else Outcome.WRONG, verified)
    before = data_files(chain.project)
    small.run(chain.project, "vacuum", "--keep-days", "0", "--delete")
    ledger.add("vacuum", Outcome.HELD if data_files(chain.project) == before and before else Outcome.LOST)
    ledger.check(3)


@pytest.mark.slow
def test_the_key_is_in_no_command_line_and_in_no_file(chain, ledger):
    assert len([line for line in chain.command_lines if b"finelake" in line]) > 1  # it was looked at
    found = [line for line in chain.command_lines if KEY.encode() in line]
    ledger.add("process list", Outcome.LEAKED if found else Outcome.HELD, str(found[:1]))
    for folder in (chain.project, chain.temporary):
        holding = [str(path) for path in _files(folder) if KEY.encode() in path.read_bytes()]
        ledger.add(f"key in {folder.name}", Outcome.LEAKED if holding else Outcome.HELD, str(holding[:3]))
    ledger.check(3)


@pytest.mark.slow
def test_no_raw_value_behind_mask(chain, ledger):
    """By kind of value, in every file but the data, the tables before mask and Git's objects."""
    contents = [content for _, content in written(chain.project)]
    for kind, value in RAW.items():
        holding = sum(value in content for content in contents)
        ledger.add(f"{kind} in the project", Outcome.LEAKED if holding else Outcome.HELD, f"{holding} files")
    ledger.check(len(RAW))


@pytest.mark.slow
def test_temporary_folders_are_closed_while_a_chain_runs_and_empty_behind_it(chain, ledger):
    raw = [value.encode() for value in RAW.values()]
    ledger.add(
        "readable by others",
        Outcome.LEAKED if chain.open_to_others else Outcome.HELD,
        str(sorted(chain.open_to_others)[:3]),
    )
    left = [f"{path.relative_to(chain.temporary)}: {path.read_bytes()[:80]!r}" for path in _files(chain.temporary)]
    holding = [str(path) for path in _files(chain.temporary) if any(value in path.read_bytes() for value in raw)]
    ledger.add("raw rows left", Outcome.LEAKED if holding else Outcome.HELD, str(holding[:3]))
    # DVC's own report of a command's name and exit code waits there for a process that removes it.
    left = [text for text in left if "cmd_class" not in text]
    ledger.add("files left", Outcome.WRONG if left else Outcome.HELD, str(left[:3]))
    for folder in ("landing", "lakehouse/ingest", "lakehouse/clean", "lakehouse/dedup"):
        path = chain.project / folder
        open_to_others = path.exists() and path.stat().st_mode & 0o077
        ledger.add(f"{folder} is its owner's", Outcome.LEAKED if open_to_others else Outcome.HELD)
    ledger.check(4)


@pytest.mark.long
def test_a_killed_stage_leaves_no_raw_rows_behind_the_next_run(chain, ledger, tmp_path):
    """SIGKILL of everything while ingest writes; the run after it sweeps what the killed one left."""
    project = shutil.copytree(chain.project, tmp_path / "project")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    point = "dedup finelake.jobs.spark.commit._write after 1"
    variables = {"FINELAKE_MASK_KEY": KEY, **temporary_folder(temporary)}
    program = killer.make(tmp_path / "bin")
    killer.die(program, project, point, "all", [str(program), "run", "dedup"], **variables)
    small.run(project, "run", "dedup", **variables)
    raw = [value.encode() for value in RAW.values()]
    allowed = [project / "data", project / ".git", *(project / "lakehouse" / stage for stage in BEFORE)]
    for folder in (temporary, project):
        searched = [path for path in _files(folder) if not any(top in path.parents for top in allowed)]
        holding = [str(path) for path in searched if any(value in path.read_bytes() for value in raw)]
        ledger.add(f"raw rows in {folder.name}", Outcome.LEAKED if holding else Outcome.HELD, str(holding[:3]))
    ledger.check(2)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
