"""The contracts of the whole chain, each tested by doing it: clones, kills, losses, changes (marked slow)."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.api import serve
from demo.generate import generate

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[1]
STAGES = ("ingest", "clean", "dedup", "mask", "annotate", "split")
LAST = ("split", "tokenize@intent")
RECORDS = 1500


def clone(folder: Path, bank: Path) -> Path:
    """The repository's files (with what is not committed yet) as a new Git repository, and the bank's data."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, listed):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)  # it pins the demo's own size
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    shutil.copytree(bank, folder / "data" / "bank")
    with serve(folder / "data" / "bank") as url:
        finelake(folder, "pull", "complaints", BANK_API=url)
    return folder


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """The clone's own code, not the installed one."""
    return os.environ | {"PYTHONPATH": str(folder), "FINELAKE_MEMORY": "1g"} | variables


def finelake(folder: Path, *arguments: str, code: int = 0, **variables: str) -> str:
    """Run the command line in the clone; its whole output."""
    done = subprocess.run(
        [sys.executable, "-m", "finelake.cli", *arguments],
        cwd=folder,
        env=environment(folder, **variables),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def manifests(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "snapshots").glob("*.json"))}


def data_entries(folder: Path) -> str:
    """dvc.lock without the entries of training stages, as Git's filter leaves it."""
    script = REPOSITORY / "finelake" / "data_entries.awk"
    return subprocess.run(["awk", "-f", script, folder / "dvc.lock"], capture_output=True, text=True, check=True).stdout


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", output)


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generated") / "bank"
    generate(folder, records=RECORDS, seed=7)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory, bank) -> Path:
    """A clone in which the data stages have run, undisturbed."""
    folder = clone(tmp_path_factory.mktemp("finished") / "clone", bank)
    finelake(folder, "repro", *LAST)
    return folder


def test_another_clone_on_other_settings_pins_the_same_bytes(finished, bank, tmp_path):
    other = clone(tmp_path / "elsewhere" / "another-name", bank)
    finelake(other, "repro", *LAST, FINELAKE_MASTER="local[3]", TZ="Asia/Shanghai", PYTHONHASHSEED="1")
    assert manifests(other) == manifests(finished)
    assert data_entries(other) == data_entries(finished)
    assert len(manifests(finished)) == len(STAGES) + 1


def test_nothing_to_do_is_said(finished):
    assert "Nothing to do" in finelake(finished, "repro", *LAST)


def test_a_comment_reruns_its_stage_and_nothing_after_it(finished):
    module = finished / "jobs" / "dedup.py"
    before = manifests(finished)
    module.write_text(module.read_text() + "\n# A comment.\n")
    assert stages_run(finelake(finished, "repro", *LAST)) == ["dedup"]
    assert manifests(finished) == before


def test_there_and_back_again_computes_nothing_twice(finished):
    before = manifests(finished), data_entries(finished)
    params = finished / "params.yaml"
    original = params.read_text()
    params.write_text(original.replace("clean:\n  outliers:\n", "clean:\n  outliers:\n    sigmas: 2.0\n"))
    assert params.read_text() != original
    assert stages_run(finelake(finished, "repro", "clean")) == ["clean"]
    assert manifests(finished) != before[0]
    params.write_text(original)
    assert "Nothing to do" in finelake(finished, "repro", *LAST)
    assert (manifests(finished), data_entries(finished)) == before


def test_a_lost_file_is_named_before_anything_runs_and_only_its_stage_is_rebuilt(finished):
    before = manifests(finished)
    victim = sorted((finished / "lakehouse" / "mask" / "records").glob("*.parquet"))[0]
    victim.unlink()
    for command in (("verify",), ("repro", *LAST), ("run", "split")):
        output = finelake(finished, *command, code=2)
        assert f"the data file {victim.name} is missing" in output
        assert "finelake repair" in output
        assert stages_run(output) == []
    assert stages_run(finelake(finished, "repair")) == ["mask"]
    finelake(finished, "verify")
    assert manifests(finished) == before
    assert "Nothing to do" in finelake(finished, "repro", *LAST)


@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_during_the_write_changes_nothing_in_the_end(finished, stage):
    before = manifests(finished)
    for path in (finished / "snapshots").glob(f"{stage}.json"):
        path.unlink()
    shutil.rmtree(finished / "lakehouse" / stage)
    kill_while_writing(finished, stage)
    assert not (finished / "snapshots" / f"{stage}.json").exists()
    finelake(finished, "run", stage)
    assert manifests(finished) == before
    finelake(finished, "verify")


def kill_while_writing(folder: Path, stage: str) -> None:
    """SIGKILL the stage's process and its JVM as soon as data files of its tables appear."""
    log = (folder / "killed.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "finelake.cli", "run", stage],
        cwd=folder,
        env=environment(folder),
        start_new_session=True,
        stdout=log,
        stderr=log,
    )
    deadline = time.monotonic() + 240
    try:
        while not any((folder / "lakehouse" / stage).rglob("*.parquet")):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "killed.log").read_text()
            time.sleep(0.005)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()
