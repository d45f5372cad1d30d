"""dvc.lock: which stages ran, and what they read and wrote, each file and folder by its DVC hash."""

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
    """The stages in the work tree's dvc.lock; none where there is no such file yet. UserError as `parse`."""
    try:
        text = read_file(root / LOCK)
    except FileNotFoundError:
        return {}
    return parse(text, "the work tree")


def parse(text: str | bytes, where: str) -> dict[str, Any]:
    """The stages with their deps and outs; `where` is for messages. UserError for a text that DVC did not write."""
    try:
        stages = (yaml.load(text, _loader()) or {}).get("stages") or {}
        for entry in stages.values():
            outputs(entry)
        return {str(stage): dict(entry) for stage, entry in stages.items()}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError):
        raise UserError(f"{LOCK} of {where} was altered or truncated; check it out from Git") from None


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
    """Whether the `stages` of dvc.lock hold a stage, and what it read is what the stages before it wrote."""
    made = {path: md5 for entry in stages.values() for path, md5 in outputs(entry).items()}
    deps = stages.get(stage, {}).get("deps") or []
    return stage in stages and all(made.get(dep["path"], dep.get("md5")) == dep.get("md5") for dep in deps)


def _loader() -> Any:
    """libyaml's parser where it is installed: twenty times faster on a dvc.lock."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_output(root: Path, path: str) -> None:
    """UserError where a file or folder is not what the work tree's dvc.lock pins.

    A path that dvc.lock does not name, because its stage was only run by hand, is not checked.
    """
    for stage, entry in work_tree(root).items():
        pinned = outputs(entry).get(path)
        if pinned and (root / path).exists() and not _is(root / path, pinned):
            raise UserError(
                f"{path} is not what dvc.lock pins: it was altered, or {stage} was run by hand; restore it with "
                f"`dvc checkout --force {path}`, or keep what is there with `dvc commit --force {stage}`"
            )


def _is(path: Path, pinned: str) -> bool:
    """Whether a file or folder has the hash that DVC pinned, with or without the files that .dvcignore excludes."""
    return digest(path) == pinned or path.is_dir() and digest(path, _ignored(path)) == pinned


def _ignored(folder: Path) -> set[str]:
    """The files below a folder that `dvc check-ignore` lists."""
    files = [str(file) for file in folder.rglob("*") if file.is_file()]
    command = [*DVC, "check-ignore", "--stdin"]
    done = subprocess.run(command, cwd=folder, input="\n".join(files) + "\n\n", capture_output=True, text=True)
    return {*done.stdout.splitlines()}


def digest(path: Path, ignored: Collection[str] = ()) -> str:
    """DVC's hash of a file; for a folder, that of the list of its files and their hashes."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    files = {
        file.relative_to(path).as_posix(): digest(file)
        for file in path.rglob("*")
        if file.is_file() and str(file) not in ignored
    }
    listed = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest() + ".dir"
