"""Ask the pinned tables a question in SQL (DuckDB, no Spark).

Every pinned table is a view: clean.records, dedup.duplicates, tokenize_intent.samples.
"""

import argparse
import sys

from lake.duck import ask, connect
from lake.project import settings

EXAMPLE = """  finelake sql "select reason, count(*) from clean.rejects group by all"
  finelake sql --format csv "from split.report" """


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", help='one SQL statement; "show all tables" lists the views')
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="how the answer is printed")


def main(options: argparse.Namespace) -> None:
    answer = ask(connect(options.root, settings(options.root).lake), options.query)
    if answer is None:
        return
    if options.format == "table":
        print(answer)
    else:
        frame = answer.df()
        text = frame.to_csv(index=False) if options.format == "csv" else _json_lines(frame)
        sys.stdout.write(text)


def _json_lines(frame) -> str:
    return frame.to_json(orient="records", lines=True, force_ascii=False, date_format="iso")
