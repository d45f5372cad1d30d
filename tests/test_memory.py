"""Skewed and huge inputs pass through the stages in bounded memory (marked slow).

This file run as a script is the one process in which it happens, with a driver of 1 GB: all rows in one source,
business, column and cluster; a million equal texts; texts as large as they may be; a shard that holds everything.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROWS = 1_000_000
LARGE = 1_000_000  # characters, the most that ingest lets through
REPOSITORY = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def test_the_stages_pass_in_a_driver_of_one_gigabyte():
    done = subprocess.run(
        [sys.executable, __file__],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-5000:]


def one_group(spark):
    """A million records of one source and business with one text; each has its own number and time."""
    from pyspark.sql import functions as F

    return spark.range(ROWS).select(
        F.md5(F.col("id").cast("string")).alias("record_id"),
        F.lit("one").alias("source"),
        F.concat(F.lit("k"), "id").alias("source_key"),
        F.timestamp_seconds(F.col("id") * 60).alias("occurred_at"),
        F.lit("all").alias("business"),
        F.lit("en").alias("lang"),
        F.lit("The very same words, sent again and again.").alias("text"),
        F.create_map(F.lit("amount"), F.when(F.col("id") % 10 > 0, F.rand(seed=7))).alias("numbers"),
        F.create_map(F.lit("channel"), F.when(F.col("id") % 10 > 0, "web")).alias("facts"),
    )


def run(name, frames, params, folder):
    """The stage's outputs, written and read back as the runner does."""
    import importlib

    module = importlib.import_module(f"jobs.{name}")
    started = time.monotonic()
    written = {}
    for table, frame in module.build(frames, params).items():
        path = f"{folder}/{name}/{table}"
        frame.write.parquet(path)
        written[f"{name}.{table}"] = frame.sparkSession.read.parquet(path)
    spark = next(iter(written.values())).sparkSession
    spark.catalog.clearCache()
    print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)
    return written


def main(folder):
    from jobs import clean, dedup, mask, split
    from jobs.session import open_session
    from jobs.stage import ANNOTATIONS

    spark = open_session("local[2]", "1g")
    frames = {"ingest.records": one_group(spark), "ingest.annotations": spark.createDataFrame([], ANNOTATIONS)}
    frames |= run("clean", frames, clean.Params(), folder)
    print(frames["clean.records"].count())
    frames |= run("dedup", frames, dedup.Params(action="mark"), folder)
    print(frames["dedup.records"].count())
    frames |= run("mask", frames, mask.Params(), folder)
    print(frames["mask.records"].count())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(scratch)
