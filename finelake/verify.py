"""Check that the lake holds every pinned table: version, files and their sizes; with --deep every byte of them.

Names each table, version or file that is missing or altered, and the command that repairs it.
"""

import argparse
from pathlib import Path

from lake.errors import UserError
from lake.project import settings
from lake.snapshots import manifests, problems

EXAMPLE = "  finelake verify\n  finelake verify --deep"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="read every data file and compare its SHA-256")


def main(options: argparse.Namespace) -> None:
    lake = settings(options.root).lake
    check_tables(options.root, lake, options.deep)
    pinned = manifests(options.root)
    tables = [table for tables in pinned.values() for table in tables.values()]
    print(f"{len(tables)} tables of {len(pinned)} stages are whole ({sum(table.rows for table in tables):,} rows).")


def broken_stages(root: Path, lake: str, deep: bool = False) -> dict[str, list[str]]:
    """What is missing or altered, by the stage that pinned it."""
    found = {
        stage: [problem for table in tables.values() for problem in problems(lake, table, deep)]
        for stage, tables in manifests(root).items()
    }
    return {stage: listed for stage, listed in found.items() if listed}


def check_tables(root: Path, lake: str, deep: bool = False) -> None:
    """UserError naming all that is missing or altered."""
    broken = broken_stages(root, lake, deep)
    if broken:
        listed = "; ".join(problem for problems in broken.values() for problem in problems)
        how = " --deep" if deep else ""
        raise UserError(f"{listed}; rebuild what is missing or altered with `finelake repair{how}`")
