"""Fetch what is new from an API source, and store its pages as files for `ingest`.

After a kill, the next pull repeats at most one page and loses none.
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
    """Pull one API source of the project and print the number of new items."""
    from finelake.jobs.sources import config as sources
    from finelake.jobs.sources import pull

    declared = sources.parse_sources(load(root / PARAMS).get("sources"))
    unknown_key({name: None}, declared, "sources")
    source = declared[name]
    if not isinstance(source, sources.Api):
        raise UserError(f"the source {name} is not an API; only sources of kind api can be pulled")
    result = pull.pull(root, name, source)
    print(f"Pulled {name}: {result.items:,} new items on {result.pages} pages", flush=True)
    if result.more:
        print(f"Stopped at max_pages ({source.max_pages:,}); `finelake pull {name}` continues from there", flush=True)
