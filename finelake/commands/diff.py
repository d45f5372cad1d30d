"""Compare a table at two revisions: rows added, removed and changed, columns, and the drift of each column.

A revision is a commit, branch, tag or DVC experiment; `.`, the default of REV2, is the work tree.
"""

import argparse
import dataclasses
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from finelake.lake.config.project import settings
from finelake.lake.errors import UserError, did_you_mean
from finelake.lake.keys import KEYS
from finelake.lake.query import compare, duck
from finelake.lake.query.compare import Columns, Rows
from finelake.lake.query.drift import LARGE, SOME, Drift, drift
from finelake.lake.quoting import quoted
from finelake.lake.tables import digests
from finelake.lake.tables.snapshots import Table
from finelake.output.table import lines, printable, terminal_width

EXAMPLE = "  finelake diff main split.records\n  finelake diff v1 v2 dedup.duplicates --format json"
WORK_TREE = "."
NAMES = ("column", "kind", "null", "distinct", "mean", "median", "PSI", "chance")
LENGTHS = {"text": "text (length)", "list": "list (length)"}  # mean, median and PSI are of the lengths
VISIBLE = 0.0005  # a smaller change of a share rounds to none

Answer = tuple[Columns, Rows, list[Drift]]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="REV1", help="the older revision")
    parser.add_argument("after", metavar="REV2", nargs="?", default=WORK_TREE, help="the newer one (the work tree)")
    parser.add_argument("table", metavar="TABLE", help="stage.table")
    parser.add_argument("--examples", type=int, default=5, metavar="N", help="example ids per kind of difference (5)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="output format (text)")
    parser.add_argument(
        "--memory", default=duck.MEMORY, help=f"memory that it may use before it spills ({duck.MEMORY})"
    )


def main(options: argparse.Namespace) -> None:
    before, after = (_pinned(options, rev) for rev in (options.before, options.after))
    with digests.kept(options.root):
        columns, rows, drifts = _same(before[1]) if before[1] == after[1] else _compare(options, *after)
    if options.format == "json":
        answer = {"table": options.table, "before": options.before, "after": options.after}
        parts = {"columns": columns, "rows": rows, "drift": drifts}
        print(json.dumps(answer | _plain(parts), ensure_ascii=False, indent=2))
        return
    sizes = [
        f"{_shown(rev)} ({count:,} rows)" for rev, count in ((options.before, rows.before), (options.after, rows.after))
    ]
    print(f"{options.table}: {' to '.join(sizes)}")
    if not drifts:
        print("The same rows.")
        return
    for line in (*_column_lines(columns), *_row_lines(rows), *_drift_lines(drifts)):
        print(*map(printable, line.split("\n")), sep="\n")


def _pinned(options: argparse.Namespace, rev: str) -> tuple[str, Table]:
    """(stage, table) that a revision pins. UserError when it pins no such table."""
    stage, _, name = options.table.rpartition(".")
    tables = duck.pinned(options.root, _revision(rev))
    if (duck.schema_name(stage), name) not in tables:
        known = [f"{stage}.{name}" for (_, name), (stage, _) in tables.items()]
        raise UserError(f"{_shown(rev)} pins no table {options.table}; {did_you_mean(options.table, known)}")
    return tables[duck.schema_name(stage), name]


def _revision(rev: str) -> str | None:
    return None if rev == WORK_TREE else rev


def _shown(rev: str) -> str:
    return "the work tree" if rev == WORK_TREE else rev


def _same(table: Table) -> Answer:
    """The comparison of equal contents, without reading them."""
    return Columns(), Rows(key=(), before=table.rows, after=table.rows, counts=dict.fromkeys(compare.KINDS, 0)), []


def _compare(options: argparse.Namespace, stage: str, table: Table) -> Answer:
    lake = settings(options.root).lake
    name = f"{quoted(duck.schema_name(stage))}.{quoted(options.table.rpartition('.')[2])}"
    query = f"from {name}"
    opened = duck.connect(options.root, lake, _revision(options.before), options.memory, query, files=True)
    with opened as connection, duck.sentences():
        connection.execute(f"create view {compare.BEFORE} as from {name}")
        paths = duck.pinned_files(lake, stage, table, _revision(options.after))
        duck.create_view(connection, ("main", compare.AFTER), lake, stage, table, paths)
        columns = compare.columns(connection)
        rows = compare.rows(
            connection, columns.shared, KEYS.get(options.table.rpartition(".")[2], ()), options.examples
        )
        drifts = drift(connection, {name: kind for name, kind in columns.shared.items() if name not in rows.key})
    return columns, rows, drifts


def _plain(value: Any) -> Any:
    """The answer as JSON types; a mean that is not finite becomes null."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _column_lines(columns: Columns) -> Iterator[str]:
    if columns.added or columns.removed or columns.retyped:
        yield "\nColumns"
    for what, named in (("added", columns.added), ("removed", columns.removed)):
        yield from (f"  {what:<8} {name} {kind}" for name, kind in named.items())
    yield from (f"  {'retyped':<8} {name}: {old} -> {new}" for name, (old, new) in columns.retyped.items())


def _row_lines(rows: Rows) -> Iterator[str]:
    yield "\nRows" + (
        f", matched by {', '.join(rows.key)}" if rows.key else ", compared as a multiset: the table has no key"
    )
    for kind, count in rows.counts.items():
        examples = ", ".join(rows.examples.get(kind, []))
        yield f"  {kind:<8} {count:>9,}" + (f"   such as {examples}" if examples else "")
    if rows.changed_columns:
        yield f"  changed in: {', '.join(f'{name} {count:,}' for name, count in rows.changed_columns.items())}"


def _drift_lines(drifts: list[Drift]) -> Iterator[str]:
    moved = [column for column in drifts if column.psi > 0 or column.before != column.after]
    yield "\nValues, largest drift first"
    cells = [_cells(column) for column in sorted(moved, key=lambda column: -column.psi)]
    yield from (f"  {line}" for line in lines(NAMES, cells, terminal_width() - 2, (False, False, *[True] * 6)))
    if len(moved) < len(drifts):
        yield f"  {len(drifts) - len(moved)} columns did not drift"
    yield f"  PSI below {SOME} is stable, above {LARGE} a large shift; chance: the PSI expected of equal distributions"
    yield from _moved_lines(moved)


def _moved_lines(drifts: list[Drift]) -> Iterator[str]:
    shares = {
        column.name: [
            f"{value or 'NULL'} {old:.1%} -> {new:.1%}" for value, old, new in column.moved if abs(new - old) > VISIBLE
        ]
        for column in drifts
    }
    if any(shares.values()):
        yield "\nCategories, the values whose share changed most"
    yield from (f"  {name}: {', '.join(moved)}" for name, moved in shares.items() if moved)


def _cells(column: Drift) -> tuple[str, ...]:
    sides = (column.before, column.after)
    return (
        column.name,
        LENGTHS.get(column.kind, column.kind),
        _change(*[f"{side.nulls / side.rows:.1%}" if side.rows else "-" for side in sides]),
        _change(*[f"{side.distinct:,}" for side in sides]),
        _change(*[_number(column.kind, side.mean) for side in sides]),
        _change(*[_number(column.kind, side.median) for side in sides]),
        f"{column.psi:.3f}",
        f"{column.by_chance:.3f}",
    )


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def _number(kind: str, value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    if kind == "time":
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d")
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
