"""The pairs of texts to compare: those whose hashes share a bucket and whose sketches allow that they are similar."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
import pyarrow as pa

from finelake.text.grams import BITS, LONG, ones

SHORT = 32  # characters of the match key up to which the threshold `short` applies
LINKS = 4  # pairs that one text gives at most per table
AT_ONCE = 1 << 16  # hashes that are compared at once: their arrays fit into the processor's cache
CANDIDATE = ("node", "simhash", "length", "grams", "sketch", "bucket")


@dataclass(frozen=True)
class Similarity:
    """The least Jaccard similarity of a duplicate, by the length of the shorter match key."""

    short: float = 0.76  # up to 32 characters; 1- and 2-grams in Chinese, else 2- and 3-grams
    medium: float = 0.7  # up to 200 characters; the same n-grams
    long: float = 0.7  # above; 5-grams

    def __post_init__(self) -> None:
        if not all(0 < value <= 1 for value in (self.short, self.medium, self.long)):
            raise ValueError("thresholds must be above 0 and at most 1")

    def least(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The least similarity of duplicates, from the lengths of their match keys; float64 (n,)."""
        length = np.minimum(left, right)
        return np.where(length <= SHORT, self.short, np.where(length <= LONG, self.medium, self.long))


class Search(Protocol):
    """The parameters of the search, a subset of those of dedup."""

    @property
    def method(self) -> str: ...
    @property
    def radius(self) -> int: ...
    @property
    def similarity(self) -> Similarity: ...
    @property
    def window(self) -> int: ...


def masks(blocks: int) -> list[int]:
    """The bits of each table, one for each pair of `blocks` blocks, as signed 64-bit integers."""
    edges = [round(BITS * index / blocks) for index in range(blocks + 1)]
    block = [sum(1 << bit for bit in range(low, high)) for low, high in zip(edges, edges[1:], strict=False)]
    return [value - (1 << BITS) if value >> (BITS - 1) else value for value in map(sum, combinations(block, 2))]


@dataclass(frozen=True)
class Candidates:
    """Texts of one table, column by column, (n,) each: the columns of CANDIDATE."""

    node: np.ndarray  # int64
    simhash: np.ndarray  # uint64
    length: np.ndarray
    grams: np.ndarray
    sketch: np.ndarray  # uint64 (n, 8)
    bucket: np.ndarray  # int64

    @classmethod
    def of(cls, table: pa.Table) -> "Candidates":
        plain = {name: table[name].to_numpy() for name in CANDIDATE if name != "sketch"}
        sketch = np.frombuffer(b"".join(table["sketch"].to_pylist()), dtype=np.uint64).reshape(len(table), -1)
        return cls(**plain | {"simhash": plain["simhash"].view(np.uint64), "sketch": sketch})

    def take(self, order: np.ndarray) -> "Candidates":
        return Candidates(*(getattr(self, name)[order] for name in CANDIDATE))

    def apart(self, left: np.ndarray, right: np.ndarray, params: Search) -> np.ndarray:
        """The distance of the texts at the indices (left[i], right[i]), float64 (n,); inf where they are not near.

        Near: within the radius (which the bands of a MinHash do not use), and possibly similar.
        """
        result = np.full(len(left), np.inf)
        distance = ones(self.simhash[left] ^ self.simhash[right])
        near = np.arange(len(left)) if params.method == "minhash" else np.flatnonzero(distance <= params.radius)
        left, right = left[near], right[near]
        least = params.similarity.least(self.length[left], self.length[right])
        most = self._most_similar(left, right)
        # Sketches of different n-gram sizes cannot be compared: then the SimHash gives the distance.
        comparable = (self.length[left] > LONG) == (self.length[right] > LONG)
        apart = np.where(comparable, 1 - most, distance[near] / BITS)
        result[near] = np.where(~comparable | (most >= least), apart, np.inf)
        return result

    def _most_similar(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """An upper bound of the similarity of texts with equal n-gram sizes, by their sketches, float64 (n,).

        Of a and b n-grams, d are in only one of the texts, and the similarity is (a + b - d) / (a + b + d); the
        sketches differ in at most d bits.
        """
        total = self.grams[left] + self.grams[right]
        differing = ones(self.sketch[left] ^ self.sketch[right])
        return (total - differing) / (total + differing)


def neighbours(texts: Candidates, params: Search) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Near pairs of nodes of one bucket, left < right, int64 (pairs,) each, and their distances.

    Compares each text with the next `window` texts of its bucket, sorted by SimHash, and stops after LINKS pairs.
    """
    texts = texts.take(np.lexsort((texts.node, texts.simhash, texts.bucket)))
    nothing = np.zeros(0, dtype=np.int64)
    pairs: list[tuple[np.ndarray, ...]] = [(nothing, nothing, np.zeros(0))]
    for start in range(0, len(texts.node), AT_ONCE):
        pairs += _near_pairs(texts, np.arange(start, min(start + AT_ONCE, len(texts.node))), params)
    one, other, apart = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return np.minimum(one, other), np.maximum(one, other), apart


def _near_pairs(texts: Candidates, index: np.ndarray, params: Search) -> Iterator[tuple[np.ndarray, ...]]:
    """Nodes at these indices, near nodes after them in sorted order, and their distances."""
    links = np.zeros(len(index), dtype=np.int64)
    for step in range(1, params.window + 1):
        inside = index + step < len(texts.node)
        index, links = index[inside], links[inside]
        same = (texts.bucket[index] == texts.bucket[index + step]) & (links < LINKS)
        index, links = index[same], links[same]
        if not len(index):
            return
        apart = texts.apart(index, index + step, params)
        near = np.isfinite(apart)
        links += near
        yield texts.node[index[near]], texts.node[index[near] + step], apart[near]
