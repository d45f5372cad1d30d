"""Annotations of annotators, arbitrators, committees and sources become gold, a review task or a named reject."""

import random
from collections import Counter
from datetime import UTC, datetime

import pytest
from sklearn.metrics import cohen_kappa_score

from finelake.jobs import annotate
from finelake.jobs.annotate import Params, build
from finelake.jobs.annotation.adjudicate import DISPUTED
from finelake.jobs.stage import ANNOTATIONS, RECORDS
from finelake.lake.config.contract import DECIDED, REJECT_REASONS, TODO_REASONS
from finelake.lake.config.params import parse
from finelake.lake.errors import UserError

TEXT = "Zhang asked Li about the loan, then Li paid."  # "Li" at 12 and at 36
WHEN = datetime(2020, 1, 1, tzinfo=UTC)


def mark(record, layer, annotator, label, quote=None, start=None, role="annotator"):
    return (record, "tickets", layer, annotator, role, label, quote, start)


def scenes(record, *labels):
    """Annotations of a scene by annotators a1, a2, ..."""
    return [mark(record, "scene", f"a{n}", label) for n, label in enumerate(labels, 1)]


def committee(record, layer, *votes):
    return [mark(record, layer, f"c{n}", *vote, role="committee") for n, vote in enumerate(votes)]


@pytest.fixture(scope="module")
def run(spark):
    def run(marks, params=None, texts=None, partitions=1):
        texts = texts or {record: TEXT for record in {row[0] for row in marks}}
        records = [(key, "tickets", key, WHEN, "loans", "en", text, {}, {}) for key, text in sorted(texts.items())]
        frames = {
            "mask.records": spark.createDataFrame(records, RECORDS),
            "mask.annotations": spark.createDataFrame(marks, ANNOTATIONS).repartition(partitions),
        }
        outputs = build(frames, params or Params(below_gate="keep"))
        for name, schema in annotate.STAGE.writes.items():
            assert outputs[name].schema.simpleString() == schema.simpleString()
        rows = {name: sorted(map(tuple, frame.collect()), key=str) for name, frame in outputs.items()}
        assert len(marks) == sum(row[3] for row in rows["units"]) + len(rows["rejects"])
        if partitions > 1:
            assert annotate.balance(frames, outputs, params) == {"mask.annotations": (len(marks), len(marks))}
        return rows

    return run


def test_every_outcome_of_adjudication(run):
    dispute = [*scenes("disputed", "x", "y"), mark("disputed", "scene", "b1", DISPUTED, role="arbitrator")]
    stuck = [*scenes("stuck", "x", "y"), mark("stuck", "scene", "b1", DISPUTED, role="arbitrator")]
    marks = [
        *scenes("agreed", "x", "x"),
        *scenes("alone", "x"),
        *scenes("differ", "x", "y"),
        *[*scenes("arbitrated", "x", "y"), mark("arbitrated", "scene", "b1", "z", role="arbitrator")],
        *[*dispute, *committee("disputed", "scene", ("y",), ("y",), ("y",), ("x",), ("x",))],
        *[*stuck, *committee("stuck", "scene", ("y",), ("y",), ("x",), ("x",), ("z",))],
        *scenes("nothing", None, None),
        mark("source", "scene", "crm", "x", role="source"),
        *[*scenes("both", "x", "x"), mark("both", "scene", "crm", "y", role="source")],
    ]
    out = run(marks, Params(below_gate="keep", trust_source=("scene",)))
    assert out["gold"] == [
        ("agreed", "scene", "x", None, None, "agreed"),
        ("arbitrated", "scene", "z", None, None, "arbitrated"),
        ("both", "scene", "x", None, None, "agreed"),
        ("disputed", "scene", "y", None, None, "committee"),
        ("source", "scene", "x", None, None, "source"),
    ]
    assert out["todo"] == [
        ("alone", "scene", "one_annotator"),
        ("differ", "scene", "needs_arbitrator"),
        ("stuck", "scene", "needs_committee"),
    ]
    assert out["units"] == [
        ("agreed", "scene", "agreed", 2, 1),
        ("alone", "scene", "one_annotator", 1, 0),
        ("arbitrated", "scene", "arbitrated", 3, 1),
        ("both", "scene", "agreed", 2, 1),
        ("differ", "scene", "needs_arbitrator", 2, 0),
        ("disputed", "scene", "committee", 8, 1),
        ("nothing", "scene", "agreed", 2, 0),
        ("source", "scene", "source", 1, 1),
        ("stuck", "scene", "needs_committee", 8, 0),
    ]
    assert out["rejects"] == [("both", "tickets", "annotate", "human_labelled", "layer scene, role source")]


