"""Snapshots: the small manifests that pin table contents, and the Delta versions that hold them.

A manifest names each table by the hash of its content, not by a Delta version number: the number depends on the history
of the lake (a fresh clone starts at 0), the content does not. Every commit carries its content hash in Delta's
`userMetadata`, so that a content is found in the table's history, and a table rebuilt after a loss satisfies the old
manifest.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from deltalake.exceptions import DeltaError, TableNotFoundError

from finelake.lake.config.project import read_file, write_atomically
from finelake.lake.errors import UserError
from finelake.lake.tables import digests, storage

FORMAT = 4  # of manifests: since 4 with a digest of their own
WITHOUT_DIGEST = 3
COMMITTED = (FORMAT, WITHOUT_DIGEST)  # manifests of older commits are read, so that what they pin is kept
COMMIT_FORMAT = 3  # of what a Delta commit carries
FOLDER = "snapshots"
LOG, DATA = "_delta_log", "data"  # folders of a table
HASH = re.compile("[0-9a-z]{32}")
TABLE_PATH = re.compile(r"[\w@-]+(/[\w@-]+)+")  # stays below the lake
OTHER_BYTES = "(other SHA-256)"  # ends a problem that is found only by reading every byte
EXPIRED = "_expired.json"  # in a table's folder: the versions whose files were deleted on purpose


class OtherFormat(UserError):
    """A manifest of another snapshot format."""


class AlteredManifest(UserError):
    """A manifest that was altered or truncated."""


class Expired(UserError):
    """A table whose files were deleted on purpose."""


class UnreadableLog(UserError):
    """A table whose Delta log is damaged, as opposed to one that cannot be opened at the moment."""


@dataclass(frozen=True)
class Table:
    """A pinned table: where it lives under the lake root and what it holds."""

    path: str  # relative to the lake root, "clean/records"
    rows: int
    schema: str  # hash of names, types and nullability, 32 hexadecimal digits
    content: str  # order-insensitive hash of the rows, 32 hexadecimal digits

    def metadata(self, files: Mapping[str, str]) -> str:
        """The userMetadata of the commit that wrote this content; `files`: the SHA-256 of each data file."""
        pin = {"finelake": COMMIT_FORMAT, "rows": self.rows, "schema": self.schema, "content": self.content}
        return json.dumps(pin | {"files": dict(sorted(files.items()))})


@dataclass(frozen=True)
class Version:
    """A Delta version of a table, with the content in its commit (None: not written by Finelake)."""

    number: int
    timestamp: int  # milliseconds since 1970, UTC
    rows: int | None
    schema: str | None
    content: str | None
    files: Mapping[str, str]  # SHA-256 by path relative to the table, data/BATCH/…
    named: bool = True  # the commit lists the files that it wrote, as every commit of Finelake does

    @property
    def batches(self) -> set[str]:
        """The folders in TABLE/data that hold its files, according to its commit."""
        return batches(self.files)


def batches(paths: Iterable[str]) -> set[str]:
    """The folders in TABLE/data that hold files, from their paths relative to the table."""
    return {parts[1] for path in paths if len(parts := path.split("/")) > 2 and parts[0] == DATA}


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
    """Write the manifest, last and atomically: a table that no manifest names was never published."""
    content = {
        "format": FORMAT,
        "stage": stage,
        "tables": {name: dataclasses.asdict(tables[name]) for name in sorted(tables)},
    }
    signed = content | {"sha256": _digest(content)}
    write_atomically(manifest_path(root, stage), json.dumps(signed, indent=2) + "\n")


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's other entries: a table or a bit that is gone is noticed by whoever reads it."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_manifest(root: Path, stage: str) -> dict[str, Table]:
    """The tables that a stage pinned. UserError when it has not run or its manifest cannot be read."""
    path = manifest_path(root, stage)
    name = str(path.relative_to(root))
    try:
        content = read_file(path)
    except FileNotFoundError:
        raise UserError(f"{name} does not exist: the stage {stage} has not run yet; run `dvc repro {stage}`") from None
    return parse_manifest(content, name, stage)


def read_table(root: Path, stage: str, name: str) -> Table:
    """One table that a stage pinned. UserError as `read_manifest`, and for a manifest that does not name it."""
    tables = read_manifest(root, stage)
    if name not in tables:
        path = manifest_path(root, stage).relative_to(root)
        hint = f"run `dvc repro --force --single-item {stage}`"
        raise AlteredManifest(f"{path} names no table {name} (it was altered); {hint}")
    return tables[name]


def parse_manifest(content: str | bytes, name: str, stage: str, formats: Sequence[int] = (FORMAT,)) -> dict[str, Table]:
    """The tables of a manifest of one of `formats`; `name` is for messages.

    UserError for a text that is not the manifest of `stage` (AlteredManifest) or has another format (OtherFormat).
    """
    try:
        manifest = json.loads(content)
        if manifest["format"] in formats:
            return _tables(manifest, stage)
        other = int(manifest["format"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        hint = f"run `dvc repro --force --single-item {stage}`"
        raise AlteredManifest(f"{name} is not a snapshot manifest of {stage} (it was altered or cut); {hint}") from None
    raise OtherFormat(
        f"{name} has snapshot format {other}, this Finelake reads {FORMAT}; "
        f"install the Finelake that wrote it or run `dvc repro --force --single-item {stage}`"
    )


def _tables(content: dict[str, Any], stage: str) -> dict[str, Table]:
    """The tables of a parsed manifest. Errors of several types where `write_manifest` did not write it."""
    entries = {name: value for name, value in content.items() if name != "sha256"}
    digest = None if content["format"] == WITHOUT_DIGEST else _digest(entries)
    tables = {name: Table(**table) for name, table in content["tables"].items()}
    if content.get("sha256") != digest or content["stage"] != stage or not tables:
        raise ValueError
    for table in tables.values():
        hashes = HASH.fullmatch(table.schema) and HASH.fullmatch(table.content)
        if not TABLE_PATH.fullmatch(table.path) or not hashes or type(table.rows) is not int or table.rows < 0:
            raise ValueError
    return tables


def stage_of(path: Path) -> str:
    """The stage whose manifest lies at `path`: the inverse of `manifest_path`."""
    return path.stem.replace("-", "@", 1)


def manifest_files(folder: Path) -> list[Path]:
    """The manifests in a folder `snapshots`, sorted; none where there is no such folder.

    OSError where it cannot be listed: what it pins is then unknown.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(folder / name for name in names if name.endswith(".json") and not name.startswith("."))


