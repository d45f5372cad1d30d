"""The files in a folder of documents, and their names as text."""

import errno
import os
import re
import stat
from pathlib import Path

from finelake.lake.errors import UserError

ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


def document_files(folder: Path, name: str) -> list[str]:
    """The files under the folder of source `name`, relative to it, written by `written_path`, sorted; no hidden ones.

    Also what is not a regular file or leads to a folder: it becomes a reject, so that nothing is left out in silence.
    UserError for a folder or file that cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"the folder of source {name}, {folder}, does not exist; correct sources.{name}.path")
    files: list[str] = []
    folders = [folder]
    while folders:
        inner, paths = _listing(folders.pop(), name)
        folders += inner
        files += [written_path(path.relative_to(folder)) for path in paths]
        for path in paths:
            _check_readable(path, name)
    if not files:
        raise UserError(f"the folder of source {name}, {folder}, is empty; put PDF or DOCX files into it")
    return sorted(files)


def _listing(folder: Path, name: str) -> tuple[list[Path], list[Path]]:
    """The folders in a folder, and all else in it; hidden ones left out. Links to folders are not followed."""
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not entry.name.startswith((".", "~$"))]
        inner = {entry.name for entry in seen if entry.is_dir(follow_symlinks=False)}
    except OSError as error:
        raise UserError(
            f"the folder {_shown(folder)} of source {name} cannot be read ({error.strerror}); "
            "allow reading it, or move it elsewhere"
        ) from None
    others = [folder / entry.name for entry in seen if entry.name not in inner]
    return [folder / name for name in inner], others


def _check_readable(path: Path, name: str) -> None:
    """UserError for a file that this user may not read, or a link to one that is gone; a loop of links is a reject."""
    try:
        readable = not stat.S_ISREG(path.stat().st_mode) or os.access(path, os.R_OK)
        reason = None if readable else os.strerror(errno.EACCES)
    except OSError as error:
        reason = None if error.errno == errno.ELOOP else error.strerror
    if reason:
        raise UserError(
            f"{_shown(path)} of source {name} cannot be read ({reason}); correct the file or link, or move it elsewhere"
        )


def _shown(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def written_path(path: Path) -> str:
    r"""A path as text that any table can hold: bytes that are not UTF-8 as \xe9, and then also \ itself as \x5c."""
    raw = os.fsencode(path)
    try:
        if b"\\x" not in raw:
            return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    return raw.replace(b"\\", b"\\x5c").decode("utf-8", "backslashreplace")


def document_path(file: str) -> Path:
    """The path that `written_path` wrote."""
    return Path(os.fsdecode(ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), file.encode("utf-8"))))
