"""Training runs: what an entry of `runs:` must hold."""

from dataclasses import fields

import pytest

from finelake.lake.config.runs import RENAMED, Base, Evaluate, Run, Select, Tokenize, Train, parse_run, with_values
from finelake.lake.errors import UserError

ENTRY = {
    "task": "instruct",
    "seed": 0,
    "select": {},
    "base": {"kind": "folder", "name": "models/mine"},
    "tokenize": {"max_length": 96},
    "train": {"learning_rate": "5e-5"},
    "evaluate": {},
}


def test_sections_become_one_run():
    run = parse_run({"runs": {"answer": ENTRY}}, "answer")
    assert (run.task, run.tokenize.max_length, run.train.learning_rate) == ("instruct", 96, 5e-5)
    assert (run.base.name, run.evaluate.max_new_tokens) == ("models/mine", 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trian": {}}, "unknown key runs.answer.trian; did you mean runs.answer.train?"),
        ({"train": {"max_length": 64}}, "unknown key runs.answer.train.max_length"),
        ({"base": {"kind": "hub", "name": "a/b"}}, "params.yaml: runs.answer.base: kind hub needs revision"),
        ({"select": {"prompt": "{text} {Bad}"}}, "prompt holds {Bad}"),
        (
            {"select": {"prompt": "{text} {secret}"}},
            "prompt names secret, which is not a text of split.records",
        ),
        (
            {"select": {"prompt": "{text.x}"}},
            "prompt names text.x, which is not a text of split.records; write one of",
        ),
        ({"select": {"prompt": "{occurred_at}"}}, "prompt names occurred_at, which is not a text"),
        (
            {"select": {"prompt": "{text.__class__.__mro__}"}},
            "prompt holds {text.__class__.__mro__}",
        ),
        ({"select": {"label": "numbers.age"}}, "label names numbers.age, which is not a text of split.records"),
        (
            {"select": {"where": "rand() < 0.5"}},
            "runs.answer.select.where 'rand() < 0.5' is not a condition on split.records (rand(…)",
        ),
        (
            {"select": {"mix": {"true": 1, "reflect('a', 'b') = 'c'": 1}}},
            "runs.answer.select.mix \"reflect('a', 'b') = 'c'\" is not a condition on split.records (reflect(…)",
        ),
        ({"select": {"mix": {"true": 1}}}, "mix names one task; name two or more conditions"),
        (
            {"select": {"mix": {"a": 1, "b": 1}}, "train": {"group_by_length": True}},
            "train.group_by_length would undo select.mix in each step; leave one out",
        ),
        ({"select": {"mix": {"a": 1, "b": 0}}}, "mix: each ratio is a whole number of 1 or more"),
        ({"train": {"offload": True}}, "offload needs zero_stage 1, 2 or 3"),
        ({"train": {"class_weights": "balanced"}}, "train.class_weights are for task classify"),
        ({"train": {"lora_rank": 0}}, "params.yaml: runs.answer.train: lora_rank is 0; it must be above 0"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, message):
    with pytest.raises(UserError) as error:
        parse_run({"runs": {"answer": ENTRY | change}}, "answer")
    assert message in str(error.value)


def test_a_missing_section_is_named():
    entry = {key: value for key, value in ENTRY.items() if key != "evaluate"}
    with pytest.raises(UserError, match="runs.answer.evaluate is missing; add it"):
        parse_run({"runs": {"answer": entry}}, "answer")


def test_a_run_cannot_take_the_name_of_the_stage_whose_report_it_would_overwrite():
    with pytest.raises(UserError, match="runs.quality would write the report of the stage quality; choose another"):
        parse_run({"runs": {"quality": ENTRY}}, "quality")


@pytest.mark.parametrize("name", ["Quality", "QUALITY"])
def test_that_name_is_refused_in_any_case(name):
    with pytest.raises(UserError, match=f"runs.{name} would write the report"):
        parse_run({"runs": {name: ENTRY}}, name)


@pytest.mark.parametrize("name", ["x;touch P;", "a/b", "..", "", 1, True, None])
def test_an_invalid_name_is_refused_whichever_run_is_parsed(name):
    with pytest.raises(UserError, match=r"params.yaml: runs\..*: a run's name begins with a letter"):
        parse_run({"runs": {"answer": ENTRY, name: ENTRY}}, "answer")


@pytest.mark.parametrize("runs", ["abc", ["answer"], 5])
def test_runs_that_are_not_a_mapping_are_refused(runs):
    with pytest.raises(UserError, match="params.yaml: runs must be a mapping of names to values"):
        parse_run({"runs": runs}, "answer")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_refused_with_the_new_one(old, new):
    part, _, key = old.rpartition(".")
    entry = ENTRY | ({part: {**ENTRY.get(part, {}), key: 1}} if part else {key: "true"})
    message = f"^params.yaml: runs.answer.{old} is called runs.answer.{new} now; rename it$".replace(".", r"\.")
    with pytest.raises(UserError, match=message):
        parse_run({"runs": {"answer": entry}}, "answer")


def test_the_sections_share_no_name_so_that_values_can_be_replaced_by_name():
    names = [field.name for part in (Select, Tokenize, Train, Evaluate) for field in fields(part)]
    assert len(names) == len(set(names))
    run = with_values(
        Run(task="classify", base=Base(kind="folder", name="b")), task="instruct", max_length=96, epochs=1, examples=2
    )
    assert (run.tokenize, run.train, run.evaluate) == (Tokenize(max_length=96), Train(epochs=1), Evaluate(examples=2))
    with pytest.raises(TypeError, match="unexpected keyword argument 'tokens'"):
        with_values(run, tokens=3)
