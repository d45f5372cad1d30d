"""Query the pinned tables in SQL (DuckDB, no Spark), or open a shell.

Every pinned table is a view: clean.records, dedup.duplicates, tokenize_intent.samples.
"""

import argparse
import sys
from pathlib import Path

from finelake import shell
from finelake.lake.config.project import settings
from finelake.lake.errors import UserError
from finelake.lake.output import replacing
from finelake.lake.query import duck
from finelake.lake.tables import digests
from finelake.output.table import lines, terminal_width

EXAMPLE = """  finelake sql "select reason, count(*) from clean.rejects group by all"
  finelake sql --rev main "from split.report"
  finelake sql --format parquet --output records.parquet "from mask.records"
  finelake sql"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", nargs="?", help="one statement; without it, a shell (`.tables` lists the tables)")
    parser.add_argument("--rev", help="query the tables that this commit, branch, tag or experiment pinned")
    parser.add_argument("--format", choices=("table", *duck.FORMATS), default="table", help="output format (table)")
    parser.add_argument(
        "--output", type=_here, metavar="FILE", help="write the answer to this file (csv, json, parquet)"
    )
    parser.add_argument(
        "--tables-only",
        action="store_true",
        help="no other files, environment or network: for SQL that you did not write",
    )
    parser.add_argument("--limit", type=int, default=100, help="rows shown by the format table (100)")
    parser.add_argument(
        "--memory", default=duck.MEMORY, help=f"memory that a query may use before it spills ({duck.MEMORY})"
    )


def _here(path: str) -> Path:
    """A path relative to the folder in which the command was given; the command runs in the project's root."""
    return Path(path).absolute()


def main(options: argparse.Namespace) -> int:
    _check(options)
    with digests.kept(options.root):
        if options.query is None:
            return shell.run(options.root, lambda query: _answer(query, options), lambda: _print_tables(options))
        _answer(options.query, options)
        return 0


def _check(options: argparse.Namespace) -> None:
    if options.output and options.format == "table":
        raise UserError("--output needs a file format; add --format csv, json or parquet")
    if options.output and options.query is None:
        raise UserError("--output needs a query; add one, or leave --output out")
    if options.format == "parquet" and not options.output and sys.stdout.isatty():
        raise UserError("parquet cannot be shown on a terminal; add --output FILE or redirect it")


def _answer(query: str, options: argparse.Namespace) -> None:
    lake = settings(options.root).lake
    files = not options.tables_only
    with duck.connect(options.root, lake, options.rev, options.memory, query, files) as connection:
        answer = duck.run_query(connection, query)
        if options.output:
            with replacing(options.output) as part, part.open("wb") as out:
                duck.stream(connection, answer, options.format, out)
        elif options.format == "table":
            _print_answer(answer, options.limit)
        else:
            sys.stdout.flush()
            duck.stream(connection, answer, options.format, sys.stdout.buffer)


def _print_answer(answer, limit: int) -> None:
    rows = duck.texts(answer, limit + 1)
    if answer.columns == ["explain_key", "explain_value"]:
        print(*[row[1] for row in rows], sep="\n")
        return
    for line in lines(answer.columns, rows[:limit], terminal_width(), duck.numeric(answer)):
        print(line)
    if len(rows) > limit:
        print(f"the first {limit:,} rows; --limit N shows more, --format csv all")


def _print_tables(options: argparse.Namespace) -> None:
    pinned = duck.pinned(options.root, options.rev)
    rows = [(f"{schema}.{name}", f"{table.rows:,}") for (schema, name), (_, table) in pinned.items()]
    for line in lines(("table", "rows"), rows, terminal_width(), (False, True)):
        print(line)
