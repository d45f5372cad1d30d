"""A disk that fills, a lake that vanishes, few open files and little memory while Spark writes.

Each ends in one sentence or in the right manifest; what was published before is whole, and a second run makes the
manifest of an undisturbed one.
"""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import small
from tests.faults import killer
from tests.faults.outcomes import Around, Ended, Ledger, Outcome, classify, data_files, lost, run

DISK = 2 << 20  # bytes
STAGES = ("mask", "ingest", "clean", "dedup", "annotate", "split")
FREE = (0, 4096, 16_384, 65_536)  # bytes
POINTS = [
    ("finelake.jobs.spark.commit._write", "before", 1),
    ("finelake.jobs.spark.commit._write", "200", 2),
    ("finelake.jobs.spark.commit._commit_files", "before", 2),
]


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of its own, which root alone can mount."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", disk]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here ({mounted.stderr.strip()})")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def project(small_project, tmp_path) -> Path:
    return shutil.copytree(small_project, tmp_path / "project")


def unpublished(lake: Path, stage: str) -> None:
    """The stage's tables are gone, so that it has to write them again."""
    shutil.rmtree(lake / stage)


def judged(
    ledger: Ledger, case: str, project: Path, stage: str, ended: Ended, manifest: bytes, gone: list[str]
) -> None:
    """It ended in a sentence, or in the manifest of an undisturbed run."""
    path = project / "snapshots" / f"{stage}.json"
    outcome = classify(ended, lambda ended: ended.code == 0 and path.read_bytes() == manifest)
    ledger.add(case, Outcome.LOST if gone else outcome, f"{gone[:2]} {ended.said}")


@pytest.mark.long
def test_a_disk_that_fills(project, small_disk, ledger):
    lake = small_disk / "lakehouse"
    shutil.move(project / "lakehouse", lake)
    (project / "lakehouse").symlink_to(lake)
    manifests = small.manifests(project)
    for stage in STAGES:
        for left in FREE:
            unpublished(lake, stage)
            before = data_files(lake.parent)
            filler = small_disk / "filler"
            filler.write_bytes(bytes(max(shutil.disk_usage(small_disk).free - left, 0)))
            ended = run(project, "run", stage)
            filler.unlink()
            case = f"{stage}, {left:,} bytes left"
            judged(ledger, case, project, stage, ended, manifests[f"{stage}.json"], lost(lake.parent, before))
            ledger.judge(f"{case}, again", run(project, "run", stage))
            assert small.manifests(project) == manifests
    ledger.judge("verify --deep", run(project, "verify", "--deep"))
    ledger.check(len(STAGES) * len(FREE))


@pytest.mark.long
def test_a_lake_that_vanishes(project, ledger, tmp_path):
    program, lake = killer.make(tmp_path / "bin"), project / "lakehouse"
    gone, manifests = lake.with_name("lakehouse.gone"), small.manifests(project)
    cases = [(stage, *point) for stage in STAGES[:3] for point in POINTS]
    for stage, name, when, nth in cases:
        unpublished(lake, stage)
        before = data_files(project)
        point, command = f"{stage} {name} {when} {nth}", [str(program), "run", stage]
        code, log, reached = killer.die(program, project, point, f"gone:{lake}", command)
        if gone.exists():
            shutil.rmtree(lake, ignore_errors=True)
            gone.rename(lake)
        judged(ledger, point, project, stage, Ended(code, err=log), manifests[f"{stage}.json"], lost(project, before))
        assert reached, log
        ledger.judge(f"{point}, again", run(project, "run", stage))
        assert small.manifests(project) == manifests
    ledger.judge("verify --deep", run(project, "verify", "--deep"))
    ledger.check(len(cases))


NARROW = {
    "64 open files": Around(limits={resource.RLIMIT_NOFILE: 64}),
    "256 MB of driver memory": Around(variables={"FINELAKE_MEMORY": "256m"}),
    "files of 20 kB": Around(limits={resource.RLIMIT_FSIZE: 20_000}),
    "4 GB of addresses": Around(limits={resource.RLIMIT_AS: 4 << 30}),
    "64 processes and threads": Around(limits={resource.RLIMIT_NPROC: 64}, bound=True),
}


@pytest.mark.long
def test_a_narrow_place_for_spark(project, ledger):
    manifests = small.manifests(project)
    cases = [(name, stage) for stage in ("mask", "ingest") for name in NARROW]
    for name, stage in cases:
        unpublished(project / "lakehouse", stage)
        before = data_files(project)
        ended = run(project, "run", stage, around=NARROW[name])
        judged(ledger, f"{stage}, {name}", project, stage, ended, manifests[f"{stage}.json"], lost(project, before))
        ledger.judge(f"{stage}, {name}, again", run(project, "run", stage))
        assert small.manifests(project) == manifests
    ledger.check(len(cases))
