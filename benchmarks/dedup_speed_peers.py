"""Clusters of near-duplicates by rensa or datasketch: for benchmarks/dedup_speed.py.

    python benchmarks/dedup_speed_peers.py rensa|datasketch KEYS.parquet LABELS.npy

Runs in an environment of its own with rensa, datasketch, pandas, pyarrow and scipy. What an engineer would write with
these libraries: MinHash with 25 bands of 5 rows over the n-grams of each key, candidates from the library's index,
verified by the Jaccard similarity of their sets of n-grams, connected components.
"""

import sys
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

BANDS, ROWS = 25, 5


def main(library: str, source: str, target: str) -> None:
    keys = pd.read_parquet(source)["key"].to_list()
    place, unique = pd.factorize(np.array(keys, dtype=object))
    ends = np.array(list(alike({"rensa": rensa_pairs, "datasketch": datasketch_pairs}[library](list(unique)), unique)))
    ends = ends.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(unique), len(unique)))
    np.save(target, connected_components(graph, directed=False)[1][place])


def rensa_pairs(keys: list[str]) -> Iterator[tuple[int, int]]:
    from rensa import RMinHash, RMinHashLSH

    hashes = RMinHash.from_token_sets((tokens(key) for key in keys), BANDS * ROWS, 42)
    index = RMinHashLSH(0.5, BANDS * ROWS, BANDS)
    index.insert_many(hashes)
    for number, one in enumerate(hashes):
        yield from ((number, other) for other in index.query(one) if other > number)


def datasketch_pairs(keys: list[str]) -> Iterator[tuple[int, int]]:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    hashes = MinHash.generator(([token.encode() for token in tokens(key)] for key in keys), num_perm=BANDS * ROWS)
    for number, one in enumerate(hashes):
        yield from ((number, other) for other in index.query(one))
        index.insert(number, one)


def alike(pairs: Iterator[tuple[int, int]], keys: np.ndarray) -> Iterator[tuple[int, int]]:
    cached = lru_cache(100_000)(lambda place, five: fives(keys[place]) if five else tokens(keys[place]))
    for left, right in pairs:
        length = min(len(keys[left]), len(keys[right]))
        if length < 6:
            continue
        one, other = cached(left, length > 200), cached(right, length > 200)
        shared = len(one & other)
        if shared >= (0.76 if length <= 32 else 0.7) * (len(one) + len(other) - shared):
            yield left, right


def tokens(key: str) -> frozenset[str]:
    chinese = sum("\u3400" <= character <= "\u9fff" for character in key) > 0.2 * len(key)
    sizes = (1, 2) if chinese else (2, 3)
    return frozenset(key[start : start + n] for n in sizes for start in range(max(1, len(key) - n + 1)))


def fives(key: str) -> frozenset[str]:
    return frozenset(key[start : start + 5] for start in range(len(key) - 4))


if __name__ == "__main__":
    main(*sys.argv[1:])
