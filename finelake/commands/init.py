"""Start a project for your own data: a commented params.yaml and dvc.yaml in a folder.

Nothing that is already there is overwritten.
"""

import argparse
import subprocess
import sys
from importlib import resources
from pathlib import Path

from finelake import __version__
from finelake.lake.config.project import refuse_bytes
from finelake.lake.errors import UserError

EXAMPLE = "  finelake init complaints"
NEEDS_PROJECT = False
# Named *.in: DVC would run every dvc.yaml below a project.
FILES = {
    "params.yaml.in": "params.yaml",
    "dvc.yaml.in": "dvc.yaml",
    "gitignore.in": ".gitignore",
    "check.sql.in": "quality/texts_are_long_enough.sql",
}
NEXT = """Next:
  1. put files under {folder}/data, or name your database in {folder}/params.yaml (section `sources`)
  2. cd {folder} && finelake repro"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="the project's folder; it is created if it does not exist")


def main(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    refuse_bytes("the folder", str(folder.absolute()))
    for target in FILES.values():
        if (folder / target).exists():
            raise UserError(f"{folder / target} already exists; choose another folder or remove that file")
    for name in ("data", "quality"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    templates = resources.files("finelake") / "templates"
    for template, target in FILES.items():
        text = (templates / template).read_text(encoding="utf-8").replace("@VERSION@", __version__)
        (folder / target).write_text(text, encoding="utf-8")
    init_dvc(folder)
    print(f"{folder} is a Finelake project now.\n{NEXT.format(folder=folder)}")


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
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=folder, check=True)
