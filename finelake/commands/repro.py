"""Bring everything up to date: `dvc repro` with one warm JVM for all Spark stages.

Parameters and pinned tables are checked first, so that a mistake is reported in a second and not after an hour.
"""

import argparse
import contextlib
import errno
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finelake import timings
from finelake.commands.run import check
from finelake.commands.verify import check_tables
from finelake.lake.config import stages
from finelake.lake.config.params import load
from finelake.lake.config.project import Settings, settings
from finelake.lake.errors import UserError
from finelake.lake.tables.lockfile import DVC
from finelake.lake.tables.snapshots import FOLDER, AlteredManifest, OtherFormat, manifest_files

STAGE_FILE = "dvc.yaml"
EXAMPLE = "  finelake repro\n  finelake repro split"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", help="stages to bring up to date (default: all)")


def main(options: argparse.Namespace) -> None:
    reproduce(options.root, options.targets)


def reproduce(root: Path, targets: list[str], options: tuple[str, ...] = ()) -> None:
    """Run `dvc repro` and print where the time went. UserError when a stage failed."""
    content = check(root)
    _check_sections(content)
    _check_access(root)
    _check_configuration(root)
    _check_stages(root, content)
    configured = settings(root)
    forced = "--force" in options
    if not forced:
        # DVC replaces such a manifest from its cache, or reruns its stage.
        with contextlib.suppress(OtherFormat, AlteredManifest):
            check_tables(root, configured.lake)
    timings.start(root)
    before = _manifest_texts(root)
    if forced or not up_to_date(root, targets):
        _run_dvc(root, ["repro", *options, *targets], configured)
    if not timings.read(root):
        print("Nothing to do: every stage is up to date.")
    if _manifest_texts(root) != before:
        # A manifest from DVC's cache may pin a table that the lake has lost.
        check_tables(root, configured.lake)


def _check_sections(content: Mapping[str, Any]) -> None:
    # DVC would report it only when it reaches that stage, perhaps hours later.
    absent = next((name for name in (*stages.SECTIONS, "runs") if name not in content), None)
    if absent:
        raise UserError(f"params.yaml: the section {absent} is missing; write `{absent}: {{}}` for its defaults")


def _check_stages(root: Path, content: Mapping[str, Any]) -> None:
    """UserError where dvc.yaml lacks a stage: DVC would report that everything is up to date."""
    declared = load(root / STAGE_FILE).get("stages")
    if not isinstance(declared, dict):
        declared = {}
    required = (*stages.SHARED, *(stages.PER_RUN if content["runs"] else ()))
    absent = next((name for name in required if name not in declared), None)
    if absent:
        raise UserError(
            f"{STAGE_FILE} has no stage {absent}; restore the file from Git, or copy that of a new project "
            "(`finelake init DIR`)"
        )


def _check_access(root: Path) -> None:
    """PermissionError for a path on which DVC would fail in the middle of a run, with a traceback."""
    for name in ("dvc.yaml", "dvc.lock", ".dvc/config", ".dvc/config.local", ".dvc/cache", ".dvc/tmp"):
        path = root / name
        needed = os.R_OK | (os.W_OK | os.X_OK if path.is_dir() else 0)
        if path.exists() and not os.access(path, needed, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _check_configuration(root: Path) -> None:
    """Raise DVC's error for a configuration that it cannot read; its command would print a traceback."""
    from dvc.config import Config

    Config(str(root / ".dvc"))


def _manifest_texts(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in manifest_files(root / FOLDER)}


def _run_dvc(root: Path, arguments: list[str], configured: Settings) -> None:
    from finelake.jobs.runner import LOG
    from finelake.jobs.spark.session import shared_jvm

    started = time.monotonic()
    with shared_jvm(configured.master, configured.memory, root / LOG) as variables:
        command = [*DVC, *arguments]
        code = subprocess.run(command, cwd=root, env=environment() | variables).returncode
    _refresh_lock(root)
    _print_timings(timings.read(root), time.monotonic() - started)
    if code:
        raise UserError(
            f"a stage failed (see above); fix it and run `finelake repro` again (Spark's log is {LOG}; a stage that "
            "`exited with -9` was killed, as the system does when memory runs out)"
        )


def up_to_date(root: Path, targets: list[str]) -> bool:
    """Whether `dvc repro` would run nothing."""
    # Without --with-deps, DVC checks only the targets and not the stages that they depend on.
    command = [*DVC, "status", "--quiet", *(["--with-deps", *targets] if targets else [])]
    return subprocess.run(command, cwd=root, env=environment(), capture_output=True).returncode == 0


def environment() -> dict[str, str]:
    """The environment in which dvc.yaml's commands find this installation's `finelake`."""
    return os.environ | {"PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def _refresh_lock(root: Path) -> None:
    """Let `git status` see that dvc.lock did not change where a filter leaves its training entries out of commits.

    Git compares a file's size before it runs the filter; adding the unchanged content makes it compare again.
    """

    def git(*arguments: str) -> bool:
        return subprocess.run(["git", *arguments, "--", "dvc.lock"], cwd=root, capture_output=True).returncode == 0

    if git("ls-files", "--error-unmatch") and git("diff", "--quiet"):
        git("add")


def _print_timings(taken: list[tuple[str, float]], total: float) -> None:
    if not taken:
        return
    print("\nWhere the time went")
    for stage, seconds in taken:
        print(f"  {stage:<20} {seconds:7.1f} s")
    print(f"  {'all, with DVC':<20} {total:7.1f} s")
