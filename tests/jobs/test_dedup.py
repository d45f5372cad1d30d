import random
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from finelake.jobs import dedup
from finelake.jobs.stage import CLEANED
from finelake.lake.config.params import parse
from finelake.lake.errors import UserError
from finelake.text.grams import HEAD_CHARACTERS, grams, jaccard, ones, simhash, small
from finelake.text.normalise import match_key

ENGLISH = "I was charged twice for the same purchase at the supermarket and nobody at the branch could tell me why."
CHINESE = "我上个月在贵行办理的信用卡被重复扣款两次，打电话给客服一直没有人接听，请尽快处理。"
STORY = (
    "the branch on main street closed my old savings account last tuesday without sending any written notice to my "
    "home address first"
)
OTHER = "My new debit card has not arrived although the letter said that it was sent three weeks ago by post."


def hashes(keys):
    return simhash(grams(keys, HEAD_CHARACTERS, small))


# --- plain functions ---


@pytest.mark.parametrize("blocks", [3, 10, 16])
def test_every_pair_within_the_promised_distance_meets_in_a_table(blocks):
    masks = [mask % (1 << 64) for mask in dedup.masks(blocks)]
    assert len(masks) == blocks * (blocks - 1) // 2
    generator = random.Random(1)
    for _ in range(300):
        difference = sum(1 << bit for bit in generator.sample(range(64), blocks - 2))
        assert any(difference & mask == 0 for mask in masks)


def texts_of(nodes, hashes, mask):
    """Texts that their sketches tell nothing about, in the buckets of one table."""
    size, hashes = len(hashes), np.array(hashes, np.uint64)
    plain = {"length": np.full(size, 50), "grams": np.full(size, 100), "sketch": np.zeros((size, 8), np.uint64)}
    return dedup.Candidates(np.array(nodes), hashes, **plain, bucket=(hashes & np.uint64(mask)).view(np.int64))


def pairs(texts, radius, window):
    found = dedup.neighbours(texts, dedup.Params(radius=radius, window=window))
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
    assert len(found) <= 5000 * dedup.LINKS
    assert len({node for pair in found for node in pair}) == 5000


def candidates(signed):
    """The texts of signatures, with their nodes, in one bucket."""
    return dedup.Candidates.of(pa.Table.from_pandas(signed.assign(bucket=0)))


def test_signatures_do_not_depend_on_the_batch():
    picked = random.Random(1)
    texts = ["".join(picked.choices("abcdefgh 你好", k=picked.choice([3, 30, 300]))) for _ in range(500)]
    whole = dedup.signatures(texts, "minhash")
    alone = pd.concat([dedup.signatures([text], "minhash") for text in texts], ignore_index=True)
    assert whole["bands"].map(list).tolist() == alone["bands"].map(list).tolist()
    assert whole.drop(columns="bands").equals(alone.drop(columns="bands"))


@settings(deadline=None)
@given(st.lists(st.text("abcd你好 ", min_size=1, max_size=40).map(lambda text: text * 7), min_size=2, max_size=8))
def test_no_sketch_drops_what_is_alike(texts):
    found = dedup.signatures(texts)
    found = found[found["digest"].notna()].reset_index(names="node")
    assume(len(found) > 1)
    texts, keys = candidates(found), list(found["key"])
    left, right = (np.array(side, dtype=int) for side in np.triu_indices(len(keys), 1))
    params = dedup.Params(radius=32)
    least = params.similarity.least(texts.length[left], texts.length[right])
    alike = jaccard([keys[place] for place in left], [keys[place] for place in right]) >= least
    within = ones(texts.simhash[left] ^ texts.simhash[right]) <= params.radius
    assert not (alike & within & ~np.isfinite(texts.apart(left, right, params))).any()


def test_a_sketch_drops_what_is_near_by_chance():
    picked = random.Random(5)
    texts = ["".join(picked.choices("abcdefghijklmnop", k=length)) for length in [80] * 30 + [600] * 30]
    found = candidates(dedup.signatures(texts).reset_index(names="node"))
    left, right = np.triu_indices(len(texts), 1)
    same = (found.length[left] > dedup.LONG) == (found.length[right] > dedup.LONG)
    near = np.isfinite(found.apart(left, right, dedup.Params(radius=32)))
    assert not near[same].any() and near[~same].any()


def test_components():
    edges = pd.DataFrame({"left": ["a", "c", "x"], "right": ["b", "b", "y"]})
    assert dedup.components(edges).to_dict("list") == {
        "representative": ["a", "b", "c", "x", "y"],
        "component": [0, 0, 0, 1, 1],
    }
    assert dedup.components(edges[:0]).empty