def manifests(root: Path) -> dict[str, dict[str, Table]]:
    """Every manifest of the work tree, by stage."""
    return {stage: read_manifest(root, stage) for stage in map(stage_of, manifest_files(root / FOLDER))}


def history(lake_root: str, path: str) -> list[Version]:
    """The versions of a table, newest first; empty when the lake holds no such table.

    UserError when its Delta log is damaged (UnreadableLog), cannot be opened or the lake cannot be reached.
    """
    try:
        with _log_errors(lake_root, path):
            commits = storage.open_table(lake_root, path).history()
    except TableNotFoundError:
        if storage.is_local(lake_root):
            with contextlib.suppress(FileNotFoundError):
                os.stat(storage.location(lake_root, path))  # raises for a folder that exists and cannot be entered
        return []
    return [_version(commit) for commit in commits]


@contextlib.contextmanager
def _log_errors(lake_root: str, path: str) -> Iterator[None]:
    """Distinguish a damaged log from one that cannot be opened now: permission, open files, memory."""
    try:
        yield
    except TableNotFoundError:
        raise
    except (DeltaError, OSError) as error:
        reason = _reason(error)
        if isinstance(error, OSError) or "os error" in reason:
            raise UserError(
                f"the Delta log of table {path} cannot be opened ({reason}); no damage to it is known: "
                "remove the cause and run this again"
            ) from None
        folder, stage = storage.location(lake_root, path), path.rpartition("/")[0].replace("/", "@")
        raise UnreadableLog(
            f"the Delta log of table {path} cannot be read ({reason}); restore {folder}/{LOG} from a backup, "
            f"or move {folder} away and run `finelake repair {stage}`"
        ) from None


