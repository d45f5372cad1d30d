"""The stages: which there are, in the order in which they run, and where each belongs. Written here only.

A stage's module is finelake.PACKAGE.NAME; a new stage needs that module and a line here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    name: str  # in dvc.yaml, of the module, of the folder in the lake
    package: str  # jobs: computed by Spark; training: by torch; lake: by DuckDB
    per_run: bool = False  # of each entry of `runs`: named base@intent
    private: bool = False  # its tables hold personal data: their owner alone may read them
    section: str = ""  # of params.yaml, where it is not called as the stage; stages of a run read their run's entry


STAGES = (
    Entry("ingest", "jobs", private=True, section="sources"),
    Entry("clean", "jobs", private=True),
    Entry("dedup", "jobs", private=True),
    Entry("mask", "jobs"),
    Entry("annotate", "jobs"),
    Entry("split", "jobs"),
    Entry("quality", "lake"),
    Entry("select", "jobs", per_run=True),
    Entry("base", "training", per_run=True),
    Entry("tokenize", "jobs", per_run=True),
    Entry("train", "training", per_run=True),
    Entry("evaluate", "training", per_run=True),
)
BY_NAME = {entry.name: entry for entry in STAGES}
SHARED = tuple(entry.name for entry in STAGES if not entry.per_run)  # by all training runs
PER_RUN = tuple(entry.name for entry in STAGES if entry.per_run)
DATA = tuple(entry.name for entry in STAGES if entry.package == "jobs" and not entry.per_run)
SPARK = tuple(entry.name for entry in STAGES if entry.package == "jobs")  # these write tables of the lake
PRIVATE = tuple(entry.name for entry in STAGES if entry.private)
SECTIONS = tuple(entry.section or entry.name for entry in STAGES if not entry.per_run)  # of params.yaml


def of_run(name: str, run_name: str) -> str:
    """The full name of a stage as a stage of the run `run_name` reads it: split, select@intent."""
    return f"{name}@{run_name}" if BY_NAME[name].per_run else name