def test_spans_are_anchored_compared_and_voted_on(run):
    marks = [
        # Offsets of the text before masking: the nearest occurrence counts.
        *[mark("same", "entity", "a1", "PERSON", "Li", 30), mark("same", "entity", "a2", "PERSON", "Li", 41)],
        *[mark("other", "entity", "a1", "PERSON", "Li", 11), mark("other", "entity", "a2", "PERSON", "Li", 41)],
        *[mark("vote", "entity", name, "PERSON", "Zhang", 0) for name in ("a1",)],
        mark("vote", "entity", "a2", None),
        mark("vote", "entity", "b1", DISPUTED, role="arbitrator"),
        *committee("vote", "entity", *[("PERSON", "Li", 12)] * 2, ("LOAN", "loan", 25), (None,), ("PERSON", "Li", 36)),
        mark("vote", "entity", "c0", "LOAN", "loan", 25, role="committee"),
        mark("vote", "entity", "c1", "LOAN", "loan", 25, role="committee"),
        *[mark("none", "term", "a1", None), mark("none", "term", "a2", "T1", "loan", 25)],
        mark("none", "term", "b1", DISPUTED, role="arbitrator"),
        *committee("none", "term", (None,), (None,), (None,), ("T1", "loan", 25), ("T1", "loan", 25)),
    ]
    out = run(marks)
    assert out["gold"] == [
        ("same", "entity", "PERSON", 36, 38, "agreed"),
        ("vote", "entity", "LOAN", 25, 29, "committee"),
    ]
    assert out["todo"] == [("other", "entity", "needs_arbitrator")]
    assert ("none", "term", "committee", 8, 0) in out["units"]
    assert out["rejects"] == []


def test_every_reject_has_its_reason_and_no_raw_text(run):
    marks = [
        *scenes("gone", "x", "x"),
        mark("r", "mood", "a1", "x"),
        mark("r", "scene", "a1", "x", role="boss"),
        mark("r", "scene", None, "x"),
        mark("r", "scene", "crm", "x", role="source"),
        *[mark("r", "scene", "a1", "x"), mark("r", "scene", "a1", "y"), mark("r", "scene", "a2", "y")],
        *[mark("lost", "entity", "a1", "PERSON", "Wang", 0), mark("lost", "entity", "a2", None)],
        *[mark("twice", "entity", "a1", "PERSON", "Zhang", 0), mark("twice", "entity", "a1", "PERSON", "Zhang", 1)],
        mark("twice", "entity", "a2", "PERSON", "Zhang", 0),
        *[
            mark("torn", "term", "a1", "T1", "loan", 25),
            mark("torn", "term", "a1", None),
            mark("torn", "term", "a2", None),
        ],
    ]
    out = run(marks, texts={key: TEXT for key in ("r", "lost", "twice", "torn")})
    assert [(row[0], row[3], row[4]) for row in out["rejects"]] == [
        ("gone", "unknown_record", "layer scene, role annotator"),
        ("gone", "unknown_record", "layer scene, role annotator"),
        ("lost", "quote_not_found", "layer entity, role annotator"),
        ("r", "contradictory", "layer scene, role annotator"),
        ("r", "contradictory", "layer scene, role annotator"),
        ("r", "no_annotator", "layer scene, role annotator"),
        ("r", "source_not_trusted", "layer scene, role source"),
        ("r", "unknown_layer", "layer unknown, role annotator"),
        ("r", "unknown_role", "layer scene, role unknown"),
        ("torn", "contradictory", "layer term, role annotator"),
        ("torn", "contradictory", "layer term, role annotator"),
        ("twice", "repeated", "layer entity, role annotator"),
    ]
    # A set that lost a label agrees with nobody: "lost" would else be agreed to hold nothing.
    assert out["todo"] == [
        ("lost", "entity", "needs_arbitrator"),
        ("r", "scene", "needs_arbitrator"),
        ("torn", "term", "needs_arbitrator"),
    ]
    assert out["gold"] == [("twice", "entity", "PERSON", 0, 5, "agreed")]
    assert {row[3] for row in out["rejects"]} == set(REJECT_REASONS["annotate"]) - {"human_labelled"}


