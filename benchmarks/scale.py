"""The data stages on 10,000 to 1,000,000 records of the demo bank: seconds and memory by stage, time per row.

    python benchmarks/scale.py FOLDER [--records 10000 100000 1000000] [--memory 6g]

FOLDER takes a project for each size (1,000,000 records: some 8 GB). Each stage is a separate process on one warm
JVM, as in `finelake repro`. Memory is the largest sum of resident memory of the stage's process, the JVM and its Python
workers, and processor time the sum of theirs, sampled five times per second. Time per row compares processor time,
which other work on the machine disturbs less. Prints a table; writes it with a plot to FOLDER/scale.json, scale.png.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from finelake.commands.pull import pull_source
from finelake.demo.api import serve
from finelake.demo.generate import generate

REPOSITORY = Path(__file__).parents[1]
STAGES = ("ingest", "clean", "dedup", "mask", "annotate", "split")
INTERVAL = 0.2  # seconds between looks at the memory


@dataclass(frozen=True)
class Measure:
    """What one stage took at one size."""

    records: int
    stage: str
    seconds: float  # by the clock
    processor: float  # seconds
    peak: float  # GiB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--memory", default="6g", help="of the Spark driver (default 6g)")
    options = parser.parse_args()
    measures = []
    for records in options.records:
        project = make_project(options.folder / str(records), records)
        measures += run_stages(project, records, options.memory)
    (options.folder / "scale.json").write_text(json.dumps([asdict(measure) for measure in measures], indent=2))
    print_table(measures, options.records)
    plot(measures, options.records, options.folder / "scale.png")


def make_project(folder: Path, records: int) -> Path:
    """The demo's project on a bank of so many records; a bank that is already there is used again."""
    for name in ("params.yaml", "dvc.yaml", ".dvc", "jobs", "training"):
        source, target = REPOSITORY / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tmp", "cache"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    if not (folder / "data" / "bank" / "generated.json").exists():
        generate(folder / "data" / "bank", records=records, seed=7)
    with serve(folder / "data" / "bank") as url:
        os.environ["BANK_API"] = url
        pull_source(folder, "complaints")
    return folder


def run_stages(project: Path, records: int, memory: str) -> list[Measure]:
    """Run the data stages one after the other and measure each."""
    from finelake.jobs.spark.session import shared_jvm

    measures = []
    with shared_jvm("local[2]", memory, project / "spark.log") as variables:
        environment = os.environ | variables | {"FINELAKE_MEMORY": memory}
        for stage in STAGES:
            started = time.monotonic()
            with Watch() as watch:
                command = [sys.executable, "-m", "finelake.cli", "run", stage]
                subprocess.run(command, cwd=project, env=environment, check=True)
            seconds = time.monotonic() - started
            measures.append(Measure(records, stage, seconds, watch.processor, watch.peak / 2**30))
            print(measures[-1], flush=True)
    return measures


class Watch:
    """What this process's children, the JVM and all Python workers included, take while it lasts.

    `peak`: the largest sum of resident memory, bytes; `processor`: seconds.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._spent: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watch":
        self._look()
        self._before = dict(self._spent)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    @property
    def processor(self) -> float:
        return sum(seconds - self._before.get(process, 0) for process, seconds in self._spent.items())

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._look()

    def _look(self) -> None:
        resident = 0
        for child in psutil.Process().children(recursive=True):
            try:
                times = child.cpu_times()
                self._spent[child.pid] = times.user + times.system
                resident += child.memory_info().rss
            except psutil.Error:
                continue  # it has just ended
        self.peak = max(self.peak, resident)


def print_table(measures: list[Measure], sizes: list[int]) -> None:
    """Seconds, processor time per 1,000 records and peak memory by stage and size; the last column compares the last
    size with the one before."""
    header = "".join(f"{size:>12,} s  cpu ms/1000   GiB" for size in sizes)
    print(f"\n{'stage':<10}{header}{'per row':>10}")
    for stage in (*STAGES, "all"):
        line, rates = f"{stage:<10}", []
        for size in sizes:
            found = [m for m in measures if m.records == size and stage in (m.stage, "all")]
            rates.append(1e6 * sum(m.processor for m in found) / size)
            line += f"{sum(m.seconds for m in found):>14.1f}{rates[-1]:>13.1f}{max(m.peak for m in found):>6.1f}"
        print(f"{line}{rates[-1] / rates[-2:][0]:>10.2f}")


def plot(measures: list[Measure], sizes: list[int], path: Path) -> None:
    """Rows against seconds, processor time per row and memory, a line a stage."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    panels: tuple[tuple[str, Callable[[Measure], float]], ...] = (
        ("seconds by the clock", lambda measure: measure.seconds),
        ("processor milliseconds per 1,000 records", lambda measure: 1e6 * measure.processor / measure.records),
        ("peak memory of all processes, GiB", lambda measure: measure.peak),
    )
    for axis, (label, value) in zip(axes, panels, strict=True):
        for stage in STAGES:
            found = [measure for measure in measures if measure.stage == stage]
            axis.plot([measure.records for measure in found], [value(measure) for measure in found], "o-", label=stage)
        axis.set_xscale("log")
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
        axis.set_xticks([], minor=True)
        axis.set_xlabel("records")
        axis.set_title(label, loc="left", fontsize="medium")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[:2]:
        axis.set_yscale("log")
    axes[2].set_ylim(bottom=0)
    axes[0].legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
