"""The files of a lake, in a folder or an object store (s3a://bucket/prefix). One interface for both.

The object store's endpoint and keys come from the environment under their standard names (AWS_ENDPOINT_URL,
AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), for Spark, DuckDB and delta-rs alike.
"""

import errno
import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, TypeVar

import pyarrow.fs as fs
from deltalake import DeltaTable

from finelake.lake.errors import UserError

BLOCK = 4 << 20  # bytes read at once: in an object store each block is a request
READERS = 8  # files read at once
PATIENCE = 5  # seconds within which an object store must answer
REGION = "us-east-1"  # where none is set

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class File:
    """A file of the lake."""

    path: str  # relative to the folder that was listed
    size: int  # bytes
    modified: float  # seconds since 1970


def is_local(lake_root: str) -> bool:
    """Whether the lake is a folder of this machine's file system."""
    return "://" not in lake_root


def location(lake_root: str, path: str) -> str:
    """The folder or URL of a table or file, as Spark takes it."""
    return f"{lake_root.rstrip('/')}/{path}"


def delta_url(lake_root: str, path: str) -> str:
    """The URL of a table, as delta-rs takes it."""
    url = location(lake_root, path)
    return Path(url).absolute().as_uri() if is_local(lake_root) else url.replace("s3a://", "s3://", 1)


@dataclass(frozen=True)
class ObjectStore:
    """How the object store is reached; the keys never appear in a message."""

    endpoint: str | None  # URL; None: Amazon's own
    region: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(repr=False)  # of temporary keys


def object_store() -> ObjectStore:
    """The object store that the environment names. UserError when it holds no keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if not os.environ.get(name):
            raise UserError(f"the lake lies in an object store and {name} is not set; export the store's keys")
    return ObjectStore(
        endpoint=os.environ.get("AWS_ENDPOINT_URL") or None,
        region=os.environ.get("AWS_REGION") or REGION,
        key=os.environ["AWS_ACCESS_KEY_ID"],
        secret=os.environ["AWS_SECRET_ACCESS_KEY"],
        token=os.environ.get("AWS_SESSION_TOKEN") or None,
    )


def check(lake_root: str) -> None:
    """UserError when the lake's object store or bucket cannot be reached; an absent folder is not an error.

    A folder whose path delta-rs would read as another one is refused: delta-rs would find no table there.
    """
    if is_local(lake_root) and (odd := _misread(os.path.realpath(lake_root))):
        raise UserError(
            f"the path of the lake, {lake_root!r}, holds {odd}, which delta-rs cannot read; "
            "move the project, or set FINELAKE_LAKE to a folder without it in its path"
        )
    filesystem(lake_root)


# delta-rs decodes a path as a URL twice, however it is quoted, and reads a backslash as a slash.
_URL_MARKS = re.compile(r"[#?\\]|%[0-9A-Fa-f]{2}")


def _misread(path: str) -> str | None:
    """The part of a path that delta-rs misreads; None where there is none."""
    if mark := _URL_MARKS.search(path):
        return f"{mark[0]!r}" if mark[0] != "\\" else "a backslash"
    if any(unicodedata.category(letter) == "Cs" for letter in path):
        return "bytes that are not UTF-8"
    return "a control character" if any(letter < " " or letter == "\x7f" for letter in path) else None


def delta_options(lake_root: str) -> dict[str, str] | None:
    """delta-rs's options for reaching the lake. UserError when it cannot be reached."""
    check(lake_root)
    if is_local(lake_root):
        return None
    store = object_store()
    options = {
        "AWS_ENDPOINT_URL": store.endpoint,
        "AWS_REGION": store.region,
        "AWS_ACCESS_KEY_ID": store.key,
        "AWS_SECRET_ACCESS_KEY": store.secret,
        "AWS_SESSION_TOKEN": store.token,
        "AWS_ALLOW_HTTP": str((store.endpoint or "").startswith("http://")),
    }
    return {name: value for name, value in options.items() if value}


def open_table(lake_root: str, path: str, version: int | None = None) -> DeltaTable:
    """A table of the lake at a version (None: the newest). TableNotFoundError where there is none."""
    options = delta_options(lake_root)
    try:
        return DeltaTable(delta_url(lake_root, path), version=version, storage_options=options)
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        # Where the system refuses a file or a thread, delta-rs panics with an exception that cannot be imported.
        raise OSError(errno.EAGAIN, f"delta-rs could not start ({str(error).splitlines()[0]})") from None


def list_files(lake_root: str, folder: str) -> list[File]:
    """Every file below a folder of the lake, sorted by path; none where the folder does not exist."""
    store, base = filesystem(lake_root)
    root = f"{base}/{folder}"
    infos = store.get_file_info(fs.FileSelector(root, allow_not_found=True, recursive=True))
    files = [
        File(info.path[len(root) + 1 :], info.size, (info.mtime_ns or 0) / 1e9)
        for info in infos
        if info.type == fs.FileType.File
    ]
    return sorted(files, key=lambda file: file.path)


