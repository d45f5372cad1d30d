"""Near-duplicates: hashes propose pairs, the texts decide, and one record of each cluster is kept.

1. Equal texts (same match key) are collapsed, so that a million copies cost as much as one.
2. Each distinct text gets a 64-bit SimHash (Charikar 2002) of its first 512 characters.
3. Block tables (Manku, Jain, Das Sarma 2007): the 64 bits form `blocks` blocks, with one table per pair of blocks. Two
   hashes that differ in at most `blocks - 2` bits agree in two whole blocks and are certain to share a bucket; beyond
   that, up to `radius`, they share one by chance (10 blocks: 98 % of the pairs within 14 bits). With `method: minhash`
   the tables are the bands of a MinHash (Broder 1997) instead.
4. Of the pairs that share a bucket, an odd sketch of the n-grams (Mitzenmacher, Pagh, Pham 2014) drops most that cannot
   be similar. It bounds the similarity from above, so it drops no other.
5. The remaining pairs are compared by the Jaccard similarity of their character n-grams.
6. Connected components are formed. The survivor of each is of the most preferred source, then the oldest, then the most
   complete, then has the smallest record_id. Only texts similar to the survivor are removed in its favour; the rest of
   a component is divided by its pairs, best text first.

A bucket with more than `window` hashes is not compared in full: each hash is compared with its next `window` hashes in
sorted order, and gives at most LINKS pairs per table (similarity/candidates.py) and PARTNERS in total, the nearest by
their sketches. So each of many texts of one template costs no more than each of a few; pairs that are further apart in
every table are missed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DoubleType, IntegerType, LongType, StringType

from finelake.jobs.similarity.candidates import CANDIDATE, Candidates, Similarity, masks, neighbours
from finelake.jobs.similarity.clusters import components, stars, thin
from finelake.jobs.similarity.signatures import signatures
from finelake.jobs.stage import CLUSTERED, REJECTS, Frames, Stage, among, rejects, struct
from finelake.text.grams import (
    BITS,
    jaccard,
    ones,
)

PARTNERS = 16  # texts, the nearest, with which a text is compared in full; a pair counts for one of the two
SLACK = 0.05  # by which the similarity to the survivor may be below the threshold
TABLE_ROWS = 500_000  # hashes of a table that one task sorts

DUPLICATES = struct(removed=StringType(), kept=StringType(), distance=IntegerType(), similarity=DoubleType())
SIGNATURE = struct(
    digest=StringType(),
    simhash=LongType(),
    length=IntegerType(),  # of the match key
    grams=IntegerType(),  # distinct n-grams by which the key is compared
    sketch=BinaryType(),
    bands=ArrayType(LongType()),  # of a MinHash, null with `method: simhash`
    key=StringType(),
)


@dataclass(frozen=True)
class Params:
    method: Literal["simhash", "minhash"] = "simhash"  # which hashes find the texts to compare
    radius: int = 14  # bits of the SimHash in which duplicates may differ
    blocks: int = 10  # blocks of the SimHash; fewer are faster and find less
    similarity: Similarity = field(default_factory=Similarity)
    window: int = 256  # hashes of its bucket with which a hash is compared
    min_characters: int = 6  # of the match key; shorter texts are duplicates only when equal
    action: Literal["remove", "mark"] = "remove"
    prefer: tuple[str, ...] = ()  # sources, the best first, whose record survives in a cluster; all others come last
    keep: Literal["oldest", "newest"] = "oldest"  # of records of equally good sources; those without a time come last
    protect: tuple[str, ...] = ()  # sources whose records are never removed, only marked with their cluster
    exclude: tuple[str, ...] = ()  # sources that are not searched for duplicates

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= BITS // 2:
            raise ValueError("radius must be between 0 and 32 bits")
        if not 3 <= self.blocks <= 16:
            raise ValueError("blocks must be between 3 and 16")
        if self.window < 1 or self.min_characters < 1:
            raise ValueError("window and min_characters must be at least 1")
        if twice := [name for name in self.prefer if self.prefer.count(name) > 1]:
            raise ValueError(f"prefer names {twice[0]} twice; name each source once, the best first")
        if excluded := [name for name in self.prefer if name in self.exclude]:
            raise ValueError(f"prefer and exclude both name {excluded[0]}; an excluded source has no duplicates")


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """The kept records, each with its cluster; the removed ones with their survivors; the rejects."""
    # Both are read several times. Persisted, not checkpointed, so that the data of a lost executor are recomputed.
    records = sign(frames["clean.records"], params).persist()
    unique = collapse(records).persist()
    merged = merge(unique, edges(unique, params), params)
    judged = assign(records, unique, merged)
    removed = (F.col("cluster") != F.col("record_id")) & (params.action == "remove") & ~among("source", params.protect)
    gone = judged.where(removed)
    return {
        "records": judged.where(~removed).select(*CLUSTERED.fieldNames()),
        "duplicates": gone.select(F.col("record_id").alias("removed"), F.col("cluster").alias("kept"), *_measures()),
        "rejects": rejects(gone, "dedup", F.lit("duplicate"), F.col("cluster")),
    }


# --- which records are the same text ---------------------------------------------------------------------------------


def sign(records: DataFrame, params: Params) -> DataFrame:
    """`records` with the signature of their text (null where there is none) and their rank as survivor."""
    text = F.when(~among("source", params.exclude), F.col("text"))
    return records.select("*", signature(params)(text).alias("signature"), _rank(params).alias("rank")).select(
        *records.columns, "signature.*", "rank"
    )


def signature(params: Params) -> Callable[..., Column]:
    def of(texts: pd.Series) -> pd.DataFrame:
        return signatures(list(texts), params.method)

    return F.pandas_udf(of, SIGNATURE)  # type: ignore[call-overload,no-any-return]


def collapse(records: DataFrame) -> DataFrame:
    """One row per distinct text: digest, simhash, length, key, best rank and the record_id of that rank."""
    grouped = records.where(F.col("digest").isNotNull()).groupBy("digest")
    # Rows with the same digest have the same signature, so any value will do.
    same = [F.any_value(name).alias(name) for name in SIGNATURE.fieldNames()[1:]]
    return grouped.agg(F.min("rank").alias("rank"), *same).withColumn("representative", F.col("rank.record_id"))


def _rank(params: Params) -> Column:
    """Smaller is better: protected, then of a better source, then oldest or newest, most complete, smallest record_id.

    Records without a time come after those that have one.
    """
    filled = _filled("numbers") + _filled("facts")
    preferences = [F.when(F.col("source") == name, index) for index, name in enumerate(params.prefer)]
    time = F.unix_micros("occurred_at")
    return F.struct(
        (~among("source", params.protect)).alias("open"),
        F.coalesce(*preferences, F.lit(len(preferences))).alias("preference"),
        time.isNull().alias("undated"),
        (time if params.keep == "oldest" else -time).alias("time"),
        (F.coalesce(F.size("imputed"), F.lit(0)) - filled).alias("incomplete"),
        "record_id",
    )


def _filled(name: str) -> Column:
    return F.coalesce(F.size(F.filter(F.map_values(name), lambda value: value.isNotNull())), F.lit(0))


# --- candidates ------------------------------------------------------------------------------------------------------


def candidates(unique: DataFrame, params: Params) -> DataFrame:
    """Pairs (left, right) of nodes that share a bucket and may be similar; a node is a hash of a record_id."""
    long_enough = unique.where(F.col("length") >= params.min_characters)
    node = F.xxhash64("representative").alias("node")
    spread = long_enough.select(node, *CANDIDATE[1:-1], F.posexplode(buckets(params)).alias("table", "bucket"))
    chunks = 1 + unique.count() // TABLE_ROWS

    def meet(table: pa.Table) -> pa.Table:
        return pa.table(dict(zip(("left", "right", "apart"), neighbours(Candidates.of(table), params), strict=True)))

    grouped = spread.groupBy("table", F.pmod(F.xxhash64("bucket"), F.lit(chunks)))
    pairs = grouped.applyInArrow(meet, "left long, right long, apart double").repartition("left").distinct()
    nearest = F.row_number().over(Window.partitionBy("left").orderBy("apart", "right"))
    return pairs.withColumn("nearest", nearest).where(F.col("nearest") <= PARTNERS).select("left", "right")


def buckets(params: Params) -> Column:
    """The bucket of a text in each table, an array of longs."""
    if params.method == "minhash":
        return F.col("bands")
    return F.array(*[F.col("simhash").bitwiseAND(F.lit(mask).cast("long")) for mask in masks(params.blocks)])


# --- verification ----------------------------------------------------------------------------------------------------


def edges(unique: DataFrame, params: Params) -> DataFrame:
    """Pairs (left, right) of representatives whose texts are similar enough."""
    texts = unique.select(F.xxhash64("representative").alias("node"), "representative", "length", "key")
    pairs = candidates(unique, params)
    for side in ("left", "right"):
        renamed = texts.select(*[F.col(name).alias(f"{name}_{side}") for name in texts.columns])
        pairs = pairs.join(renamed, F.col(side) == F.col(f"node_{side}"), how="inner")

    similar = similarity("key_left", "key_right") >= least(params)("length_left", "length_right")
    return pairs.where(similar).select(
        F.col("representative_left").alias("left"), F.col("representative_right").alias("right")
    )


def least(params: Params) -> Callable[..., Column]:
    """The least similarity of duplicates, as a function of the columns of their lengths."""

    def of(left: pd.Series, right: pd.Series) -> pd.Series:
        return pd.Series(params.similarity.least(left.to_numpy(), right.to_numpy()))

    return F.pandas_udf(of, DoubleType())  # type: ignore[call-overload,no-any-return]


@F.pandas_udf(DoubleType())  # type: ignore[call-overload]
def similarity(left: pd.Series, right: pd.Series) -> pd.Series:
    return pd.Series(jaccard(list(left), list(right)))


@F.pandas_udf(IntegerType())  # type: ignore[call-overload]
def hamming(left: pd.Series, right: pd.Series) -> pd.Series:
    return pd.Series(ones((left.to_numpy() ^ right.to_numpy()).view(np.uint64)).astype(np.int32))


# --- clusters --------------------------------------------------------------------------------------------------------


def merge(unique: DataFrame, pairs: DataFrame, params: Params) -> DataFrame:
    """representative, kept, distance and similarity of each survivor and of each text similar to one.

    A chain of pairs can join dissimilar texts. So only texts similar to the best text of a component are removed in its
    favour; the others of the component are divided by their pairs.
    """
    pairs = pairs.persist()
    # A cluster has many more pairs than texts; the driver needs only a spanning forest.
    thinned = pairs.mapInPandas(thin, "left string, right string")  # type: ignore[arg-type]
    labels = unique.sparkSession.createDataFrame(
        components(thinned.toPandas()), "representative string, component long"
    )
    members = unique.join(labels, on="representative", how="inner")
    best = members.groupBy("component").agg(F.min("rank")["record_id"].alias("kept"))
    proposed = members.join(best, on="component", how="inner").select("representative", "kept")
    near = measure(unique, proposed, params).where(F.col("similarity") >= F.col("least") - SLACK).persist()
    rest = members.join(near, on="representative", how="left_anti").select("representative", "rank").persist()
    for side in ("left", "right"):
        pairs = pairs.join(rest.select(F.col("representative").alias(side)), on=side, how="left_semi")
    names = np.array([row["representative"] for row in rest.orderBy("rank").collect()], dtype=object)
    divided = unique.sparkSession.createDataFrame(stars(names, pairs.toPandas()), "representative string, kept string")
    return near.unionByName(measure(unique, divided, params)).drop("least")


def measure(unique: DataFrame, proposed: DataFrame, params: Params) -> DataFrame:
    """`proposed` (representative, kept) with their distance, their similarity and the least similarity required."""
    texts = unique.select("representative", "simhash", "length", "key")
    kept = texts.select(*[F.col(name).alias(f"{name}_kept") for name in texts.columns])
    joined = proposed.join(texts, on="representative", how="inner").join(
        kept, F.col("kept") == F.col("representative_kept"), how="inner"
    )
    return joined.select(
        "representative",
        "kept",
        hamming("simhash", "simhash_kept").alias("distance"),
        similarity("key", "key_kept").alias("similarity"),
        least(params)("length", "length_kept").alias("least"),
    )


def assign(records: DataFrame, unique: DataFrame, merged: DataFrame) -> DataFrame:
    """`records` with cluster, distance and similarity to the cluster's survivor."""
    return (
        records.join(unique.select("digest", "representative"), on="digest", how="left")
        .join(merged, on="representative", how="left")
        .withColumn("cluster", F.coalesce("kept", "representative", "record_id"))
    )


def _measures() -> list[Column]:
    # An exact copy of the survivor's text has no row in `merged` unless the text also has near-duplicates.
    return [
        F.coalesce("distance", F.lit(0)).alias("distance"),
        F.coalesce("similarity", F.lit(1.0)).alias("similarity"),
    ]


STAGE = Stage(
    reads=("clean.records",),
    writes={"records": CLUSTERED, "duplicates": DUPLICATES, "rejects": REJECTS},
    params=Params,
    build=build,
    conserves=("records", "clean.records"),
)
