"""Skewed and huge inputs pass through the stages in bounded memory (marked slow).

This file run as a script is the one process in which it happens. Without an argument the whole chain, with a driver of
1 GB: all rows in one source, business, column and cluster; a million equal texts; texts as large as they may be; a
shard that holds everything. With the name of an input, only dedup on that, with a driver of 2 GB: 200,000 texts of one
template, texts of 50 MB beside others, a million equal texts.
"""

import importlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROWS = 1_000_000
LARGE = 1_000_000  # characters, the most that ingest lets through
REPOSITORY = Path(__file__).parents[1]

pytestmark = pytest.mark.long


@pytest.mark.parametrize("what", [[], ["huge"], ["equal"], ["template"]], ids=str)
def test_the_stages_pass_in_bounded_memory(what):
    done = subprocess.run(
        [sys.executable, __file__, *what],
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=3600,
    )
    assert done.returncode == 0, done.stdout[-5000:]


def record_frame(rows, source, text):
    """Records of one source and business, each with its own number and time; a tenth lack the number and the fact."""
    from pyspark.sql import functions as F

    given = F.col("id") % 10 > 0
    return rows.select(
        F.md5(F.concat(F.lit(source), "id")).alias("record_id"),
        F.lit(source).alias("source"),
        F.concat(F.lit("k"), "id").alias("source_key"),
        F.timestamp_seconds(F.col("id") * 60).alias("occurred_at"),
        F.lit("all").alias("business"),
        F.lit("en").alias("lang"),
        text.alias("text"),
        F.create_map(F.lit("amount"), F.when(given, F.rand(seed=7))).alias("numbers"),
        F.create_map(F.lit("channel"), F.when(given, F.lit("web"))).alias("facts"),
    )


