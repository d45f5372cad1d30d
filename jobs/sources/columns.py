"""Columns: which a source has, what becomes of each, and what is refused when its schema changes.

Every column is mapped, listed under `ignored`, or falls under `other_columns`; none is dropped in silence. What became
of each stands in the table ingest.columns.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql.types import StringType

from finelake.jobs.sources.mapping import ROW, ColumnMapping
from finelake.jobs.stage import struct
from finelake.lake.errors import UserError, did_you_mean

# Columns of a raw frame that are the reader's own; no column of a source may be called so.
SOURCE, REASON, DETAIL, ORDER, CORRUPT = "_source", "_reason", "_detail", "_order", "_corrupt"
COLUMNS = struct(source=StringType(), name=StringType(), type=StringType(), used_as=StringType())
TAKEN, IGNORED = "taken", "ignored"
# Types of SQLite, PostgreSQL (as Spark names them), Parquet and JSON that hold numbers; widening stays among them.
NUMERIC = re.compile(
    r"(?:u|big|small|tiny|medium)?int(?:eger)?\d*(?![a-z])|real|float|half|double|dec|num|null|untyped", re.IGNORECASE
)
FLOATING = re.compile(r"half|float|double|real", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of a source."""

    name: str
    type: str  # as the source declares it; of several files "int32|int64"; text in CSV, JSON's own types in JSON
    used_as: str  # key, time, number, ... ("text,fact" where it is both), taken or ignored


def assign(
    name: str, mapping: ColumnMapping, found: Mapping[str, str], holder: str, declares_types: bool
) -> list[Column]:
    """What becomes of each column that was found (name -> type) in `holder`, such as a table.

    UserError for a mapped column that is missing, a number that is none, a floating key, and a column that nothing
    maps where `other_columns` refuses it.
    """
    require(name, mapping, found, holder)
    mapped = mapping.uses()
    _check_numbers(name, mapping, found, declares_types)
    _check_keys(name, mapped, found)
    others = [column for column in found if column not in mapped and column not in mapping.ignored]
    if others and mapping.other_columns == "refuse":
        raise UserError(
            f"source {name} has columns that nothing maps: {', '.join(others)}; map them, list them under "
            f"sources.{name}.ignored, or set sources.{name}.other_columns to ignore or take"
        )
    default = {column: TAKEN if mapping.other_columns == "take" else IGNORED for column in others}
    used = {column: ",".join(mapped[column]) for column in mapped}
    columns = [Column(column, kind, used.get(column) or default.get(column, IGNORED)) for column, kind in found.items()]
    _check_names(name, mapping, columns)
    return columns


def names_to_read(mapping: ColumnMapping, columns: Sequence[Column]) -> list[str]:
    """The columns of a raw frame: those that are mapped, then those that are taken."""
    return [*mapping.mapped_columns(), *[column.name for column in columns if column.used_as == TAKEN]]


def remark(name: str, mapping: ColumnMapping, columns: Sequence[Column]) -> str | None:
    """A sentence on the columns that fell under `other_columns`; None where there are none."""
    others = [one.name for one in columns if one.used_as in (TAKEN, IGNORED) and one.name not in mapping.ignored]
    what = "taken into facts" if mapping.other_columns == "take" else "left out"
    return f"source {name}: columns that nothing maps are {what}: {', '.join(others)}" if others else None


def require(name: str, mapping: ColumnMapping, found: Iterable[str], holder: str) -> None:
    """UserError when a mapped column is not among those found in `holder`."""
    known = list(found)
    for column in mapping.mapped_columns():
        if column not in known and column != ROW:
            raise UserError(f"source {name}: {holder} has no column {column}; {did_you_mean(column, known)}")


def _check_numbers(name: str, mapping: ColumnMapping, found: Mapping[str, str], declares_types: bool) -> None:
    """CSV and JSON declare no types: a text in them may be a number, and what is none counts as missing."""
    for column in mapping.numbers:
        kinds = found[column].split("|")
        if not all(NUMERIC.match(kind) or kind == "text" and not declares_types for kind in kinds):
            raise UserError(
                f"source {name}: {column} is mapped under numbers, but its type is {found[column]}; "
                f"map it under facts, or make it a number in the source"
            )


def _check_keys(name: str, mapped: Mapping[str, Sequence[str]], found: Mapping[str, str]) -> None:
    """A key that was widened to a floating number reads 1.0 where it was 1: every record would be a new one."""
    for column in (one for one in found if {"key", "record_key"} & set(mapped.get(one, ()))):
        if any(FLOATING.match(kind) for kind in found[column].split("|")):
            raise UserError(
                f"source {name}: {column} is a key, but its type is {found[column]}, which writes 1 as 1.0; "
                f"make it text or a whole number in the source"
            )


def _check_names(name: str, mapping: ColumnMapping, columns: Sequence[Column]) -> None:
    """UserError for a name that Finelake uses itself, and for two that Spark cannot tell apart."""
    seen: dict[str, str] = {}
    for column in (one for one in columns if one.used_as != IGNORED):
        given_split = column.name == "split" and column.used_as == TAKEN and mapping.split
        if column.name in (SOURCE, REASON, DETAIL, ORDER, CORRUPT) or given_split:
            raise UserError(
                f"source {name}: Finelake has a column {column.name} of its own; "
                f"list it under sources.{name}.ignored or rename it in the source"
            )
        twin = seen.setdefault(column.name.lower(), column.name)
        if twin != column.name:
            raise UserError(
                f"source {name}: {twin} and {column.name} differ in case alone; list one under sources.{name}.ignored"
            )
