"""Run everything on a generated consumer bank: generate its data, pull its API, run all stages, print the results.

The project is written first where it does not exist yet: into a folder of its own, outside other projects.
"""

import argparse
import os
import shutil
import subprocess
from importlib import resources
from pathlib import Path

from finelake.commands.init import start, template
from finelake.commands.pull import pull_source
from finelake.commands.repro import STAGE_FILE, reproduce
from finelake.lake.config.params import load
from finelake.lake.config.project import PARAMS, current_folder, project_around, publish_folder, refuse_bytes
from finelake.lake.errors import UserError
from finelake.output.summary import print_summary

EXAMPLE = "  finelake demo\n  finelake demo /tmp/bank --records 100000"
NEEDS_PROJECT = False
FOLDER = Path("finelake-demo")
BANK = Path("data/bank")
API_VARIABLE = "BANK_API"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help=f"a new or empty folder, or an earlier demo's (default: the demo around the current folder, or {FOLDER})",
    )
    parser.add_argument("--records", type=int, default=6000, help="applications, tickets and complaints (default 6000)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the generated bank (default 7)")


def main(options: argparse.Namespace) -> None:
    from finelake.demo.generate import generate

    if options.records < 1000:
        raise UserError(f"--records {options.records} is too few to train and test on; use 1000 or more")
    root = project(options.folder)
    os.chdir(root)
    print(f"Demo bank: {options.records:,} records in {root / BANK}", flush=True)
    generate(root / BANK, records=options.records, seed=options.seed)
    _pull(root)
    reproduce(root, [])
    print_summary(root)


def project(folder: Path | None) -> Path:
    """The demo project in `folder`, written where there is none; without a folder the one around the current folder.

    UserError for a folder that holds something else, or lies in a project that is not its own.
    """
    here = current_folder()
    around = project_around(here)
    if folder is None and around and _reads_bank(around):
        return around
    root = Path(os.path.realpath(here / (folder or FOLDER)))
    refuse_bytes("the folder", str(root))
    around = project_around(root)
    if around == root and _reads_bank(root):
        return root
    if around:
        raise UserError(f"{root} belongs to the project {around}; name a folder outside it")
    if root.exists() and next(root.iterdir(), None):
        raise UserError(f"{root} is not empty and holds no demo; name a new or empty folder, as in `finelake demo DIR`")
    _write(root)
    return root


def _reads_bank(root: Path) -> bool:
    return str(BANK) in str(load(root / PARAMS).get("sources"))


def _write(root: Path) -> None:
    """The demo's parameters and checks, and what every new project has: with the version in the place of the code."""
    own = resources.files("finelake.demo") / "project"
    version = next(line for line in template("params.yaml.in").splitlines() if line.startswith("finelake:"))
    checks = {f"quality/{check.name}": check.read_text(encoding="utf-8") for check in (own / "quality").iterdir()}
    # Beside it, then renamed: a demo that was killed meanwhile is not a folder with half a project.
    new = root.with_name(f".{root.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet"], cwd=new, check=True)
    start(
        new,
        {
            ".gitignore": template("gitignore.in"),
            STAGE_FILE: template("dvc.yaml.in"),
            **checks,
            PARAMS: f"{version}\n\n{(own / PARAMS).read_text(encoding='utf-8')}",
        },
    )
    publish_folder(new, root)


def _pull(root: Path) -> None:
    """Pull the complaints from the bank's API, which this process serves during the pull."""
    from finelake.demo.api import serve

    with serve(root / BANK) as url:
        os.environ[API_VARIABLE] = url
        pull_source(root, "complaints")
