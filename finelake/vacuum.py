"""Free what nothing needs: versions that no branch, tag, experiment or work tree pins, and what killed writes left.

Shows what it would free; --delete frees it. Never takes a file that a manifest needs.
"""

import argparse

from lake.errors import UserError
from lake.project import settings
from lake.vacuum import Rules, Waste, delete, pinned, waste

EXAMPLE = "  finelake vacuum\n  finelake vacuum --keep-days 30 --keep-versions 2 --delete"


def arguments(parser: argparse.ArgumentParser) -> None:
    default = Rules()
    parser.add_argument("--delete", action="store_true", help="free it; without, it is only shown")
    parser.add_argument(
        "--keep-days", type=float, default=default.days, help="keep what is younger than so many days (default 7)"
    )
    parser.add_argument(
        "--keep-versions", type=int, default=default.versions, help="keep the newest versions of each table (default 0)"
    )
    parser.add_argument(
        "--keep-history", action="store_true", help="keep what any commit pins, not only branches, tags and experiments"
    )
    parser.add_argument(
        "--without", metavar="REF", action="append", default=[], help="a branch, tag or experiment to give up"
    )


def main(options: argparse.Namespace) -> None:
    if options.keep_days < 0 or options.keep_versions < 0:
        raise UserError("--keep-days and --keep-versions cannot be negative; use 0 to keep nothing by that rule")
    lake = settings(options.root).lake
    rules = Rules(options.keep_days, options.keep_versions, options.keep_history)
    found = waste(lake, pinned(options.root, rules.every_commit, options.without), rules)
    for item in found:
        print(f"  {item.table:<28} {_what(item):<26} {item.files:>6} files {item.size / 1e6:>12,.1f} MB")
    left = delete(lake, found) if options.delete else []
    for stage in sorted({item.table.rpartition("/")[0] for item in left}):
        print(f"{stage} is being written and was passed over; run this again later.")
    print(_sum([item for item in found if item not in left], options.delete))


def _what(item: Waste) -> str:
    return "killed write" if item.version is None else f"version {item.version}, {item.rows:,} rows"


def _sum(items: list[Waste], deleted: bool) -> str:
    if not items:
        return "Nothing to free: every data file is pinned, or kept by a rule."
    size = f"{sum(item.size for item in items) / 1e6:,.1f} MB in {sum(item.files for item in items):,} files"
    return (
        f"Freed {size}." if deleted else f"{size} could be freed; `finelake vacuum --delete` with the same rules does."
    )
