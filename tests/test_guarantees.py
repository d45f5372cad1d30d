"""The guarantees of a lake, each tested by doing it: there and back, experiments at once, a full disk, repairs."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from finelake.lake.config.project import settings
from finelake.lake.tables import snapshots
from finelake.lake.tables.revisions import manifests_at
from tests import small

pytestmark = pytest.mark.slow
EXPERIMENTS = {"narrow": 1.2, "wide": 1.4, "wider": 1.6}
NO_JAVA = {"JAVA_HOME": "/nowhere"}  # whatever starts Spark fails


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_project) -> Path:
    return shutil.copytree(small_project, tmp_path_factory.mktemp("finished") / "project")


def set_sigmas(project: Path, sigmas: float) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["clean"]["outliers"]["sigmas"] = sigmas
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def test_there_and_back_computes_nothing_and_starts_no_spark(finished):
    first, lock = small.manifests(finished), yaml.safe_load((finished / "dvc.lock").read_text())
    set_sigmas(finished, 1.2)
    assert small.stages_run(small.run(finished, "repro", "split"))[0] == "clean"
    assert small.manifests(finished)["split.json"] != first["split.json"]
    set_sigmas(finished, 3.0)
    said = small.run(finished, "repro", "split", **NO_JAVA)
    assert small.stages_run(said) == []
    assert small.manifests(finished) == first
    assert yaml.safe_load((finished / "dvc.lock").read_text()) == lock


def test_nothing_to_do_starts_no_spark(finished):
    said = small.run(finished, "repro", "split", **NO_JAVA)
    assert said.endswith("Nothing to do: every stage is up to date.\n")


def test_a_stage_without_java_names_it(finished):
    assert "Spark needs Java 17 and JAVA_HOME=/nowhere holds no bin/java" in small.run(
        finished, "run", "clean", code=2, **NO_JAVA
    )
    assert (finished / "snapshots" / "clean.json").exists()


def test_a_lost_file_is_named_before_anything_runs_and_only_its_stage_is_rebuilt(finished):
    before = small.manifests(finished)
    table = snapshots.read_manifest(finished, "mask")["records"]
    file = Path(snapshots.files(settings(finished).lake, "mask", table)[0])
    file.unlink()
    for command in (("verify",), ("repro", "split"), ("run", "split")):
        said = small.run(finished, *command, code=2, **NO_JAVA)
        assert f"{file.name} is missing" in said and "finelake repair" in said
        assert small.stages_run(said) == []
    assert small.stages_run(small.run(finished, "repair")) == ["mask"]
    assert small.manifests(finished) == before
    assert small.run(finished, "repro", "split").endswith("Nothing to do: every stage is up to date.\n")


def test_a_flipped_byte_is_named_and_only_its_stage_rebuilt(finished):
    before = small.manifests(finished)
    lake = settings(finished).lake
    table = snapshots.read_manifest(finished, "clean")["records"]
    file = Path(snapshots.files(lake, "clean", table)[0])
    content = file.read_bytes()
    file.write_bytes(content[:-40] + bytes([content[-40] ^ 4]) + content[-39:])
    assert small.run(finished, "verify").endswith("rows).\n")
    said = small.run(finished, "verify", "--deep", code=2)
    assert f"{file.name} was altered (other SHA-256); rebuild what is missing or altered with" in said
    said = small.run(finished, "repair", "--deep")
    assert small.stages_run(said) == ["clean"]
    assert small.manifests(finished) == before
    small.run(finished, "verify", "--deep")


def test_experiments_at_once_share_the_lake_and_keep_their_own_snapshots(finished):
    small.git(finished, "checkout", "--quiet", "--", ".")
    for name, sigmas in EXPERIMENTS.items():
        small.run_dvc(
            finished, "exp", "run", "--queue", "--copy-paths", "data", "--name", name,
            "--set-param", f"clean.outliers.sigmas={sigmas}", "split",
        )  # fmt: skip
    small.run_dvc(finished, "queue", "start", "--jobs", "2")
    deadline = time.monotonic() + 900
    while (said := small.run_dvc(finished, "queue", "status")).count("Success") < 3:
        assert "Failed" not in said and time.monotonic() < deadline, said
        time.sleep(5)
    lake = settings(finished).lake
    pinned = {name: manifests_at(finished, name) for name in EXPERIMENTS}
    for tables in [table for stages in pinned.values() for table in stages.values()]:
        assert all(snapshots.intact(lake, table, deep=True) for table in tables.values())
    assert {name: set(stages) for name, stages in pinned.items()} == dict.fromkeys(EXPERIMENTS, set(small.STAGES))
    assert len({str(stages["clean"]) for stages in pinned.values()}) == len(EXPERIMENTS)
    assert not list(finished.glob(".dvc/tmp/exps/**/lakehouse"))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB, which only root can mount."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here ({mounted.stderr.strip()})")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_reports_one_sentence_and_the_lake_still_works(finished, tmp_path, small_disk):
    project = tmp_path / "project"
    shutil.copytree(finished, project, ignore=shutil.ignore_patterns("lakehouse", "snapshots"))
    small.git(project, "checkout", "--quiet", "--", "params.yaml")
    (project / "dvc.lock").unlink()  # it would name manifests that are not there yet
    lake = str(small_disk / "lake")
    small.run(project, "run", "ingest", FINELAKE_LAKE=lake)
    (small_disk / "other").write_bytes(bytes(free(small_disk) - 8192))
    said = small.run(project, "run", "clean", code=2, FINELAKE_LAKE=lake)
    assert said.splitlines()[-1].startswith(f"finelake: the disk is full ({lake}); free some space there")
    assert "Traceback" not in said
    assert not (project / "snapshots" / "clean.json").exists()
    small.run(project, "verify", "--deep", FINELAKE_LAKE=lake)
    assert free(small_disk) >= 4096  # what was half written is gone
    (small_disk / "other").unlink()
    small.run(project, "run", "clean", FINELAKE_LAKE=lake)
    small.run(project, "verify", "--deep", FINELAKE_LAKE=lake)
    assert (project / "snapshots" / "clean.json").read_bytes() == (finished / "snapshots" / "clean.json").read_bytes()


def free(disk: Path) -> int:
    return shutil.disk_usage(disk).free


def test_the_lock_of_a_dead_process_does_not_block(finished):
    """A process that dies with DVC's lock and the writers' lock in its hands."""
    dead = (
        "import os, signal; from dvc.repo import Repo; from finelake.lake.tables.locks import writing; "
        f"repo = Repo(); held = writing({settings(finished).lake!r}, 'clean'); held.__enter__(); "
        "repo.lock.lock(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", dead], cwd=finished, env=small.environment())
    assert done.returncode == -9
    small.run_dvc(finished, "repro", "--force", "--single-item", "clean")


def test_a_failed_check_stops_later_stages_and_queries_need_no_spark(finished):
    verdict, own = finished / "reports" / "quality.txt", finished / "quality" / "never.sql"
    said = small.run(finished, "repro", "quality", **NO_JAVA)
    assert "quality: 0 errors" in said and verdict.read_text() == "no errors\n"
    own.write_text("-- There are no notes.\n-- table: split.records\nselect record_id from this\n")
    said = small.run(finished, "repro", "quality", code=2, **NO_JAVA)
    assert "quality checks failed: never (split.records); training is blocked" in said
    assert not verdict.exists()
    own.unlink()
    small.run(finished, "repro", "quality", **NO_JAVA)
    assert verdict.read_text() == "no errors\n"
