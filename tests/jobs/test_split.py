"""Each guarantee of the split, on rows made by hand and on generated ones."""

import csv
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import functions as F

from finelake.jobs import split
from finelake.jobs.annotate import GOLD
from finelake.jobs.split import PARTS, Params, Ratios, _stratum_value, build, cut_times, strata_deviation
from finelake.jobs.stage import MASKED
from finelake.lake.config.params import parse
from finelake.lake.errors import UserError

INPUT = MASKED
START = datetime(2020, 1, 1, tzinfo=UTC)
BANKING = Path(__file__).parents[3] / "shared" / "data" / "banking77"


def record(key, day=0, *, source="tickets", text=None, cluster=None, business="loans", facts=None):
    when = None if day is None else START + timedelta(days=day)
    text = f"text of {key}" if text is None else text
    return (key, source, key, when, business, "en", text, {}, facts or {}, [], cluster or key, {})


def given(key, part, **more):
    return record(key, source="bank", facts={"split": part} if part else {}, **more)


def scene(key, label, decided_by="agreed"):
    return (key, "scene", label, None, None, decided_by)


@pytest.fixture(scope="module")
def run(spark):
    def run(rows, gold=(), params=None, partitions=1):
        frames = {
            "mask.records": spark.createDataFrame(rows, INPUT).repartition(partitions),
            "annotate.gold": spark.createDataFrame(list(gold), GOLD).repartition(partitions),
        }
        outputs = build(frames, params or Params())
        for name, schema in split.STAGE.writes.items():
            assert outputs[name].schema.simpleString() == schema.simpleString()
        kept = sorted(outputs["records"].collect())
        rejects = sorted(map(tuple, outputs["rejects"].collect()))
        assert sorted([row["record_id"] for row in kept] + [row[0] for row in rejects]) == sorted(r[0] for r in rows)
        return kept, {row["promise"]: row for row in outputs["report"].collect()}, rejects

    return run


def parts(kept):
    return {row["record_id"]: row["split"] for row in kept}


def test_ten_days_are_cut_eight_to_one_to_one(run):
    rows = [record(str(day), day) for day in range(10)]
    gold = [
        *[scene(str(day), "pay") for day in range(8)],
        *[scene("8", "pay", "arbitrated"), scene("9", "card", "arbitrated")],
        ("9", "entity", "PERSON", 0, 1, "committee"),
        ("7", "term", "T1", 0, 1, "source"),
    ]
    rows[6] = record("6", 6, text="x" * 201)
    rows[8] = record("8", 8, text="y" * 201)
    kept, report, rejects = run(rows, gold)
    expected = [(str(day), "pay", "medium" if day == 6 else "easy", "train") for day in range(8)]
    expected += [("8", "pay", "hard", "validation"), ("9", "card", "hard", "test")]
    assert [(row["record_id"], row["scene"], row["difficulty"], row["split"]) for row in kept] == expected
    assert [tuple(row)[:12] for row in kept] == [(*row[:3], row[3].replace(tzinfo=None), *row[4:]) for row in rows]
    assert rejects == []
    assert {name: tuple(row)[1:] for name, row in report.items()} == {
        "time_order": (
            True,
            0.0,
            2.0,
            "train 2020-01-01T00:00:00Z to 2020-01-08T00:00:00Z; "
            "validation 2020-01-09T00:00:00Z to 2020-01-09T00:00:00Z; "
            "test 2020-01-10T00:00:00Z to 2020-01-10T00:00:00Z",
        ),
        "ratio_train": (True, 0.8, 0.8, "8 of 10 rows split by time, tolerance 0.02"),
        "ratio_validation": (True, 0.1, 0.1, "1 of 10 rows split by time, tolerance 0.02"),
        "ratio_test": (True, 0.1, 0.1, "1 of 10 rows split by time, tolerance 0.02"),
        "clusters_together": (True, 0.0, 0.0, "rows rejected for it: none"),
        "strata_max_deviation": (
            False,
            0.05,
            0.9,
            "2 strata, 2 absent from a part; worst: loans x card in test; smallest: loans x card 1, loans x pay 9",
        ),
        "no_text_in_two_parts": (True, 0.0, 0.0, "rows rejected for it: none"),
        "given_respected": (True, 0.0, 0.0, "test rows given: none; validation rows carved from train: none"),
        "every_scene_in_train": (False, 0.0, 1.0, "missing (test rows): card 1"),
    }


