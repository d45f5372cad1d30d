"""List the versions of a table: when each was written, its rows and content, and which branches and tags pin it.

A version whose files are gone is marked. A table that no manifest pins is listed as long as the lake holds it.
"""

import argparse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from finelake.lake.config.names import split_table
from finelake.lake.config.project import settings
from finelake.lake.errors import UserError, did_you_mean
from finelake.lake.query.duck import CONCURRENT_OPENS
from finelake.lake.tables import snapshots
from finelake.lake.tables.revisions import EXPERIMENTS, NothingPinned, manifests_at, revisions
from finelake.lake.tables.snapshots import Table, Version
from finelake.output.table import lines

EXAMPLE = "  finelake history clean.records\n  finelake history tokenize@intent.samples"
WORK_TREE = "work tree"
SHORT = 12  # digits of a content hash that are shown
WIDTH = 10_000  # a name of a branch is never cut
NAMES = ("version", "written (UTC)", "rows", "content", "state", "pinned by")

Manifests = dict[str, dict[str, Table]]
Pins = dict[tuple[str | None, str | None], list[str]]  # (content, schema) -> the names of those that pin it


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="stage.table")


def main(options: argparse.Namespace) -> None:
    lake = settings(options.root).lake
    stage, name = split_table(options.table)
    pinned, unreadable = _everything_pinned(options.root)
    path = snapshots.table_path(stage, name)
    versions = snapshots.history(lake, path)
    if not versions:
        raise _no_such_table(options.table, pinned)
    pins = pins_of(pinned, stage, name)
    with ThreadPoolExecutor(CONCURRENT_OPENS) as pool:
        rows = list(pool.map(lambda version: _row(lake, path, version, versions, pins), versions))
    for line in lines(NAMES, rows, WIDTH, (True, False, True, False, False, False)):
        print(line)
    for line in unreadable:
        print(f"could not read {line}")


def _everything_pinned(root: Path) -> tuple[dict[str, Manifests], list[str]]:
    """The manifests of the work tree and of every ref by name, and the reason for each ref that could not be read."""
    pinned, unreadable, read = {WORK_TREE: snapshots.manifests(root)}, [], {}
    for ref, commit in revisions(root).items():
        try:
            if commit not in read:
                read[commit] = manifests_at(root, commit)
            pinned[ref] = read[commit]
        except NothingPinned:
            continue
        except UserError as error:
            unreadable.append(f"the pins of {ref}: {error}")
    return pinned, unreadable


def pins_of(pinned: Mapping[str, Manifests], stage: str, name: str) -> Pins:
    """The refs that pin each content of a table."""
    pins: Pins = {}
    for ref, manifests in pinned.items():
        table = manifests.get(stage, {}).get(name)
        if table:
            pins.setdefault((table.content, table.schema), []).append(_shown(ref))
    return pins


def _shown(ref: str) -> str:
    """A ref's name; of a DVC experiment, the experiment's."""
    return ref.rsplit("/", 1)[-1] if f"refs/{ref}".startswith(EXPERIMENTS) else ref


def _row(lake: str, path: str, version: Version, versions: list[Version], pins: Pins) -> tuple[str, ...]:
    written = datetime.fromtimestamp(version.timestamp / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    rows = "?" if version.rows is None else f"{version.rows:,}"
    same = (version.content, version.schema)
    newest = next(other.number for other in versions if (other.content, other.schema) == same)
    # Only the newest version of a content is ever read; an older one is what a repair replaced.
    pinned = ", ".join(pins.get(same, [])) if version.number == newest else ""
    state = _state(lake, path, version) if version.number == newest else f"replaced by {newest}"
    return str(version.number), written, rows, (version.content or "-")[:SHORT], state, pinned


def _state(lake: str, path: str, version: Version) -> str:
    if version.content is None or version.schema is None:
        return "not written by Finelake"
    table = Table(path, version.rows or 0, version.schema, version.content)
    if snapshots.intact(lake, table):
        return "complete"
    return "expired" if snapshots.expired(lake, table) else "files missing"


def _no_such_table(table: str, pinned: Mapping[str, Manifests]) -> UserError:
    known = {
        f"{stage}.{name}" for manifests in pinned.values() for stage, tables in manifests.items() for name in tables
    }
    return UserError(f"the lake holds no table {table}; {did_you_mean(table, sorted(known))}")
