"""Start a project for your own data: a commented params.yaml and dvc.yaml in a folder.

Nothing that is already there is overwritten.
"""

import argparse
import subprocess
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from finelake import __version__
from finelake.lake.config.project import refuse_bytes
from finelake.lake.errors import UserError
from finelake.lake.tables.lockfile import DVC

EXAMPLE = "  finelake init complaints"
NEEDS_PROJECT = False
# Not under their own names: DVC takes every dvc.yaml below a project for its own. params.yaml makes the project whole.
FILES = {
    "dvc.yaml": "dvc.yaml.in",
    ".gitignore": "gitignore.in",
    "quality/texts_are_long_enough.sql": "check.sql.in",
    "params.yaml": "params.yaml.in",
}
NEXT = """Next:
  1. put files under {folder}/data, or name your database in {folder}/params.yaml (section `sources`)
  2. cd {folder} && finelake repro"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="the project's folder; it is created if it does not exist")


def main(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    start(folder, {path: template(name) for path, name in FILES.items()})
    print(f"{folder} is a Finelake project now.\n{NEXT.format(folder=folder)}")


def template(name: str) -> str:
    """The text of a file in templates/, for projects of this version."""
    text = (resources.files("finelake") / "templates" / name).read_text(encoding="utf-8")
    return text.replace("@VERSION@", __version__)


def start(folder: Path, files: Mapping[str, str]) -> None:
    """Make `folder` a project with these files: path -> text, written in this order. UserError where one exists."""
    refuse_bytes("the folder", str(folder.absolute()))
    for path in files:
        if (folder / path).exists():
            raise UserError(f"{folder / path} already exists; choose another folder or remove that file")
    for name in ("data", "quality"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    init_dvc(folder)
    for path, text in files.items():
        (folder / path).write_text(text, encoding="utf-8")


def init_dvc(folder: Path) -> None:
    """Make the folder a DVC project, in the Git repository around it or without one."""
    if (folder / ".dvc").exists():
        return
    repository = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=folder, capture_output=True, text=True)
    if repository.returncode:
        flags = ["--no-scm"]
    else:
        flags = [] if Path(repository.stdout.removesuffix("\n")).resolve() == folder.resolve() else ["--subdir"]
    for command in (["init", "--quiet", *flags], ["config", "--quiet", "core.analytics", "false"]):
        subprocess.run([*DVC, *command], cwd=folder, check=True)