def test_clusters_and_texts_stay_in_their_assigned_part(run):
    rows = [record(f"{day:02}", day) for day in range(30)]  # test from day 27 on, validation from day 24
    rows[24] = record("24", 24, cluster="03")
    rows[28] = record("28", 28, cluster="25")
    rows[29] = record("29", 29, text="text of 05")
    kept, report, rejects = run([*rows, record("none", None)])
    assert [row[0:1] + row[2:] for row in rejects] == [
        ("24", "split", "cluster_crosses_cut", "in validation, kept in train"),
        ("28", "split", "cluster_crosses_cut", "in test, kept in validation"),
        ("29", "split", "text_crosses_cut", "in test, kept in train"),
        ("none", "split", "no_time", "occurred_at is missing"),
    ]
    assert report["clusters_together"]["detail"] == "rows rejected for it: test 1, validation 1"
    assert report["clusters_together"]["kept"] and report["no_text_in_two_parts"]["kept"]


def test_a_given_split_is_kept(run):
    rows = [
        *[given(f"t{n}", " Train ") for n in range(40)],
        *[given("v", "dev"), given("w", "VAL"), given("x", "test"), given("y", "test", cluster="c", text="same")],
        *[given("bad", "holdout"), given("null", None)],
        given("near", "train", cluster="c"),  # a near-duplicate of a test row
        given("copy", "validation", text="same"),
        record("late", 9, cluster="c"),  # so is this, from a source split by time
        record("early", 0),
    ]
    kept, report, rejects = run(rows, params=Params(given=("bank",)))
    assert parts(kept) == {
        **{f"t{n}": "train" for n in range(40)},
        **{"v": "validation", "w": "validation"},
        **{"x": "test", "y": "test", "early": "train"},
    }
    assert [row[0:1] + row[3:] for row in rejects] == [
        ("bad", "bad_split", "facts.split is an unknown word"),
        ("copy", "text_crosses_cut", "in validation, kept in test"),
        ("late", "cluster_crosses_cut", "in train, kept in test"),
        ("near", "cluster_crosses_cut", "in train, kept in test"),
        ("null", "bad_split", "facts.split is missing"),
    ]
    detail = "test rows given: bank 2; validation rows carved from train: none"
    assert tuple(report["given_respected"])[1:] == (True, 0.0, 0.0, detail)


def test_a_given_source_that_has_no_rows_is_refused(run):
    with pytest.raises(UserError, match="split.given names the source bamk.*did you mean bank"):
        run([given("a", "train")], params=Params(given=("bamk",)))


def generated(seed, count):
    """Rows with bursts of equal times, clusters and texts that straddle, a given source without validation."""
    dice = random.Random(seed)
    rows, gold = [], []
    for _ in range(count):
        key = f"{dice.getrandbits(64):016x}"
        more = {"cluster": f"c{dice.randint(0, 3 * count)}", "text": f"text {dice.randint(0, 5 * count)}"}
        if dice.random() < 0.3:
            rows.append(given(key, dice.choice(["train", "train", "train", "test"]), **more))
        else:
            day = dice.choice([dice.randint(0, 300), 250]) if dice.random() < 0.2 else dice.uniform(0, 300)
            rows.append(record(key, day, business=dice.choice(["loans", "cards"]), **more))
        if dice.random() < 0.7:
            gold.append(scene(key, dice.choice(["pay", "card", "fee"]), dice.choice(["agreed", "committee"])))
    return rows, gold


