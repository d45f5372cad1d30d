"""select: exactly the records that a condition chooses, with what the model reads and is to give; nothing lost."""

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from finelake.jobs.annotate import GOLD
from finelake.jobs.select import SELECTED, Params, balance, build
from finelake.jobs.stage import RECORDS, extend
from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError

SPLIT_RECORDS = extend(RECORDS, scene=StringType(), difficulty=StringType(), split=StringType())
CLASSIFY = Run(task="classify", base=Base(kind="folder", name="x"))
INSTRUCT = with_values(CLASSIFY, task="instruct", max_length=128, prompt="Q {text} A", target="{facts.reply}")
ROWS = [  # record_id, text, scene, reply, split
    ("0", "one", "lost", "two", "train"),
    ("1", "two two", "stolen", "three", "train"),
    ("2", "three", "lost", None, "train"),
    ("3", "four", "unheard", "four", "test"),
    ("4", None, "lost", "four", "test"),
    ("5", "one two", None, "four", "validation"),
]
GOLD_ROWS = [  # record_id, layer, label, start, end, decided_by
    ("1", "term", "number", 4, 7, "agreed"),
    ("1", "entity", "digit", 0, 3, "source"),
    ("1", "entity", "digit", 4, 7, "agreed"),
    ("1", "scene", "stolen", None, None, "agreed"),
    ("9", "entity", "digit", 0, 3, "agreed"),
]


def frames(spark, rows=ROWS, gold=()):
    full = [
        (record_id, "tickets", f"k{record_id}", None, "cards", "en", text, {"amount": 12000.0, "share": 0.5},
         {"reply": reply}, scene, "easy", split)
        for record_id, text, scene, reply, split in rows
    ]  # fmt: skip
    return {
        "split.records": spark.createDataFrame(full, SPLIT_RECORDS),
        "annotate.gold": spark.createDataFrame(list(gold), GOLD),
    }


def rows_of(frame, *columns: str) -> list[tuple]:
    return sorted(map(tuple, frame.select(*columns).collect()))


def test_a_classified_record_has_a_label_and_the_rest_is_rejected_by_reason(spark):
    outputs = build(frames(spark), Params(CLASSIFY))
    assert rows_of(outputs["records"], "record_id", "part", "text", "label", "prompt", "target", "task") == [
        ("0", "train", "one", "lost", None, None, 0),
        ("1", "train", "two two", "stolen", None, None, 0),
        ("2", "train", "three", "lost", None, None, 0),
        ("3", "test", "four", "unheard", None, None, 0),
    ]
    assert rows_of(outputs["rejects"], "*") == [
        ("4", "tickets", "select", "no_text", "test"),
        ("5", "tickets", "select", "no_class", "validation"),
    ]
    assert outputs["records"].schema.names == SELECTED.names


def test_a_record_of_an_instruction_has_a_prompt_and_a_target(spark):
    outputs = build(frames(spark), Params(INSTRUCT))
    assert rows_of(outputs["records"], "record_id", "label", "prompt", "target") == [
        ("0", None, "Q one A", "two"),
        ("1", None, "Q two two A", "three"),
        ("3", None, "Q four A", "four"),
        ("5", None, "Q one two A", "four"),
    ]
    assert rows_of(outputs["rejects"], "record_id", "reason") == [("2", "no_reply"), ("4", "no_prompt")]


def test_a_label_may_be_a_fact_and_a_template_may_hold_numbers(spark):
    outputs = build(frames(spark, ROWS[:2]), Params(with_values(CLASSIFY, label="facts.reply")))
    assert rows_of(outputs["records"], "record_id", "label") == [("0", "two"), ("1", "three")]
    outputs = build(frames(spark, ROWS[:1]), Params(with_values(INSTRUCT, prompt="{numbers.amount} {numbers.share}")))
    assert rows_of(outputs["records"], "prompt") == [("12000 0.5",)]


def test_only_the_records_of_the_condition_are_selected_and_each_is_accounted_for(spark):
    run = with_values(CLASSIFY, where="scene = 'lost' and numbers['amount'] > 100")
    inputs = frames(spark)
    outputs = build(inputs, Params(run))
    assert rows_of(outputs["records"], "record_id") == [("0",), ("2",)]
    assert rows_of(outputs["rejects"], "record_id") == [("4",)]
    assert balance(inputs, outputs, Params(run)) == {"selected records": (3, 3)}


def test_gold_spans_are_carried_in_the_order_of_the_text(spark):
    outputs = build(frames(spark, ROWS[:2], GOLD_ROWS), Params(CLASSIFY))
    spans = {row["record_id"]: [tuple(span) for span in row["spans"]] for row in outputs["records"].collect()}
    assert spans == {
        "0": [],
        "1": [("entity", "digit", 0, 3), ("entity", "digit", 4, 7), ("term", "number", 4, 7)],
    }


def test_a_train_row_has_the_first_task_of_a_mix_whose_condition_it_satisfies(spark):
    mix = {"text = 'one'": 1, "facts['reply'] = 'three'": 2, "true": 1}
    outputs = build(frames(spark), Params(with_values(CLASSIFY, mix=mix)))
    assert rows_of(outputs["records"], "record_id", "task") == [("0", 0), ("1", 1), ("2", 2), ("3", 0)]
    fewer = with_values(CLASSIFY, mix={name: mix[name] for name in list(mix)[:2]})
    outputs = build(frames(spark), Params(fewer))
    assert ("2", "tickets", "select", "no_task", "train") in rows_of(outputs["rejects"], "*")


def test_the_result_depends_on_content_only(spark):
    inputs = frames(spark, gold=GOLD_ROWS)
    results = []
    for partitions in (1, 5):
        shuffled = {name: frame.repartition(partitions).orderBy(F.rand(partitions)) for name, frame in inputs.items()}
        results.append(sorted(map(str, build(shuffled, Params(CLASSIFY))["records"].collect())))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"where": "langg = 1"}, "runs: select.where 'langg = 1' is not a condition on split.records"),
        ({"mix": {"true": 1, "no_column = 1": 1}}, "select.mix 'no_column = 1' is not a condition on split.records"),
    ],
)
def test_what_is_not_a_condition_is_refused(spark, values, message):
    with pytest.raises(UserError, match=message):
        build(frames(spark), Params(with_values(CLASSIFY, **values)))


def test_blank_labels_and_replies_are_missing_ones(spark):
    rows = [ROWS[0], ("7", "five", " ", "\n", "train")]
    assert rows_of(build(frames(spark, rows), Params(CLASSIFY))["rejects"], "record_id", "reason") == [
        ("7", "no_class")
    ]
    assert rows_of(build(frames(spark, rows), Params(INSTRUCT))["rejects"], "record_id", "reason") == [
        ("7", "no_reply")
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"where": "scene = 'none'"}, "runs.mine.select: it selects no train record; correct the condition"),
        (
            {"where": "split = 'train'", "prompt": "{facts.x}"},
            r"every train record that it selects is rejected \(no_prompt 2, no_reply 1\); correct the condition",
        ),
    ],
)
def test_a_run_without_train_records_is_refused(spark, values, message):
    with pytest.raises(UserError, match=message):
        build(frames(spark), Params(with_values(INSTRUCT, **values), "mine"))
