"""The figures of the fault harness: `python -m tests.faults.report` prints the table of what was tried and held.

Reads what `make test-slow` and `make test-long` recorded last, a file for each test.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.faults.outcomes import Outcome

FOLDER = Path(__file__).parents[2] / ".pytest_cache" / "faults"
COLUMNS = (*Outcome,)


def recorded(folder: Path = FOLDER) -> list[dict[str, str]]:
    """Every case of the last runs."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines]


def table(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """A Markdown table: a line for each family and set, and their sum."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for family in (f"{row['family']} | {row['set']}", "all | "):
            counts.setdefault(family, Counter())[row["outcome"]] += 1
    ordered = sorted(counts, key=lambda family: (family == "all | ", family))
    lines = [f"| {family} | {counts[family].total():,} | " + _cells(counts[family]) + " |" for family in ordered]
    return ["| family | set | tried | " + " | ".join(COLUMNS) + " |", "|---" * (3 + len(COLUMNS)) + "|", *lines]


def _cells(counted: Counter[str]) -> str:
    return " | ".join(f"{counted[outcome]:,}" for outcome in COLUMNS)


if __name__ == "__main__":
    print(*table(recorded()), sep="\n")
