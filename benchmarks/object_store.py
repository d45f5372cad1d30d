"""A lake in an object store beside the same lake in a folder: write, Spark, DuckDB, loader, deep check.

    python benchmarks/object_store.py [--rows 200000] [--repeats 3]

The store is SeaweedFS on this machine, behind the loopback address: a real object store, without a network in between.
So the ratios show what the protocol costs, not what a distance costs. Both lakes are measured in turns in one session.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from finelake.demo.object_store import serve
from finelake.jobs.spark.commit import commit, read
from finelake.jobs.spark.session import open_session
from finelake.lake.query.duck import connect, run_query
from finelake.lake.tables import snapshots
from finelake.training.data.loader import Loader
from finelake.training.data.samples import split_parts
from finelake.training.tasks.classify import TASK

TOKENS = 128  # a sample
SHARDS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, serve(Path(scratch) / "store") as environment:
        os.environ.update(environment)
        lakes = {"folder": f"{scratch}/lake", "object store": "s3a://lake/benchmark"}
        taken = measure(Path(scratch), lakes, options.rows, options.repeats)
    print(f"{options.rows:,} samples of {TOKENS} tokens in {SHARDS} files; medians of {options.repeats} turns")
    for step in next(iter(taken.values())):
        seconds = {lake: statistics.median(steps[step]) for lake, steps in taken.items()}
        shown = ", ".join(f"{lake} {value:.2f} s" for lake, value in seconds.items())
        print(f"{step:<12} {shown}, ratio {seconds['object store'] / seconds['folder']:.2f}")


def measure(scratch: Path, lakes: dict[str, str], rows: int, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each turn, by lake and step; the first turn warms up and is not counted."""
    spark = open_session("local[2]", "2g", scratch / "spark.log")
    taken: dict[str, dict[str, list[float]]] = {lake: {} for lake in lakes}
    for turn in range(repeats + 1):
        frame = samples(spark, rows, turn)
        for lake, place in lakes.items():
            for step, seconds in steps(spark, scratch / lake, place, frame):
                if turn:
                    taken[lake].setdefault(step, []).append(seconds)
    spark.stop()
    return taken


def samples(spark, rows: int, turn: int):
    """Samples as `tokenize` writes them, others in each turn."""
    frame = spark.range(rows).selectExpr(
        "cast(id as string) as sample_id",
        f"transform(sequence(1, {TOKENS}), i -> cast(pmod(hash(id, i, {turn}), 30000) as int)) as input_ids",
        "array(cast(id % 7 as int)) as labels",
        f"transform(sequence(1, {TOKENS}), i -> 1) as segments",
        f"{TOKENS} as length",
        "'train' as part",
        f"cast(id % {SHARDS} as int) as shard",
    )
    return frame.repartition(SHARDS, "part", "shard").cache()


def steps(spark, root: Path, lake: str, frame):
    """(step, seconds) of one turn on one lake."""
    frame.count()
    pinned: dict[str, snapshots.Table] = {}

    def write() -> None:
        pinned["samples"] = commit(frame, lake, "tokenize/run/samples", frame.schema, ("part", "shard"))
        snapshots.write_manifest(root, "tokenize@run", pinned)

    yield "write", clock(write)
    table = pinned["samples"]
    query = "select sum(length), count(distinct sample_id), sum(list_sum(input_ids)) from tokenize_run.samples"
    yield (
        "Spark scan",
        clock(lambda: read(spark, lake, table).selectExpr("sum(aggregate(input_ids, 0L, (a, b) -> a + b))").collect()),
    )
    yield "DuckDB scan", clock(lambda: run_query(connect(root, lake), query).fetchall())
    part = split_parts(snapshots.files(lake, "tokenize@run", table))["train"]
    yield (
        "loader",
        clock(lambda: sum(1 for _ in Loader(part, TASK.labels, seed=1, global_batch=64, accumulation=4).epoch(0))),
    )
    yield "deep check", clock(lambda: list(snapshots.problems(lake, table, deep=True)))


def clock(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
