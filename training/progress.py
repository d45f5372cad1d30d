"""How training goes: one line on the terminal, curves and figures in files, all by rank 0."""

import csv
import io
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lake.project import write_atomically

QUIET = 5.0  # seconds between plain lines where there is no terminal


def write_json(path: Path, content: Any) -> None:
    """Figures as DVC metrics read them, written atomically."""
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, rows: Sequence[dict]) -> None:
    """Rows of the same keys as DVC plots read them, written atomically."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_atomically(path, text.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """What write_csv() wrote; empty where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@dataclass
class Progress:
    """A bar on a terminal, elsewhere a plain line now and then."""

    name: str
    total: int
    shown: bool = True
    done: int = 0
    _bar: Any = field(default=None, repr=False)
    _last: float = 0.0

    def __post_init__(self) -> None:
        if self.shown and sys.stderr.isatty():
            self._bar = tqdm(total=self.total, initial=self.done, desc=self.name, unit="step", file=sys.stderr)

    def update(self, done: int, **figures: float) -> None:
        """Show that `done` of `total` steps are over, with a few figures."""
        text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items() if name not in ("step", "epoch"))
        if self._bar is not None:
            self._bar.update(done - self.done)
            self._bar.set_postfix_str(text)
        elif self.shown and (time.monotonic() - self._last >= QUIET or done == self.total):
            self._last = time.monotonic()
            self.say(f"step {done}/{self.total}  {text}")
        self.done = done

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self.shown:
            return
        if self._bar is not None:
            self._bar.write(f"{self.name}: {text}", file=sys.stderr)
        else:
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
