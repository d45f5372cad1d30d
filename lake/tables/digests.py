"""The SHA-256 of the lake's files: each file is read once as long as its identity stays the same.

The identity changes whenever the file is written: device, inode, size, and the times of the last modification and
change; in an object store, the object's size and time. A file that was written a moment ago may change again within the
clock's resolution, so its digest is not remembered yet (Git treats its index in the same way).
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from finelake.lake.config.project import read_file, write_atomically
from finelake.lake.errors import UserError
from finelake.lake.tables import storage

FILE = Path(".finelake/digests.json")  # of a project
SETTLED = 2.0  # seconds after its last change, from which a file's identity determines its content
REMEMBERED = 100_000  # digests in a file of `kept`; the newest stay

_known: dict[str, str] = {}  # identity -> SHA-256


def sha256(lake_root: str, paths: list[str]) -> dict[str, str]:
    """The SHA-256 of each file, 64 hexadecimal digits; a file whose digest this process knows is not read again."""
    before = _identities(lake_root, paths)
    unknown = [path for path in paths if before.get(path) not in _known]
    read = storage.sha256(lake_root, unknown)
    after = _identities(lake_root, unknown)
    for path in unknown:
        if path in before and before[path] == after.get(path):
            _known[before[path]] = read[path]
    return {path: read[path] if path in read else _known[before[path]] for path in paths}


@contextlib.contextmanager
def kept(root: Path) -> Iterator[None]:
    """Use the digests that earlier processes computed in the project at `root`, and store new ones for later processes.

    For interactive queries, which read few rows of large files. A stage reads every byte itself.
    """
    file = root / FILE
    _known.update(_read(file))
    before = len(_known)
    try:
        yield
    finally:
        if len(_known) > before:
            newest = dict(list(_known.items())[-REMEMBERED:])
            with contextlib.suppress(OSError):  # the file only saves time
                write_atomically(file, json.dumps(newest), mode=0o600)


def _read(file: Path) -> dict[str, str]:
    try:
        known = json.loads(read_file(file))
    except (OSError, ValueError, RecursionError, UserError):
        return {}
    return {str(identity): str(digest) for identity, digest in known.items()} if isinstance(known, dict) else {}


def _identities(lake_root: str, paths: list[str]) -> dict[str, str]:
    """By path, the identity of each file that has settled."""
    identities = storage.map_concurrently(lambda path: _identity(lake_root, path), paths)
    return {path: identity for path, identity in zip(paths, identities, strict=True) if identity}


def _identity(lake_root: str, path: str) -> str | None:
    store, base = storage.filesystem(lake_root)
    if storage.is_local(lake_root):
        status = os.stat(f"{base}/{path}")
        identity = f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
        changed = max(status.st_mtime, status.st_ctime)
    else:
        info = store.get_file_info(f"{base}/{path}")
        identity, changed = f"{base}/{path}:{info.size}:{info.mtime_ns}", (info.mtime_ns or 0) / 1e9
    return identity if changed < time.time() - SETTLED else None
