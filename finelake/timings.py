"""The wall time of each stage of a run: one line per stage in .finelake/timings.jsonl."""

import json
from pathlib import Path

FILE = Path(".finelake/timings.jsonl")


def record(root: Path, stage: str, seconds: float) -> None:
    """Append a stage's wall time."""
    path = root / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"stage": stage, "seconds": round(seconds, 1)}) + "\n")


def start(root: Path) -> None:
    """Delete earlier timings."""
    (root / FILE).unlink(missing_ok=True)


def read(root: Path) -> list[tuple[str, float]]:
    """(stage, seconds) of every stage that ran since `start`, in order; `?` for a line garbled by two runs at once."""
    path = root / FILE
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return [_entry(line) for line in lines]


def _entry(line: str) -> tuple[str, float]:
    try:
        entry = json.loads(line)
        return str(entry["stage"]), float(entry["seconds"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return "?", 0.0
