"""Free unreferenced data: versions that no branch, tag, experiment or work tree pins, and aborted writes.

Lists what it would free; --delete frees it. Never deletes a file that a manifest needs, except, with --unmasked, those
of the tables before mask, which hold unmasked personal data.
"""

import argparse
from collections.abc import Mapping
from typing import Any

from finelake.lake.config import stages
from finelake.lake.config.project import settings
from finelake.lake.errors import UserError
from finelake.lake.tables.lockfile import is_current
from finelake.lake.tables.snapshots import expire, intact
from finelake.lake.tables.vacuum import Expendable, Manifests, Rules, Unreferenced, delete, pinned, unreferenced

EXAMPLE = """  finelake vacuum
  finelake vacuum --keep-days 30 --keep-versions 2 --delete
  finelake vacuum --unmasked --delete"""


def arguments(parser: argparse.ArgumentParser) -> None:
    default = Rules()
    parser.add_argument("--delete", action="store_true", help="delete the data instead of only listing them")
    parser.add_argument(
        "--keep-days", type=float, default=default.days, help="keep what is younger than this many days (default 7)"
    )
    parser.add_argument(
        "--keep-versions",
        type=int,
        default=default.versions,
        help="keep this many of the newest versions of each table (default 0)",
    )
    parser.add_argument(
        "--keep-history", action="store_true", help="keep what any commit pins, not only branches, tags and experiments"
    )
    parser.add_argument(
        "--without", metavar="REF", action="append", default=[], help="ignore what this branch, tag or experiment pins"
    )
    parser.add_argument(
        "--unmasked", action="store_true", help="also free the tables before mask, wherever the masked ones are pinned"
    )


def main(options: argparse.Namespace) -> None:
    if not options.keep_days >= 0 or options.keep_versions < 0:
        raise UserError("--keep-days and --keep-versions are numbers of 0 or more; 0 keeps nothing by that rule")
    lake = settings(options.root).lake
    rules = Rules(options.keep_days, options.keep_versions, options.keep_history)
    raw = stages.PRIVATE if options.unmasked else ()
    pins = pinned(options.root, rules.every_commit, options.without, masked(lake, raw))
    # Other folders of the lake are not Finelake's.
    items = [item for item in unreferenced(lake, pins, rules) if item.stage.partition("/")[0] in stages.SPARK]
    for item in items:
        print(f"  {item.table:<28} {_what(item):<26} {item.files:>6} files {item.size / 1e6:>12,.1f} MB")
    if options.delete:
        _record_expired([item for item in items if item.stage in raw], lake)
    kept = delete(lake, items) if options.delete else []
    for stage in sorted({item.stage for item in kept}):
        print(f"{stage} is being written and was skipped; run this again later.")
    print(_sum([item for item in items if item not in kept], options.delete))


def masked(lake: str, raw: tuple[str, ...]) -> Expendable:
    """The stages `raw` are expendable where the masked tables were made from them and are complete."""

    def expendable(manifests: Manifests, stages: Mapping[str, Any]) -> tuple[str, ...]:
        tables = manifests.get("mask", {}).values()
        current = bool(tables) and all(is_current(stages, stage) for stage in (*raw, "mask"))
        return raw if current and all(intact(lake, table) for table in tables) else ()

    return expendable


def _record_expired(items: list[Unreferenced], lake: str) -> None:
    versions: dict[str, set[int]] = {}
    for item in items:
        if item.version is not None:
            versions.setdefault(item.table, set()).add(item.version)
    for table, numbers in versions.items():
        expire(lake, table, numbers)


def _what(item: Unreferenced) -> str:
    return "aborted write" if item.version is None else f"version {item.version}, {item.rows:,} rows"


def _sum(items: list[Unreferenced], deleted: bool) -> str:
    if not items:
        return "Nothing to free: every data file is pinned, or kept by a rule."
    size = f"{sum(item.size for item in items) / 1e6:,.1f} MB in {sum(item.files for item in items):,} files"
    return (
        f"Freed {size}." if deleted else f"{size} could be freed; run `finelake vacuum --delete` with the same options."
    )
