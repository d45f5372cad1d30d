"""How the distribution of each column moved between the views `before` and `after` of DuckDB.

PSI, the population stability index, over the bins of a column: sum((a - b) * ln(a / b)), where b and a are the shares
of the rows before and after in a bin (Siddiqi, Credit Risk Scorecards, 2006; his thresholds: below 0.1 stable, up to
0.25 some shift, above it a large one). Bins are deciles of the rows before; for a column of few values, its values;
null is a separate bin. Half a row is added to every bin, so that an empty one has a logarithm.

Two samples of one distribution also have a PSI: (bins - 1) * (1/rows before + 1/rows after) on average (Yurdakul and
Naranjo, Journal of Risk Model Validation 14(4), 2020). A PSI of that size is no evidence of drift.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb

from finelake.lake.query.compare import AFTER, BEFORE
from finelake.lake.quoting import literal, quoted

SOME, LARGE = 0.1, 0.25  # thresholds of the PSI
FEW = 50  # a text column with at most this many values, each twice on average, is a category
MOVED = 3  # values of a category that are shown
DECILES = [tenth / 10 for tenth in range(1, 10)]
NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
SIDES = {BEFORE: "false", AFTER: "true"}
DISTINCT = "count(distinct hash(value)) filter (value is not null)"  # hashes: long texts need no memory
TEMPORAL = ("TIMESTAMP", "DATE")


@dataclass(frozen=True)
class Column:
    """A column, or one entry of a map column."""

    name: str  # facts.channel for an entry of a map
    value: str  # SQL
    kind: str  # number, time, category, text, list
    number: str  # SQL: the value as a number: seconds since 1970, length of a text or list; empty for a category


@dataclass(frozen=True)
class Figures:
    """One side of a column."""

    rows: int
    nulls: int
    distinct: int
    mean: float | None = None  # of the value, of a time in seconds since 1970, of the length of a text or list
    deciles: list[float] | None = None  # nine values that divide it into ten equal shares

    @property
    def median(self) -> float | None:
        return self.deciles[4] if self.deciles else None


@dataclass(frozen=True)
class Drift:
    name: str
    kind: str
    before: Figures
    after: Figures
    psi: float
    by_chance: float  # the PSI expected of two samples of one distribution
    moved: list[tuple[str | None, float, float]]  # category: (value, share before, share after), largest change first


def drift(connection: duckdb.DuckDBPyConnection, shared: Mapping[str, str]) -> list[Drift]:
    """The drift of each of the shared columns (name -> type), in one or two scans per column."""
    return [_drift(connection, column) for column in columns(connection, shared)]


def columns(connection: duckdb.DuckDBPyConnection, shared: Mapping[str, str]) -> Iterator[Column]:
    """The columns, with a map replaced by its entries."""
    for name, kind in shared.items():
        if not kind.startswith("MAP("):
            yield _column(connection, name, quoted(name), kind)
            continue
        values = kind.removeprefix("MAP(").removesuffix(")").split(", ", 1)[1]
        for key in _map_keys(connection, quoted(name)):
            yield _column(connection, f"{name}.{key}", f"{quoted(name)}[{literal(key)}]", values)


def _map_keys(connection: duckdb.DuckDBPyConnection, column: str) -> list[str]:
    keys = " union ".join(f"select unnest(map_keys({column})) as key from {view}" for view in (BEFORE, AFTER))
    return [key for (key,) in connection.execute(f"{keys} order by key").fetchall()]


def _column(connection: duckdb.DuckDBPyConnection, name: str, value: str, kind: str) -> Column:
    if kind.endswith("[]"):
        return Column(name, f"{value}::varchar", "list", f"len({value})")
    if kind.startswith(TEMPORAL):
        return Column(name, value, "time", f"epoch({value})")
    if kind.removeprefix("U").startswith(NUMERIC):
        return Column(name, value, "number", f"{value}::double")
    if kind == "BOOLEAN" or _is_category(connection, value):
        return Column(name, value, "category", "")
    return Column(name, f"{value}::varchar", "text", f"length({value}::varchar)")


def _is_category(connection: duckdb.DuckDBPyConnection, value: str) -> bool:
    counts = connection.execute(f"select count(value), {DISTINCT} from {_both(value)}").fetchone()
    filled, distinct = counts  # type: ignore[misc]
    return bool(distinct <= FEW and 2 * distinct <= filled / len(SIDES))


def _both(value: str, number: str = "null::double") -> str:
    """A column of both sides: late (whether after), value, number."""
    sides = [f"select {late} as late, {value} as value, {number} as number from {view}" for view, late in SIDES.items()]
    return f"({' union all '.join(sides)})"


def _drift(connection: duckdb.DuckDBPyConnection, column: Column) -> Drift:
    both = _both(column.value, column.number or "null::double")
    before, after = _figures(connection, both)
    bins = _bins(connection, both, "value" if column.kind == "category" else _decile(before.deciles or []))
    shares = {value: (_share(old, before.rows), _share(new, after.rows)) for value, (old, new) in bins.items()}
    moved = sorted(shares.items(), key=lambda item: -abs(item[1][1] - item[1][0]))
    return Drift(
        name=column.name,
        kind=column.kind,
        before=before,
        after=after,
        psi=psi(list(bins.values())),
        by_chance=(len(bins) - 1) * sum(1 / side.rows if side.rows else 0 for side in (before, after)),
        moved=[(value, *share) for value, share in moved[:MOVED]] if column.kind == "category" else [],
    )


def _figures(connection: duckdb.DuckDBPyConnection, both: str) -> tuple[Figures, Figures]:
    # One quantile function for all: each call holds the numbers of the column in memory, 8 bytes per row.
    rows = connection.execute(
        f"select late, count(*), count(*) - count(value), {DISTINCT}, avg(number), quantile_cont(number, {DECILES}) "
        f"from {both} group by late"
    ).fetchall()
    sides = {late: Figures(*figures) for late, *figures in rows}
    nothing = Figures(rows=0, nulls=0, distinct=0)
    return sides.get(False, nothing), sides.get(True, nothing)


def _decile(edges: list[float]) -> str:
    """SQL: the bin of a number, as the number of edges below it; null for null."""
    above = [f"(number > {edge!r}::double)::int" for edge in sorted(set(edges))]
    return f"case when number is not null then {' + '.join(above) or '0'} end"


def _bins(connection: duckdb.DuckDBPyConnection, both: str, expression: str) -> dict[str | None, tuple[int, int]]:
    """(rows before, rows after) by bin."""
    counts = connection.execute(
        f"select ({expression})::varchar as bin, count(*) filter (not late), count(*) filter (late) "
        f"from {both} group by bin order by bin"
    ).fetchall()
    return {name: (before, after) for name, before, after in counts}


def psi(bins: list[tuple[int, int]]) -> float:
    """The population stability index of bins with (rows before, rows after)."""
    before, after = (sum(bin[side] for bin in bins) + len(bins) / 2 for side in (0, 1))
    shares = [((old + 0.5) / before, (new + 0.5) / after) for old, new in bins]
    return sum((new - old) * math.log(new / old) for old, new in shares)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
