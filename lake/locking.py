"""A lock on an open file; the kernel releases it with the last process that has the file open."""

import fcntl
from typing import IO, Any


def try_lock(file: int | IO[Any]) -> bool:
    """Take the exclusive lock on a file or folder; False where another holds one. OSError where there are no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
