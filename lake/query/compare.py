"""Two versions of a table in DuckDB, the views `before` and `after`: which columns and which rows differ.

Rows are compared by 64-bit hashes of their values, a column at a time, so that long texts need no memory; a change is
missed with a probability of 2**-64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb

from finelake.lake.quoting import quoted

BEFORE, AFTER = "before", "after"
KINDS = ("added", "removed", "changed")
ID = "record_id"  # what examples name where a table has no key


@dataclass(frozen=True)
class Columns:
    """How the columns differ."""

    added: dict[str, str] = field(default_factory=dict)  # name -> type
    removed: dict[str, str] = field(default_factory=dict)
    retyped: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> type before, after
    shared: dict[str, str] = field(default_factory=dict)  # of one type in both


@dataclass(frozen=True)
class Rows:
    """How the rows differ."""

    key: tuple[str, ...]  # columns by which rows were matched; empty: compared as a multiset, which knows no changes
    before: int
    after: int
    counts: dict[str, int]  # by KINDS
    changed_columns: dict[str, int] = field(default_factory=dict)  # in how many of the changed rows each differs
    examples: dict[str, list[str]] = field(default_factory=dict)  # ids by KINDS


def columns(connection: duckdb.DuckDBPyConnection) -> Columns:
    """The columns of `before` and `after`."""
    before, after = (_types(connection, view) for view in (BEFORE, AFTER))
    both = [name for name in before if name in after]
    return Columns(
        added={name: kind for name, kind in after.items() if name not in before},
        removed={name: kind for name, kind in before.items() if name not in after},
        retyped={name: (before[name], after[name]) for name in both if before[name] != after[name]},
        shared={name: before[name] for name in both if before[name] == after[name]},
    )


def _types(connection: duckdb.DuckDBPyConnection, view: str) -> dict[str, str]:
    answer = connection.view(view)
    return {name: str(kind) for name, kind in zip(answer.columns, answer.types, strict=True)}


def rows(
    connection: duckdb.DuckDBPyConnection, shared: dict[str, str], key: Sequence[str] = (), examples: int = 5
) -> Rows:
    """Compare the rows by their shared columns (name -> type), with up to `examples` ids of each kind.

    Rows are matched by `key` where both sides have its columns and no key twice, else compared as a multiset.
    """
    sizes = [connection.view(view).count("*").fetchone()[0] for view in (BEFORE, AFTER)]  # type: ignore[index]
    if key and set(key) <= set(shared) and all(_unique(connection, view, key) for view in (BEFORE, AFTER)):
        return _by_key(connection, shared, tuple(key), sizes, examples)
    return _as_multiset(connection, shared, sizes, examples)


def _unique(connection: duckdb.DuckDBPyConnection, view: str, key: Sequence[str]) -> bool:
    repeated = f"select 1 from {view} group by {', '.join(map(quoted, key))} having count(*) > 1 limit 1"
    return connection.execute(repeated).fetchone() is None


def _by_key(
    connection: duckdb.DuckDBPyConnection, shared: dict[str, str], key: tuple[str, ...], sizes: list[int], examples: int
) -> Rows:
    values = [name for name in shared if name not in key]
    shown = _match(connection, [quoted(name) for name in key], [comparable(name, shared[name]) for name in values])
    counts = dict(connection.execute("select kind, count(*) from differences group by kind").fetchall())
    changed = connection.execute(
        "select index, count(*) from (select unnest(differs) as differs, generate_subscripts(differs, 1) as index "
        "from differences where kind = 'changed') where differs group by index order by index"
    ).fetchall()
    return Rows(
        key=key,
        before=sizes[0],
        after=sizes[1],
        counts={kind: counts.get(kind, 0) for kind in KINDS},
        changed_columns={values[index - 1]: number for index, number in changed},
        examples={kind: _examples(connection, shown, f"differences where kind = '{kind}'", examples) for kind in KINDS},
    )


def _match(connection: duckdb.DuckDBPyConnection, key: Sequence[str], values: Sequence[str]) -> str:
    """Create the table `differences`: the key (k0, …), kind and, for a changed row, which values differ.

    `key` and `values` are SQL expressions. Returns the expression that shows a key as text.
    """
    keys, hashes = ([f"{letter}{index}" for index in range(len(of))] for letter, of in (("k", key), ("v", values)))
    named = [f"{expression} as {name}" for expression, name in zip(key, keys, strict=True)]
    named += [f"hash({expression}) as {name}" for expression, name in zip(values, hashes, strict=True)]
    side = f"(select {', '.join(named)}, true as here from "
    connection.execute(f"""
        create or replace temp table differences as
        select {", ".join(f"coalesce(b.{name}, a.{name}) as {name}" for name in keys)},
               case when b.here is null then 'added' when a.here is null then 'removed' else 'changed' end as kind,
               [{", ".join(f"b.{name} <> a.{name}" for name in hashes)}]::boolean[] as differs
        from {side}{BEFORE}) b full join {side}{AFTER}) a
          on {" and ".join(f"b.{name} is not distinct from a.{name}" for name in keys)}
        where b.here is null or a.here is null{"".join(f" or b.{name} <> a.{name}" for name in hashes)}""")
    return f"concat_ws(' ', {', '.join(keys)})"


def _as_multiset(
    connection: duckdb.DuckDBPyConnection, shared: dict[str, str], sizes: list[int], examples: int
) -> Rows:
    """The rows that one side has more often than the other."""
    values = [comparable(name, kind) for name, kind in shared.items()]
    row = f"hash({', '.join(['0', *values])})"
    connection.execute(f"""
        create or replace temp table differences as
        select row, sum(more) as more
        from (select {row} as row, -1 as more from {BEFORE} union all select {row}, 1 from {AFTER})
        group by row having sum(more) <> 0""")
    total = "select coalesce(sum(greatest(more, 0)), 0)::bigint, coalesce(sum(greatest(-more, 0)), 0)::bigint"
    added, removed = connection.execute(f"{total} from differences").fetchone()  # type: ignore[misc]
    listed = {"added": (AFTER, "more > 0"), "removed": (BEFORE, "more < 0")} if ID in shared else {}
    return Rows(
        key=(),
        before=sizes[0],
        after=sizes[1],
        counts={"added": added, "removed": removed},
        examples={
            kind: _examples(
                connection, ID, f"{view} where {row} in (select row from differences where {side})", examples
            )
            for kind, (view, side) in listed.items()
        },
    )


def _examples(connection: duckdb.DuckDBPyConnection, shown: str, source: str, number: int) -> list[str]:
    ids = connection.execute(f"select distinct {shown} as id from {source} order by id limit {number}").fetchall()
    return [example for (example,) in ids]


def comparable(name: str, kind: str) -> str:
    """A column as an expression that is equal for equal values: the order of a map's entries does not matter."""
    return f"list_sort(map_entries({quoted(name)}))" if kind.startswith("MAP(") else quoted(name)
