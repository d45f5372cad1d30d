"""Near-duplicates: SimHash finds candidates, the texts themselves decide, one record of each cluster stays.

1. Equal texts (same match key) are collapsed, so a million copies cost one.
2. A 64-bit SimHash (Charikar 2002) of the first 512 characters of each remaining text.
3. Block tables (Manku, Jain, Das Sarma 2007): the 64 bits in `blocks` blocks, a table for each pair of blocks. Two
   hashes that differ in at most `blocks - 2` bits agree in two whole blocks, so they meet in a table for certain;
   beyond, up to `radius`, by chance (10 blocks: 98 % of the pairs within 14 bits).
4. Of those within `radius` bits, an odd sketch of the n-grams (Mitzenmacher, Pagh, Pham 2014) drops, without an error,
   most that cannot be alike: it bounds the similarity from above. So the many hashes that are near by chance, ever
   more of them as the data grow, cost next to nothing.
5. The rest are compared by the Jaccard similarity of their character n-grams.
6. Connected components; the survivor of each is the oldest, then the most complete, then the smallest record_id. Only
   what resembles the survivor goes for it; the rest of a component is divided by its pairs, best text first.

A bucket with more than `window` hashes is not compared in full: each hash meets its `window` neighbours in sorted
order, and each gives at most LINKS pairs a table. Lost are pairs that stand further apart in every table.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DoubleType, IntegerType, LongType, StringType
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from jobs.stage import CLUSTERED, REJECTS, Frames, Stage, among, rejects, struct
from jobs.text import match_key

BITS = 64
SIMHASH_CHARACTERS = 512  # of the match key
COMPARED_CHARACTERS = 4096  # of the match key, when two texts are compared
LONG = 200  # characters of the match key above which n-grams have 5 characters
SHORT = 32  # characters of the match key up to which the threshold `short` holds
LINKS = 16  # most pairs that one hash gives in one table
SLACK = 0.05  # by which a text may be less similar to the survivor than to its nearest in the cluster
NUMBER = "#"  # a digit, where its value is left out; match keys hold none
SLICE = 200  # texts that are hashed at once: what they need stays in the processor's cache
HASH_BITS = 54  # of an n-gram, beside which the number of its text, below SLICE, fits into a word
SKETCH = 512  # bits of an odd sketch
TABLE_ROWS = 500_000  # hashes of a table that one task sorts
AT_ONCE = 1 << 16  # hashes that are compared at once: what they need stays in the processor's cache
PAIRS = 200_000  # pairs that a task gathers before it thins them out

DUPLICATES = struct(removed=StringType(), kept=StringType(), distance=IntegerType(), similarity=DoubleType())
SIGNATURE = struct(
    digest=StringType(),
    simhash=LongType(),
    length=IntegerType(),  # of the match key
    grams=IntegerType(),  # distinct n-grams by which the key is compared
    sketch=BinaryType(),
    key=StringType(),
)


@dataclass(frozen=True)
class Similarity:
    """The least Jaccard similarity of a duplicate, by the length of the shorter match key."""

    short: float = 0.75  # up to 32 characters; 1- and 2-grams in Chinese, else 2- and 3-grams
    medium: float = 0.7  # up to 200 characters; the same n-grams
    long: float = 0.7  # above; 5-grams

    def __post_init__(self) -> None:
        if not all(0 < value <= 1 for value in (self.short, self.medium, self.long)):
            raise ValueError("thresholds must lie above 0 and at most at 1")

    def least(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The similarity that two texts must have, from the lengths of their match keys; float64 (n,)."""
        length = np.minimum(left, right)
        return np.where(length <= SHORT, self.short, np.where(length <= LONG, self.medium, self.long))


@dataclass(frozen=True)
class Params:
    radius: int = 14  # bits of the SimHash in which duplicates may differ
    blocks: int = 10  # blocks of the SimHash; fewer are faster and find less
    similarity: Similarity = field(default_factory=Similarity)
    window: int = 256  # neighbours with which a hash is compared in a bucket
    min_characters: int = 6  # of the match key; shorter texts are duplicates only when equal
    action: Literal["remove", "mark"] = "remove"
    protect: tuple[str, ...] = ()  # sources whose records are never removed, only marked with their cluster
    exclude: tuple[str, ...] = ()  # sources whose records are no duplicates of anything

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= BITS // 2:
            raise ValueError("radius must lie between 0 and 32 bits")
        if not 3 <= self.blocks <= 16:
            raise ValueError("blocks must lie between 3 and 16")
        if self.window < 1 or self.min_characters < 1:
            raise ValueError("window and min_characters must be at least 1")


