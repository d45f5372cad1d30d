"""Check that the lake holds every pinned table: version, files and their sizes; with --deep, every byte of them.

Names each manifest, table, version or file that is missing or altered, and the command that repairs it.
"""

import argparse
from pathlib import Path

from finelake.lake.config.project import settings
from finelake.lake.errors import UserError
from finelake.lake.tables.lockfile import digest, pinned_manifests, work_tree
from finelake.lake.tables.snapshots import Table, expired, manifests, problems

EXAMPLE = "  finelake verify\n  finelake verify --deep"

NAMED = 15  # problems that one message names


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="read every data file and compare its SHA-256")


def main(options: argparse.Namespace) -> None:
    lake = settings(options.root).lake
    check_manifests(options.root)
    check_tables(options.root, lake, options.deep)
    describe(options.root, lake)


def describe(root: Path, lake: str) -> None:
    """Print what was checked and is complete, and what was expired on purpose."""
    pinned = manifests(root)
    if not pinned:
        print("Nothing is pinned yet; `finelake repro` runs the stages.")
        return
    absent = expired_stages(root, lake)
    tables = [table for stage in pinned.keys() - absent.keys() for table in pinned[stage].values()]
    stages, rows = len(pinned) - len(absent), sum(table.rows for table in tables)
    print(f"{len(tables)} tables of {stages} stages are complete ({rows:,} rows).")
    if absent:
        print(f"{', '.join(absent)}: expired on purpose; `finelake repair --expired` rebuilds them from the sources.")


def check_manifests(root: Path) -> None:
    """UserError naming every manifest that dvc.lock pins and that is missing or differs."""
    pinned = {path: md5 for _, path, md5 in pinned_manifests(work_tree(root))}
    wrong = [f"{path} is missing" for path in pinned if not (root / path).exists()]
    present = [path for path in pinned if (root / path).exists()]
    other = [path for path in present if digest(root / path) != pinned[path]]
    wrong += [f"{path} is not the one that dvc.lock pins" for path in other]
    if wrong:
        raise UserError(
            f"{'; '.join(wrong)}: it was lost or altered, or its stage was run by hand; `finelake repro` makes "
            "manifests and dvc.lock consistent again"
        )


def broken_stages(root: Path, lake: str, deep: bool = False) -> dict[str, list[str]]:
    """What is missing or altered, by the stage that pinned it, without what was expired on purpose."""
    broken = {
        stage: [problem for table in tables.values() for problem in _faults(lake, table, deep)]
        for stage, tables in manifests(root).items()
    }
    return {stage: faults for stage, faults in broken.items() if faults}


def _faults(lake: str, table: Table, deep: bool) -> list[str]:
    faults = list(problems(lake, table, deep))
    return [] if faults and expired(lake, table) else faults


def expired_stages(root: Path, lake: str) -> dict[str, list[str]]:
    """The tables that were expired on purpose, by stage."""
    paths = {stage: [t.path for t in tables.values() if expired(lake, t)] for stage, tables in manifests(root).items()}
    return {stage: listed for stage, listed in paths.items() if listed}


def check_tables(root: Path, lake: str, deep: bool = False) -> None:
    """UserError naming everything that is missing or altered."""
    broken = broken_stages(root, lake, deep)
    if broken:
        problems = [problem for faults in broken.values() for problem in faults]
        more = [f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
        listed = "; ".join([*problems[:NAMED], *more])
        flag = " --deep" if deep else ""
        raise UserError(f"{listed}; rebuild what is missing or altered with `finelake repair{flag}`")
