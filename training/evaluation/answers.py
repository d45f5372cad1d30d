"""What the systems that are compared say to the test rows."""

from dataclasses import dataclass
from typing import Any

MODEL = "model"  # the fine-tuned one among the systems


@dataclass(frozen=True)
class Answers:
    """The test rows of a run and each system's answers to them, all in one order."""

    rows: list[dict[str, Any]]  # records
    wanted: list[str]  # class or reply
    given: dict[str, list[str]]  # by system: the model, then the baselines
    selected: int  # test rows that `where` selects; those not among `rows` are in the rejects of select and tokenize
