"""Laws of n-grams and of the hashes and sketches made of them."""

import random

import numpy as np
import pytest

from finelake.text.grams import (
    BANDS,
    HEAD_CHARACTERS,
    ROWS,
    five,
    grams,
    jaccard,
    minhash,
    odd_sketch,
    ones,
    simhash,
    small,
)


def head(*texts):
    return grams(texts, HEAD_CHARACTERS, small)


def test_simhash_is_the_majority_of_the_gram_hashes():
    found = head("abcd", "", "你好吗")
    assert found.owner.tolist() == [0] * 5 + [2] * 5
    bits = (found.hashes[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    expected = [sum(1 << bit for bit in range(64) if bits[found.owner == key][:, bit].sum() * 2 > 5) for key in (0, 2)]
    assert simhash(found).tolist() == [expected[0], 0, expected[1]]


def test_grams_are_distinct_and_end_with_their_text():
    found = head("aaaaaa", "ab", "aaaa")
    assert found.owner.tolist() == [0, 0, 1, 2, 2]
    assert found.counts.tolist() == [2, 1, 2]
    assert found.hashes[:2].tolist() == found.hashes[3:].tolist()
    assert found.hashes[2] not in found.hashes[:2]


def test_another_number_is_half_a_change():
    number, word = jaccard(["room10a", "roomx0a"], ["room20a", "roomy0a"])
    assert word < number < 1
    assert grams(["a1"], 512, five).owner.tolist() == [0, 0]


def test_hashes_read_the_first_512_characters():
    text = "".join(random.Random(1).choices("abcdefgh", k=600))
    for made in (simhash, minhash):
        whole, first, less = made(head(text, text[:512], text[:400]))
        assert np.array_equal(whole, first) and not np.array_equal(whole, less)


def test_near_texts_have_near_hashes():
    text = "iwaschargedtwiceforthesamepurchaseatthesupermarketandnobodyatthebranchcouldtellmewhy"
    hashes = simhash(head(text, text.replace("purchase", "purchse"), "mynewdebitcardhasnotarrivedthoughtheletter"))
    near, far = ones(hashes[:1] ^ hashes[1:])
    assert 0 < near <= 14 < far


def test_bands_collide_as_often_as_their_similarity_predicts():
    picked = random.Random(4)
    pairs = []
    for _ in range(100):
        characters = picked.sample(range(0x4E00, 0x9000), 50)
        # Of 1- and 2-grams, which none has twice, 4 in 5 are shared.
        pairs += [characters, [*characters[:44], *picked.sample(range(0x9000, 0x9F00), 6)]]
    bands = minhash(head(*("".join(map(chr, characters)) for characters in pairs)))
    assert bands.shape == (200, BANDS)
    similarity = (44 + 43) / (50 + 49 + 12)
    assert (bands[::2] == bands[1::2]).mean() == pytest.approx(similarity**ROWS, abs=0.05)
    assert not (bands[:-2] == bands[2:]).any()


def test_an_odd_sketch_differs_in_no_more_bits_than_there_are_other_grams():
    picked = random.Random(5)
    texts = ["".join(picked.choices("abcdef", k=length)) for length in (1, 10, 40, 40, 90, 200)]
    found = head(*texts)
    sketches = odd_sketch(found)
    sets = [set(found.hashes[found.owner == index]) for index in range(len(texts))]
    for left in range(len(texts)):
        differing = ones(sketches[left] ^ sketches)
        assert all(differing <= [len(sets[left] ^ other) for other in sets])
    assert ones(sketches[2:3] ^ sketches[3:4])[0] > 40


def test_ones():
    left, right = np.array([0, 5, 2**64 - 1], dtype=np.uint64), np.array([0, 6, 0], dtype=np.uint64)
    assert ones(left ^ right).tolist() == [0, 2, 64]
    assert ones(np.stack([left ^ right, left ^ left], axis=1)).tolist() == [0, 2, 64]


def test_jaccard_uses_grams_by_language_and_length():
    long = "".join(random.Random(1).choices("abcdefgh", k=300))
    left = ["abcdef", "你好世界", "abc", "", long, "ab"]
    right = ["abcdxy", "你好世人", "xyz", "", long[:-1] + "z", "ab"]
    fives = [{text[i : i + 5] for i in range(296)} for text in (left[4], right[4])]
    shared = len(fives[0] & fives[1]) / len(fives[0] | fives[1])
    assert jaccard(left, right).tolist() == pytest.approx([5 / 13, 5 / 9, 0, 0, shared, 1])
