"""Snapshots: the small manifests that pin table contents, and the Delta versions that hold them.

A manifest names each table by the hash of its content, not by a Delta version number: the number depends on what
a lake went through before (a fresh clone starts at 0), the content does not. Every commit carries its content hash
as Delta's `userMetadata`, so a content is found again in the table's history, and a table that was rebuilt after a
loss satisfies the old manifest.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import DeltaError, TableNotFoundError

from lake import storage
from lake.errors import UserError
from lake.project import write_atomically

FORMAT = 3
FOLDER = "snapshots"
EXPIRED = "_expired.json"  # in a table's folder: the versions whose files were deleted on purpose


class OtherFormat(UserError):
    """A manifest of another snapshot format."""


class Expired(UserError):
    """A table whose files were deleted on purpose."""


class UnreadableLog(UserError):
    """A table whose Delta log is damaged."""


@dataclass(frozen=True)
class Table:
    """A pinned table: where it lives under the lake root and what it holds."""

    path: str  # relative to the lake root, "clean/records"
    rows: int
    schema: str  # hash of names, types and nullability, 32 hexadecimal digits
    content: str  # order-insensitive hash of the rows, 32 hexadecimal digits

    def metadata(self, files: Mapping[str, str]) -> str:
        """What the commit that wrote this content carries; `files`: the SHA-256 of each data file."""
        pin = {"finelake": FORMAT, "rows": self.rows, "schema": self.schema, "content": self.content}
        return json.dumps(pin | {"files": dict(sorted(files.items()))})


@dataclass(frozen=True)
class Version:
    """A Delta version of a table, with the content that its commit names (None: not written by Finelake)."""

    number: int
    timestamp: int  # milliseconds since 1970, UTC
    rows: int | None
    schema: str | None
    content: str | None
    files: Mapping[str, str]  # SHA-256 by path relative to the table, data/BATCH/…

    @property
    def batches(self) -> set[str]:
        """The folders in TABLE/data that hold its files."""
        return {path.split("/")[1] for path in self.files}


def manifest_path(root: Path, stage: str) -> Path:
    """snapshots/clean.json; for a stage of a run, tokenize@intent, snapshots/tokenize-intent.json."""
    return root / FOLDER / f"{stage.replace('@', '-')}.json"


def stage_folder(stage: str) -> str:
    """The folder of a stage's tables in the lake: clean; for a stage of a run, tokenize/intent."""
    return stage.replace("@", "/")


def table_path(stage: str, table: str) -> str:
    """clean/records; for a stage of a run, tokenize/intent/samples."""
    return f"{stage_folder(stage)}/{table}"


def write_manifest(root: Path, stage: str, tables: dict[str, Table]) -> None:
    """Write the manifest, last of all and atomically: a table that no manifest names was never published."""
    content = {
        "format": FORMAT,
        "stage": stage,
        "tables": {name: dataclasses.asdict(tables[name]) for name in sorted(tables)},
    }
    write_atomically(manifest_path(root, stage), json.dumps(content, indent=2) + "\n")


def read_manifest(root: Path, stage: str) -> dict[str, Table]:
    """The tables that a stage pinned. UserError when it has not run or its manifest is not readable."""
    path = manifest_path(root, stage)
    name = path.relative_to(root)
    if not path.exists():
        raise UserError(f"{name} does not exist: the stage {stage} has not run yet; run `dvc repro {stage}`")
    return parse_manifest(path.read_text(encoding="utf-8"), str(name), stage)


def parse_manifest(text: str, name: str, stage: str) -> dict[str, Table]:
    """The tables of a manifest's text; `name` and `stage` are for messages."""
    try:
        content = json.loads(text)
        found = content["format"]
        if found == FORMAT:
            return {name: Table(**table) for name, table in content["tables"].items()}
    except (ValueError, KeyError, TypeError):
        mend = f"run `dvc repro --force --single-item {stage}`"
        raise UserError(f"{name} is no snapshot manifest (it was altered or cut); {mend}") from None
    raise OtherFormat(
        f"{name} has snapshot format {found}, this Finelake reads {FORMAT}; "
        f"install the Finelake that wrote it or run `dvc repro --force --single-item {stage}`"
    )


def manifests(root: Path) -> dict[str, dict[str, Table]]:
    """Every manifest of the work tree, by stage."""
    found = {}
    for path in sorted((root / FOLDER).glob("*.json")):
        stage = path.stem.replace("-", "@", 1)
        found[stage] = read_manifest(root, stage)
    return found


def history(lake_root: str, path: str) -> list[Version]:
    """The versions of a table, newest first; empty when the lake holds no such table.

    UserError when its Delta log cannot be read (UnreadableLog) or the lake cannot be reached.
    """
    try:
        commits = storage.open_table(lake_root, path).history()
    except TableNotFoundError:
        return []
    except (DeltaError, OSError) as error:
        raise UnreadableLog(_unreadable(lake_root, path, error)) from None
    return [_version(commit) for commit in commits]


def _unreadable(lake_root: str, path: str, error: Exception) -> str:
    folder, stage = storage.location(lake_root, path), path.rpartition("/")[0].replace("/", "@")
    reason = " ".join(str(error).split())[:200]
    return (
        f"the Delta log of table {path} cannot be read ({reason}); restore {folder}/_delta_log from a backup, "
        f"or move {folder} away and run `finelake repair {stage}`"
    )


