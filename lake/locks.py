"""Who is writing: a lock on the folder of a stage, so that what a killed writer left can be told from a living one's.

The kernel releases a lock with its process, so a dead process blocks nobody. An object store has no such locks: there
nothing is swept, and `finelake vacuum` goes by age.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lake import storage
from lake.snapshots import history

FILE = ".writers"
DATA = "data"


@contextlib.contextmanager
def writing(lake_root: str, folder: str) -> Iterator[None]:
    """Mark the tables below `folder` (clean, tokenize/intent) as being written; any number may write at once.

    The first to come sweeps what killed writers left.
    """
    if not storage.is_local(lake_root):
        yield
        return
    with _open(lake_root, folder) as file:
        if _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            sweep(lake_root, folder)
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def alone(lake_root: str, folder: str) -> Iterator[bool]:
    """Whether nobody writes below `folder`; while it is so, writers wait."""
    if not storage.is_local(lake_root):
        yield False
        return
    with _open(lake_root, folder) as file:
        yield _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep(lake_root: str, folder: str) -> None:
    """Delete the data folders that no version ever named, below a folder in which nobody writes."""
    for name in list(storage.folders(lake_root, folder)):
        table = f"{folder}/{name}"
        storage.delete_folders(lake_root, [f"{table}/{DATA}/{batch}" for batch in unnamed(lake_root, table)])


def unnamed(lake_root: str, table: str) -> list[str]:
    """The folders in TABLE/data that no version names: of writers that were killed, or are still at it."""
    batches = sorted(storage.folders(lake_root, f"{table}/{DATA}"))
    if not batches:
        return []
    named = {batch for version in history(lake_root, table) for batch in version.batches}
    return [batch for batch in batches if batch not in named]


def _open(lake_root: str, folder: str) -> IO:
    path = Path(lake_root, folder, FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w")


def _lock(file: IO, how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    return True
