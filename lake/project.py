"""Where a project is and how its runs are set: parameters live in params.yaml, settings in the environment.

Settings change where and how fast a stage runs, never what it computes, so no stage reruns because of them.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lake.errors import UserError

PARAMS = "params.yaml"
MASK_KEY = "FINELAKE_MASK_KEY"  # the variable that holds the key of the pseudonyms


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds params.yaml. UserError when there is none."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / PARAMS).is_file():
            return folder
    raise UserError(
        f"{start} is in no Finelake project (no {PARAMS} in it or above); make one with `finelake init DIR`"
    )


@dataclass(frozen=True)
class Settings:
    lake: str  # folder or URL under which all tables live
    master: str  # Spark master
    memory: str  # Spark driver memory, such as 2g
    ranks: int  # training processes
    metrics: str | None = None  # file that training writes for Prometheus


def settings(root: Path) -> Settings:
    """The settings of this run, from FINELAKE_LAKE, _MASTER, _MEMORY, _RANKS and _METRICS in the environment."""
    lake = os.environ.get("FINELAKE_LAKE", "lakehouse")
    master = os.environ.get("FINELAKE_MASTER", "local[2]")
    if "://" not in lake:
        if not Path(lake).is_absolute() and not master.startswith("local"):
            raise UserError(
                f"executors of {master} cannot reach the lake {lake}, a folder of this project; set FINELAKE_LAKE to "
                "s3a://BUCKET/PREFIX or to the absolute path of a folder that every machine mounts"
            )
        lake = str((_project_of(root) / lake).resolve())
    ranks = os.environ.get("FINELAKE_RANKS", "1")
    if not ranks.isdigit() or ranks == "0":
        raise UserError(f"FINELAKE_RANKS is {ranks!r}, not a number of processes; set it to 1 or more")
    return Settings(
        lake=lake,
        master=master,
        memory=os.environ.get("FINELAKE_MEMORY", "2g"),
        ranks=int(ranks),
        metrics=os.environ.get("FINELAKE_METRICS") or None,
    )


def mask_key() -> str | None:
    """The key of the pseudonyms of `mask`. It is no setting: what it is decides what is computed."""
    return os.environ.get(MASK_KEY)


def _project_of(root: Path) -> Path:
    """The project itself, where `root` is one of the copies in which DVC runs queued experiments."""
    place = root.as_posix().find("/.dvc/tmp/exps/")
    return root if place < 0 else Path(root.as_posix()[:place])


def write_atomically(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a file so that a reader sees the old one or the whole new one, whatever is killed in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
    flush(temporary)
    os.replace(temporary, path)
    flush(path.parent)


def publish_folder(new: Path, folder: Path) -> None:
    """Flush a finished folder to the disk and rename it into place."""
    for path in sorted(new.rglob("*")):
        flush(path)
    flush(new)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.rename(folder, old)
    os.rename(new, folder)
    flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