def _version(commit: dict) -> Version:
    try:
        metadata = json.loads(commit.get("userMetadata") or "{}")
    except ValueError:
        metadata = {}
    if not isinstance(metadata, dict):
        metadata = {}
    return Version(
        number=commit["version"],
        timestamp=commit.get("timestamp", 0),
        rows=metadata.get("rows"),
        schema=metadata.get("schema"),
        content=metadata.get("content"),
        files=metadata.get("files") or {},
    )


def find_version(lake_root: str, table: Table) -> int | None:
    """The newest version that holds the table's content, or None."""
    version = _pinned(history(lake_root, table.path), table)
    return None if version is None else version.number


def _pinned(versions: list[Version], table: Table) -> Version | None:
    pin = (table.content, table.schema)
    return next((version for version in versions if (version.content, version.schema) == pin), None)


def problems(lake_root: str, table: Table, deep: bool = False) -> Iterator[str]:
    """What keeps a pinned table from being read: a missing table, version or file, or an altered file.

    A file is altered when its size is another than at its commit; with `deep`, when its bytes are. UserError when the
    lake cannot be reached.
    """
    try:
        versions = history(lake_root, table.path)
    except UnreadableLog as error:
        yield str(error)
        return
    if not versions:
        yield f"table {table.path} is missing from the lake {lake_root}"
        return
    version = _pinned(versions, table)
    if version is None:
        yield f"table {table.path} has no version with the pinned content {table.content}"
        return
    lost = list(_file_problems(lake_root, table.path, version, deep))
    if lost and version.number in _expired_versions(lake_root, table.path):
        yield f"table {table.path}, version {version.number} was expired on purpose"
    else:
        yield from lost


def _file_problems(lake_root: str, path: str, version: Version, deep: bool) -> Iterator[str]:
    added = _added(lake_root, path, version.number)
    found = storage.sizes(lake_root, [f"{path}/{name}" for name, _ in added])
    whole = []
    for name, size in added:
        told = f"table {path}, version {version.number}: the data file {name}"
        here = found.get(f"{path}/{name}")
        if here is None:
            yield f"{told} is missing"
        elif here != size:
            yield f"{told} was altered ({here} bytes, written with {size})"
        else:
            whole.append(name)
    if deep:
        digests = storage.sha256(lake_root, [f"{path}/{name}" for name in whole])
        for name in whole:
            if digests[f"{path}/{name}"] != version.files.get(name):
                yield f"table {path}, version {version.number}: the data file {name} was altered (other SHA-256)"


def intact(lake_root: str, table: Table, deep: bool = False) -> bool:
    """Whether the lake holds the pinned content, with all its files; with `deep`, with every byte of them."""
    return next(problems(lake_root, table, deep), None) is None


def expired(lake_root: str, table: Table) -> bool:
    """Whether the files of the pinned content were deleted on purpose, and not written again since."""
    version = find_version(lake_root, table)
    return version in _expired_versions(lake_root, table.path) and not intact(lake_root, table)


def expire(lake_root: str, path: str, versions: Iterable[int]) -> None:
    """Record, before the files of these versions are deleted, that it is done on purpose."""
    numbers = sorted(_expired_versions(lake_root, path) | {*versions})
    storage.write_bytes(lake_root, f"{path}/{EXPIRED}", json.dumps(numbers).encode())


def _expired_versions(lake_root: str, path: str) -> set[int]:
    try:
        return {*json.loads(storage.read_bytes(lake_root, f"{path}/{EXPIRED}"))}
    except FileNotFoundError:
        return set()


def require(lake_root: str, stage: str, table: Table) -> int:
    """The version that holds a table pinned by `stage`. UserError names what is missing and what repairs it."""
    for problem in problems(lake_root, table):
        if expired(lake_root, table):
            raise Expired(f"{problem}; rebuild it with `finelake repair --expired`")
        raise UserError(f"{problem}; rebuild it with `finelake repair {stage}`")
    version = find_version(lake_root, table)
    assert version is not None  # problems() names an absent version
    return version


def files(lake_root: str, stage: str, table: Table) -> list[str]:
    """The Parquet files of a pinned table as absolute paths, sorted by their partition folders.

    UserError names a table, version or file that is missing or altered.
    """
    version = require(lake_root, stage, table)
    # File names hold random identifiers, their folders the partition: only the folder may decide the order.
    added = sorted(_added(lake_root, table.path, version), key=lambda item: _partition(item[0]))
    return [storage.location(lake_root, f"{table.path}/{path}") for path, _ in added]


def _partition(path: str) -> list[tuple[str, int | str]]:
    values = [part.partition("=")[::2] for part in path.split("/")[:-1] if "=" in part]
    return [(name, int(value) if value.isdigit() else value) for name, value in values]


def _added(lake_root: str, path: str, version: int) -> list[tuple[str, int]]:
    """(path relative to the table, bytes) of the files of a version."""
    actions = storage.open_table(lake_root, path, version).get_add_actions(flatten=True)
    columns = {name: actions.column(name).to_pylist() for name in ("path", "size_bytes")}
    return list(zip(columns["path"], columns["size_bytes"], strict=True))


def arrow_schema(lake_root: str, stage: str, table: Table) -> pa.Schema:
    """The columns of a pinned table."""
    version = require(lake_root, stage, table)
    return pa.schema(storage.open_table(lake_root, table.path, version).schema().to_arrow())
