"""Quality checks: SQL files that return the rows which break a rule, run on the pinned tables in DuckDB.

A check is one file: a comment header, then a query. In the query, `this` is the table that is checked, `previous` the
same table as it was pinned before; tables of the same stage need no prefix, and $name is a value of the header.
"""

import functools
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, get_args

import duckdb
import yaml

from finelake.lake.config.contract import LISTS
from finelake.lake.config.params import unknown_key
from finelake.lake.config.project import read_file
from finelake.lake.config.stages import PRIVATE
from finelake.lake.errors import UserError, did_you_mean
from finelake.lake.query.duck import (
    VALUES_OF_A_PIVOT,
    confine,
    connect,
    create_view,
    named_in_tree,
    open_parser,
    refuse_acting,
    schema_name,
    views,
)
from finelake.lake.quoting import quoted
from finelake.lake.tables.revisions import manifests_at
from finelake.lake.tables.snapshots import Table, files

SHIPPED = Path(__file__).parent / "sql"
OWN = Path("quality")  # a project's own checks, below its root
PREVIOUS = "previous"  # in `needs`: the same table as it was pinned before
EXAMPLES = 5  # failing rows that are shown
MEMORY = "600MB"  # DuckDB's share of the GiB that a run of all checks may take; what does not fit goes to the disk
CONCURRENT_CHECKS = 2

# What queries can call: the population stability index of bins, from lists of the rows in each. Half a row is added to
# each bin, as in lake/query/drift.py.
MACROS = """
create or replace temp macro share(bins, bin) as (bins[bin] + 0.5) / (list_sum(bins) + 0.5 * len(bins));
create or replace temp macro psi(now, before) as list_sum(list_transform(
    range(1, len(now) + 1),
    lambda bin: (share(now, bin) - share(before, bin)) * ln(share(now, bin) / share(before, bin))
));
"""

# The columns that are shown of rows in tables that are not masked.
SHOWN = {
    *("record_id", "removed", "kept", "cluster", "source", "stage", "layer", "role", "lang", "reason", "column"),
    *("occurred_at", "newest", "days", "rows", "rejected", "before", "now", "share", "psi", "distance", "similarity"),
}

# Table functions that read no table; others may read tables that the query does not name.
GENERATING = {"range", "generate_series", "unnest"}

# Errors of a query or of the machine; all others may show the values of a row.
SAFE_TO_SHOW = (
    *(duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException),
    *(duckdb.OutOfMemoryException, duckdb.IOException, duckdb.PermissionException),
)

Severity = Literal["error", "warn"]
Status = Literal["passed", "warning", "error", "skipped"]
Manifests = Mapping[str, Mapping[str, Table]]


@dataclass(frozen=True)
class Params:
    """Section `quality` of params.yaml."""

    skip: tuple[str, ...] = ()  # checks that are not run
    severity: dict[str, Severity] = field(default_factory=dict)  # by check, instead of the one in its header
    values: dict[str, Any] = field(default_factory=dict)  # by name, instead of the default in the checks' headers


@dataclass(frozen=True)
class Limit:
    """A condition on the number of failing rows, such as `> 0` or `> 1 %` of the table's rows."""

    operator: str
    number: float
    share: bool  # the number is a percentage

    def holds(self, failing: int, rows: int) -> bool:
        bound = self.number * rows / 100 if self.share else self.number
        return failing >= bound if self.operator == ">=" else failing > bound

    def __str__(self) -> str:
        return f"{self.operator} {self.number:g}{' %' if self.share else ''}"


