"""How training goes: one line on the terminal, curves and figures in files, gauges for Prometheus; all by rank 0."""

import csv
import io
import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import prometheus_client
import torch
from prometheus_client import CollectorRegistry, Gauge
from tqdm import tqdm

from finelake.lake.config.project import write_atomically

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
        shown = {name: value for name, value in figures.items() if name not in ("step", "epoch", "eta")}
        text = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
        if "eta" in figures:
            text += f"  left {tqdm.format_interval(figures['eta'])}"
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


# ---------------------------------------------------------------------------------------------------------------------
# Measuring

# Peak of dense bfloat16 matrix products, operations a second, as the vendor's data sheets give them.
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "A10": 125e12, "L40S": 362e12, "L4": 121e12, "V100": 125e12}


class Waiting(Protocol):
    waited: float  # seconds


class Meter:
    """Speed, waiting and memory since the last row of the curve."""

    def __init__(self, device: torch.device, trained: int, operations: int):
        self.device = device
        self.trained = trained  # parameters
        self.operations = operations  # floating-point operations a token
        self.peak = peak(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
        self.start()

    def start(self) -> None:
        """Count afresh from now on: what went before, a validation say, is no training."""
        self.tokens, self.steps, self.waited, self.began = 0, 0, 0.0, time.perf_counter()

    def add(self, tokens: int, loader: Waiting) -> None:
        """A step is over: its tokens on this rank."""
        self.tokens += tokens
        self.steps += 1
        self.waited += loader.waited
        loader.waited = 0.0

    def row(self, tokens: float, ranks: int, left: int) -> dict[str, float]:
        """The figures of the steps since the last row, `tokens` over all ranks and `left` steps to go; starts afresh.

        data_wait: share of the time this rank waited for data; eta: seconds; memory: MiB, this rank's highest so far;
        mfu, where the device's peak is known: operations done as a share of that peak (Chowdhery et al. 2022)
        """
        spent = time.perf_counter() - self.began
        figures = {
            "tokens_per_second": round(tokens / spent, 1),
            "data_wait": round(self.waited / spent, 4),
            "eta": round(spent / max(self.steps, 1) * left, 1),
            "memory": round(memory(self.device) / 2**20, 1),
        }
        if self.peak:
            figures["mfu"] = round(tokens * self.operations / spent / (self.peak * ranks), 4)
        self.start()
        return figures


def mean_speed(curve: Sequence[dict[str, float]]) -> float:
    """Tokens a second over all rows of a curve, whose steps are taken to hold equally many tokens."""
    steps = [row["step"] for row in curve]
    taken = [step - before for step, before in zip(steps, [0, *steps[:-1]], strict=True)]
    return statistics.harmonic_mean([row["tokens_per_second"] for row in curve], weights=taken)


def peak(device: str) -> float | None:
    """Operations a second that a device of this name can do at most; None where it is not known."""
    return next((value for name, value in PEAKS.items() if name in device.replace("-", " ").split()), None)


def memory(device: torch.device) -> float:
    """The most bytes that this process held so far: of the GPU's memory, or where there is none resident ones."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


# ---------------------------------------------------------------------------------------------------------------------
# Prometheus

GAUGES = {  # of a column of the curve: metric, help, factor to the metric's unit
    "step": ("finelake_train_step", "Optimiser steps done", 1),
    "loss": ("finelake_train_loss", "Mean loss a target since the last row", 1),
    "learning_rate": ("finelake_train_learning_rate", "Learning rate of the first parameter group", 1),
    "tokens_per_second": ("finelake_train_tokens_per_second", "Real tokens a second over all ranks", 1),
    "data_wait": ("finelake_train_data_wait_ratio", "Share of the time that rank 0 waited for data", 1),
    "eta": ("finelake_train_eta_seconds", "Time to the last step at the present speed", 1),
    "memory": ("finelake_train_memory_bytes", "Highest memory of rank 0 so far", 2**20),
    "mfu": ("finelake_train_mfu_ratio", "Operations as a share of the device's peak", 1),
}


def write_textfile(path: Path | None, run: str, row: dict[str, float]) -> None:
    """A row of the curve for the textfile collector of Prometheus' node exporter, replaced atomically."""
    if path is None:
        return
    registry = CollectorRegistry()
    for column, (name, text, factor) in GAUGES.items():
        if column in row:
            Gauge(name, text, ["run"], registry=registry).labels(run).set(row[column] * factor)
    path.parent.mkdir(parents=True, exist_ok=True)
    prometheus_client.write_to_textfile(str(path), registry)
