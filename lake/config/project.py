"""Where a project is, and the settings of its runs: parameters are in params.yaml, settings in the environment.

A setting changes where and how fast a stage runs, never what it computes, so no stage reruns because of it.
"""

import os
import re
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from finelake.lake.errors import UserError

PARAMS = "params.yaml"
MASK_KEY = "FINELAKE_MASK_KEY"  # the variable that holds the key of the pseudonyms
MASTER = re.compile(
    r"local(\[([1-9][0-9]{0,4}|\*)(,[1-9][0-9]{0,4})?\])?|local-cluster\[[0-9]+,[0-9]+,[0-9]+\]|spark://\S+|yarn|k8s://\S+"
)
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
LEAST_MEMORY = 512 << 20  # bytes; Spark refuses to start below 450 MiB, and Java reserves some of it
MOST_RANKS = 1024
# Folders of a project that a lake cannot lie in: the programs that own them remove unknown files.
REWRITTEN = (".git", ".dvc", ".finelake", "snapshots", "models", "metrics", "plots", "reports", "quality")


def current_folder() -> Path:
    """The folder in which the command was given. UserError when it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UserError("the current folder was deleted; change into one that exists") from None


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds params.yaml. UserError when there is none."""
    root = project_around(start)
    if root is None:
        where = os.path.realpath(start)
        raise UserError(
            f"{where} is in no Finelake project (no {PARAMS} in it or above); make one with `finelake init DIR`"
        )
    refuse_bytes("the project's folder", str(root))
    return root


def project_around(start: Path) -> Path | None:
    """The nearest folder at or above `start` that holds params.yaml; None where none does."""
    start = Path(os.path.realpath(start))
    return next((folder for folder in (start, *start.parents) if (folder / PARAMS).is_file()), None)


def refuse_bytes(what: str, path: str) -> None:
    """UserError for a path that is not text: neither Spark nor Delta's log could name it."""
    try:
        path.encode("utf-8")
    except UnicodeError:
        hint = "rename it"
        if sys.getfilesystemencoding() != "utf-8":
            hint = "set LC_ALL=C.UTF-8, or rename it"
        raise UserError(f"{what} {path!a} is not valid {sys.getfilesystemencoding()}; {hint}") from None


@dataclass(frozen=True)
class Settings:
    lake: str  # folder or URL under which all tables live
    master: str  # Spark master
    memory: str  # Spark driver memory, such as 2g
    ranks: int  # training processes
    metrics: str | None = None  # file that training writes for Prometheus


def settings(root: Path) -> Settings:
    """The settings of this run, from FINELAKE_LAKE, _MASTER, _MEMORY, _RANKS and _METRICS in the environment.

    A variable that is set but empty counts as unset. UserError for a value with which no stage could run.
    """
    master = variable("FINELAKE_MASTER") or "local[2]"
    if not MASTER.fullmatch(master):
        raise UserError(
            f"FINELAKE_MASTER is {master!r}, not a Spark master; set it to local[N], spark://HOST:PORT, yarn or k8s://URL"
        )
    metrics = variable("FINELAKE_METRICS")
    if metrics and Path(metrics := expanded("FINELAKE_METRICS", metrics)).is_dir():
        raise UserError(
            f"FINELAKE_METRICS names the folder {metrics}; set it to a file such as {metrics}/finelake.prom"
        )
    return Settings(
        lake=_lake(_project_of(root), variable("FINELAKE_LAKE") or "lakehouse", master),
        master=master,
        memory=_memory(variable("FINELAKE_MEMORY") or "2g"),
        ranks=_ranks(variable("FINELAKE_RANKS") or "1"),
        metrics=metrics,
    )


def variable(name: str) -> str | None:
    """An environment variable; None where it is unset or empty, as after `NAME=` in a CI configuration."""
    return os.environ.get(name, "").strip() or None


def expanded(name: str, path: str) -> str:
    """The path in the variable `name` with its ~ or ~USER replaced. UserError for an unknown user."""
    absolute = os.path.expanduser(path)
    if absolute.startswith("~"):
        raise UserError(f"{name} is {path}, but {path.partition('/')[0]} has no known home; write the whole path")
    return absolute


def _lake(root: Path, lake: str, master: str) -> str:
    """The lake as a URL or an absolute path. UserError for a folder where tables would harm other files."""
    if lake.startswith("file:"):
        raise UserError(f"FINELAKE_LAKE is {lake}; write the path of the folder without file:")
    if "://" in lake:
        return lake
    lake = expanded("FINELAKE_LAKE", lake)
    if not os.path.isabs(lake) and not master.startswith("local"):
        raise UserError(
            f"executors of {master} cannot reach the lake {lake}, a folder of this project; set FINELAKE_LAKE to "
            "s3a://BUCKET/PREFIX or to the absolute path of a folder that every machine mounts"
        )
    path = Path(os.path.realpath(root / lake))
    refuse_bytes("the lake", str(path))
    if path.exists() and not path.is_dir():
        raise UserError(f"the lake {path} is a file; move it away or set FINELAKE_LAKE to a folder")
    project = Path(os.path.realpath(root))
    if path == project or path in project.parents:
        raise UserError(
            f"the lake {path} holds the project itself, whose files `finelake vacuum` would take for data; "
            "set FINELAKE_LAKE to a separate folder, such as lakehouse"
        )
    inside = path.relative_to(project).parts[0] if project in path.parents else None
    if inside in REWRITTEN:
        raise UserError(
            f"the lake {path} lies in {inside}, which Git, DVC or a stage rewrites; "
            "set FINELAKE_LAKE to a separate folder, such as lakehouse"
        )
    return str(path)


def _memory(memory: str) -> str:
    """A size that both Spark and Java accept. UserError for another, and for one with which Spark does not start."""
    size = re.fullmatch(r"([0-9]{1,15})([kmgt])", memory.lower())
    if not size:
        raise UserError(f"FINELAKE_MEMORY is {memory!r}, not a size; write it as in 800m or 2g")
    if int(size[1]) * UNITS[size[2]] < LEAST_MEMORY:
        raise UserError(f"FINELAKE_MEMORY is {memory}, too little for Spark to start; set it to 512m or more")
    return memory


def _ranks(ranks: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", ranks) or int(ranks) == 0:
        raise UserError(f"FINELAKE_RANKS is {ranks!r}, not a number of processes; set it to 1 or more")
    if int(ranks) > MOST_RANKS:
        raise UserError(
            f"FINELAKE_RANKS is {ranks}, more processes than one machine can start; set it to {MOST_RANKS} or less"
        )
    return int(ranks)


def mask_key() -> str | None:
    """The key of the pseudonyms of `mask`. Not a setting, because the result depends on it."""
    return os.environ.get(MASK_KEY) or None


def _project_of(root: Path) -> Path:
    """The project itself, where `root` is one of the copies in which DVC runs queued experiments."""
    end = root.as_posix().find("/.dvc/tmp/exps/")
    return root if end < 0 else Path(root.as_posix()[:end])


def read_file(path: Path) -> bytes:
    """The content of a regular file. UserError for a pipe or a device, whose reading might never end.

    OSError where it is not there or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UserError(f"{path} is not a regular file; move it away or correct it")
        return file.read()


def write_atomically(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a file so that a reader sees the old content or the whole new one, even if the writer is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
        flush(temporary)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
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
