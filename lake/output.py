"""The output file that the user names: written whole or not at all, and never in place of a device."""

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from finelake.lake.errors import UserError
from finelake.lake.locking import try_lock

SHOWN = 50  # characters of the file's name in that of the temporary one
OWNER = 0o600


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new empty file next to `path` to write into; it replaces `path` at the end, and is removed after an error.

    Until then only its owner can read it. It gets the mode of the file that it replaces. A symbolic link stays, and the
    file that it names is replaced. Leftovers of killed writers of the same file are removed. UserError where `path` is
    a device, a pipe, a socket or a folder, which is left unchanged, and for a file that its owner made read-only.
    """
    target = _regular(path)
    _remove_abandoned(target)
    try:
        part, file = _make(target)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name a file in a folder of yours") from None
    try:
        yield part
        target = _regular(path)
        _give_mode(file, target)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
        os.close(file)


def _make(target: Path) -> tuple[Path, int]:
    """A new file next to `target`, and its descriptor, which locks it for as long as the writer lives."""
    while True:
        part = target.with_name(f"{_prefix(target)}{secrets.token_hex(8)}.part")
        # O_EXCL: a link that someone placed under this name is not followed.
        file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER)
        with contextlib.suppress(OSError):  # a file system without locks: nobody removes what is left there
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return part, file
        os.close(file)  # another writer took it for abandoned before it was locked


def _prefix(target: Path) -> str:
    return f".{target.name[:SHOWN]}."


def _remove_abandoned(target: Path) -> None:
    """Remove the leftovers of dead writers of `target`: files named like theirs that nobody has locked."""
    ours = re.compile(re.escape(_prefix(target)) + "[0-9a-f]{16}[.]part")
    with contextlib.suppress(OSError):  # a folder that may not be listed
        for name in filter(ours.fullmatch, os.listdir(target.parent)):
            with contextlib.suppress(OSError):  # a link, another user's file, or one whose writer lives
                _remove_unlocked(target.with_name(name))


def _remove_unlocked(part: Path) -> None:
    file = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        opened = os.fstat(file)
        if (
            stat.S_ISREG(opened.st_mode)
            and try_lock(file)
            # Its writer may have renamed it into place in the meantime.
            and os.path.samestat(opened, os.stat(part, follow_symlinks=False))
        ):
            part.unlink()
    finally:
        os.close(file)


def _give_mode(file: int, target: Path) -> None:
    """Give the new file the permissions of the one that it replaces; without one, those that the umask allows."""
    try:
        old = target.stat()
    except FileNotFoundError:
        umask = os.umask(0o077)
        os.umask(umask)
        os.fchmod(file, 0o666 & ~umask)
        return
    with contextlib.suppress(PermissionError):
        os.fchown(file, old.st_uid, old.st_gid)
    same_group = os.fstat(file).st_gid == old.st_gid
    os.fchmod(file, old.st_mode & (0o777 if same_group else 0o707))


def _regular(path: Path) -> Path:
    """The regular file that `path` names or will name, with every link followed."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise UserError(
                f"{path} is not a regular file; name another one, or leave --output out and redirect (> FILE)"
            )
        if not mode & stat.S_IWUSR:
            raise UserError(f"{path} is read-only; make it writable (chmod u+w) or name another file")
    except FileNotFoundError:
        pass  # nothing there yet
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written ({error}); name another file") from None
    return Path(os.path.realpath(path))