LOW = [*scenes("1", "x", "x"), *scenes("2", "x", "y"), *scenes("3", "y", "x"), *scenes("4", "y", "y")]


def test_below_the_gate(run):
    source = mark("5", "scene", "crm", "x", role="source")
    out = run([*LOW, source], Params(layers=("scene",), trust_source=True))
    assert out["agreement"] == [("scene", 2, 4, 0.0, 0.85, False)]
    assert out["gold"] == [("5", "scene", "x", None, None, "source")]
    reasons = ["below_gate", "needs_arbitrator", "needs_arbitrator", "below_gate"]
    assert out["todo"] == [(str(n), "scene", reason) for n, reason in enumerate(reasons, 1)]
    with pytest.raises(UserError, match=r"scene \(kappa 0.000, gate 0.85\)"):
        run(LOW, Params(below_gate="stop"))


def test_agreement_by_layer_and_number_of_annotators(run):
    marks = [
        # 44 characters: both PERSON on Zhang (5); the first alone on the second Li (2); the rest (37) outside.
        *[mark("s", "entity", "a1", "PERSON", "Zhang", 0), mark("s", "entity", "a1", "PERSON", "Li", 36)],
        mark("s", "entity", "a2", "PERSON", "Zhang", 0),
        *scenes("three", "x", "x", "y"),
        *scenes("four", "x", "x", "x"),
        *scenes("pair", "x", "x"),
    ]
    expected = cohen_kappa_score(["P"] * 5 + ["P"] * 2 + ["O"] * 37, ["P"] * 5 + ["O"] * 2 + ["O"] * 37)
    assert run(marks)["agreement"] == [
        ("entity", 2, 1, pytest.approx(expected, abs=1e-12), 0.85, bool(expected >= 0.85)),
        ("scene", 2, 1, 1.0, 0.85, True),
        ("scene", 3, 2, pytest.approx(-0.2), 0.85, False),
        ("term", 0, 0, None, 0.85, None),
    ]


def generated(seed, records):
    """Annotations of many units, with every role, null labels, lost quotes and repetitions."""
    dice, marks = random.Random(seed), []
    for number in range(records):
        for layer in ("entity", "scene"):
            humans = (("annotator", 3), ("arbitrator", 2), ("committee", 5)) if dice.random() < 0.8 else ()
            for role, people in (*humans, ("source", 1)):
                for person in range(dice.randint(0, people)):
                    for _ in range(dice.randint(1, 2)):
                        label = dice.choice(["x", "y", "x", None, DISPUTED if role == "arbitrator" else "x"])
                        quote = dice.choice(["Li", "Zhang", "Wang"]) if layer == "entity" else None
                        marks.append(mark(f"r{number}", layer, f"{role}{person}", label, quote, 3, role))
    return marks


def test_laws_on_generated_annotations_whatever_the_partitions(run):
    marks = generated(seed=5, records=150)
    params = Params(below_gate="keep", trust_source=True)
    out = run(marks, params)
    assert run(marks[::-1], params, partitions=7) == out
    assert {row[2] for row in out["units"]} == {*DECIDED, *TODO_REASONS} - {"below_gate"}
    decided = {row[:2]: row[4] for row in out["units"] if row[2] in DECIDED}
    assert Counter(row[:2] for row in out["gold"]) == Counter({unit: n for unit, n in decided.items() if n})
    assert {row[:2] for row in out["todo"]} == {row[:2] for row in out["units"]} - set(decided)
    assert {row[3] for row in out["rejects"]} <= set(REJECT_REASONS["annotate"])
    assert all(TEXT[start:end] in ("Li", "Zhang") for _, layer, _, start, end, _ in out["gold"] if layer == "entity")
    assert DISPUTED not in {row[2] for row in out["gold"]}


def test_params_are_refused_by_name():
    assert parse(Params, {"trust_source": ["scene"]}, "annotate").trusts("scene")
    with pytest.raises(UserError, match="annotate: layers: unknown layer .scen."):
        parse(Params, {"layers": ["scen"]}, "annotate")
    with pytest.raises(UserError, match="gate is 85"):
        parse(Params, {"gate": 85}, "annotate")
