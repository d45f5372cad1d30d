"""Where the bytes of a lake live: a folder, or an object store (s3a://bucket/prefix). One interface for both.

The object store's endpoint and keys come from the environment under their standard names (AWS_ENDPOINT_URL,
AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), for Spark, DuckDB and delta-rs alike.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import pyarrow.fs as fs
from deltalake import DeltaTable

ENVIRONMENT = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
BLOCK = 1 << 20  # bytes read at once
READERS = 8  # files read at once


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
    """The folder or URL of a table, as delta-rs takes it."""
    return location(lake_root, path).replace("s3a://", "s3://", 1)


def delta_options(lake_root: str) -> dict[str, str] | None:
    """What delta-rs must know to reach the lake."""
    if is_local(lake_root):
        return None
    found = {name: os.environ[name] for name in ENVIRONMENT if os.environ.get(name)}
    if found.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        found["AWS_ALLOW_HTTP"] = "true"
    return found


def open_table(lake_root: str, path: str, version: int | None = None) -> DeltaTable:
    """A table of the lake at a version (None: the newest). TableNotFoundError where there is none."""
    return DeltaTable(delta_url(lake_root, path), version=version, storage_options=delta_options(lake_root))


def list_files(lake_root: str, folder: str) -> list[File]:
    """Every file below a folder of the lake, sorted by path; none where the folder does not exist."""
    filesystem, base = _filesystem(lake_root)
    root = f"{base}/{folder}"
    found = filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True, recursive=True))
    files = [info for info in found if info.type == fs.FileType.File]
    listed = [File(info.path[len(root) + 1 :], info.size, (info.mtime_ns or 0) / 1e9) for info in files]
    return sorted(listed, key=lambda file: file.path)


def sizes(lake_root: str, paths: list[str]) -> dict[str, int]:
    """The size in bytes of each file that exists."""
    filesystem, base = _filesystem(lake_root)
    infos = filesystem.get_file_info([f"{base}/{path}" for path in paths])
    return {path: info.size for path, info in zip(paths, infos, strict=True) if info.type == fs.FileType.File}


def sha256(lake_root: str, paths: list[str]) -> dict[str, str]:
    """The SHA-256 of each file, 64 hexadecimal digits, read in blocks and several files at once."""
    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(paths, pool.map(lambda path: _sha256(lake_root, path), paths), strict=True))


def _sha256(lake_root: str, path: str) -> str:
    digest = hashlib.sha256()
    with open_file(lake_root, path) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def open_file(lake_root: str, path: str) -> BinaryIO:
    """A file of the lake, to read. FileNotFoundError where there is none."""
    filesystem, base = _filesystem(lake_root)
    return filesystem.open_input_stream(f"{base}/{path}")


def read_bytes(lake_root: str, path: str) -> bytes:
    """The content of a small file. FileNotFoundError where there is none."""
    with open_file(lake_root, path) as stream:
        return stream.read()


def write_bytes(lake_root: str, path: str, content: bytes) -> None:
    """Write a small file, with the folders above it."""
    filesystem, base = _filesystem(lake_root)
    if is_local(lake_root):
        filesystem.create_dir(f"{base}/{path}".rpartition("/")[0])
    with filesystem.open_output_stream(f"{base}/{path}") as stream:
        stream.write(content)


def delete_folders(lake_root: str, folders: Iterable[str]) -> None:
    """Delete folders with all that is in them; those that do not exist are passed over."""
    filesystem, base = _filesystem(lake_root)
    for folder in folders:
        if filesystem.get_file_info(f"{base}/{folder}").type == fs.FileType.Directory:
            filesystem.delete_dir(f"{base}/{folder}")


def folders(lake_root: str, folder: str = "") -> Iterator[str]:
    """The names of the folders right below a folder of the lake."""
    filesystem, base = _filesystem(lake_root)
    root = f"{base}/{folder}".rstrip("/")
    for info in filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True)):
        if info.type == fs.FileType.Directory:
            yield info.base_name


def _filesystem(lake_root: str) -> tuple[fs.FileSystem, str]:
    """The file system that holds the lake, and the lake's root in it."""
    if is_local(lake_root):
        return _local(), str(Path(lake_root).absolute())
    return _s3(os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_REGION")), lake_root.split("://", 1)[1].rstrip(
        "/"
    )


@lru_cache
def _local() -> fs.FileSystem:
    return fs.LocalFileSystem()


@lru_cache
def _s3(endpoint: str | None, region: str | None) -> fs.FileSystem:
    # Keys are taken from the environment by the library itself.
    return fs.S3FileSystem(endpoint_override=endpoint, region=region, connect_timeout=5, request_timeout=30)
