"""List the versions of a table: when each was written, its rows and content, and which one is pinned."""

import argparse
import difflib
from datetime import UTC, datetime

from lake import snapshots
from lake.errors import UserError
from lake.project import settings

EXAMPLE = "  finelake history clean.records\n  finelake history tokenize@intent.samples"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="stage.table")


def main(options: argparse.Namespace) -> None:
    lake = settings(options.root).lake
    pinned = {
        f"{stage}.{name}": table
        for stage, tables in snapshots.manifests(options.root).items()
        for name, table in tables.items()
    }
    if options.table not in pinned:
        near = difflib.get_close_matches(options.table, pinned, n=1)
        mend = f"did you mean {near[0]}?" if near else f"pinned are: {', '.join(pinned) or 'none yet'}"
        raise UserError(f"{options.table} is no pinned table; {mend}")
    table = pinned[options.table]
    current = snapshots.find_version(lake, table)
    print(f"{'version':>7}  {'written (UTC)':<19}  {'rows':>10}  content")
    for version in snapshots.history(lake, table.path):
        written = datetime.fromtimestamp(version.timestamp / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows = f"{version.rows:,}" if version.rows is not None else "?"
        mark = "  <- pinned" if version.number == current else ""
        print(f"{version.number:>7}  {written:<19}  {rows:>10}  {version.content or 'not written by Finelake'}{mark}")
