"""The file that a command writes where a person says: there whole or not at all, and never in place of a device."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from lake.errors import UserError

SHOWN = 100  # characters of the file's name in that of the temporary one


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new empty file beside `path` to write into; it takes the path's place at the end, and is gone after an error.

    A symbolic link stays, and the file that it names is replaced. UserError for anything but a regular file or nothing:
    a device, a pipe, a socket or a folder is left as it was.
    """
    target = _regular(path)
    part = target.with_name(f".{target.name[:SHOWN]}.{secrets.token_hex(8)}.part")
    try:
        # Made here and by nobody else: a link that waits under this name is not followed.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name a file in a folder of yours") from None
    try:
        yield part
        os.replace(part, _regular(path))
    finally:
        part.unlink(missing_ok=True)


def _regular(path: Path) -> Path:
    """The regular file that `path` names, or is to name, with every link followed."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(
                f"{path} is not a regular file; name another one, or leave --output out and redirect (> FILE)"
            )
    except FileNotFoundError:
        pass  # nothing there yet
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written ({error}); name another file") from None
    return Path(os.path.realpath(path))
