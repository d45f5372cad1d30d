"""The tree of a condition on split.records as a Spark column: no text of params.yaml reaches Spark's parser."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from finelake.lake.config.conditions import CAPITALS, NUMBER, SMALL, Node

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIDEST = 8  # and, or: parts joined in a chain; more become a tree, because the JVM recurses into each
OPERATORS: dict[str, Callable[..., Column]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "not": operator.invert,
    "null": lambda value: value.isNull(),
    "same": lambda left, right: left.eqNullSafe(right),
    "in": lambda value, *values: value.isin(*values),
    "lower": lambda text: F.translate(text, CAPITALS, SMALL),
    "upper": lambda text: F.translate(text, SMALL, CAPITALS),
    "length": F.length,
    "contains": F.contains,
    "starts_with": F.startswith,
    "ends_with": F.endswith,
    "year": F.year,
    "month": F.month,
    "day": F.dayofmonth,
    "coalesce": F.coalesce,
}


def column(node: Node) -> Column:
    """The condition on a frame of split.records, in a session whose time zone is UTC."""
    if node.does == "column":
        return F.col(node.parts[0])
    if node.does == "entry":
        entry = F.col(node.parts[0])[node.parts[1]]
        return entry.cast("double") if node.kind == NUMBER else entry
    if node.does == "literal":
        return _literal(node.parts[0])
    if node.does == "like":
        return column(node.parts[0]).like(node.parts[1].parts[0])
    parts = [column(part) for part in node.parts]
    if node.does in ("and", "or"):
        return _joined(operator.and_ if node.does == "and" else operator.or_, parts)
    result = OPERATORS[node.does](*parts)
    return result.cast("double") if node.kind == NUMBER else result


def _joined(join: Callable[[Column, Column], Column], parts: list[Column]) -> Column:
    if len(parts) <= WIDEST:
        return reduce(join, parts)
    middle = len(parts) // 2
    return join(_joined(join, parts[:middle]), _joined(join, parts[middle:]))


def _literal(value: Any) -> Column:
    if isinstance(value, datetime):
        since = value - EPOCH
        return F.timestamp_micros(F.lit((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds))
    return F.lit(value)
