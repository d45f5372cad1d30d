"""Kill a chain at many points, and run it again: the manifests of an undisturbed run, and nothing left behind."""

import random
import re
import shutil
import signal
import sys
import threading
from pathlib import Path

import pytest

from finelake.lake.config.project import settings
from finelake.lake.errors import UserError
from finelake.lake.query import duck
from finelake.lake.tables.snapshots import history, manifests, problems
from tests import small
from tests.faults import killer
from tests.faults.outcomes import Outcome

pytestmark = pytest.mark.long
SEED = 20
REPRO = [sys.executable, "-m", "dvc", "repro", "split"]
KILLS_PER_STAGE = 5
# Where a stage may die: the function, before or after its nth call in the process. Each stage commits three tables.
POINTS = [
    ("finelake.lake.tables.locks.sweep", "after", 1),
    ("finelake.jobs.runner._read", "after", 1),
    *[("finelake.jobs.spark.commit._write", when, nth) for when in ("before", "after") for nth in (1, 2)],
    *[("finelake.lake.tables.storage.sha256", "before", nth) for nth in (1, 2)],
    *[("finelake.jobs.spark.commit._commit_files", when, nth) for when in ("before", "after") for nth in (1, 2)],
    *[("finelake.lake.tables.storage.delete_folders", when, nth) for when in ("before", "after") for nth in (1, 2)],
    ("finelake.lake.tables.snapshots.write_manifest", "before", 1),  # behind Delta's last commit
    ("os.replace", "before", 1),  # the manifest's text is written, under another name
    ("os.replace", "after", 1),
    ("finelake.lake.tables.snapshots.write_manifest", "after", 1),
]


def kills() -> list[tuple[str, str]]:
    """(point, how) of each kill, chosen by seed: at functions, and at times after the writing of a table began."""
    chosen = []
    dice = random.Random(SEED)
    for stage in small.STAGES:
        at_times = [("finelake.jobs.spark.commit._write", str(dice.randrange(5, 900)), dice.randrange(1, 3))]
        for name, when, nth in [*dice.sample(POINTS, KILLS_PER_STAGE - 1), *at_times]:
            chosen.append((f"{stage} {name} {when} {nth}", dice.choice(["all", "all", "alone"])))
    return chosen


def test_a_killed_chain_ends_in_the_manifests_of_an_undisturbed_one(tmp_path, small_project, ledger):
    assert len(kills()) >= 30
    project, program = small.make(tmp_path / "project"), killer.make(tmp_path / "bin")
    with Reader(project) as reader:
        for point, how in kills():
            killed_at(project, program, point, how)
            ledger.add(f"{point}, {how}", Outcome.WRONG if broken(project) else Outcome.HELD, str(broken(project)))
        small.run_dvc(project, "repro", "split")
    assert reader.looks > len(kills()) and reader.wrong == []
    assert small.manifests(project) == small.manifests(small_project)
    assert small.run(project, "verify", "--deep").endswith("rows).\n")
    assert left_behind(project) == []
    ledger.check(30)


def broken(project: Path) -> list[str]:
    """What is missing or altered of all that is pinned."""
    pinned = [table for tables in manifests(project).values() for table in tables.values()]
    return [problem for table in pinned for problem in problems(lake(project), table, True)]


def killed_at(project: Path, program: Path, point: str, how: str) -> None:
    """`dvc repro` dies at the point, and with it all that it started."""
    code, log, reached = killer.die(program, project, point, how, REPRO)
    assert reached, f"{point}: {log}"
    assert code == (-signal.SIGKILL if how == "all" else 255), f"{point}: {log}"


# One process of many: its stage fails in a sentence, or computes the same without it.
SINGLE = [
    (f"{stage} {name} {when} 1", how)
    for stage, (name, when) in {
        "ingest": ("finelake.jobs.spark.commit._write", "300"),
        "dedup": ("finelake.jobs.spark.commit._write", "100"),
        "mask": ("finelake.jobs.spark.commit._write", "before"),
        "split": ("finelake.jobs.spark.commit._commit_files", "before"),
    }.items()
    for how in ("jvm", "worker", "dvc")
]


def test_a_single_process_that_is_killed_costs_its_stage_at_most(tmp_path, small_project, ledger):
    project = shutil.copytree(small_project, tmp_path / "project")
    program, undisturbed = killer.make(tmp_path / "bin"), small.manifests(project)
    for point, how in SINGLE:
        stage = point.split()[0]
        shutil.rmtree(project / "lakehouse" / stage)
        command = [*REPRO[:-1], "--force", "--single-item", stage]
        code, log, reached = killer.die(program, project, point, how, command)
        assert reached, f"{point}: {log}"
        if "Traceback (most recent call last)" in log:
            outcome = Outcome.TRACEBACK
        else:
            outcome = Outcome.HELD if code == 0 or how == "dvc" else Outcome.REFUSED
        ledger.add(f"{point}, {how}", outcome, f"exit {code}: {log[-300:]}")
        small.run_dvc(project, *command[3:])
        assert small.manifests(project) == undisturbed and broken(project) == []
    assert left_behind(project) == []
    ledger.check(len(SINGLE))


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
