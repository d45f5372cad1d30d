"""Rebuild the pinned tables that `finelake verify` names, and nothing else.

A rebuilt table has the content that its manifest pins, so no later stage reruns.
"""

import argparse

from finelake.commands.repro import reproduce
from finelake.commands.verify import broken_stages, check_manifests, check_tables, describe, expired_stages
from finelake.lake.config.project import settings
from finelake.lake.config.stages import DATA
from finelake.lake.errors import UserError

EXAMPLE = "  finelake repair\n  finelake repair --deep clean\n  finelake repair --expired"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="find what to rebuild by reading every data file")
    parser.add_argument("--expired", action="store_true", help="also rebuild what `finelake vacuum --unmasked` deleted")
    parser.add_argument("stages", nargs="*", help="stages to rebuild (default: all broken ones)")


def main(options: argparse.Namespace) -> None:
    lake = settings(options.root).lake
    broken = broken_stages(options.root, lake, options.deep)
    if options.expired:
        broken |= expired_stages(options.root, lake)
    unknown = [stage for stage in options.stages if stage not in broken]
    if unknown:
        raise UserError(f"{unknown[0]} has no broken table; `finelake verify` names the stages that have")
    rebuilt = [stage for stage in broken if not options.stages or stage in options.stages]
    # A stage is rebuilt after the stages that it reads; those of training runs read the data stages.
    rebuilt.sort(key=lambda stage: DATA.index(stage) if stage in DATA else len(DATA))
    for stage in rebuilt:
        print(f"Rebuilding {stage}")
        reproduce(options.root, [stage], ("--force", "--single-item"))
    check_manifests(options.root)
    check_tables(options.root, lake, options.deep)
    describe(options.root, lake)
