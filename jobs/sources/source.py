"""What a kind of source is: a frozen dataclass of its parameters, and how its rows are found and read.

A kind is one module here and one line in kinds.py. Everything else calls the methods of `Source`, whatever the kind.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession

from finelake.jobs.sources.columns import Column, assign
from finelake.jobs.sources.mapping import ColumnMapping
from finelake.lake.errors import UserError

if TYPE_CHECKING:
    from finelake.jobs.sources.pull import PullResult

VARIABLE = re.compile(r"\$\{(\w+)\}")


class Source(ABC):
    """A source of rows. In its methods, `root` is the project's folder and `name` the source's in params.yaml.

    ${NAME} stays in the values until they are used, so that a printed source shows no secret.
    """

    @property
    @abstractmethod
    def mapping(self) -> ColumnMapping:
        """How its columns become records or annotations."""

    @property
    def declares_types(self) -> bool:
        """Whether the source itself distinguishes numbers from texts."""
        return False

    @abstractmethod
    def check(self, root: Path, name: str) -> None:
        """UserError where its data or columns are not there, as far as one can see without Spark."""

    @abstractmethod
    def describe(self, spark: SparkSession, root: Path, name: str) -> list[Column]:
        """Its columns and what becomes of each; none where the kind gives them. UserError as `columns.assign`."""

    @abstractmethod
    def read(self, spark: SparkSession, root: Path, name: str, columns: Sequence[str]) -> DataFrame:
        """Its rows: the columns as text, and those of `_reason`, `_detail`, `_order` (readers.py) that the kind has.

        UserError when they cannot be read.
        """

    @abstractmethod
    def local_path(self, name: str) -> str | None:
        """The file or folder of this machine that it reads, None where it reads none. UserError as `expand`."""

    def variables(self) -> list[str]:
        """The environment variables that `check` and `read` need: each ${NAME} in its values."""
        values = [value for value in vars(self).values() if isinstance(value, str)]
        return [variable for value in values for variable in VARIABLE.findall(value)]

    def check_variables(self, name: str) -> None:
        """UserError naming a variable that is not set."""
        for variable in self.variables():
            expand(f"${{{variable}}}", name)

    def pull(self, root: Path, name: str) -> "PullResult":
        """Fetch what is new. UserError for a kind that is read where it is."""
        raise UserError(f"source {name} is not an API; only sources of kind api are pulled")


class Mapped(ColumnMapping, Source):
    """A source whose columns the user maps, by the keys of `ColumnMapping` among its own."""

    @property
    def mapping(self) -> ColumnMapping:
        return self

    @property
    @abstractmethod
    def holder(self) -> str:
        """What has the columns, in messages: a table, a path."""

    @abstractmethod
    def declared(self, root: Path, name: str) -> dict[str, str] | None:
        """The columns and their types; None where only Spark can see them. UserError when they cannot be read."""

    def inferred(self, spark: SparkSession, root: Path, name: str) -> dict[str, str]:
        """The columns and types that only a server or the rows themselves show, where `declared` gives None."""
        raise NotImplementedError

    def check(self, root: Path, name: str) -> None:
        self.check_variables(name)
        found = self.declared(root, name)
        if found is not None:
            self.assign(name, found)

    def describe(self, spark: SparkSession, root: Path, name: str) -> list[Column]:
        found = self.declared(root, name)
        return self.assign(name, self.inferred(spark, root, name) if found is None else found)

    def assign(self, name: str, found: Mapping[str, str]) -> list[Column]:
        """What becomes of each column that was found (name -> type). UserError as `columns.assign`."""
        return assign(name, self, found, self.holder, self.declares_types)


def expand(value: str, name: str, environment: Mapping[str, str] = os.environ) -> str:
    """`value` with each ${NAME} replaced. UserError naming a variable that is not set."""

    def replace(found: re.Match) -> str:
        if found[1] not in environment:
            raise UserError(
                f"sources.{name} needs the environment variable {found[1]}, which is not set; export {found[1]}=..."
            )
        return environment[found[1]]

    return VARIABLE.sub(replace, value)
