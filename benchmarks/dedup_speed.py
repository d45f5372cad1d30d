"""The stage `dedup` compared with MinHash libraries: processor time, memory and accuracy, at equal thresholds.

    python benchmarks/dedup_speed.py DATA PEERS FOLDER [--rows 100000 500000] [--systems simhash minhash rensa]

DATA holds near_duplicates_mixed, PEERS is the Python of an environment for benchmarks/dedup_speed_peers.py. The texts
are the mixed set, whose near-duplicates are known, and chains of its words in random order (Markov, first order). Ours
is the whole stage in Spark on two cores, JVM included; a peer gets the folded texts and gives clusters. datasketch runs
only at the smallest size. `hashing` is only our hashes, without Spark, which find equal texts: an index of the hashes
of old texts could save at most that. Precision, recall and F1 are those of the pairs of the mixed set, before the
rule that removes a text only in favour of a similar one: peers have none.
"""

import argparse
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from near_duplicates import Known, score, together
from scale import Watch

from finelake.text.normalise import match_key

HAN = "\u4e00"
OURS = ("simhash", "minhash", "hashing")
BATCH = 10_000  # texts that are hashed at once, as Spark gives them
PIECE = 3  # characters of a Chinese word in a chain


def main() -> None:
    if sys.argv[1:2] == ["--stage"]:
        _, _, system, *files = sys.argv
        hashing(*files) if system == "hashing" else stage(system, *files)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("peers")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 500_000])
    parser.add_argument("--systems", nargs="+", default=[*OURS, "rensa", "datasketch"])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    known = Known.load(options.data / "near_duplicates_mixed")
    found = []
    for rows in options.rows:
        source = options.folder / f"{rows}.parquet"
        texts = [*known.text, *chains(list(known.text), rows - len(known.text))]
        pd.DataFrame({"text": texts, "key": [match_key(text) for text in texts]}).to_parquet(source)
        for system in options.systems:
            if system != "datasketch" or rows == min(options.rows):
                found.append({"rows": rows, "system": system} | measure(system, options.peers, source, known))
                print(found[-1], flush=True)
    table = pd.DataFrame(found)
    ours = table["rows"].map(table[table["system"] == "simhash"].set_index("rows")["processor"])
    table["times ours"] = table["processor"] / ours
    print(table.to_string(index=False, float_format="{:.3f}".format))


def chains(texts: list[str], count: int) -> list[str]:
    """Texts as long as the given ones, of their words in an order by chance."""
    picked = random.Random(1)
    after: dict[str, list[str]] = defaultdict(list)
    cut = [words(text) for text in texts]
    for each in cut:
        for word, following in zip(each, each[1:], strict=False):
            after[word].append(following)
    return [chain(picked.choice(cut), after, picked) for _ in range(count)]


def chain(model: list[str], after: dict[str, list[str]], picked: random.Random) -> str:
    result = model[:1]
    while len(result) < len(model):
        result.append(picked.choice(after.get(result[-1]) or model))
    return "".join(result)


def words(text: str) -> list[str]:
    """Words with the space behind them; in Chinese, pieces of PIECE characters."""
    if any(character >= HAN for character in text):
        return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    return [f"{word} " for word in text.split()]


def measure(system: str, peers: str, source: Path, known: Known) -> dict[str, float]:
    target = source.with_name(f"{source.stem}-{system}.npy")
    peer = [peers, str(Path(__file__).with_name("dedup_speed_peers.py")), system]
    mine = [sys.executable, __file__, "--stage", system]
    started = time.monotonic()
    with Watch() as watch:
        subprocess.run([*(mine if system in OURS else peer), str(source), str(target)], check=True)
    taken = {"seconds": time.monotonic() - started, "processor": watch.processor, "GiB": watch.peak / 2**30}
    labels = np.load(target, allow_pickle=False)[: len(known.text)]
    figures = score(known, together(labels), np.ones(len(labels), dtype=bool))
    return taken | {name: figures[name] for name in ("P", "R", "F1")}


def hashing(source: str, target: str) -> None:
    """The equal texts, by only our hashes."""
    from finelake.jobs.similarity.signatures import signatures

    texts = pd.read_parquet(source)["text"]
    cut = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    digests = pd.concat([signatures(list(some))["digest"] for some in cut], ignore_index=True)
    np.save(target, pd.factorize(digests)[0])


def stage(method: str, source: str, target: str) -> None:
    """The clusters that the Spark stage gives."""
    from pyspark.sql import functions as F

    from finelake.jobs import dedup
    from finelake.jobs.spark.session import open_session
    from finelake.jobs.stage import CLEANED

    spark = open_session("local[2]", "4g", Path(target).with_suffix(".log"))
    texts = pd.read_parquet(source)["text"]
    numbered = source + ".rows"
    pd.DataFrame({"record_id": [f"{place:09}" for place in range(len(texts))], "text": texts}).to_parquet(numbered)
    rows = spark.read.parquet(numbered)
    columns = [F.col(c.name) if c.name in rows.columns else F.lit(None).cast(c.dataType).alias(c.name) for c in CLEANED]
    frames = {"clean.records": rows.select(*columns).withColumn("source", F.lit("texts"))}
    records = dedup.build(frames, dedup.Params(method=method, action="mark"))["records"]
    clusters = records.select("record_id", "cluster").toPandas().sort_values("record_id")["cluster"]
    np.save(target, pd.factorize(clusters)[0])
    spark.stop()


if __name__ == "__main__":
    main()
