"""Answers, scores by slice and the report."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from finelake.lake.config import runs
from finelake.lake.config.runs import PROMPT, REPLY, Base, Run, with_values
from finelake.lake.errors import UserError
from finelake.training import evaluate
from finelake.training.base import from_scratch
from finelake.training.data.samples import Samples, split_parts
from finelake.training.evaluation import report
from finelake.training.evaluation.answers import Answers
from finelake.training.loop.progress import Progress
from finelake.training.models import model as models
from finelake.training.models.model import load
from tests.training.conftest import classified, sharded, write_part
from tests.training.test_base import TEXTS, TINY

EVIL = "<script>alert('1')</script> & <PHONE>"
RUN = with_values(Run(task="classify", base=Base(kind="folder", name="base")), bootstrap=50, examples=6)
CHOICES = {
    "strategy": {"value": "lora", "reason": f"{EVIL}, fewer than 100000"},
    "lora_rank": {"value": 8, "reason": ""},
}
CURVE = [
    {"step": str(step), "epoch": "0", "loss": str(3 / step), "learning_rate": "1e-3", "tokens_per_second": "9.0"}
    for step in (1, 2, 3)
]


def record(number: int, text: str, **changes) -> dict:
    row = {
        "record_id": f"r{number:05d}",
        "source": "tickets",
        "business": "cards",
        "lang": "en",
        "text": text,
        "facts": {"reply": "yes"},
        "scene": "a",
        "difficulty": "easy",
        "split": "test",
    }
    return {**row, **changes}


def test_the_order_of_rows_is_the_order_of_answers(tmp_path, encoder):
    """Each sample's class is found by a model that reads it off the sample's number."""
    files = write_part(tmp_path, "test", sharded(classified(40), 3))
    samples = Samples(split_parts(files), ("a", "b", "c"), "content")
    run = with_values(Run(task="classify", base=Base(kind="folder", name="base")), strategy="full")
    (tmp_path / "tokenizer").mkdir()
    trained = models.build(run, encoder, 3)
    torch.nn.init.normal_(trained.head.weight)
    models.save(trained, run, samples.labels, tmp_path / "tokenizer", tmp_path / "model")
    given = evaluate.classify(tmp_path / "model", samples, 7, Progress("t", 40, shown=False))
    model, _ = load(tmp_path / "model")
    for row, answer in zip(classified(40), given, strict=True):
        ids = torch.tensor([row["input_ids"][: row["length"]]])
        single = models.Batch(ids, torch.zeros(1), torch.ones_like(ids), 1, row["length"])
        assert answer == "abc"[int(model(single).argmax())]


def test_generation_in_batches_is_generation_one_by_one(tmp_path):
    from_scratch(TINY, 0, TEXTS, tmp_path, "base@tiny")
    run = with_values(
        Run(task="instruct", base=TINY, tokenize=runs.Tokenize(max_length=65)),
        max_length=64,
        max_new_tokens=8,
        strategy="full",
        eval_batch_size=3,
        prompt="{text}",
    )
    models.save(models.build(run, tmp_path / "base", 0), run, (), tmp_path / "tokenizer", tmp_path / "model")
    prompts = [f"{PROMPT}{text}{REPLY}" for text in ("My card", "我的信用卡丢了怎么办？", "What now, my card?", "卡")]
    together = evaluate.generate(tmp_path / "model", prompts, run, Progress("t", 4, shown=False))
    alone = [evaluate.generate(tmp_path / "model", [p], run, Progress("t", 1, shown=False))[0] for p in prompts]
    assert together == alone
    assert any(together)
    assert not any(marker in reply for reply in together for marker in (PROMPT, REPLY))


@pytest.fixture
def answers() -> Answers:
    languages, businesses = ["zh", "en"] * 12, ["cards"] * 20 + [EVIL] * 4
    columns = enumerate(zip(languages, businesses, strict=True))
    rows = [record(i, f"text {i}", lang=lang, business=business) for i, (lang, business) in columns]
    wanted = ["a" if i % 3 else EVIL for i in range(24)]
    rows[4]["text"] = EVIL
    model = ["a" if i % 6 else EVIL for i in range(24)]
    return Answers(rows, wanted, {"model": model, "majority": ["a"] * 24, "tfidf": ["b"] * 24}, selected=30)


def test_scores_overall_and_by_slice(answers):
    scores = evaluate.score(RUN, answers)
    assert (scores["rows"], scores["selected"]) == (24, 30)
    assert scores["model"]["accuracy"]["value"] == pytest.approx(20 / 24, abs=1e-4)
    assert scores["majority"]["accuracy"]["value"] == pytest.approx(16 / 24, abs=1e-4)
    assert scores["tfidf"]["accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert scores["gain"]["majority"]["accuracy"]["value"] == pytest.approx(4 / 24, abs=1e-4)
    assert {name: here["rows"] for name, here in scores["by"]["lang"].items()} == {"en": 12, "zh": 12}
    # even rows: multiples of 6 are right, 3 is odd; so every error is among the odd rows
    assert scores["by"]["lang"]["zh"]["model"]["accuracy"]["value"] == 1.0
    assert scores["by"]["lang"]["en"]["model"]["accuracy"]["value"] == pytest.approx(8 / 12, abs=1e-4)
    assert list(scores["by"]["business"]) == ["cards"]  # four rows are too few


def test_slices_stand_in_the_order_of_what_they_mean(answers):
    for row, difficulty in zip(answers.rows, ["hard", "easy", "medium"] * 8, strict=True):
        row["difficulty"] = difficulty
    scores = evaluate.score(RUN, answers)
    assert list(scores["by"]["difficulty"]) == ["easy", "medium", "hard"]
    assert list(scores["by"]["lang"]) == ["en", "zh"]


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            assert name not in ("src", "onload", "onclick"), (tag, name, value)


@pytest.mark.parametrize("task", ["classify", "instruct"])
def test_report_is_one_page_with_nothing_unescaped(answers, task):
    start = Run(task="classify", base=Base(kind="folder", name=EVIL))
    run = with_values(start, task=task, bootstrap=20, max_length=128)
    scores = evaluate.score(run, answers)
    page = report.render(EVIL, run, scores, answers, {"split.records": "0123abcd"}, CURVE, CHOICES)
    seen = Seen()
    seen.feed(page)
    assert "script" not in seen.tags and "phone" not in seen.tags
    assert "<script" not in page and "0123abcd" in page
    assert "&lt;script&gt;" in page
    assert "LoRA on" in page and "<td>strategy</td>" in page and "fewer than 100000" in page
    assert not re.findall(r'(?:href|src)="(?!#)', page.replace('xlink:href="#', ""))  # needs no other file
    assert page == report.render(EVIL, run, scores, answers, {"split.records": "0123abcd"}, CURVE, CHOICES)


def test_a_slice_with_one_value_is_not_shown(answers):
    scores = evaluate.score(RUN, answers)
    page = report.render("a", RUN, scores, answers, {}, CURVE, CHOICES)
    shown = {column for column in scores["by"] if f"<h2>By {report.title(column, RUN.task).lower()}</h2>" in page}
    assert shown == {column for column, values in scores["by"].items() if len(values) > 1} < set(scores["by"])


def test_figures_that_do_not_say_how_a_run_was_trained_are_named(tmp_path):
    with pytest.raises(UserError, match="train.json does not say how the run was trained; run its stage `train` again"):
        evaluate.choices(tmp_path / "train.json")


CHOSEN = {"strategy": {"value": "lora", "reason": "r"}}


@pytest.mark.parametrize(
    "content",
    ["", "{", "3", "[]", "[" * 100_000, "{}", *(json.dumps({"choices": odd}) for odd in (3, None, "a", [], {}))]
    + [json.dumps({"choices": CHOSEN | {"strategy": odd}}) for odd in (3, None, {}, {"value": "x", "reason": "r"})]
    + [json.dumps({"choices": CHOSEN | {"precision": odd}}) for odd in (3, None, [], {"value": 1})],
)
def test_figures_of_another_form_are_named(tmp_path, content):
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(UserError, match="train.json does not say how the run was trained; run its stage `train` again"):
        evaluate.choices(tmp_path / "train.json")


def test_choices_are_what_training_wrote(tmp_path):
    (tmp_path / "train.json").write_text(json.dumps({"choices": CHOSEN}))
    assert evaluate.choices(tmp_path / "train.json") == CHOSEN


def test_samples_of_records_that_are_not_there_are_named(tmp_path):
    paths = write_part(tmp_path, "test", [classified(2)])
    samples = Samples({"test": split_parts(paths)["test"]}, ("a", "b", "c"), "")
    with pytest.raises(UserError, match="the record r00000, which select@RUN does not; run `finelake repro`"):
        evaluate.collect(RUN, samples, [], [], 0, tmp_path, Progress("x", 2, shown=False))


def test_verdict_says_better_worse_or_neither():
    def scores(low: float, high: float) -> dict:
        gain = {"accuracy": {"value": (low + high) / 2, "low": low, "high": high}}
        one = {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}
        return {"gain": {"tfidf": gain}, "tfidf": one, "model": one}

    assert "is better than the stronger baseline" in report.verdict(scores(0.01, 0.05), "accuracy", "classify")
    assert "cannot be told apart from" in report.verdict(scores(-0.01, 0.05), "accuracy", "classify")
    assert "is worse than" in report.verdict(scores(-0.05, -0.01), "accuracy", "classify")


def test_examples_are_errors(answers):
    shown = report.examples(RUN, answers)
    assert len(shown) == 4  # all errors there are
    assert all(row["wanted"] != row["given"] for row in shown)
    assert report.confusions(answers) == [{"actual": EVIL, "predicted": "a", "count": 4, "of": 8}]
    assert np.array_equal(shown, report.examples(RUN, answers))
