"""What the systems that are compared are asked, and what they say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MODEL = "model"  # the fine-tuned one among the systems


@dataclass(frozen=True)
class Question:
    """A record as a task asks about it."""

    prompt: str
    wanted: str  # class or reply
    lang: str


@dataclass(frozen=True)
class Answers:
    """The test rows of a run and each system's answers to them, all in one order."""

    rows: list[dict[str, Any]]  # records
    wanted: list[str]  # class or reply
    given: dict[str, list[str]]  # by system: the model, then the baselines
    selected: int  # test rows that `where` selects; those not among `rows` are in the rejects of select and tokenize

    @property
    def baselines(self) -> list[str]:
        """The systems that the model is compared with."""
        return [system for system in self.given if system != MODEL]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """What is wanted and what the model gives, row by row."""
        return zip(self.wanted, self.given[MODEL], strict=True)