STAGE = Stage(
    reads=("clean.records",),
    writes={"records": CLUSTERED, "duplicates": DUPLICATES, "rejects": REJECTS},
    params=Params,
    conserves=("records", "clean.records"),
    private=True,
)


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """The records that stay, each with its cluster; which were removed and for which; the rejects."""
    # Both are read several times. Kept, and not checkpointed, so that what a lost executor held is computed again.
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
    """`records` with the signature of their text (null where there is none) and their rank as a survivor."""
    text = F.when(~among("source", params.exclude), F.col("text"))
    return records.select("*", signature(text).alias("signature"), _rank(params).alias("rank")).select(
        *records.columns, "signature.*", "rank"
    )


@F.pandas_udf(SIGNATURE)  # type: ignore[call-overload]
def signature(texts: pd.Series) -> pd.DataFrame:
    return signatures(list(texts))


def signatures(texts: Sequence[str | None]) -> pd.DataFrame:
    """digest, simhash, length, grams, sketch and key of each text; digest is None for one without letters or digits."""
    keys = [match_key(text) for text in texts]
    digests = [hashlib.blake2b(key.encode(), digest_size=16).hexdigest() if key else None for key in keys]
    counts, sketches = odd_sketches(keys)
    return pd.DataFrame(
        {
            "digest": pd.Series(digests, dtype=object),
            "simhash": simhash(keys).view(np.int64),
            "length": np.array([len(key) for key in keys], dtype=np.int32),
            "grams": counts.astype(np.int32),
            "sketch": pd.Series([sketch.tobytes() for sketch in sketches], dtype=object),
            "key": pd.Series([key[:COMPARED_CHARACTERS] for key in keys], dtype=object),
        }
    )


def collapse(records: DataFrame) -> DataFrame:
    """One row for each distinct text: digest, simhash, length, key, rank and the record_id that has this rank."""
    grouped = records.where(F.col("digest").isNotNull()).groupBy("digest")
    # Rows with one digest have one signature: any value is the same value.
    same = [F.any_value(name).alias(name) for name in SIGNATURE.fieldNames()[1:]]
    return grouped.agg(F.min("rank").alias("rank"), *same).withColumn("representative", F.col("rank.record_id"))


def _rank(params: Params) -> Column:
    """Smaller is better: protected, then oldest (no time last), then most complete, then smallest record_id."""
    filled = _filled("numbers") + _filled("facts")
    return F.struct(
        (~among("source", params.protect)).alias("open"),
        F.col("occurred_at").isNull().alias("undated"),
        "occurred_at",
        (F.coalesce(F.size("imputed"), F.lit(0)) - filled).alias("incomplete"),
        "record_id",
    )


def _filled(name: str) -> Column:
    return F.coalesce(F.size(F.filter(F.map_values(name), lambda value: value.isNotNull())), F.lit(0))


# --- SimHash ---------------------------------------------------------------------------------------------------------


