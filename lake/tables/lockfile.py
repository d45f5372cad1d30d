"""dvc.lock: which stages ran, what they read and wrote, each file and folder by the hash that DVC gives it."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from finelake.lake.config.project import read_file
from finelake.lake.errors import UserError
from finelake.lake.tables.snapshots import FOLDER

LOCK = "dvc.lock"
DVC = (sys.executable, "-P", "-m", "dvc")  # without -P, modules of the current folder would be imported in its place


def work_tree(root: Path) -> dict[str, Any]:
    """The stages that the work tree's dvc.lock names; none where there is no such file yet. UserError as `parse`."""
    try:
        text = read_file(root / LOCK)
    except FileNotFoundError:
        return {}
    return parse(text, "the work tree")


def parse(text: str | bytes, where: str) -> dict[str, Any]:
    """The stages with their deps and outs; `where` is for messages. UserError for a text that is not DVC's."""
    try:
        stages = (yaml.load(text, _loader()) or {}).get("stages") or {}
        for entry in stages.values():
            outputs(entry)
        return {str(stage): dict(entry) for stage, entry in stages.items()}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError):
        raise UserError(f"{LOCK} of {where} is not DVC's (it was altered or cut); check it out from Git") from None


def outputs(entry: Mapping[str, Any]) -> dict[str, str]:
    """path -> MD5 of a stage's outputs."""
    return {str(out["path"]): str(out["md5"]) for out in entry.get("outs") or [] if "md5" in out}


def pinned_manifests(stages: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(stage, path, MD5) of each manifest that dvc.lock's `stages` pin."""
    for stage, entry in stages.items():
        for path, md5 in outputs(entry).items():
            if path.startswith(f"{FOLDER}/"):
                yield stage, path, md5


def is_current(stages: Mapping[str, Any], stage: str) -> bool:
    """Whether dvc.lock's `stages` name a stage, and what it read is what the stages before it wrote."""
    made = {path: md5 for entry in stages.values() for path, md5 in outputs(entry).items()}
    deps = stages.get(stage, {}).get("deps") or []
    return stage in stages and all(made.get(dep["path"], dep.get("md5")) == dep.get("md5") for dep in deps)


def _loader() -> Any:
    """libyaml's parser where it is there: twenty times faster on a dvc.lock."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_output(root: Path, path: str) -> None:
    """UserError where a file or folder is not what the work tree's dvc.lock pins.

    What dvc.lock does not name, since its stage was run by hand alone, is not checked.
    """
    for stage, entry in work_tree(root).items():
        pinned = outputs(entry).get(path)
        if pinned and (root / path).exists() and not _is(root / path, pinned):
            raise UserError(
                f"{path} is not what dvc.lock pins: it was altered, or {stage} was run by hand; restore it with "
                f"`dvc checkout --force {path}`, or keep what is there with `dvc commit --force {stage}`"
            )


def _is(path: Path, pinned: str) -> bool:
    """Whether a file or folder has the hash that DVC pinned; what .dvcignore leaves out of a folder does not count."""
    return digest(path) == pinned or path.is_dir() and digest(path, _ignored(path)) == pinned


def _ignored(folder: Path) -> set[str]:
    """The files below a folder that DVC ignores, as DVC itself says."""
    files = [str(file) for file in folder.rglob("*") if file.is_file()]
    command = [*DVC, "check-ignore", "--stdin"]
    done = subprocess.run(command, cwd=folder, input="\n".join(files) + "\n\n", capture_output=True, text=True)
    return {*done.stdout.splitlines()}


def digest(path: Path, ignored: Collection[str] = ()) -> str:
    """The hash by which DVC names a file, or a folder: then that of the list of its files and their hashes."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    found = [file for file in path.rglob("*") if file.is_file() and str(file) not in ignored]
    files = {file.relative_to(path).as_posix(): digest(file) for file in found}
    listed = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest() + ".dir"
