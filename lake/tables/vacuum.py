"""Unreferenced data of the lake: versions that no manifest pins and no rule keeps, and aborted writes.

Every manifest counts: those of the work tree, of DVC's running experiments, and of every branch, tag, experiment and
stash of Git. When one of them cannot be read, or pins a content that no version of its table holds, nothing is deleted:
where a log is lost, its data look unreferenced and are not.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finelake.lake.config.project import read_file
from finelake.lake.errors import UserError, did_you_mean
from finelake.lake.tables import storage
from finelake.lake.tables.locks import exclusive, marked, unnamed
from finelake.lake.tables.revisions import NothingPinned, commits, last_manifests, lock, manifests_at, revisions
from finelake.lake.tables.snapshots import (
    DATA,
    FOLDER,
    LOG,
    OtherFormat,
    Table,
    Version,
    added,
    batches,
    history,
    manifest_files,
    parse_manifest,
    stage_of,
)

DAY = 24 * 60 * 60  # seconds
WORK_TREE = "the work tree"

Pin = tuple[str, str, str]  # path of the table, schema, content
Pins = Mapping[Pin, str]  # -> the first that pins it: the work tree or a ref
Manifests = Mapping[str, Mapping[str, Table]]  # of one revision: the tables of each stage
Expendable = Callable[[Manifests, Mapping[str, Any]], Collection[str]]  # manifests, stages of dvc.lock -> stages


@dataclass(frozen=True)
class Rules:
    """What is kept besides pinned data."""

    days: float = 7.0  # versions and unnamed data that are younger
    versions: int = 0  # this many of the newest versions of each table
    every_commit: bool = False  # what any commit of the history pins, not only branches and tags


@dataclass(frozen=True)
class Unreferenced:
    """A data folder that no pin and no rule keeps."""

    table: str
    batch: str  # the folder's name in TABLE/data
    version: int | None  # None: no version names it
    rows: int | None
    files: int
    size: int  # bytes

    @property
    def folder(self) -> str:
        return f"{self.table}/{DATA}/{self.batch}"

    @property
    def stage(self) -> str:
        """The folder of the stage that wrote it: clean, tokenize/intent."""
        return self.table.rpartition("/")[0]


def pinned(
    root: Path, every_commit: bool = False, without: Collection[str] = (), expendable: Expendable | None = None
) -> dict[Pin, str]:
    """What any manifest pins, except those of the refs `without`. UserError when a manifest cannot be read.

    `expendable` names the stages whose tables may be freed although pinned, from the manifests and dvc.lock of one
    revision or work tree. Manifests of another snapshot format pin data outside the data folders, which stay.
    """
    pins = {pin: WORK_TREE for tree, manifests in _work_trees(root) for pin in _pins(manifests, expendable, tree)}
    pins |= dict.fromkeys(_pins(last_manifests(root), expendable, root), WORK_TREE)
    refs = revisions(root)
    for name in without:
        if name not in refs:
            raise UserError(f"--without {name}: there is no such ref; {did_you_mean(name, refs)}")
    names = {commit: name for name, commit in refs.items() if name not in without}
    for rev in [*names.values(), *(commit for commit in commits(root) if every_commit and commit not in names)]:
        try:
            for pin in _pins(manifests_at(root, rev), expendable, root, rev):
                pins.setdefault(pin, rev)
        except (NothingPinned, OtherFormat):
            continue
        except UserError as error:
            raise UserError(f"{error}; or ignore what it pins with --without {rev}") from None
    return pins


def _pins(manifests: Manifests, expendable: Expendable | None, root: Path, rev: str | None = None) -> set[Pin]:
    dropped = expendable(manifests, lock(root, rev)) if expendable else ()
    kept = manifests.keys() - set(dropped)
    return {(table.path, table.schema, table.content) for stage in kept for table in manifests[stage].values()}


def _work_trees(root: Path) -> Iterator[tuple[Path, Manifests]]:
    """The work tree and the copies in which DVC runs experiments, each with its manifests."""
    copies = [copy for folder in _folders(root / ".dvc/tmp/exps") for copy in (folder, *_folders(folder))]
    for tree in (root, *copies):
        yield tree, {stage_of(path): _work_tree_tables(root, path) for path in manifest_files(tree / FOLDER)}


def _folders(folder: Path) -> list[Path]:
    """The folders directly below one; OSError where it cannot be listed, which `Path.glob` would treat as empty."""
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []


def _work_tree_tables(root: Path, path: Path) -> dict[str, Table]:
    try:
        return parse_manifest(read_file(path), str(path.relative_to(root)), stage_of(path))
    except FileNotFoundError:
        return {}  # an experiment that has just ended


def unreferenced(lake_root: str, pins: Pins, rules: Rules, now: float | None = None) -> list[Unreferenced]:
    """Every data folder of the lake that no pin and no rule keeps.

    UserError for a table with such folders and a pin that none of its versions satisfies.
    """
    storage.check(lake_root)
    since = (time.time() if now is None else now) - rules.days * DAY
    return [item for table in tables(lake_root) for item in _of_table(lake_root, table, pins, rules, since)]


def tables(lake_root: str, folder: str = "") -> Iterator[str]:
    """The tables of the lake, by the folders that hold a Delta log or data: clean/records, tokenize/intent/samples."""
    for name in sorted(storage.folders(lake_root, folder)):
        path = f"{folder}/{name}".lstrip("/")
        below = set(storage.folders(lake_root, path))
        if {LOG, DATA} & below:
            yield path
        else:
            yield from tables(lake_root, path)


def _of_table(lake_root: str, table: str, pins: Pins, rules: Rules, since: float) -> Iterator[Unreferenced]:
    versions = history(lake_root, table)
    kept = set(_kept(lake_root, table, versions, pins, rules, since))
    free = set(storage.folders(lake_root, f"{table}/{DATA}")) - kept
    if free:
        _require_pins(lake_root, table, versions, pins)
    for version in versions:
        for batch in sorted(version.batches & free):
            files = storage.list_files(lake_root, f"{table}/{DATA}/{batch}")
            size = sum(file.size for file in files)
            yield Unreferenced(table, batch, version.number, version.rows, len(files), size)
    # Without a log, data may be all that is left of a table: only a mark then shows that a write did not end.
    aborted = free if versions else free & marked(lake_root, table)
    for batch in sorted(aborted.intersection(unnamed(lake_root, table))):
        files = storage.list_files(lake_root, f"{table}/{DATA}/{batch}")
        # Some object stores keep listing a folder from which everything was deleted.
        if files and all(file.modified < since for file in files):
            yield Unreferenced(table, batch, None, None, len(files), sum(file.size for file in files))


def _require_pins(lake_root: str, table: str, versions: list[Version], pins: Pins) -> None:
    held = {(version.schema, version.content) for version in versions}
    for (path, schema, content), ref in pins.items():
        if path == table and (schema, content) not in held:
            stage = table.rpartition("/")[0].replace("/", "@")
            ignore = "" if ref == WORK_TREE else f", or ignore what {ref} pins with --without {ref}"
            raise UserError(
                f"table {table} has no version with the content {content} that {ref} pins: its log may be incomplete "
                f"and its data may only look unreferenced, so nothing is deleted; restore {table}/{LOG} of {lake_root} "
                f"from a backup, or rebuild the table with `finelake repair {stage}`{ignore}"
            )


def _kept(lake_root: str, table: str, versions: list[Version], pins: Pins, rules: Rules, since: float) -> Iterator[str]:
    """The data folders of the versions (newest first) that are pinned or that a rule keeps."""
    satisfied: set[Pin] = set()
    newer = 0  # versions with data seen so far
    for version in versions:
        pin = (table, str(version.schema), str(version.content))
        if pin in pins and pin not in satisfied:
            # A content that was rewritten after a loss is read from its newest version; the files in the Delta log stay
            # as well, in case the list in the commit was altered.
            yield from version.batches | batches(path for path, _ in added(lake_root, table, version.number))
        elif version.files and (newer < rules.versions or version.timestamp / 1000 >= since):
            yield from version.batches
        satisfied.add(pin)
        newer += bool(version.files)


def delete(lake_root: str, items: Iterable[Unreferenced]) -> list[Unreferenced]:
    """Delete the data folders; returns those that were kept because their stage is being written."""
    kept = []
    by_stage: dict[str, list[Unreferenced]] = {}
    for item in items:
        by_stage.setdefault(item.stage, []).append(item)
    for stage, listed in by_stage.items():
        with exclusive(lake_root, stage) as held:
            if held or not storage.is_local(lake_root):
                storage.delete_folders(lake_root, [item.folder for item in listed])
            else:
                kept += listed
    return kept
