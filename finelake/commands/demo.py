"""Run everything on a generated consumer bank: generate its data, pull its API, run all stages, print the results."""

import argparse
import os
from pathlib import Path

from finelake.commands.pull import pull_source
from finelake.commands.repro import reproduce
from finelake.lake.config.params import load
from finelake.lake.config.project import PARAMS
from finelake.lake.errors import UserError
from finelake.output.summary import print_summary

EXAMPLE = "  finelake demo\n  finelake demo --records 100000"
BANK = Path("data/bank")
API_VARIABLE = "BANK_API"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=int, default=6000, help="applications, tickets and complaints (default 6000)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the generated bank (default 7)")


def main(options: argparse.Namespace) -> None:
    from finelake.demo.generate import generate

    if str(BANK) not in str(load(options.root / PARAMS).get("sources")):
        raise UserError(f"{options.root} does not read {BANK}; run `finelake demo` in Finelake's own repository")
    if options.records < 1000:
        raise UserError(f"--records {options.records} is too few to train and test on; use 1000 or more")
    print(f"Demo bank: {options.records:,} records in {BANK}", flush=True)
    generate(options.root / BANK, records=options.records, seed=options.seed)
    _pull(options.root)
    reproduce(options.root, [])
    print_summary(options.root)


def _pull(root: Path) -> None:
    """Pull the complaints from the bank's API, which this process serves during the pull."""
    from finelake.demo.api import serve

    with serve(root / BANK) as url:
        os.environ[API_VARIABLE] = url
        pull_source(root, "complaints")