def test_stars_are_the_greedy_choice():
    picked = random.Random(3)
    names = np.array([f"{number:03}" for number in range(300)], dtype=object)
    pairs = [tuple(picked.sample(list(names), 2)) for _ in range(400)]
    kept: dict[str, str] = {}
    for name in names:
        beside = {a if b == name else b for a, b in pairs if name in (a, b)}
        kept[name] = min((other for other in beside if kept.get(other) == other), default=name)
    found = dedup.stars(names, pd.DataFrame(pairs, columns=["left", "right"]))
    assert dict(zip(found["representative"], found["kept"], strict=True)) == {
        name: other for name, other in kept.items() if name != other
    }
    assert dedup.stars(names, pd.DataFrame(pairs[:0], columns=["left", "right"])).empty


def test_thinned_pairs_connect_the_same_texts(monkeypatch):
    monkeypatch.setattr(dedup, "PAIRS", 50)
    picked = random.Random(7)
    ends = {tuple(picked.sample(range(10 * part, 10 * part + 10), 2)) for part in range(20) for _ in range(60)}
    pairs = pd.DataFrame([(f"{left:03}", f"{right:03}") for left, right in ends], columns=["left", "right"])
    (thinned,) = dedup.thin(pairs[start : start + 40] for start in range(0, len(pairs), 40))
    whole = dedup.components(pairs)
    assert len(thinned) == 20 * 9 < len(pairs)
    same = dedup.components(thinned).groupby("component")["representative"].apply(list).tolist()
    assert sorted(same) == sorted(whole.groupby("component")["representative"].apply(list).tolist())
    assert [len(frame) for frame in dedup.thin([pairs[:0]])] == [0]
    assert list(dedup.thin([])) == []


# --- the stage ---


def record(name, text, day=0, source="a", numbers=None, facts=None, imputed=()):
    when = None if day is None else datetime(2020, 1, 1) + timedelta(days=day)
    return (name, source, name, when, "x", "en", text, numbers or {}, facts or {}, list(imputed))


ROWS = [
    record("en-late", ENGLISH, 5),
    record("en-old", ENGLISH.replace("purchase", "purchse"), 1),
    record("en-copy", ENGLISH.upper() + "!!", 7),
    record("en-undated", ENGLISH, None, "b"),
    record("zh-b", CHINESE, 3),
    record("zh-a", CHINESE.replace("请尽快处理", "请快处理"), 3),
    record("zh-full", CHINESE.replace("，", "！"), 3, facts={"channel": "web"}),
    record("zh-imputed", CHINESE + "。。", 3, facts={"channel": "web"}, imputed=["facts.channel"]),
    record("other", OTHER, 1),
    record("empty-1", None, 1),
    record("empty-2", "", 1),
    record("marks-1", "?!", 1),
    record("marks-2", "?!", 2),
    record("short-1", "rent", 1),
    record("short-2", "Rent.", 2),
    record("short-3", "rents", 2),
    record("purpose-1", "a new car", 1, "applications"),
    record("purpose-2", "a new car", 2, "applications"),
]
CLUSTERS = {
    "en-late": "en-old",
    "en-copy": "en-old",
    "en-undated": "en-old",
    "zh-a": "zh-full",
    "zh-b": "zh-full",
    "zh-imputed": "zh-full",
    "short-2": "short-1",
}


def run(spark, partitions=2, **params):
    frame = spark.createDataFrame(ROWS, CLEANED).repartition(partitions)
    outputs = dedup.build({"clean.records": frame}, parse(dedup.Params, params, "dedup"))
    for name, schema in dedup.STAGE.writes.items():
        assert shape(outputs[name].schema) == shape(schema)
    return {name: sorted((tuple(row) for row in output.collect()), key=str) for name, output in outputs.items()}


def shape(schema):
    return [(field.name, field.dataType.simpleString()) for field in schema]


def test_one_record_of_each_cluster_stays(spark):
    outputs = run(spark, exclude=["applications"])
    assert outputs["records"] == sorted(((*row, row[0]) for row in ROWS if row[0] not in CLUSTERS), key=str)
    assert outputs["rejects"] == sorted(
        (name, next(row[1] for row in ROWS if row[0] == name), "dedup", "duplicate", kept)
        for name, kept in CLUSTERS.items()
    )
    texts = {row[0]: match_key(row[6]) for row in ROWS}
    assert outputs["duplicates"] == sorted(
        (
            name,
            kept,
            int(ones(hashes([texts[name]]) ^ hashes([texts[kept]]))[0]),
            float(jaccard([texts[name]], [texts[kept]])[0]),
        )
        for name, kept in CLUSTERS.items()
    )
    assert run(spark, partitions=7, exclude=["applications"]) == outputs


