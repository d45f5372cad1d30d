"""The demo's data stages in clones of the repository: same bytes everywhere, a change reruns what reads it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from finelake.demo.api import serve
from finelake.demo.generate import generate

pytestmark = pytest.mark.long
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
    """The clone's own code, not the installed one: under the names that it has where it is installed."""
    tree = folder / ".venv" / "tree"
    if not tree.exists():
        subprocess.run([sys.executable, folder / ".ci" / "tree.py"], check=True)
    return os.environ | {"PYTHONPATH": str(tree), "FINELAKE_MEMORY": "1g"} | variables


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


def test_a_comment_reruns_its_stage_and_nothing_after_it(finished):
    module = finished / "jobs" / "dedup.py"
    before = manifests(finished)
    module.write_text(module.read_text() + "\n# A comment.\n")
    assert stages_run(finelake(finished, "repro", *LAST)) == ["dedup"]
    assert manifests(finished) == before
