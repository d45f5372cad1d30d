"""Fetch what is new from an API source and land its pages as files for `ingest`.

A killed pull repeats at most one page and loses none.
"""

import argparse
from pathlib import Path

from finelake.lake.config.params import load, unknown_key
from finelake.lake.config.project import PARAMS
from finelake.lake.errors import UserError

EXAMPLE = "  finelake pull complaints"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a source of kind api in params.yaml")


def main(options: argparse.Namespace) -> None:
    pull_source(options.root, options.name)


def pull_source(root: Path, name: str) -> None:
    """Pull one API source of the project and say what came."""
    from finelake.jobs.sources import config as sources
    from finelake.jobs.sources import pull

    found = sources.parse_sources(load(root / PARAMS).get("sources"))
    unknown_key({name: None}, found, "sources")
    source = found[name]
    if not isinstance(source, sources.Api):
        raise UserError(f"the source {name} is no API; only sources of kind api are pulled")
    result = pull.pull(root, name, source)
    print(f"Pulled {name}: {result.items:,} new items on {result.pages} pages", flush=True)
    if result.more:
        print(f"Stopped at max_pages ({source.max_pages:,}); `finelake pull {name}` continues from there", flush=True)
