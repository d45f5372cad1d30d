"""The wheel in an environment of its own, and projects whose folders are called as Finelake's are."""

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

from tests.training.test_stages import RUN, entry, project  # noqa: F401

REPOSITORY = Path(__file__).parents[2]
SOURCES = ("finelake", "text", "lake", "jobs", "training", "demo", "pyproject.toml", "README.md")
NOT_OURS = "raise SystemExit(\"a module of the user's was imported instead of Finelake's\")\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder of a wheel and a source distribution, built from a copy of the sources."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
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
    return folder / "bin" / "finelake"


@pytest.fixture
def hostile(project) -> Path:  # noqa: F811
    """A project with packages and modules that are called as Finelake's are."""
    for name in ("jobs", "training", "text", "demo"):
        (project / name).mkdir()
        (project / name / "__init__.py").write_text(NOT_OURS)
    for name in ("lake.py", "loader.py", "cli.py"):
        (project / name).write_text(NOT_OURS)
    return project


def run(program: Path, folder: Path, *arguments: str, **variables: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([program, *arguments], cwd=folder, env=kept | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_one_top_level_package_with_all_its_files(built):
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"finelake"}
    expected = set()
    for folder in ("finelake", "text", "lake", "jobs", "training", "demo"):
        found = (path for path in (REPOSITORY / folder).rglob("*") if path.suffix in (".py", ".sql", ".html", ".in"))
        prefix = "" if folder == "finelake" else "finelake/"
        expected |= {prefix + path.relative_to(REPOSITORY).as_posix() for path in found}
    assert names == expected
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "jobs/clean.py", "lake/quality/sql/agreement_is_a_kappa.sql"} <= packed
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", wheel, sdist], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.slow
def test_an_installed_finelake_imports_nothing_of_a_project_whose_folders_have_its_names(finelake, hostile):
    where = [finelake.with_name("python"), "-c", "import finelake.jobs; print(finelake.jobs.__file__)"]
    module = subprocess.run(where, cwd=hostile.parent, capture_output=True, text=True, check=True).stdout
    assert Path(module.strip()).is_relative_to(finelake.parents[1])

    run(finelake, hostile, "init", ".")
    params = yaml.safe_load((hostile / "params.yaml").read_text())
    (hostile / "params.yaml").write_text(yaml.safe_dump(params | {"runs": {"tiny": entry(RUN)}}))
    counted = run(finelake, hostile, "sql", "--format", "csv", "select count(*) as n from split.records")
    assert counted.splitlines() == ["n", "100"]
    run(finelake, hostile, "run", "train@tiny", FINELAKE_RANKS="2")
    assert (hostile / "models" / "tiny" / "model" / "head.safetensors").exists()