def test_a_text_of_a_template_is_compared_with_the_nearest_alone(spark):
    picked = random.Random(6)
    texts = [f"{''.join(picked.choices('abcdefgh', k=3))} {STORY} {number}" for number in range(200)]
    rows = [record(f"copy-{number:03}", text, number) for number, text in enumerate(texts)]
    params = dedup.Params(radius=32)
    unique = dedup.collapse(dedup.sign(spark.createDataFrame(rows, CLEANED), params))
    found = dedup.candidates(unique, params).toPandas()
    assert found["left"].value_counts().max() == dedup.PARTNERS
    assert dedup.components(found)["component"].nunique() == 1
    assert len(dedup.components(found)) == 200


def test_marked_and_protected_records_stay(spark):
    marked = run(spark, action="mark", exclude=["applications"])
    assert marked["records"] == sorted(((*row, CLUSTERS.get(row[0], row[0])) for row in ROWS), key=str)
    assert marked["duplicates"] == marked["rejects"] == []
    # A protected record is kept and goes before older ones.
    protected = run(spark, protect=["b", "applications"])
    assert [row[:2] for row in protected["duplicates"]] == [
        ("en-copy", "en-undated"),
        ("en-late", "en-undated"),
        ("en-old", "en-undated"),
        *[item for item in sorted(CLUSTERS.items()) if not item[0].startswith("en-")],
    ]
    clusters = {row[0]: row[-1] for row in protected["records"]}
    assert [clusters[name] for name in ("purpose-1", "purpose-2")] == ["purpose-1", "purpose-1"]


SURVIVORS = [
    record("crm", ENGLISH, 1, "crm"),
    record("mail-old", ENGLISH.replace("purchase", "purchse"), 2, "mail"),
    record("mail-new", ENGLISH, 3, "mail"),
    record("mail-undated", ENGLISH, None, "mail"),
    record("web", ENGLISH.upper(), 4, "web"),
]


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        ({}, "crm"),
        ({"keep": "newest"}, "web"),
        ({"prefer": ["mail"]}, "mail-old"),
        ({"prefer": ["mail"], "keep": "newest"}, "mail-new"),
        ({"prefer": ["unknown", "web", "mail"]}, "web"),
        # A protected record stays in any case, so it stands for the cluster.
        ({"prefer": ["mail"], "protect": ["web"]}, "web"),
    ],
)
def test_who_survives(spark, params, kept):
    frames = {"clean.records": spark.createDataFrame(SURVIVORS, CLEANED)}
    outputs = dedup.build(frames, parse(dedup.Params, params, "dedup"))
    assert [row["record_id"] for row in outputs["records"].collect()] == [kept]
    removed = sorted((row["removed"], row["kept"]) for row in outputs["duplicates"].collect())
    assert removed == sorted((row[0], kept) for row in SURVIVORS if row[0] != kept)


def test_a_chain_does_not_join_what_no_pair_would(spark):
    words = STORY.split()
    texts = [" ".join(words)]
    for place, word in zip((3, 6, 9, 12), ("garden", "yellow", "window", "pocket"), strict=True):
        words[place] = word
        texts.append(" ".join(words))
    texts.append(texts[-1] + "s")
    rows = [record(f"chain-{day}", text, day) for day, text in enumerate(texts)]
    frames = {"clean.records": spark.createDataFrame(rows, CLEANED)}
    removed = dedup.build(frames, dedup.Params())["duplicates"].select("removed", "kept").collect()
    expected = {f"chain-{day}": "chain-0" for day in (1, 2, 3)} | {"chain-5": "chain-4"}
    assert {row["removed"]: row["kept"] for row in removed} == expected


def test_minhash_finds_the_same_clusters(spark):
    assert run(spark, method="minhash", exclude=["applications"]) == run(spark, exclude=["applications"])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"radius": 40}, "dedup: radius must lie between 0 and 32 bits"),
        ({"blocks": 2}, "dedup: blocks must lie between 3 and 16"),
        ({"similarity": {"short": 0}}, "dedup.similarity: thresholds must lie above 0"),
        ({"action": "removed"}, "did you mean remove"),
        ({"prefer": ["a", "b", "a"]}, "dedup: prefer names a twice; name each source once, the best first"),
        ({"prefer": ["a"], "exclude": ["a"]}, "dedup: prefer and exclude both name a; an excluded source has no"),
    ],
)
def test_wrong_parameters_are_refused(params, message):
    with pytest.raises(UserError, match=message):
        parse(dedup.Params, params, "dedup")
