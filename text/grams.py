"""Similarity of texts: their character n-grams, and summaries of these for sets too large to compare every pair.

Texts are match keys (`normalise.match_key`). A SimHash or the bands of a MinHash select the pairs to compare, an odd
sketch excludes those that cannot be similar, and the Jaccard similarity of the n-grams decides.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BITS = 64
HEAD_CHARACTERS = 512  # of a text, used for its SimHash and MinHash
COMPARED_CHARACTERS = 4096  # of each of two texts that are compared
LONG = 200  # characters above which texts are compared by n-grams of 5 characters
NUMBER = "#"  # replaces a digit whose value is ignored; match keys do not hold it
SKETCH = 512  # bits of an odd sketch
BANDS, ROWS = 25, 5  # of a MinHash; texts of similarity .7 share a band with a probability of .99, of .4 with .23
SLICE = 200  # texts that are hashed at once: their arrays fit into the processor's cache
HASH_BITS = 54  # of an n-gram; the other 10 bits of the word hold the index of its text, below SLICE

# The n-gram sizes of each text, int64 (sizes, n), from the texts' lengths and their numbers of Han characters.
Array = NDArray[Any]
GramSizes = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Grams:
    """The distinct n-grams of some texts, text by text."""

    owner: Array  # int64 (grams,): the index of the text, ascending
    hashes: Array  # uint64 (grams,)
    counts: Array  # int64 (texts,)

    def filled(self) -> tuple[Array, Array]:
        """The indices of texts with n-grams, and the offset of the first n-gram of each."""
        filled = np.flatnonzero(self.counts)
        return filled, (np.cumsum(self.counts) - self.counts)[filled]


def by_length(lengths: Array) -> Iterator[tuple[Array, GramSizes]]:
    """Slices of the indices of texts, each with the n-gram sizes for texts of that length."""
    for selected, sizes, step in ((lengths <= LONG, small, SLICE), (lengths > LONG, five, SLICE // 4)):
        index = np.flatnonzero(selected)
        for start in range(0, len(index), step):
            yield index[start : start + step], sizes


def small(lengths: Array, han: Array) -> Array:
    """1 and 2 characters in Chinese, 2 and 3 in other texts."""
    chinese = han > 0.2 * lengths
    return np.stack([np.where(chinese, 1, 2), np.where(chinese, 2, 3)])


def five(lengths: Array, han: Array) -> Array:
    return np.full((1, len(lengths)), 5)


def grams(texts: Sequence[str], limit: int, sizes: GramSizes) -> Grams:
    """The distinct n-grams of the first `limit` characters of at most SLICE texts.

    A gram with a digit counts a second time with NUMBER for each digit, so that another number is half a change. A text
    shorter than n is one gram.
    """
    cut = [text[:limit] for text in texts]
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
        for characters, first in ((codes, starts), (masked, numbered)):
            owners.append(owner[first])
            hashes.append(_hash_grams(characters, first, n[first]))
    owner, hashed = _distinct(np.concatenate(owners), np.concatenate(hashes))
    return Grams(owner, hashed, np.bincount(owner, minlength=len(cut)))


def _hash_grams(codes: Array, starts: Array, n: Array) -> Array:
    hashes = n.astype(np.uint64)
    for step in range(int(n.max(initial=0))):
        more = n > step
        hashes[more] = _mix(hashes[more] * np.uint64(0x9E3779B97F4A7C15) + codes[starts[more] + step])
    return hashes


def _mix(values: Array) -> Array:
    """The finaliser of SplitMix64: every bit of the input affects every bit of the output."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = values ^ (values >> np.uint64(31))
    return mixed


def _distinct(owner: Array, hashes: Array) -> tuple[Array, Array]:
    """The distinct pairs of owner and hash, sorted by owner; the hashes are remixed."""
    # Packed into one word and deduplicated in a hash table: many times as fast as sorting two columns.
    packed = pd.unique((owner.astype(np.uint64) << np.uint64(HASH_BITS)) | (hashes >> np.uint64(64 - HASH_BITS)))
    packed = packed[np.argsort((packed >> np.uint64(HASH_BITS)).astype(np.uint16), kind="stable")]
    owner = (packed >> np.uint64(HASH_BITS)).astype(np.int64)
    return owner, _mix(packed & np.uint64((1 << HASH_BITS) - 1))