def simhash(keys: Sequence[str]) -> np.ndarray:
    """The 64-bit SimHash of each key, uint64 (n,): the majority, bit by bit, of the hashes of its distinct n-grams."""
    parts = [_simhash_slice(keys[start : start + SLICE]) for start in range(0, len(keys), SLICE)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def _simhash_slice(keys: Sequence[str]) -> np.ndarray:
    owner, hashes = grams(keys, SIMHASH_CHARACTERS, _small)
    counts = np.bincount(owner, minlength=len(keys))
    filled = np.flatnonzero(counts)
    result = np.zeros(len(keys), dtype=np.uint64)
    if not len(filled):
        return result
    starts = (np.cumsum(counts) - counts)[filled]
    majority = counts[filled].astype(np.uint64)
    # Four counters of 16 bits ride in each 64-bit word: 16 sums instead of 64.
    for shift in range(16):
        sums = np.add.reduceat((hashes >> np.uint64(shift)) & np.uint64(0x0001000100010001), starts)
        for lane in range(0, BITS, 16):
            ones = (sums >> np.uint64(lane)) & np.uint64(0xFFFF)
            result[filled] |= (2 * ones > majority).astype(np.uint64) << np.uint64(lane + shift)
    return result


def odd_sketches(keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """How many distinct n-grams each key has, int64 (n,), and their odd sketch, uint64 (n, 8).

    A bit of the sketch is the parity of the n-grams that hash to it, so the bits in which two sketches differ are at
    most the n-grams that only one of both has.
    """
    counts, sketches = np.zeros(len(keys), dtype=np.int64), np.zeros((len(keys), SKETCH // BITS), dtype=np.uint64)
    for part, sizes in _by_length(np.array([len(key) for key in keys], dtype=np.int64)):
        owner, hashes = grams([keys[index] for index in part], COMPARED_CHARACTERS, sizes)
        counts[part] = np.bincount(owner, minlength=len(part))
        bits = np.bincount(owner * SKETCH + (hashes % SKETCH).astype(np.int64), minlength=len(part) * SKETCH) & 1
        sketches[part] = np.packbits(bits.astype(np.uint8)).view(np.uint64).reshape(len(part), -1)
    return counts, sketches


def _by_length(lengths: np.ndarray) -> Iterator[tuple[np.ndarray, "GramSizes"]]:
    """Slices of the indices of match keys, each with the sizes of the n-grams by which keys as long are compared."""
    for chosen, sizes, step in ((lengths <= LONG, _small, SLICE), (lengths > LONG, _five, SLICE // 4)):
        index = np.flatnonzero(chosen)
        for start in range(0, len(index), step):
            yield index[start : start + step], sizes


# The sizes of the n-grams of each key, int64 (sizes, n), from the keys' lengths and their numbers of Han characters.
GramSizes = Callable[[np.ndarray, np.ndarray], np.ndarray]


def grams(keys: Sequence[str], limit: int, sizes: GramSizes) -> tuple[np.ndarray, np.ndarray]:
    """The distinct n-grams of the first `limit` characters of each key, at most SLICE keys.

    A gram with a digit counts a second time with NUMBER for each digit: another number is half a change. A key shorter
    than n is one gram. Returns (owner int64, hash uint64), both (grams,): `owner` is the index of the key, ascending.
    """
    cut = [key[:limit] for key in keys]
    lengths = np.array([len(key) for key in cut], dtype=np.int64)
    codes = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    owner = np.repeat(np.arange(len(cut)), lengths)
    position = np.arange(len(codes)) - (np.cumsum(lengths) - lengths)[owner]
    digit = (codes >= ord("0")) & (codes <= ord("9"))
    digits, masked = np.append(0, np.cumsum(digit)), np.where(digit, ord(NUMBER), codes)
    owners, hashes = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
    for n in sizes(lengths, np.bincount(owner[_is_han(codes)], minlength=len(cut))):
        n = np.clip(n, 1, np.maximum(lengths, 1))[owner]
        starts = np.flatnonzero(position <= lengths[owner] - n)
        numbered = starts[digits[starts + n[starts]] > digits[starts]]
        for text, first in ((codes, starts), (masked, numbered)):
            owners.append(owner[first])
            hashes.append(_hash_grams(text, first, n[first]))
    return _distinct(np.concatenate(owners), np.concatenate(hashes))


def _hash_grams(codes: np.ndarray, starts: np.ndarray, n: np.ndarray) -> np.ndarray:
    hashes = n.astype(np.uint64)
    for step in range(int(n.max(initial=0))):
        more = n > step
        hashes[more] = _mix(hashes[more] * np.uint64(0x9E3779B97F4A7C15) + codes[starts[more] + step])
    return hashes


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64: every bit of the input moves every bit of the output."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _distinct(owner: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct pairs of owner and hash, by owner, with new hashes in the place of the old."""
    # Both in one word, looked up in a hash table, are told apart many times as fast as two sorted columns.
    packed = pd.unique((owner.astype(np.uint64) << np.uint64(HASH_BITS)) | (hashes >> np.uint64(64 - HASH_BITS)))
    packed = packed[np.argsort((packed >> np.uint64(HASH_BITS)).astype(np.uint16), kind="stable")]
    owner = (packed >> np.uint64(HASH_BITS)).astype(np.int64)
    return owner, _mix(packed & np.uint64((1 << HASH_BITS) - 1))


def _is_han(codes: np.ndarray) -> np.ndarray:
    basic = (codes >= 0x3400) & (codes <= 0x9FFF)
    return basic | (codes >= 0xF900) & (codes <= 0xFAFF) | (codes >= 0x20000)


def _small(lengths: np.ndarray, han: np.ndarray) -> np.ndarray:
    chinese = han > 0.2 * lengths
    return np.stack([np.where(chinese, 1, 2), np.where(chinese, 2, 3)])


def _five(lengths: np.ndarray, han: np.ndarray) -> np.ndarray:
    return np.full((1, len(lengths)), 5)


# --- candidates ------------------------------------------------------------------------------------------------------


def masks(blocks: int) -> list[int]:
    """The bits of each table: all pairs out of `blocks` blocks, as signed 64-bit integers."""
    edges = [round(BITS * index / blocks) for index in range(blocks + 1)]
    block = [sum(1 << bit for bit in range(low, high)) for low, high in zip(edges, edges[1:], strict=False)]
    return [value - (1 << BITS) if value >> (BITS - 1) else value for value in map(sum, combinations(block, 2))]


def candidates(unique: DataFrame, params: Params) -> DataFrame:
    """Pairs (left, right) of nodes that meet in a block table and may be alike; a node is a hash of a record_id."""
    long_enough = unique.where(F.col("length") >= params.min_characters)
    nodes = long_enough.select(F.xxhash64("representative").alias("node"), *CANDIDATE[1:])
    tables = F.posexplode(F.array(*[F.lit(mask).cast("long") for mask in masks(params.blocks)])).alias("block", "mask")
    chunks = 1 + unique.count() // TABLE_ROWS
    chunk = F.pmod(F.xxhash64(F.col("simhash").bitwiseAND(F.col("mask"))), F.lit(chunks))
    spread = nodes.select(*CANDIDATE, tables).withColumn("chunk", chunk)

    def meet(table: pa.Table) -> pa.Table:
        left, right = neighbours(Candidates.of(table), table["mask"][0].as_py(), params)
        return pa.table({"left": left, "right": right})

    return spread.groupBy("block", "chunk").applyInArrow(meet, "left long, right long").distinct()


CANDIDATE = ("node", "simhash", "length", "grams", "sketch")


@dataclass(frozen=True)
class Candidates:
    """Texts of one table, column by column, (n,) each: the columns of CANDIDATE."""

    node: np.ndarray  # int64
    simhash: np.ndarray  # uint64
    length: np.ndarray
    grams: np.ndarray
    sketch: np.ndarray  # uint64 (n, 8)

    @classmethod
    def of(cls, table: pa.Table) -> "Candidates":
        node, simhash, length, grams = (table[name].to_numpy() for name in CANDIDATE[:-1])
        sketch = np.frombuffer(b"".join(table["sketch"].to_pylist()), dtype=np.uint64).reshape(len(node), -1)
        return cls(node, simhash.view(np.uint64), length, grams, sketch)

    def take(self, order: np.ndarray) -> "Candidates":
        return Candidates(*(getattr(self, name)[order] for name in CANDIDATE))

    def near(self, left: np.ndarray, right: np.ndarray, params: Params) -> np.ndarray:
        """Which of the pairs of places (left[i], right[i]) are within the radius and may be alike, bool (n,)."""
        found = ones(self.simhash[left] ^ self.simhash[right]) <= params.radius
        found[found] = self._may_be_alike(left[found], right[found], params.similarity)
        return found

    def _may_be_alike(self, left: np.ndarray, right: np.ndarray, least: Similarity) -> np.ndarray:
        """False where the sketches prove the pair less similar than it must be.

        Of a and b n-grams, d are in one text alone, and the similarity is (a + b - d) / (a + b + d); the sketches
        differ in at most d bits.
        """
        total = self.grams[left] + self.grams[right]
        differing = ones(self.sketch[left] ^ self.sketch[right])
        lengths = self.length[left], self.length[right]
        comparable = (lengths[0] > LONG) == (lengths[1] > LONG)  # else the sketches are of other n-grams
        return ~comparable | ((total - differing) / (total + differing) >= least.least(*lengths))


def neighbours(texts: Candidates, mask: int, params: Params) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of nodes whose hashes agree under `mask`, differ in at most `radius` bits and may be alike.

    mask is a signed 64-bit integer. Returns (left, right), left < right, each int64 (pairs,). Compares each hash with
    its next `window` neighbours in its bucket and stops after LINKS pairs.
    """
    keys = texts.simhash & np.array(mask, dtype=np.int64).view(np.uint64)
    order = np.lexsort((texts.node, texts.simhash, keys))
    texts, keys = texts.take(order), keys[order]
    found = [np.zeros((2, 0), dtype=np.int64)]
    for start in range(0, len(keys), AT_ONCE):
        found += _meet(texts, keys, np.arange(start, min(start + AT_ONCE, len(keys))), params)
    left, right = np.sort(np.concatenate(found, axis=1), axis=0)
    return left, right


def _meet(texts: Candidates, keys: np.ndarray, places: np.ndarray, params: Params) -> Iterator[np.ndarray]:
    """Pairs of nodes, int64 (2, pairs), of the texts at these places with those behind them; keys are sorted."""
    links = np.zeros(len(places), dtype=np.int64)
    for step in range(1, params.window + 1):
        inside = places + step < len(keys)
        places, links = places[inside], links[inside]
        same = (keys[places] == keys[places + step]) & (links < LINKS)
        places, links = places[same], links[same]
        if not len(places):
            return
        near = texts.near(places, places + step, params)
        links += near
        yield np.stack([texts.node[places[near]], texts.node[places[near] + step]])


def ones(words: np.ndarray) -> np.ndarray:
    """How many bits of each row are set; words uint64 (n,) or (n, words), returns int64 (n,).

    Counted side by side in ever wider fields of each word (Warren, Hacker's Delight, 2nd edition, 5-1).
    """
    counts = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    counts = (counts & np.uint64(0x3333333333333333)) + ((counts >> np.uint64(2)) & np.uint64(0x3333333333333333))
    counts = (counts + (counts >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    counts = ((counts * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)
    return counts if counts.ndim == 1 else counts.sum(axis=1)


# --- verification ----------------------------------------------------------------------------------------------------


def edges(unique: DataFrame, params: Params) -> DataFrame:
    """Pairs (left, right) of representatives whose texts are alike enough."""
    texts = unique.select(F.xxhash64("representative").alias("node"), "representative", "length", "key")
    pairs = candidates(unique, params)
    for side in ("left", "right"):
        renamed = texts.select(*[F.col(name).alias(f"{name}_{side}") for name in texts.columns])
        pairs = pairs.join(renamed, F.col(side) == F.col(f"node_{side}"), how="inner")

    alike = similarity("key_left", "key_right") >= least(params)("length_left", "length_right")
    return pairs.where(alike).select(
        F.col("representative_left").alias("left"), F.col("representative_right").alias("right")
    )


def least(params: Params) -> Callable[..., Column]:
    """The similarity that two texts must have, as a function of the columns of their lengths."""

    def of(left: pd.Series, right: pd.Series) -> pd.Series:
        return pd.Series(params.similarity.least(left.to_numpy(), right.to_numpy()))

    return F.pandas_udf(of, DoubleType())  # type: ignore[call-overload,no-any-return]


@F.pandas_udf(DoubleType())  # type: ignore[call-overload]
def similarity(left: pd.Series, right: pd.Series) -> pd.Series:
    return pd.Series(jaccard(list(left), list(right)))


@F.pandas_udf(IntegerType())  # type: ignore[call-overload]
def hamming(left: pd.Series, right: pd.Series) -> pd.Series:
    return pd.Series(ones((left.to_numpy() ^ right.to_numpy()).view(np.uint64)).astype(np.int32))


def jaccard(left: Sequence[str], right: Sequence[str]) -> np.ndarray:
    """The Jaccard similarity of the n-grams of left[i] and right[i], float64 (n,).

    n is 5 where both keys are longer than LONG characters, else 1 and 2 for Chinese, 2 and 3 for other texts.
    """
    result = np.zeros(len(left))
    lengths = np.array([min(len(a), len(b)) for a, b in zip(left, right, strict=True)], dtype=np.int64)
    for part, sizes in _by_length(lengths):
        result[part] = _jaccard_slice([left[i] for i in part], [right[i] for i in part], sizes)
    return result


def _jaccard_slice(left: Sequence[str], right: Sequence[str], sizes: GramSizes) -> np.ndarray:
    sides = [grams(keys, COMPARED_CHARACTERS, sizes) for keys in (left, right)]
    counts = [np.bincount(owner, minlength=len(left)) for owner, _ in sides]
    # A gram counts as shared when it stands on both sides of the same pair.
    owner, hashes = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    union = np.bincount(_distinct(owner, hashes)[0], minlength=len(left))
    return (counts[0] + counts[1] - union) / np.maximum(union, 1)


# --- clusters --------------------------------------------------------------------------------------------------------


def merge(unique: DataFrame, pairs: DataFrame, params: Params) -> DataFrame:
    """representative, kept, distance, similarity of each text that resembles one that stays, and of those that stay.

    A chain of pairs joins texts that no pair would. So only those that resemble the component's best text go for it;
    what a component holds beside them is divided by the pairs alone.
    """
    pairs = pairs.persist()
    # A cluster has many more pairs than texts, and the driver need not see them all.
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
    """`proposed` (representative, kept) with their distance, their similarity and the least that duplicates have."""
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


def stars(names: np.ndarray, pairs: pd.DataFrame) -> pd.DataFrame:
    """representative and kept of each text that goes: the best stays, what pairs with it goes, so on with the rest.

    names object (n,), best first. Pairs (left, right) of names. This is the greedy maximal independent set, found in
    rounds (Blelloch, Fineman, Shun 2012).
    """
    index, place = pd.Index(names), np.arange(len(names))
    ends = np.stack([index.get_indexer(pairs["left"]), index.get_indexer(pairs["right"])], axis=1)
    ends = waiting = np.concatenate([ends, ends[:, ::-1]])
    gone = np.zeros(len(names), dtype=bool)
    while len(waiting):
        stays = _best(waiting, len(names)) > place
        goes = _best(waiting[stays[waiting[:, 1]]], len(names)) < len(names)
        gone |= goes
        waiting = waiting[~(stays | goes)[waiting].any(axis=1)]
    kept = _best(ends[~gone[ends[:, 1]]], len(names))[gone]
    return pd.DataFrame({"representative": names[gone], "kept": names[kept]})


def _best(ends: np.ndarray, count: int) -> np.ndarray:
    """The smallest second end of each first end, int64 (count,); `count` where it has none."""
    best = np.full(count, count)
    np.minimum.at(best, ends[:, 0], ends[:, 1])
    return best


def thin(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """As few of the pairs (left, right) as connect the same representatives."""
    waiting: list[pd.DataFrame] = []
    rows, limit = 0, PAIRS
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        if rows > limit:
            waiting = [spanning(pd.concat(waiting))]
            rows, limit = len(waiting[0]), PAIRS + 2 * len(waiting[0])
    if waiting:
        yield spanning(pd.concat(waiting))


def spanning(pairs: pd.DataFrame) -> pd.DataFrame:
    """A spanning forest of the pairs."""
    names, graph = _graph(pairs)
    tree = minimum_spanning_tree(graph).tocoo()
    return pd.DataFrame({"left": names[tree.row], "right": names[tree.col]})


def components(pairs: pd.DataFrame) -> pd.DataFrame:
    """representative and component (int64) of every representative in `pairs` (left, right): connected components."""
    names, graph = _graph(pairs)
    labels = connected_components(graph, directed=False)[1] if len(names) else np.zeros(0)
    return pd.DataFrame({"representative": names, "component": labels.astype(np.int64)})


def _graph(pairs: pd.DataFrame) -> tuple[np.ndarray, coo_array]:
    """The distinct representatives, object (n,), and the pairs as a matrix (n, n) over them."""
    names, index = np.unique(pairs[["left", "right"]].to_numpy(dtype=str).ravel(), return_inverse=True)
    ends = index.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(len(names), len(names)))
    return names.astype(object), graph


def assign(records: DataFrame, unique: DataFrame, merged: DataFrame) -> DataFrame:
    """`records` with cluster, distance and similarity to the cluster's survivor."""
    return (
        records.join(unique.select("digest", "representative"), on="digest", how="left")
        .join(merged, on="representative", how="left")
        .withColumn("cluster", F.coalesce("kept", "representative", "record_id"))
    )


def _measures() -> list[Column]:
    # A copy of the survivor's very text has no row in `merged` unless the text has near-duplicates too.
    return [
        F.coalesce("distance", F.lit(0)).alias("distance"),
        F.coalesce("similarity", F.lit(1.0)).alias("similarity"),
    ]
