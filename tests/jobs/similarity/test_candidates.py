"""Which texts share a bucket, how many at most, and that no sketch drops similar ones."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from finelake.jobs.dedup import Params
from finelake.jobs.similarity.candidates import LINKS, Candidates, masks, neighbours
from finelake.jobs.similarity.signatures import signatures
from finelake.text.grams import LONG, jaccard, ones


@pytest.mark.parametrize("blocks", [3, 10, 16])
def test_every_pair_within_the_guaranteed_distance_shares_a_bucket(blocks):
    tables = [mask % (1 << 64) for mask in masks(blocks)]
    assert len(tables) == blocks * (blocks - 1) // 2
    generator = random.Random(1)
    for _ in range(300):
        difference = sum(1 << bit for bit in generator.sample(range(64), blocks - 2))
        assert any(difference & mask == 0 for mask in tables)


def texts_of(nodes, hashes, mask):
    """Texts whose sketches exclude nothing, in the buckets of one table."""
    size, hashes = len(hashes), np.array(hashes, np.uint64)
    plain = {"length": np.full(size, 50), "grams": np.full(size, 100), "sketch": np.zeros((size, 8), np.uint64)}
    return Candidates(np.array(nodes), hashes, **plain, bucket=(hashes & np.uint64(mask)).view(np.int64))


def pairs(texts, radius, window):
    found = neighbours(texts, Params(radius=radius, window=window))
    return sorted(zip(*(side.tolist() for side in found[:2]), strict=True))


def test_neighbours_are_all_pairs_of_a_bucket_within_the_radius():
    generator = random.Random(2)
    hashes = [generator.getrandbits(12) for _ in range(200)]
    mask = 0b111100000000
    expected = [
        (a, b)
        for a in range(200)
        for b in range(a + 1, 200)
        if (hashes[a] ^ hashes[b]) & mask == 0 and (hashes[a] ^ hashes[b]).bit_count() <= 1
    ]
    assert pairs(texts_of(range(200), hashes, mask), 1, 200) == expected != []
    order = generator.sample(range(200), 200)
    assert pairs(texts_of(order, [hashes[node] for node in order], mask), 1, 200) == expected


def test_a_hot_bucket_is_bounded():
    found = pairs(texts_of(range(5000), [7] * 5000, 1), 3, 256)
    assert len(found) <= 5000 * LINKS
    assert len({node for pair in found for node in pair}) == 5000


def candidates(signed):
    """The texts of signatures, with their nodes, in one bucket."""
    return Candidates.of(pa.Table.from_pandas(signed.assign(bucket=0)))


@settings(deadline=None)
@given(st.lists(st.text("abcd你好 ", min_size=1, max_size=40).map(lambda text: text * 7), min_size=2, max_size=8))
def test_no_sketch_drops_similar_texts(texts):
    found = signatures(texts)
    found = found[found["digest"].notna()].reset_index(names="node")
    assume(len(found) > 1)
    texts, keys = candidates(found), list(found["key"])
    left, right = (np.array(side, dtype=int) for side in np.triu_indices(len(keys), 1))
    params = Params(radius=32)
    least = params.similarity.least(texts.length[left], texts.length[right])
    alike = jaccard([keys[place] for place in left], [keys[place] for place in right]) >= least
    within = ones(texts.simhash[left] ^ texts.simhash[right]) <= params.radius
    assert not (alike & within & ~np.isfinite(texts.apart(left, right, params))).any()


def test_a_sketch_drops_what_is_near_by_chance():
    picked = random.Random(5)
    texts = ["".join(picked.choices("abcdefghijklmnop", k=length)) for length in [80] * 30 + [600] * 30]
    found = candidates(signatures(texts).reset_index(names="node"))
    left, right = np.triu_indices(len(texts), 1)
    same = (found.length[left] > LONG) == (found.length[right] > LONG)
    near = np.isfinite(found.apart(left, right, Params(radius=32)))
    assert not near[same].any() and near[~same].any()
