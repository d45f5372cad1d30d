"""What is the user's to mend: mistakes, and a full disk."""

import errno
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

FULL = ("No space left on device", "Disk quota exceeded")
LITTLE = 16 << 20  # bytes; a disk with less free is a full one


class UserError(Exception):
    """A mistake in files, parameters or environment: one sentence naming the thing, the reason and the mend.

    The command line prints it without a traceback and exits with code 2.
    """


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, says that a disk is full; Java's come as text."""
    if error is None:
        return False
    told = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return told or any(text in str(error) for text in FULL) or disk_is_full(error.__cause__ or error.__context__)


def full_disk(places: Iterable[str]) -> str:
    """The sentence for a full disk; `places`: the folders that a command writes to, besides the temporary one."""
    folders = [Path(place) for place in (*places, tempfile.gettempdir()) if Path(place).exists()]
    full = [str(folder) for folder in folders if shutil.disk_usage(folder).free < LITTLE]
    where = f" ({', '.join(full)})" if full else ""
    return (
        f"the disk is full{where}; free some space there (`finelake vacuum` shows what the lake can do without) "
        "and run the same command again: what was half written is not used"
    )