@dataclass(frozen=True)
class Check:
    """One check: the header and the query of its file."""

    name: str
    file: str  # its path in messages
    rule: str  # in words
    tables: tuple[str, ...]  # each is checked separately; *.records: of every stage, tokenize@*.samples: of every run
    sql: str
    needs: tuple[str, ...] = ()  # other tables that must be pinned, and PREVIOUS
    severity: Severity = "error"
    warn_if: Limit = Limit(">", 0, False)
    error_if: Limit = Limit(">", 0, False)
    values: Mapping[str, Any] = field(default_factory=dict)
    lists: tuple[str, ...] = ()  # of lake/config/contract.py, passed to the query like the values

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of $name in the query."""
        return {**self.values, **{name: list(LISTS[name]) for name in self.lists}}

    @property
    def compares(self) -> bool:
        """Whether the result depends on more than the tables that are pinned now."""
        return PREVIOUS in self.needs


@dataclass(frozen=True)
class Result:
    """The result of a check on one table."""

    check: Check
    table: str
    status: Status
    reason: str = ""  # why it was skipped, or the condition that held
    rows: int = 0  # of the table
    failing: int = 0
    examples: Sequence[Mapping[str, Any]] = ()  # by column
    seconds: float = 0.0


# --- files -----------------------------------------------------------------------------------------------------------


def load_checks(root: Path, params: Params) -> list[Check]:
    """The shipped checks and the project's, configured by `params`; a project's check replaces a shipped namesake.

    UserError for a header that does not parse, and for a parameter that names an unknown check or value.
    """
    checks = {check.name: check for folder in (SHIPPED, root / OWN) for check in read_checks(folder, root)}
    unknown_key(dict.fromkeys(params.skip), checks, "quality.skip")
    unknown_key(params.severity, checks, "quality.severity")
    defaults = {name: value for check in checks.values() for name, value in check.values.items()}
    unknown_key(params.values, defaults, "quality.values")
    for name, value in params.values.items():
        _check_type(name, value, defaults[name])
    return [_set_up(checks[name], params) for name in sorted(set(checks) - set(params.skip))]


def read_checks(folder: Path, root: Path) -> list[Check]:
    """The checks of a folder, sorted by name; none where there is no such folder, OSError where it cannot be listed."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".sql"))
    except FileNotFoundError:
        return []
    paths = [folder / name for name in names]
    return [parse_check(read_file(path).decode("utf-8"), path.stem, _named(path, root)) for path in paths]


def _named(path: Path, root: Path) -> str:
    base = root if path.is_relative_to(root) else SHIPPED.parents[2]
    return str(path.relative_to(base))


def _check_type(name: str, value: Any, default: Any) -> None:
    kind = (int, float) if isinstance(default, float) else type(default)
    if isinstance(value, bool) != isinstance(default, bool) or not isinstance(value, kind):
        raise UserError(f"params.yaml: quality.values.{name} is {value!r}; write a value like its default, {default!r}")


def _set_up(check: Check, params: Params) -> Check:
    values = {name: params.values.get(name, default) for name, default in check.values.items()}
    return replace(check, severity=params.severity.get(check.name, check.severity), values=values)


def parse_check(text: str, name: str, file: str) -> Check:
    """A check from the text of its file. UserError naming file and line for a header that does not parse."""
    lines = text.splitlines()
    length = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    rule: list[str] = []
    entries: dict[str, Any] = {}
    for number, line in enumerate(lines[:length], start=1):
        content = line.removeprefix("--").strip()
        key, colon, value = content.partition(":")
        try:
            if colon and re.fullmatch("[a-z_]+", key):
                entries |= _entry(key, value.strip(), entries)
            elif entries:
                raise ValueError(f"{content!r} is not `key: value`; write the rule in words above the first key")
            else:
                rule.append(content)
        except ValueError as error:
            raise UserError(f"{file}:{number}: {error}") from None
    sql = "\n".join(lines[length:]).strip().rstrip(";")
    required = {"rule, a sentence in the first comment": rule, "line `-- table: stage.table`": entries.get("tables")}
    twice = set(entries.get("values", ())) & set(entries.get("lists", ()))
    if twice:
        raise UserError(f"{file}:1: {sorted(twice)[0]} is in both values and lists; rename the value")
    for what, present in (required | {"query below its header": sql}).items():
        if not present:
            raise UserError(f"{file}:1: the check has no {what}; add it")
    return Check(name=name, file=file, rule=" ".join(rule), sql=sql, **entries)


