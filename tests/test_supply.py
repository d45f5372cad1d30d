"""What is installed: bounds in pyproject.toml, exact versions with the SHA-256 of their files in constraints.txt."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BUILD = ("packaging", "setuptools", "wheel")


def wanted() -> list[Requirement]:
    project = PROJECT["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    found = [Requirement(one) for one in [*PROJECT["build-system"]["requires"], *project["dependencies"], *extras]]
    return [one for one in found if one.name != "finelake"]  # an extra that takes in others


def locked() -> list[tuple[Requirement, list[str]]]:
    """Each entry of constraints.txt with its hashes."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entries = [line.split("--hash=") for line in lines]
    return [(Requirement(head), [one.strip() for one in hashes]) for head, *hashes in entries]


def exact(requirement: Requirement) -> Version:
    (only,) = requirement.specifier
    assert only.operator == "==", requirement
    return Version(only.version)


def test_each_requirement_has_a_lower_and_an_upper_bound():
    for requirement in wanted():
        operators = {one.operator for one in requirement.specifier}
        assert {">=", "<"} <= operators, f"{requirement} has no bounds in pyproject.toml"


def test_each_requirement_is_pinned_within_its_bounds():
    pins = {canonicalize_name(requirement.name): exact(requirement) for requirement, _ in locked()}
    for requirement in wanted():
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} against {version}; run make lock"


def test_each_pin_has_hashes_and_the_list_has_no_other_line():
    names = [canonicalize_name(requirement.name) for requirement, _ in locked()]
    assert len(names) == len(set(names))
    for requirement, hashes in locked():
        assert hashes, f"{requirement} has no hash; run make lock"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), requirement
        assert not requirement.url and not requirement.extras


def test_make_installs_nothing_from_an_index_without_its_hash():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = [line for line in makefile.splitlines() if "pip install" in line]
    assert len(installs) == 3
    for line in installs:
        assert "--require-hashes" in line or "--no-deps --no-build-isolation --editable ." in line


def test_what_builds_comes_first_with_its_hashes():
    recipe = next(line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "build.txt" in line)
    program = re.search(r"awk '(.*)' constraints.txt", recipe).group(1)
    done = subprocess.run(["awk", program, "constraints.txt"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert tuple(line.partition("==")[0] for line in lines if not line.startswith(" ")) == BUILD
    assert sum("--hash=sha256:" in line for line in lines) >= 2 * len(BUILD)


@pytest.mark.parametrize("tampered", [False, True])
def test_pip_installs_only_the_file_of_the_hash(tmp_path, tampered):
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing.py", "")
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    digest = subprocess.run(
        [sys.executable, "-m", "pip", "hash", wheel], capture_output=True, text=True, check=True
    ).stdout.split("--hash=")[1]
    if tampered:
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("other.py", "")
    (tmp_path / "constraints.txt").write_text(f"thing==1.0 \\\n    --hash={digest}")
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", str(tmp_path), "--require-hashes"]
    command += ["--target", str(tmp_path / "target"), "--requirement", str(tmp_path / "constraints.txt")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (tmp_path / "target" / "thing.py").exists() != tampered
    assert ("THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr) == tampered


def test_every_folder_of_modules_is_a_package_that_is_installed():
    settings = PROJECT["tool"]["setuptools"]
    found = set()
    for package, folder in settings["package-dir"].items():
        for path in (ROOT / folder).rglob("__init__.py"):
            below = path.parent.relative_to(ROOT / folder).parts
            found.add(".".join((package, *below)))
    assert sorted(settings["packages"]) == sorted(found)
