"""Check that the lake holds every pinned table: version, files and their sizes.

Names each table, version or file that is missing or altered, and the command that repairs it.
"""

import argparse
from pathlib import Path

from lake.errors import UserError
from lake.project import settings
from lake.snapshots import manifests, problems

EXAMPLE = "  finelake verify"


def arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # it takes none


def main(options: argparse.Namespace) -> None:
    lake = settings(options.root).lake
    check_tables(options.root, lake)
    pinned = manifests(options.root)
    tables = [table for tables in pinned.values() for table in tables.values()]
    print(f"{len(tables)} tables of {len(pinned)} stages are whole ({sum(table.rows for table in tables):,} rows).")


def broken_stages(root: Path, lake: str) -> dict[str, list[str]]:
    """What is missing or altered, by the stage that pinned it."""
    found = {
        stage: [problem for table in tables.values() for problem in problems(lake, table)]
        for stage, tables in manifests(root).items()
    }
    return {stage: listed for stage, listed in found.items() if listed}


def check_tables(root: Path, lake: str) -> None:
    """UserError naming all that is missing or altered."""
    broken = broken_stages(root, lake)
    if broken:
        listed = "; ".join(problem for problems in broken.values() for problem in problems)
        raise UserError(f"{listed}; rebuild what is missing with `finelake repair`")