def sizes(lake_root: str, paths: list[str]) -> dict[str, int]:
    """The size in bytes of each file that exists."""
    store, base = filesystem(lake_root)
    infos = map_concurrently(lambda path: store.get_file_info(f"{base}/{path}"), paths)
    return {path: info.size for path, info in zip(paths, infos, strict=True) if info.type == fs.FileType.File}


def sha256(lake_root: str, paths: list[str]) -> dict[str, str]:
    """The SHA-256 of each file, 64 hexadecimal digits, read in blocks and several files at once."""
    return dict(zip(paths, map_concurrently(lambda path: _sha256(lake_root, path), paths), strict=True))


def map_concurrently(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results in the order of the items. Calls overlap, because each request to a store has latency."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(function, items))


def _sha256(lake_root: str, path: str) -> str:
    digest = hashlib.sha256()
    with open_file(lake_root, path) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def open_file(lake_root: str, path: str) -> BinaryIO:
    """A file of the lake, to read. FileNotFoundError where there is none."""
    store, base = filesystem(lake_root)
    stream: BinaryIO = store.open_input_stream(f"{base}/{path}")
    return stream


def read_bytes(lake_root: str, path: str) -> bytes:
    """The content of a small file. FileNotFoundError where there is none."""
    with open_file(lake_root, path) as stream:
        return stream.read()


def write_bytes(lake_root: str, path: str, content: bytes) -> None:
    """Write a small file, with the folders above it."""
    store, base = filesystem(lake_root)
    if is_local(lake_root):
        store.create_dir(f"{base}/{path}".rpartition("/")[0])
    with store.open_output_stream(f"{base}/{path}") as stream:
        stream.write(content)


def delete_folders(lake_root: str, folders: Iterable[str]) -> None:
    """Delete folders with all their content; those that do not exist are skipped."""
    store, base = filesystem(lake_root)
    for folder in folders:
        if store.get_file_info(f"{base}/{folder}").type == fs.FileType.Directory:
            store.delete_dir(f"{base}/{folder}")


def make_private(lake_root: str, folder: str) -> None:
    """Make a folder that only its owner can read; an existing one keeps its mode, an object store has its own rules."""
    if is_local(lake_root):
        Path(lake_root).mkdir(parents=True, exist_ok=True)
        Path(lake_root, folder).mkdir(mode=0o700, exist_ok=True)


def delete_files(lake_root: str, paths: Iterable[str]) -> None:
    """Delete files; those that do not exist are skipped."""
    store, base = filesystem(lake_root)
    for path in paths:
        if store.get_file_info(f"{base}/{path}").type == fs.FileType.File:
            store.delete_file(f"{base}/{path}")


def folders(lake_root: str, folder: str = "") -> Iterator[str]:
    """The names of the folders directly below a folder of the lake; links are not followed."""
    store, base = filesystem(lake_root)
    root = f"{base}/{folder}".rstrip("/")
    if is_local(lake_root):
        yield from _local_folders(root)
        return
    for info in store.get_file_info(fs.FileSelector(root, allow_not_found=True)):
        if info.type == fs.FileType.Directory:
            yield info.base_name


def _local_folders(root: str) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def filesystem(location: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder, file or s3a:// URL, and its path there. UserError when it cannot be reached."""
    if is_local(location):
        return _local(), str(Path(location).absolute())
    parts = re.fullmatch(r"s3a://([^/]+)((?:/.*)?)", location)
    if not parts:
        raise UserError(f"{location} is neither a folder nor s3a://BUCKET/PREFIX; set FINELAKE_LAKE to one of them")
    bucket, path = parts.groups()
    return _reached(bucket, object_store()), f"{bucket}{path.rstrip('/')}"


@lru_cache
def _local() -> fs.FileSystem:
    return fs.LocalFileSystem()


@lru_cache
def _reached(bucket: str, store: ObjectStore) -> fs.FileSystem:
    """The object store, once its bucket has answered."""
    where = store.endpoint or "Amazon S3"
    try:
        info = _client(store, PATIENCE, attempts=2).get_file_info(bucket)
    except OSError as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        hint = "check AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        if "ACCESS_DENIED" in str(error):
            reason, hint = "access denied", "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and their permissions"
        raise UserError(f"the bucket {bucket} at {where} cannot be reached ({reason}); {hint}") from None
    if info.type == fs.FileType.NotFound:
        raise UserError(f"there is no bucket {bucket} at {where}; create it or set FINELAKE_LAKE to another")
    return _client(store, timeout=30, attempts=5)


def _client(store: ObjectStore, timeout: int, attempts: int) -> fs.FileSystem:
    return fs.S3FileSystem(
        endpoint_override=store.endpoint,
        region=store.region,
        access_key=store.key,
        secret_key=store.secret,
        session_token=store.token,
        connect_timeout=PATIENCE,
        request_timeout=timeout,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
    )
