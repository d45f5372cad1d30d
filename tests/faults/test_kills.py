"""Kill a chain at many points, and run it again: the manifests of an undisturbed run, and nothing left behind."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lake import duck
from lake.errors import UserError
from lake.project import settings
from lake.snapshots import history, manifests, problems
from tests import small

pytestmark = pytest.mark.long
SEED = 20
KILLS_PER_STAGE = 5
# Where a stage may die: the function, before or after its nth call in the process. Each stage commits three tables.
POINTS = [
    ("lake.locks.sweep", "after", 1),
    ("jobs.runner._read", "after", 1),
    *[("lake.commit._write", when, nth) for when in ("before", "after") for nth in (1, 2)],
    *[("lake.storage.sha256", "before", nth) for nth in (1, 2)],
    *[("lake.commit._commit_files", when, nth) for when in ("before", "after") for nth in (1, 2)],
    *[("lake.storage.delete_folders", when, nth) for when in ("before", "after") for nth in (1, 2)],
    ("lake.snapshots.write_manifest", "before", 1),  # behind Delta's last commit
    ("os.replace", "before", 1),  # the manifest's text is written, under another name
    ("os.replace", "after", 1),
    ("lake.snapshots.write_manifest", "after", 1),
]
# `finelake` that dies at a point of the stage it is told to: the whole process group, so DVC and the JVM too, or alone.
DYING = """#!{python}
import importlib, os, signal, sys, threading, time
from finelake.cli import main

def die():
    if os.environ["KILL_HOW"] == "alone":
        os.kill(os.getpid(), signal.SIGKILL)
    os.killpg(os.getpgid(0), signal.SIGKILL)

def arm(name, when, nth):
    module = importlib.import_module(name.rpartition(".")[0])
    function, calls = getattr(module, name.rpartition(".")[2]), []
    def dying(*arguments, **options):
        calls.append(None)
        if when == "before" and len(calls) == nth:
            die()
        if when.isdigit() and len(calls) == nth:
            threading.Timer(int(when) / 1000, die).start()
        result = function(*arguments, **options)
        if when == "after" and len(calls) == nth:
            die()
        return result
    setattr(module, name.rpartition(".")[2], dying)

stage, name, when, nth = os.environ["KILL"].split()
if sys.argv[2] == stage:
    arm(name, when, int(nth))
main()
"""


def kills() -> list[tuple[str, str]]:
    """(point, how) of each kill, chosen by seed: at functions, and at times after the writing of a table began."""
    chosen = []
    dice = random.Random(SEED)
    for stage in small.STAGES:
        at_times = [("lake.commit._write", str(dice.randrange(5, 900)), dice.randrange(1, 3))]
        for name, when, nth in [*dice.sample(POINTS, KILLS_PER_STAGE - 1), *at_times]:
            chosen.append((f"{stage} {name} {when} {nth}", dice.choice(["all", "all", "alone"])))
    return chosen


def test_a_killed_chain_ends_in_the_manifests_of_an_undisturbed_one(tmp_path, small_project):
    assert len(kills()) >= 30
    project = small.make(tmp_path / "project")
    dying = tmp_path / "bin" / "finelake"
    dying.parent.mkdir()
    dying.write_text(DYING.format(python=sys.executable))
    dying.chmod(0o755)
    with Reader(project) as reader:
        for point, how in kills():
            killed_at(project, dying.parent, point, how)
            for tables in manifests(project).values():
                assert [problem for table in tables.values() for problem in problems(lake(project), table, True)] == []
        small.run_dvc(project, "repro", "split")
    assert reader.looks > len(kills()) and reader.wrong == []
    assert small.manifests(project) == small.manifests(small_project)
    assert small.run(project, "verify", "--deep").endswith("rows).\n")
    assert left_behind(project) == []


def killed_at(project: Path, path: Path, point: str, how: str) -> None:
    """`dvc repro` dies at the point, and with it all that it started."""
    variables = small.environment(KILL=point, KILL_HOW=how)
    variables["PATH"] = f"{path}{os.pathsep}{variables['PATH']}"
    log = project / "killed.log"
    with log.open("w") as file:
        command = [sys.executable, "-m", "dvc", "repro", "split"]
        process = subprocess.Popen(
            command, cwd=project, env=variables, stdout=file, stderr=file, start_new_session=True
        )
        code = process.wait(timeout=600)
    assert code == (-signal.SIGKILL if how == "all" else 255), f"{point}: {log.read_text()}"
    wait_for_the_end_of(process.pid)
    log.unlink()


def wait_for_the_end_of(group: int) -> None:
    """A JVM whose Python process died alone ends by itself, but goes on writing for a moment."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("what a killed stage had started did not end")


def lake(project: Path) -> str:
    return settings(project).lake


class Reader:
    """Asks every pinned table for its rows, again and again, while others write."""

    def __init__(self, project: Path) -> None:
        self.project, self.looks, self.wrong = project, 0, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Reader":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.stop.wait(0.5):
            try:
                pinned = manifests(self.project)
                connection = duck.connect(self.project, lake(self.project))
            except UserError as error:
                # A stage that is running has taken its manifest away between the two looks at it.
                if "has not run yet" not in str(error):
                    self.wrong.append(str(error))
                continue
            self.looks += 1
            for stage, tables in pinned.items():
                for name, table in tables.items():
                    rows = connection.sql(f"select count(*) from {stage}.{name}").fetchone()
                    if rows != (table.rows,):
                        self.wrong.append(f"{stage}.{name}: {rows} instead of {table.rows}")
            connection.close()


def left_behind(project: Path) -> list[str]:
    """Files that no version names and no tool needs: half-written data, temporary files, manifests not renamed."""
    named = {
        f"{table.path}/{path}"
        for tables in manifests(project).values()
        for table in tables.values()
        for version in history(lake(project), table.path)
        for path in version.files
    }
    known = re.compile(
        r".*/_delta_log/\d{20}(\.json|\.checkpoint\.parquet)|.*/_delta_log/_last_checkpoint|.*/\.writers"
    )
    root = Path(lake(project))
    files = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".crc"]
    extra = [name for name in (str(path.relative_to(root)) for path in files) if name not in named]
    temporary = [str(path) for path in (project / "snapshots").iterdir() if path.suffix != ".json"]
    return sorted(name for name in extra if not known.fullmatch(name)) + temporary
