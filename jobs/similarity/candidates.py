"""Which pairs of texts are compared: those whose hashes meet in a table and that may be alike by their sketches."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
import pyarrow as pa

from finelake.text.grams import BITS, LONG, ones

SHORT = 32  # characters of the match key up to which the threshold `short` holds
LINKS = 4  # most pairs that one text gives in one table
AT_ONCE = 1 << 16  # hashes that are compared at once: what they need stays in the processor's cache
CANDIDATE = ("node", "simhash", "length", "grams", "sketch", "bucket")


@dataclass(frozen=True)
class Similarity:
    """The least Jaccard similarity of a duplicate, by the length of the shorter match key."""

    short: float = 0.76  # up to 32 characters; 1- and 2-grams in Chinese, else 2- and 3-grams
    medium: float = 0.7  # up to 200 characters; the same n-grams
    long: float = 0.7  # above; 5-grams

    def __post_init__(self) -> None:
        if not all(0 < value <= 1 for value in (self.short, self.medium, self.long)):
            raise ValueError("thresholds must lie above 0 and at most at 1")

    def least(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The similarity that two texts must have, from the lengths of their match keys; float64 (n,)."""
        length = np.minimum(left, right)
        return np.where(length <= SHORT, self.short, np.where(length <= LONG, self.medium, self.long))


class Search(Protocol):
    """The parameters of the search; those of dedup have them."""

    @property
    def method(self) -> str: ...
    @property
    def radius(self) -> int: ...
    @property
    def similarity(self) -> Similarity: ...
    @property
    def window(self) -> int: ...


def masks(blocks: int) -> list[int]:
    """The bits of each table: all pairs out of `blocks` blocks, as signed 64-bit integers."""
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
        """How far apart the texts at the places (left[i], right[i]) are, float64 (n,); inf where they are not near.

        Near is what is within the radius (the bands of a MinHash have none) and may be alike.
        """
        result = np.full(len(left), np.inf)
        distance = ones(self.simhash[left] ^ self.simhash[right])
        near = np.arange(len(left)) if params.method == "minhash" else np.flatnonzero(distance <= params.radius)
        left, right = left[near], right[near]
        least = params.similarity.least(self.length[left], self.length[right])
        most = self._most_alike(left, right)
        # Sketches of other n-grams tell nothing: then the SimHash does.
        comparable = (self.length[left] > LONG) == (self.length[right] > LONG)
        apart = np.where(comparable, 1 - most, distance[near] / BITS)
        result[near] = np.where(~comparable | (most >= least), apart, np.inf)
        return result

    def _most_alike(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The most that the similarity of texts with the same n-grams can be by their sketches, float64 (n,).

        Of a and b n-grams, d are in one text alone, and the similarity is (a + b - d) / (a + b + d); the sketches
        differ in at most d bits.
        """
        total = self.grams[left] + self.grams[right]
        differing = ones(self.sketch[left] ^ self.sketch[right])
        return (total - differing) / (total + differing)


def neighbours(texts: Candidates, params: Search) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of nodes of one bucket that are near, left < right, int64 (pairs,) each, and how far they are apart.

    Compares each text with its next `window` neighbours in its bucket, by SimHash, and stops after LINKS pairs.
    """
    texts = texts.take(np.lexsort((texts.node, texts.simhash, texts.bucket)))
    nothing = np.zeros(0, dtype=np.int64)
    found: list[tuple[np.ndarray, ...]] = [(nothing, nothing, np.zeros(0))]
    for start in range(0, len(texts.node), AT_ONCE):
        found += _meet(texts, np.arange(start, min(start + AT_ONCE, len(texts.node))), params)
    one, other, apart = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return np.minimum(one, other), np.maximum(one, other), apart


def _meet(texts: Candidates, places: np.ndarray, params: Search) -> Iterator[tuple[np.ndarray, ...]]:
    """Nodes at these places, near nodes behind them in sorted order, and how far they are apart."""
    links = np.zeros(len(places), dtype=np.int64)
    for step in range(1, params.window + 1):
        inside = places + step < len(texts.node)
        places, links = places[inside], links[inside]
        same = (texts.bucket[places] == texts.bucket[places + step]) & (links < LINKS)
        places, links = places[same], links[same]
        if not len(places):
            return
        apart = texts.apart(places, places + step, params)
        near = np.isfinite(apart)
        links += near
        yield texts.node[places[near]], texts.node[places[near] + step], apart[near]