def records(spark):
    """A million equal texts; two hundred as large as may be, each its own; one that is all telephone numbers."""
    from pyspark.sql import functions as F

    letters = F.translate(F.md5(F.col("id").cast("string")), "0123456789", "ghijklmnop")
    large = record_frame(spark.range(200), "large", F.repeat(letters, LARGE // 32))
    numbers = record_frame(spark.range(1), "numbers", F.repeat(F.concat(F.lit("call 13812345678 "), "id"), LARGE // 18))
    return equal(spark).unionByName(large).unionByName(numbers)


TEMPLATE = "Dear customer {}, order {} left our warehouse at {} today; it will be with you within three working days."
COPIES = 200_000
HUGE = 50_000_000  # characters


def template(spark):
    """Texts that differ in two words and a number each."""
    from pyspark.sql import functions as F

    def word(salt):
        return F.substring(F.translate(F.md5(F.concat(F.lit(salt), "id")), "0123456789", "ghijklmnop"), 1, 5)

    parts = TEMPLATE.split("{}")
    filled = [F.lit(parts[0]), word("who"), F.lit(parts[1]), F.col("id") + 10**7, F.lit(parts[2]), word("where")]
    return record_frame(spark.range(COPIES), "template", F.concat(*filled, F.lit(parts[3])))


def huge(spark):
    """A text of 50 MB, a hundred plain ones, and again one of 50 MB that differs in its first word."""
    from pyspark.sql import functions as F

    long = F.repeat(F.concat(F.lit("far too much "), F.md5(F.lit("x")), F.lit(" ")), HUGE // 46)
    text = F.when(F.col("id") == 0, long).when(F.col("id") == 101, F.concat(F.lit("again "), long))
    return record_frame(spark.range(102), "huge", text.otherwise(F.md5(F.col("id").cast("string"))))


def equal(spark):
    """A million equal texts."""
    from pyspark.sql import functions as F

    return record_frame(spark.range(ROWS), "equal", F.lit("The very same words, sent again and again."))


# dedup only: the input, and how many of its records stay (least, most). Not every text of the template is compared
# with a similar one, because each is compared with only a few.
DEDUP = {template: (1, COPIES // 5), huge: (101, 101), equal: (1, 1)}


def ingest_frames(spark):
    """Raw rows of a source, one of them with a text of 50 MB."""
    from pyspark.sql import functions as F

    from finelake.jobs.sources.columns import COLUMNS

    text = F.when(F.col("id") == 0, F.repeat(F.concat(F.lit("far too much "), "id"), 4_000_000)).otherwise("a text")
    raw = spark.range(100).select(F.lit("x").alias("_source"), F.col("id").cast("string"), text.alias("body"))
    return {"source.x": raw.persist(), "columns": spark.createDataFrame([], COLUMNS)}


SOURCE = {"kind": "files", "path": "x.csv", "format": "csv", "key": "id", "text": "body"}
SOURCE |= {"occurred_at_value": "2020-01-01"}


class Chain:
    """Runs stages one after the other; each output is written and read back, as the runner does."""

    def __init__(self, folder, frames):
        self.folder, self.frames = folder, frames

    def run(self, name, params):
        module = importlib.import_module(f"finelake.jobs.{name}")
        started = time.monotonic()
        for table, frame in module.build(self.frames, params).items():
            self.write(f"{name}.{table}", frame)
        frame.sparkSession.catalog.clearCache()
        print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)

    def write(self, table, frame):
        frame.write.parquet(f"{self.folder}/{table}")
        self.frames[table] = frame.sparkSession.read.parquet(f"{self.folder}/{table}")

    def counts(self, table, *by):
        """Rows by the columns `by`."""
        return {tuple(row)[:-1]: row[-1] for row in self.frames[table].groupBy(*by).count().collect()}


def scenes(frame):
    """A scene for a tenth of the records of the group, as the source gives it."""
    from pyspark.sql import functions as F

    chosen = frame.where("source = 'equal' and numbers['amount'] is null")
    null = F.lit(None).cast("string")
    columns = {"layer": F.lit("scene"), "annotator": F.lit("equal"), "role": F.lit("source"), "label": F.lit("spam")}
    columns |= {"quote": null, "start": null.cast("int")}
    return chosen.select("record_id", "source", *[column.alias(name) for name, column in columns.items()])


def run_of_one_shard(folder):
    """A training run whose samples all fall into one shard, and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    from finelake.jobs.tokenize import Params, load_tokenizer
    from finelake.lake.config.params import parse
    from finelake.lake.config.runs import Run

    words = ("<pad>", "<unk>", "<end>", "The", "very", "same", "web")
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    (folder / "tokenizer").mkdir()
    tokenizer.save(str(folder / "tokenizer" / "tokenizer.json"))
    (folder / "tokenizer" / "tokenizer_config.json").write_text('{"eos_token": "<end>"}')
    run = {"task": "instruct", "base": {"kind": "folder", "name": "x"}}
    run["tokenize"] = {"shards": 1, "max_length": 64}
    run["evaluate"] = {"max_new_tokens": 1}
    return Params(run=parse(Run, run, "runs.one"), tokenizer=load_tokenizer(folder))


def dedup_alone(folder, make):
    from pyspark.sql import functions as F

    from finelake.jobs import dedup
    from finelake.jobs.spark.session import open_session

    spark = open_session("local[2]", "2g", Path(folder) / "spark.log")
    chain = Chain(f"{folder}/tables", {})
    records = make(spark).withColumn("imputed", F.array().cast("array<string>"))
    chain.write("clean.records", records)
    chain.run("dedup", dedup.Params())
    kept, gone = (chain.frames[f"dedup.{table}"].count() for table in ("records", "duplicates"))
    print(f"{make.__name__}: {kept} stay, {gone} are duplicates", flush=True)
    assert kept + gone == records.count()
    assert DEDUP[make][0] <= kept <= DEDUP[make][1]
    spark.stop()


def main(folder):
    from finelake.jobs import annotate, clean, dedup, ingest, mask, split
    from finelake.jobs.sources.kinds import parse_sources
    from finelake.jobs.spark.session import open_session

    spark = open_session("local[2]", "1g", Path(folder) / "spark.log")
    chain = Chain(f"{folder}/tables", ingest_frames(spark))
    chain.run("ingest", ingest.Params(sources=parse_sources({"x": SOURCE})))
    assert chain.counts("ingest.records", "source") == {("x",): 99}
    assert chain.counts("ingest.rejects", "reason", "detail") == {("too_large", "body"): 1}

    chain.folder = f"{folder}/large"
    chain.write("ingest.records", records(spark))
    chain.write("ingest.annotations", scenes(chain.frames["ingest.records"]))
    rows = {("equal",): ROWS, ("large",): 200, ("numbers",): 1}
    chain.run("clean", clean.Params(outliers=clean.Outliers(method="mad")))
    assert chain.counts("clean.records", "source") == rows
    chain.run("dedup", dedup.Params(action="mark"))
    assert chain.counts("dedup.records", "source") == rows
    assert chain.frames["dedup.records"].select("cluster").distinct().count() == 1 + 200 + 1
    chain.run("mask", mask.Params())
    assert chain.counts("mask.counts", "kind", "count") == {("phone", LARGE // 18): 1}
    chain.run("annotate", annotate.Params(trust_source=True))
    assert chain.counts("annotate.gold", "label") == {("spam",): ROWS // 10}
    chain.run("split", split.Params())
    # 80 % of the rows are nearest to the instant behind row 799,960; the one cluster is at home in train.
    assert chain.counts("split.records", "split") == {("train",): 799_960 + 201}
    assert chain.counts("split.rejects", "reason") == {("cluster_crosses_cut",): ROWS - 799_960}
    chain.run("tokenize", run_of_one_shard(Path(folder)))
    used = chain.frames["tokenize.samples"].selectExpr("sum(size(record_ids))", "count(distinct shard)")
    assert tuple(used.collect()[0]) == (799_960, 1)
    spark.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        if sys.argv[1:]:
            dedup_alone(scratch, next(make for make in DEDUP if make.__name__ == sys.argv[1]))
        else:
            main(scratch)