def _is_han(codes: Array) -> Array:
    basic = (codes >= 0x3400) & (codes <= 0x9FFF)
    return basic | (codes >= 0xF900) & (codes <= 0xFAFF) | (codes >= 0x20000)


def simhash(grams: Grams) -> Array:
    """The SimHash of each text (Charikar 2002), uint64 (n,): the majority, bit by bit, of the hashes of its n-grams."""
    filled, starts = grams.filled()
    result = np.zeros(len(grams.counts), dtype=np.uint64)
    if not len(filled):
        return result
    majority = grams.counts[filled].astype(np.uint64)
    # Each 64-bit word holds four counters of 16 bits: 16 sums instead of 64.
    for shift in range(16):
        sums = np.add.reduceat((grams.hashes >> np.uint64(shift)) & np.uint64(0x0001000100010001), starts)
        for lane in range(0, BITS, 16):
            ones = (sums >> np.uint64(lane)) & np.uint64(0xFFFF)
            result[filled] |= (2 * ones > majority).astype(np.uint64) << np.uint64(lane + shift)
    return result


def minhash(grams: Grams) -> Array:
    """The bands of the MinHash of each text (Broder 1997), uint64 (n, BANDS): a hash of ROWS minima each."""
    filled, starts = grams.filled()
    bands = np.zeros((len(grams.counts), BANDS), dtype=np.uint64)
    if len(filled):
        for number in range(BANDS * ROWS):
            minima = np.minimum.reduceat(grams.hashes * FAMILY[number], starts)
            band = number // ROWS
            bands[filled, band] = _mix(bands[filled, band] * np.uint64(0x9E3779B97F4A7C15) + minima)
    return bands


def odd_sketch(grams: Grams) -> Array:
    """The odd sketch of each text (Mitzenmacher, Pagh, Pham 2014), uint64 (n, SKETCH / 64).

    A bit is the parity of the n-grams that hash to it, so two sketches differ in at most as many bits as there are
    n-grams in only one of the texts.
    """
    count = len(grams.counts)
    positions = grams.owner * SKETCH + (grams.hashes % SKETCH).astype(np.int64)
    bits = np.bincount(positions, minlength=count * SKETCH) & 1
    return np.packbits(bits.astype(np.uint8)).view(np.uint64).reshape(count, SKETCH // BITS)


def ones(words: Array) -> Array:
    """The number of set bits of each row; words uint64 (n,) or (n, words), returns int64 (n,).

    Counted in parallel in ever wider fields of each word (Warren, Hacker's Delight, 2nd edition, 5-1).
    """
    counts = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    counts = (counts & np.uint64(0x3333333333333333)) + ((counts >> np.uint64(2)) & np.uint64(0x3333333333333333))
    counts = (counts + (counts >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    counts = ((counts * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)
    summed: Array = counts if counts.ndim == 1 else counts.sum(axis=1)
    return summed


def jaccard(left: Sequence[str], right: Sequence[str]) -> Array:
    """The Jaccard similarity of the n-grams of left[i] and right[i], float64 (n,).

    n is 5 where both keys are longer than LONG characters, else 1 and 2 for Chinese, 2 and 3 for other texts.
    """
    result = np.zeros(len(left))
    lengths = np.array([min(len(a), len(b)) for a, b in zip(left, right, strict=True)], dtype=np.int64)
    for part, sizes in by_length(lengths):
        result[part] = _jaccard_slice([left[i] for i in part], [right[i] for i in part], sizes)
    return result


def _jaccard_slice(left: Sequence[str], right: Sequence[str], sizes: GramSizes) -> Array:
    sides = [grams(texts, COMPARED_CHARACTERS, sizes) for texts in (left, right)]
    # A gram is shared when it is on both sides of the same pair.
    owner = np.concatenate([side.owner for side in sides])
    union = np.bincount(_distinct(owner, np.concatenate([side.hashes for side in sides]))[0], minlength=len(left))
    shared: Array = sides[0].counts + sides[1].counts - union
    similarity: Array = shared / np.maximum(union, 1)
    return similarity


# Odd factors: multiplying by each of them gives the hashes another order.
FAMILY = _mix(np.arange(BANDS * ROWS, dtype=np.uint64)) | np.uint64(1)
