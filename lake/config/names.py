"""Names that params.yaml gives to sources and runs: they become parts of paths, stages, tables and commands."""

import re
from collections.abc import Iterable
from typing import Any

from finelake.lake.errors import UserError

LONGEST = 64  # characters
_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{LONGEST - 1}}}")


def is_name(name: Any) -> bool:
    """Whether a value may be the name of a source or a run."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def check_name(name: Any, where: str, kind: str) -> None:
    """UserError unless `name` is one; `where` is the section that holds it, `kind` a word such as source."""
    if not is_name(name):
        raise UserError(
            f"params.yaml: {where}.{_shown(name)}: a {kind}'s name begins with a letter and holds only letters, "
            f"digits, _ and -, at most {LONGEST} characters; rename it"
        )


def check_names(names: Iterable[Any], where: str, kind: str) -> None:
    """UserError for the first that is not a name, or that differs from an earlier one only in case.

    File systems and DuckDB may treat two such names as one.
    """
    known: dict[str, str] = {}
    for name in names:
        check_name(name, where, kind)
        other = known.setdefault(name.lower(), name)
        if other != name:
            raise UserError(f"params.yaml: {where}.{name} and {where}.{other} differ only in case; rename one of them")


def split_table(text: str) -> tuple[str, str]:
    """(stage, table) of a table's name such as clean.records. UserError for what may be another path."""
    stage, _, table = text.rpartition(".")
    name, at, run = stage.partition("@")
    if not is_name(name) or not is_name(table) or (at and not is_name(run)):
        raise UserError(
            f"{_shown(text)} is not a table's name; write stage.table, as in clean.records or tokenize@intent.samples"
        )
    return stage, table


def _shown(name: Any) -> str:
    """A name as one short word, without the line breaks that would split the sentence."""
    text = name if isinstance(name, str) and name.isprintable() and name else repr(name)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
