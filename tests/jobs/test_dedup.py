import random
from datetime import datetime, timedelta

import pytest

from finelake.jobs import dedup
from finelake.jobs.similarity.clusters import components
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


def test_a_text_of_a_template_is_compared_only_with_the_nearest(spark):
    picked = random.Random(6)
    texts = [f"{''.join(picked.choices('abcdefgh', k=3))} {STORY} {number}" for number in range(200)]
    rows = [record(f"copy-{number:03}", text, number) for number, text in enumerate(texts)]
    params = dedup.Params(radius=32)
    unique = dedup.collapse(dedup.sign(spark.createDataFrame(rows, CLEANED), params))
    found = dedup.candidates(unique, params).toPandas()
    assert found["left"].value_counts().max() == dedup.PARTNERS
    assert components(found)["component"].nunique() == 1
    assert len(components(found)) == 200


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


def test_a_chain_does_not_join_dissimilar_texts(spark):
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
        ({"radius": 40}, "dedup: radius must be between 0 and 32 bits"),
        ({"blocks": 2}, "dedup: blocks must be between 3 and 16"),
        ({"similarity": {"short": 0}}, "dedup.similarity: thresholds must be above 0"),
        ({"action": "removed"}, "did you mean remove"),
        ({"prefer": ["a", "b", "a"]}, "dedup: prefer names a twice; name each source once, the best first"),
        ({"prefer": ["a"], "exclude": ["a"]}, "dedup: prefer and exclude both name a; an excluded source has no"),
    ],
)
def test_wrong_parameters_are_refused(params, message):
    with pytest.raises(UserError, match=message):
        parse(dedup.Params, params, "dedup")
