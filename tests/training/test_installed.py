"""The wheel in an environment of its own: the demo, and projects whose folders are called as Finelake's are."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from finelake.jobs.spark import jars
from tests import small
from tests.layout import FOLDERS, ROOT
from tests.training.test_stages import RUN, entry, project  # noqa: F401

DEMO = """
from finelake.commands import demo
from finelake.demo.generate import generate
generate(demo.project(None) / demo.BANK, records=1000)
"""
NOT_OURS = "raise SystemExit(\"a module of the user's was imported instead of Finelake's\")\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder of a wheel and a source distribution, built from a copy of the sources."""
    copy = tmp_path_factory.mktemp("sources")
    for folder in FOLDERS.values():
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy / name)
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "."], cwd=copy, check=True, capture_output=True)
    return copy / "dist"


@pytest.fixture(scope="module")
def finelake(built, tmp_path_factory) -> Path:
    """The `finelake` of an environment that has the wheel, and beside it only what Finelake requires."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (wheel,) = built.glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--no-deps"]
    subprocess.run([*install, "--no-index", "--quiet", str(wheel)], check=True)
    # The required packages of this environment; without its own .pth files, so without this checkout.
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "required.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    (folder / "share").mkdir()
    (folder / "share" / "finelake").symlink_to(jars.FOLDER.parent)
    return folder / "bin" / "finelake"


def occupy(folder: Path) -> Path:
    """Write packages and modules into a folder that are called as Finelake's, and those of what it starts, are."""
    for name in (*FOLDERS.values(), "dvc", "pyspark", "torch", "yaml"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(NOT_OURS)
    for name in ("loader.py", "cli.py"):
        (folder / name).write_text(NOT_OURS)
    return folder


def run(program: Path, folder: Path, *arguments: str, code: int = 0, **variables: str) -> str:
    """Run a program of the environment in a folder; its whole output."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYSPARK_PYTHON")}
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=kept | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_one_top_level_package_with_all_its_files(built):
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"finelake"}
    expected = set()
    for package, folder in FOLDERS.items():
        found = (path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".sql", ".html", ".in"))
        expected |= {f"{package.replace('.', '/')}/{path.relative_to(ROOT / folder).as_posix()}" for path in found}
    own = ["params.yaml", *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("quality/*.sql"))]
    expected |= {f"finelake/demo/project/{path}" for path in own}
    assert names == expected
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "jobs/clean.py", "lake/quality/sql/agreement_is_a_kappa.sql"} <= packed
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", wheel, sdist], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.slow
def test_an_installed_finelake_imports_nothing_of_a_project_whose_folders_have_its_names(finelake, project):  # noqa: F811
    occupy(project)
    run(finelake, project, "init", ".")
    params = yaml.safe_load((project / "params.yaml").read_text())
    (project / "params.yaml").write_text(yaml.safe_dump(params | {"runs": {"tiny": entry(RUN)}}))
    counted = run(finelake, project, "sql", "--format", "csv", "select count(*) as n from select_tiny.records")
    assert counted.splitlines() == ["n", "100"]
    run(finelake, project, "run", "train@tiny", FINELAKE_RANKS="2")
    assert (project / "models" / "tiny" / "model" / "head.safetensors").exists()


@pytest.mark.slow
def test_nor_do_dvc_and_the_workers_of_spark_that_it_starts(finelake, tmp_path):
    made = occupy(small.make(tmp_path / "project"))
    run(finelake, made, "repro", "clean", FINELAKE_MEMORY="600m", JAVA_TOOL_OPTIONS=small.QUICK_JAVA)
    assert small.manifests(made).keys() == {"ingest.json", "clean.json"}


@pytest.mark.slow
def test_in_a_checkout_the_installed_finelake_runs_and_a_mixture_is_refused(finelake, tmp_path):
    """As in the repository: `finelake/` lies in the current folder, and the other packages beside it."""
    for folder in FOLDERS.values():
        (tmp_path / folder).symlink_to(ROOT / folder)
    assert run(finelake, tmp_path, "--version") == run(finelake, ROOT.parent, "--version")
    python = finelake.with_name("python")
    said = run(python, tmp_path, "-m", "finelake.training.train", "tiny", code=1)
    installed = run(python, tmp_path, "-P", "-c", "import finelake; print(*finelake.__path__)").strip()
    assert (
        f"{tmp_path / 'finelake'} is a checkout's part of Finelake and hides the one in {Path(installed).parent}"
        in said
    )
    assert said.count("\n") == 1


@pytest.mark.slow
def test_the_demo_is_written_and_generated_without_a_checkout(finelake, tmp_path):
    python = finelake.with_name("python")
    run(python, tmp_path, "-P", "-c", DEMO)
    demo = tmp_path / "finelake-demo"
    assert (demo / "data" / "bank" / "bank.db").exists()
    assert (demo / "params.yaml").read_text().endswith((ROOT / "params.yaml").read_text())
    assert "applications_have_amounts" in run(finelake, demo, "quality", "--list")
    stages = run(python, demo, "-P", "-m", "dvc", "stage", "list", "--name-only").split()
    assert stages[0] == "ingest" and stages[-1] == "evaluate@answer"