def test_laws_on_generated_rows_whatever_the_partitions(run):
    rows, gold = generated(seed=11, count=600)
    params = Params(given=("bank",), ratio_tolerance=0.05, strata_tolerance=0.2)
    kept, report, rejects = run(rows, gold, params)
    assert run(rows[::-1], gold[::-1], params, partitions=7) == (kept, report, rejects)
    by_part, homes, texts = defaultdict(list), defaultdict(set), defaultdict(set)
    for row in kept:
        by_part[row["source"], row["split"]].append(row)
        homes[row["cluster"]].add(row["split"])
        texts[row["text"]].add(row["split"])
    assert max(map(len, homes.values())) == max(map(len, texts.values())) == 1
    times = {part: [row["occurred_at"] for row in by_part["tickets", part]] for part in PARTS}
    assert max(times["train"]) < min(times["validation"]) <= max(times["validation"]) < min(times["test"])
    claims = {row[0]: row[8]["split"] for row in rows if row[1] == "bank"}
    tests = {key for key, part in claims.items() if part == "test"}
    assert {row["record_id"] for row in by_part["bank", "test"]} == tests
    carved = by_part["bank", "validation"]
    assert 0.03 < len(carved) / (len(claims) - len(tests)) < 0.2
    assert {claims[row["record_id"]] for row in carved} == {"train"}
    assert set(Counter(row[3] for row in rejects)) == {"cluster_crosses_cut", "text_crosses_cut"}
    assert [name for name, row in report.items() if not row["kept"]] == []


def test_one_instant_is_never_cut():
    assert cut_times(np.array([5]), np.array([10]), Ratios()) == (6, 6)  # all of it is train
    assert cut_times(np.array([5, 9]), np.array([8, 2]), Ratios()) == (9, 9)  # no validation


def test_cut_times_are_the_nearest_instants():
    """Against every pair of cuts, on small random histograms."""
    dice = np.random.default_rng(2)
    ratios = Ratios()
    for _ in range(300):
        times = np.sort(dice.choice(50, size=dice.integers(1, 12), replace=False))
        counts = dice.integers(1, 20, size=len(times))
        order = dice.permutation(len(times))
        first, second = cut_times(times[order], counts[order], ratios)
        misses = {cut: abs(counts[times < cut].sum() - 0.8 * counts.sum()) for cut in [*times, times[-1] + 1]}
        assert misses[first] == pytest.approx(min(misses.values()))
        later = {cut: abs(counts[times < cut].sum() - 0.9 * counts.sum()) for cut in misses if cut >= first}
        assert later[second] == pytest.approx(min(later.values()))
    assert cut_times(np.array([], dtype=np.int64), np.array([], dtype=np.int64), ratios) == (0, 0)


def test_different_strata_never_count_as_one(spark):
    values = ["a", "b", "x", "none", None, "a x", "x b", "a x b", '"a"', "a x x b", "none x none", "x x x"]
    pairs = [(one, other) for one in values for other in values]
    frame = spark.createDataFrame(pairs, "business string, scene string")
    columns = [_stratum_value(F.col(name)) for name in frame.columns]
    names = [row[0] for row in frame.select(F.concat_ws(" x ", *columns)).collect()]
    assert len(set(names)) == len(pairs)
    assert names[:2] == ["a x a", "a x b"] and names[values.index(None)] == "a x none"


def test_strata_deviation():
    table = {"a": {"train": 6}, "b": {"train": 3, "test": 1}}
    assert strata_deviation(table) == (pytest.approx(0.6), "a in test")
    assert strata_deviation({}) == (0.0, "none")


def test_params_are_refused_by_name():
    assert parse(Params, {"ratios": {"train": 1, "validation": 0, "test": 0}}, "split").ratios.train == 1
    with pytest.raises(UserError, match="split.ratios: the shares 0.8, 0.1, 0.2 must be 0 or more and sum to 1"):
        parse(Params, {"ratios": {"test": 0.2}}, "split")
    with pytest.raises(UserError, match="split: strata: unknown column 'scen'"):
        parse(Params, {"strata": ["scen"]}, "split")


@pytest.mark.skipif(not BANKING.exists(), reason="BANKING77 is not beside the repository")
def test_banking77_keeps_its_official_test_part(run):
    rows = []
    for part in ("train", "test"):
        with (BANKING / f"{part}.csv").open(encoding="utf-8") as file:
            for number, line in enumerate(csv.DictReader(file)):
                rows.append(given(f"{part}{number}", part, text=line["text"]))
    kept, _, rejects = run(rows, params=Params(given=("bank",)))
    counts = Counter(parts(kept).values())
    assert counts["test"] == 3080
    assert counts["train"] + counts["validation"] + len(rejects) == 10003
    assert 850 < counts["validation"] < 1150
