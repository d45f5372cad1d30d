"""The cost of content hash, SHA-256 of the files and manifest, compared with a bare Delta write of the same rows.

    python benchmarks/commit_overhead.py [--rows 1000000] [--repeats 5]

The rows look like records: ids, a text of 200 characters, maps of numbers and facts. Each way writes the same frame,
read from Parquet, into a new table, in turns, in one session; the medians are compared. Delta gathers statistics of the
columns by default; Finelake does not, so the bare write is measured with and without them.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from finelake.jobs.spark.commit import commit
from finelake.jobs.spark.session import open_session
from finelake.lake.tables.snapshots import write_manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        spark = open_session("local[2]", "4g", root / "spark.log")
        frame = source(spark, options.rows, root / "source")
        ways = {"bare": bare, "plain": plain, "finelake": pinned}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(options.repeats + 1):
            for name, write in ways.items():
                started = time.perf_counter()
                write(frame, root)
                if turn:  # the first warms up
                    taken[name].append(time.perf_counter() - started)
                shutil.rmtree(root / name)
        spark.stop()
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    print(f"{options.rows:,} rows, commit: {medians['finelake']:.2f} s")
    for name, title in (("bare", "a bare Delta write"), ("plain", "the same without statistics")):
        pairs = [ours / theirs for ours, theirs in zip(taken["finelake"], taken[name], strict=True)]
        turns = ", ".join(f"{pair:.2f}" for pair in pairs)
        print(f"{title}: {medians[name]:.2f} s; ratio of the medians {medians['finelake'] / medians[name]:.2f}")
        print(f"ratios of the turns {turns}")


def source(spark: SparkSession, rows: int, path: Path) -> DataFrame:
    words = [F.sha1((F.col("id") * factor).cast("string")) for factor in range(1, 6)]
    frame = spark.range(rows).select(
        F.md5(F.col("id").cast("string")).alias("record_id"),
        F.lit("tickets").alias("source"),
        F.col("id").cast("string").alias("source_key"),
        F.timestamp_seconds("id").alias("occurred_at"),
        F.lit("en").alias("lang"),
        F.concat_ws(" ", *words).alias("text"),
        F.create_map(F.lit("amount"), F.rand(1) * 100, F.lit("age"), F.rand(2) * 50).alias("numbers"),
        F.create_map(F.lit("channel"), F.lit("web"), F.lit("reply"), F.concat_ws(" ", *words[:3])).alias("facts"),
    )
    frame.write.parquet(str(path))
    return spark.read.parquet(str(path))


def bare(frame: DataFrame, root: Path) -> None:
    frame.write.format("delta").option("delta.dataSkippingNumIndexedCols", "32").save(str(root / "bare" / "records"))


def plain(frame: DataFrame, root: Path) -> None:
    frame.write.format("delta").option("delta.dataSkippingNumIndexedCols", "0").save(str(root / "plain" / "records"))


def pinned(frame: DataFrame, root: Path) -> None:
    table = commit(frame, str(root / "finelake"), "clean/records", frame.schema)
    write_manifest(root, "clean", {"records": table})


if __name__ == "__main__":
    main()
