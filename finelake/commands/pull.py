"""Fetch what is new from an API source, and store its pages as files for `ingest`.

After a kill, the next pull repeats at most one page and loses none.
"""

import argparse
from pathlib import Path

from finelake.lake.config.params import load, unknown_key
from finelake.lake.config.project import PARAMS

EXAMPLE = "  finelake pull complaints"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a source of kind api in params.yaml")


def main(options: argparse.Namespace) -> None:
    pull_source(options.root, options.name)


def pull_source(root: Path, name: str) -> None:
    """Pull one API source of the project and print the number of new items."""
    from finelake.jobs.sources.kinds import parse_sources

    sources = parse_sources(load(root / PARAMS).get("sources"))
    unknown_key({name: None}, sources, "sources")
    result = sources[name].pull(root, name)
    print(f"Pulled {name}: {result.items:,} new items on {result.pages} pages", flush=True)
    if result.stopped_at:
        print(f"Stopped at max_pages ({result.stopped_at:,}); `finelake pull {name}` continues from there", flush=True)