def _entry(key: str, text: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the header as a field of Check. ValueError explains what is wrong."""
    if key not in ENTRIES:
        raise ValueError(f"unknown key {key}; {did_you_mean(key, ENTRIES)}")
    name, read = ENTRIES[key]
    if name in before:
        raise ValueError(f"{key} is given twice; write it once")
    return {name: read(text)}


def _tables(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not re.fullmatch(r"(\*|[a-z]+(@\S+)?)\.[a-z_]+", name):
            raise ValueError(f"{name!r} is not a table; write stage.table, as in clean.records or tokenize@*.samples")
    return names


def _needs(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    others = [name for name in names if name != PREVIOUS]
    return (*([PREVIOUS] if PREVIOUS in names else []), *(_tables(", ".join(others)) if others else ()))


def _severity(text: str) -> str:
    if text not in get_args(Severity):
        raise ValueError(f"{text!r} is not a severity; write error or warn")
    return text


def _limit(text: str) -> Limit:
    match = re.fullmatch(r"(>=?)\s*(\d+(?:\.\d+)?)\s*(%?)", text)
    if not match:
        raise ValueError(f"{text!r} is not a condition on the number of failing rows; write `> 0` or `> 1 %`")
    return Limit(match[1], float(match[2]), bool(match[3]))


def _values(text: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        raise ValueError(f"{text!r} is not a mapping of names to values; write {{name: 1, other: text}}")
    return values


def _lists(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in LISTS:
            raise ValueError(f"{name!r} is not a list of the contract; {did_you_mean(name, LISTS)}")
    return names


ENTRIES = {
    "table": ("tables", _tables),
    "needs": ("needs", _needs),
    "severity": ("severity", _severity),
    "warn_if": ("warn_if", _limit),
    "error_if": ("error_if", _limit),
    "values": ("values", _values),
    "lists": ("lists", _lists),
}


# --- running ---------------------------------------------------------------------------------------------------------


def run_checks(
    root: Path, lake_root: str, checks: Sequence[Check], pinned: Manifests, rev: str | None = None
) -> Iterator[Result]:
    """Run each check on each of its tables in `pinned`, which the work tree or `rev` pins.

    `previous` is what HEAD, or the parent of `rev`, pins. UserError for a table that the lake lacks, and for a query
    that DuckDB cannot run.
    """
    connection = connect(root, lake_root, rev=rev, memory=MEMORY, files=True)
    # The order of rows does not matter to a check, and keeping it costs memory.
    connection.execute("set global preserve_insertion_order = false")
    tables = {f"{stage}.{name}": table for stage, named in pinned.items() for name, table in named.items()}
    # A check may read any table of its stage: where one of them was expired, the stage is skipped.
    opened = views(connection)
    expired = {stage for stage, named in pinned.items() for name in named if (schema_name(stage), name) not in opened}
    present = {table for table in tables if table.partition(".")[0] not in expired}
    compared = {table for check in checks if check.compares for table in matching(check.tables, present)} & present
    before = f"{rev}^" if rev else "HEAD"
    absent = {name: f"the stage of {name} was expired" for name in tables.keys() - present}
    absent |= _create_previous(connection, root, lake_root, {table: tables[table] for table in compared}, before)
    confine(connection)  # a check is a file of the repository and needs nothing but the pinned tables
    pairs = [(check, table) for check in checks for table in matching(check.tables, present)]

    def result(pair: tuple[Check, str]) -> Result:
        return skipped(*pair, present=present, absent=absent) or run_check(connection.cursor(), *pair)

    # A table has few files, so one query rarely keeps all cores busy.
    with ThreadPoolExecutor(CONCURRENT_CHECKS) as pool:
        yield from pool.map(result, pairs)


def _create_previous(
    connection: duckdb.DuckDBPyConnection, root: Path, lake_root: str, tables: Mapping[str, Table], rev: str
) -> dict[str, str]:
    """Create views of `tables` as a revision pinned them; returns the reason for each table without one."""
    if not tables:
        return {}
    try:
        pinned = manifests_at(root, rev)
    except UserError as error:
        return dict.fromkeys(tables, _first(error))
    absent = {}
    for table, now in tables.items():
        stage, _, name = table.partition(".")
        before = pinned.get(stage, {}).get(name)
        if before is None or before.schema != now.schema:
            absent[table] = f"{rev} pins {'no' if before is None else 'other columns of'} {table}"
            continue
        try:
            paths = files(lake_root, stage, before)
        except UserError as error:
            absent[table] = f"of {rev}: {_first(error)}"
            continue
        schema = f"{PREVIOUS}_{schema_name(stage)}"
        connection.execute(f"create schema if not exists {quoted(schema)}")
        create_view(connection, (schema, name), lake_root, stage, before, paths)
    return absent


def _first(error: UserError) -> str:
    """The sentence without its hint."""
    return str(error).split(";")[0]


def matching(patterns: Sequence[str], present: Collection[str]) -> list[str]:
    """The tables that a check's `table` line means; a name or pattern without a match is returned unchanged."""
    tables: list[str] = []
    for pattern in patterns:
        tables += sorted(table for table in present if fnmatchcase(table, pattern)) or [pattern]
    return tables


def skipped(check: Check, table: str, present: Collection[str], absent: Mapping[str, str]) -> Result | None:
    """The result where a table that the check reads is absent, else None."""
    missing = [name for name in (table, *check.needs) if name != PREVIOUS and name not in present]
    if missing:
        return Result(check, table, "skipped", absent.get(missing[0], f"{missing[0]} is not pinned"))
    if check.compares and table in absent:
        return Result(check, table, "skipped", absent[table])
    return None


def run_check(connection: duckdb.DuckDBPyConnection, check: Check, table: str) -> Result:
    """Run a check on one table; `connection` has the views of its stage. UserError for a query that fails."""
    started = time.monotonic()
    stage, _, name = table.partition(".")
    try:
        hidden = _reads_unmasked(check.sql) or stage in PRIVATE
        connection.execute("set timezone = 'UTC'")
        _name_tables(connection, schema_name(stage), name, check.compares)
        connection.execute(MACROS)
        connection.execute(f"create or replace temp table failing as\n{check.sql}", check.parameters)
        (rows,), (failing,) = _one(connection, "this"), _one(connection, "failing")
        examples = _examples(connection, hidden) if failing else []
    except UserError as error:
        raise UserError(f"{check.file}: {error}") from None
    except duckdb.Error as error:
        raise UserError(f"{check.file}: the query failed on {table} ({_redacted(error)}); correct it") from None
    status, reason = judge(check, failing, rows)
    return Result(check, table, status, reason, rows, failing, examples, time.monotonic() - started)


@functools.cache
def _reads_unmasked(sql: str) -> bool:
    """Whether a query names, besides the tables of its stage, an unmasked one, or may read a file of one.

    Decided on DuckDB's parse of it. UserError for a query that does more than read, or hides what it reads.
    """
    keys = ("catalog_name", "schema_name", "table_name", "function_name", "function.function_name")
    with open_parser() as parser:
        refuse_acting(parser, sql)
        named = named_in_tree(parser, sql, *keys)
    if named is None:
        raise UserError(f"a pivot without its values, or an explain, is refused in a check; {VALUES_OF_A_PIVOT}")
    if "query_table" in map(str.lower, named["function_name"]):
        raise UserError("the function query_table is refused in a check: it hides which table is read; name the table")
    schemas = {name.lower().removeprefix(f"{PREVIOUS}_") for name in named["schema_name"]}
    names = {*named["catalog_name"], *named["table_name"], *(schema.replace("-", "_") for schema in schemas)}
    files = any(not re.fullmatch(r"\w*", name) for name in names)  # DuckDB also opens "a/b.parquet" and "a/b".parquet
    return not schemas.isdisjoint(PRIVATE) or files or not GENERATING.issuperset(named["function.function_name"])


def _name_tables(connection: duckdb.DuckDBPyConnection, schema: str, name: str, compares: bool) -> None:
    connection.execute(f"use {quoted(schema)}")
    connection.execute(f"create or replace temp view this as from {quoted(schema)}.{quoted(name)}")
    if compares:
        before = f"{quoted(f'{PREVIOUS}_{schema}')}.{quoted(name)}"
        connection.execute(f"create or replace temp view {PREVIOUS} as from {before}")


def _one(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int]:
    return connection.execute(f"select count(*) from {table}").fetchall()[0]


def _redacted(error: duckdb.Error) -> str:
    """The reason of an error without the values of rows, which may be personal data."""
    if isinstance(error, SAFE_TO_SHOW):
        return str(error).split("\n")[0]
    return type(error).__name__


def judge(check: Check, failing: int, rows: int) -> tuple[Status, str]:
    """Status and the condition that held. A table without failing rows passes, whatever the condition."""
    if failing and check.severity == "error" and check.error_if.holds(failing, rows):
        return "error", f"error_if {check.error_if}"
    if failing and check.warn_if.holds(failing, rows):
        return "warning", f"warn_if {check.warn_if}"
    return "passed", ""


def _examples(connection: duckdb.DuckDBPyConnection, hidden: bool) -> list[dict[str, Any]]:
    """The first failing rows in the order of their values; with `hidden` only the columns in SHOWN."""
    columns = [row[0] for row in connection.execute("describe failing").fetchall()]
    if hidden:
        columns = [column for column in columns if column in SHOWN]
    if not columns:
        return []
    listed = ", ".join(map(quoted, columns))
    rows = connection.execute(f"select {listed} from failing order by all limit {EXAMPLES}").fetchall()
    return [dict(zip(columns, row, strict=True)) for row in rows]
