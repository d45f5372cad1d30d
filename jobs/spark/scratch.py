"""The folder in which a Spark session keeps what does not fit in memory: unmasked rows, pickled functions.

It is below the project, readable only by its owner, and removed when the session ends. The leftovers of a killed
session are removed when the next one starts: each session holds a lock on its folder, which the kernel releases with
the last of its processes, here or on another machine that mounts the project.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from finelake.lake.errors import UserError
from finelake.lake.locking import try_lock

FOLDER = "tmp"  # below .finelake
LOCK = ".lock"  # above all folders: held while one is made or removed; in each folder: held by its session
UMASK = 0o077


@dataclass(frozen=True)
class Scratch:
    """A session's folder, and the descriptor of its lock, which child processes inherit."""

    folder: Path
    lock: int

    def environment(self) -> dict[str, str]:
        """The variables that make a JVM and its Python workers write here.

        The workers import nothing from the current folder: a project may hold modules of any name.
        SPARK_EXECUTOR_DIRS takes precedence over SPARK_LOCAL_DIRS and spark.local.dir, and no cluster passes it to
        executors. Spark splits it at colons, which an absolute path may hold and the relative one does not.
        """
        folder = os.path.relpath(self.folder)
        if os.pathsep in folder:
            raise UserError(f"Spark cannot write to {folder}, whose path holds a colon; run in the project's folder")
        options = [os.environ.get("SPARK_SUBMIT_OPTS"), f"-Djava.io.tmpdir={_quoted(str(self.folder.resolve()))}"]
        return {
            "SPARK_EXECUTOR_DIRS": folder,
            "SPARK_SUBMIT_OPTS": " ".join(filter(None, options)),
            "TMPDIR": str(self.folder.resolve()),
            "PYTHONSAFEPATH": "1",
        }


def _quoted(text: str) -> str:
    """A quoted word of Spark's command lines."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@contextlib.contextmanager
def scratch(parent: Path | None) -> Iterator[Scratch]:
    """A new folder below `parent`, the project's .finelake; removes those of dead sessions. None: a temporary one."""
    if parent is None:
        with tempfile.TemporaryDirectory(prefix="finelake-") as name, open_private(Path(name, LOCK)) as lock:
            yield Scratch(Path(name), lock.fileno())
        return
    base = parent / FOLDER
    private(parent)
    private(base)
    with open_private(base / LOCK) as all_folders:
        fcntl.flock(all_folders, fcntl.LOCK_EX)
        _sweep(base)
        folder = Path(tempfile.mkdtemp(dir=base))
        lock = open_private(folder / LOCK)
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield Scratch(folder, lock.fileno())
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def private(folder: Path) -> None:
    """Make a folder readable only by its owner; an existing one of this user is changed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)


def open_private(path: Path) -> IO[bytes]:
    """A file to append to; a new one is readable only by its owner."""
    return open(path, "ab", opener=partial(os.open, mode=0o600))


def _sweep(base: Path) -> None:
    """Remove the folders that no living process locks."""
    for folder in base.iterdir():
        if folder.is_dir() and not folder.is_symlink() and not _in_use(folder / LOCK):
            shutil.rmtree(folder, ignore_errors=True)


def _in_use(lock: Path) -> bool:
    try:
        with open(lock, "r+") as file:
            return not try_lock(file)
    except FileNotFoundError:
        return False
