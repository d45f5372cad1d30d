"""Who is writing: a lock on a stage's folder, and a mark in each data folder whose write has not ended.

The lock distinguishes leftovers of a dead writer from writes in progress: the kernel releases it with its process, so a
dead process blocks nobody. The mark distinguishes leftovers from data whose log is lost or damaged: only a folder that
carries it is ever swept. An object store has no such locks: there nothing is swept, and `finelake vacuum` goes by age.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from finelake.lake.locking import try_lock
from finelake.lake.tables import storage
from finelake.lake.tables.snapshots import DATA, history

FILE = ".writers"
MARK = "_unfinished"  # in TABLE/data/UUID, from before its first byte until after the commit that names its files


@contextlib.contextmanager
def writing(lake_root: str, folder: str) -> Iterator[None]:
    """Mark the tables below `folder` (clean, tokenize/intent) as being written; any number may write at once.

    The first writer sweeps the leftovers of killed ones.
    """
    if not storage.is_local(lake_root):
        yield
        return
    with _open(lake_root, folder) as file:
        if try_lock(file):
            sweep(lake_root, folder)
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def exclusive(lake_root: str, folder: str) -> Iterator[bool]:
    """True while this process holds `folder` exclusively: nobody writes below it, and new writers wait."""
    if not storage.is_local(lake_root):
        yield False
        return
    with _open(lake_root, folder) as file:
        yield try_lock(file)


def mark(lake_root: str, folder: str) -> None:
    """Mark the data folder of a write that begins."""
    storage.write_bytes(lake_root, f"{folder}/{MARK}", b"")


def unmark(lake_root: str, folder: str) -> None:
    """Remove the mark from a data folder that a version now names."""
    storage.delete_files(lake_root, [f"{folder}/{MARK}"])


def sweep(lake_root: str, folder: str) -> None:
    """Delete leftovers of killed writers below a folder in which nobody writes: marked data that no version names."""
    for name in list(storage.folders(lake_root, folder)):
        table = f"{folder}/{name}"
        if unfinished := marked(lake_root, table):
            aborted = unfinished.intersection(unnamed(lake_root, table))
            storage.delete_folders(lake_root, [f"{table}/{DATA}/{batch}" for batch in aborted])
            for batch in unfinished - aborted:  # its writer was killed right after the commit
                unmark(lake_root, f"{table}/{DATA}/{batch}")


def marked(lake_root: str, table: str) -> set[str]:
    """The folders in TABLE/data whose write has not ended: the writer was killed, or is still writing."""
    data = f"{table}/{DATA}"
    folders = list(storage.folders(lake_root, data))
    return {batch for batch in folders if storage.sizes(lake_root, [f"{data}/{batch}/{MARK}"])}


def unnamed(lake_root: str, table: str) -> list[str]:
    """The folders in TABLE/data that no version names: aborted writes, or versions that the log has lost."""
    folders = sorted(storage.folders(lake_root, f"{table}/{DATA}"))
    named = {batch for version in history(lake_root, table) for batch in version.batches} if folders else set()
    return [batch for batch in folders if batch not in named]


def _open(lake_root: str, folder: str) -> IO[Any]:
    path = Path(lake_root, folder, FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w")