def _reason(error: Exception) -> str:
    """delta-rs's message on one line, without colours, arrows and locations in its code."""
    text = re.sub(r"\x1b\[[0-9;]*m|↳", "", str(error))
    return " ".join(re.split(r"\n\s*0: ", text)[0].split())[:200]


def _version(commit: dict[str, Any]) -> Version:
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
        files=_files(metadata.get("files")),
        named=isinstance(metadata.get("files"), dict),
    )


def _files(listed: Any) -> dict[str, str]:
    return {str(path): str(digest) for path, digest in listed.items()} if isinstance(listed, dict) else {}


def find_version(lake_root: str, table: Table) -> int | None:
    """The newest version that holds the table's content, or None."""
    version = _pinned(history(lake_root, table.path), table)
    return None if version is None else version.number


def _pinned(versions: list[Version], table: Table) -> Version | None:
    pin = (table.content, table.schema)
    return next((version for version in versions if (version.content, version.schema) == pin), None)


def problems(lake_root: str, table: Table, deep: bool = False) -> Iterator[str]:
    """What keeps a pinned table from being read: a missing table, version or file, or an altered file.

    A file is altered when its size differs from that at its commit; with `deep`, when its SHA-256 does, which is
    computed unless this process knows it. UserError when the lake cannot be reached.
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
    if version.rows != table.rows:
        yield f"table {table.path} has {version.rows} rows, its manifest {table.rows}: the manifest was altered"
        return
    lost = list(_file_problems(lake_root, table.path, version, deep))
    if lost and version.number in _expired_versions(lake_root, table.path):
        yield f"table {table.path}, version {version.number} was expired on purpose"
    else:
        yield from lost


def _file_problems(lake_root: str, path: str, version: Version, deep: bool) -> Iterator[str]:
    paths = added(lake_root, path, version.number)
    if not version.named or version.files and {name for name, _ in paths} != version.files.keys():
        yield f"table {path}, version {version.number}: its Delta log names other files than its commit wrote"
        return
    sizes = storage.sizes(lake_root, [f"{path}/{name}" for name, _ in paths])
    whole = []
    for name, committed in paths:
        named = f"table {path}, version {version.number}: the data file {name}"
        size = sizes.get(f"{path}/{name}")
        if size is None:
            yield f"{named} is missing"
        elif size != committed:
            yield f"{named} was altered ({size} bytes, written with {committed})"
        else:
            whole.append(name)
    if deep and whole:
        yield from _column_problems(lake_root, path, version, whole[0])
    if deep and version.files:  # another writer's commit records no digests
        actual = digests.sha256(lake_root, [f"{path}/{name}" for name in whole])
        other = [name for name in whole if actual[f"{path}/{name}"] != version.files.get(name)]
        # The remembered digest may be damaged as well: a file is read again before it is reported as altered.
        actual |= storage.sha256(lake_root, [f"{path}/{name}" for name in other])
        for name in other:
            if actual[f"{path}/{name}"] != version.files.get(name):
                yield f"table {path}, version {version.number}: the data file {name} was altered {OTHER_BYTES}"


def _column_problems(lake_root: str, path: str, version: Version, file: str) -> Iterator[str]:
    """Report a log whose column names differ from those of the files: Spark would read nulls for such columns."""
    with _log_errors(lake_root, path):
        named = [field.name for field in storage.open_table(lake_root, path, version.number).schema().fields]
    folders = [name for name, _ in _partition(file)]
    store, base = storage.filesystem(lake_root)
    try:
        written = parquet.read_schema(f"{base}/{path}/{file}", filesystem=store).names
    except (pa.ArrowInvalid, OSError):
        return  # an altered file is reported by its digest
    if sorted(named) != sorted([*written, *folders]):
        yield f"table {path}, version {version.number}: the columns in its Delta log are not those of its files"


def intact(lake_root: str, table: Table, deep: bool = False) -> bool:
    """Whether the lake holds the pinned content with all its files; with `deep`, every byte of them."""
    return next(problems(lake_root, table, deep), None) is None


def expired(lake_root: str, table: Table) -> bool:
    """Whether the files of the pinned content were deleted on purpose and have not been rewritten since."""
    version = find_version(lake_root, table)
    return version in _expired_versions(lake_root, table.path) and not intact(lake_root, table)


def expire(lake_root: str, path: str, versions: Iterable[int]) -> None:
    """Record that the files of these versions are deleted on purpose; call it before they are."""
    numbers = sorted(_expired_versions(lake_root, path) | {*versions})
    storage.write_bytes(lake_root, f"{path}/{EXPIRED}", json.dumps(numbers).encode())


def _expired_versions(lake_root: str, path: str) -> set[int]:
    file = f"{path}/{EXPIRED}"
    try:
        numbers = json.loads(storage.read_bytes(lake_root, file))
    except FileNotFoundError:
        return set()
    except (ValueError, RecursionError):
        numbers = None
    if not isinstance(numbers, list) or any(type(number) is not int for number in numbers):
        raise UserError(
            f"{storage.location(lake_root, file)} was altered; delete it: the versions that it lists as deleted on "
            "purpose then count as missing"
        )
    return {*numbers}


def require(lake_root: str, stage: str, table: Table) -> int:
    """The version that holds a table pinned by `stage`, with every byte unchanged.

    UserError names what is missing or altered and how to repair it.
    """
    for problem in problems(lake_root, table, deep=True):
        if expired(lake_root, table):
            raise Expired(f"{problem}; rebuild it with `finelake repair --expired`")
        deep = " --deep" if problem.endswith(OTHER_BYTES) else ""
        raise UserError(f"{problem}; rebuild it with `finelake repair{deep} {stage}`")
    version = find_version(lake_root, table)
    assert version is not None  # problems() names an absent version
    return version


def files(lake_root: str, stage: str, table: Table) -> list[str]:
    """The Parquet files of a pinned table as absolute paths, sorted by their partition folders.

    UserError names a table, version or file that is missing or altered.
    """
    version = require(lake_root, stage, table)
    # File names hold random identifiers, folders name the partition: only the folder may decide the order.
    paths = sorted(added(lake_root, table.path, version), key=lambda item: _partition(item[0]))
    return [storage.location(lake_root, f"{table.path}/{path}") for path, _ in paths]


def _partition(path: str) -> list[tuple[str, int | str]]:
    values = [part.partition("=")[::2] for part in path.split("/")[:-1] if "=" in part]
    return [(name, int(value) if value.isdigit() else value) for name, value in values]


def added(lake_root: str, path: str, version: int) -> list[tuple[str, int]]:
    """(path relative to the table, bytes) of the files of a version."""
    with _log_errors(lake_root, path):
        actions = storage.open_table(lake_root, path, version).get_add_actions(flatten=True)
    columns = {name: actions.column(name).to_pylist() for name in ("path", "size_bytes")}
    return list(zip(columns["path"], columns["size_bytes"], strict=True))


def arrow_schema(lake_root: str, stage: str, table: Table) -> pa.Schema:
    """The columns of a pinned table."""
    version = require(lake_root, stage, table)
    return pa.schema(storage.open_table(lake_root, table.path, version).schema().to_arrow())
