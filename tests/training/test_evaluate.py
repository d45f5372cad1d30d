"""Answers, scores by slice and the report."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError
from finelake.training import evaluate
from finelake.training.data.samples import Samples, split_parts
from finelake.training.evaluation import metrics, report
from finelake.training.evaluation.answers import Answers
from finelake.training.loop.progress import Progress
from finelake.training.tasks import find
from finelake.training.tasks.classify import Classify
from tests.training.conftest import classified, write_part

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
    view = evaluate.view(find(task), answers, run)
    page = report.render(EVIL, run, view, scores, answers, {"split.records": "0123abcd"}, CURVE, CHOICES)
    seen = Seen()
    seen.feed(page)
    assert "script" not in seen.tags and "phone" not in seen.tags
    assert "<script" not in page and "0123abcd" in page
    assert "&lt;script&gt;" in page
    assert "LoRA on" in page and "<td>strategy</td>" in page and "fewer than 100000" in page
    assert not re.findall(r'(?:href|src)="(?!#)', page.replace('xlink:href="#', ""))  # needs no other file
    assert f"{find(task).title},\nLoRA" in page and f"<h2>{find(task).examples_title}</h2>" in page
    assert ("<h2>Confusion matrix</h2>" in page) == (task == "classify")
    assert page == report.render(EVIL, run, view, scores, answers, {"split.records": "0123abcd"}, CURVE, CHOICES)


def test_a_slice_with_one_value_is_not_shown(answers):
    scores = evaluate.score(RUN, answers)
    page = report.render("a", RUN, report.View("Task", "Errors", []), scores, answers, {}, CURVE, CHOICES)
    shown = {column for column in scores["by"] if f"<h2>By {report.TITLES[column].lower()}</h2>" in page}
    assert shown == {column for column, values in scores["by"].items() if len(values) > 1} < set(scores["by"])


class Strange(Classify):
    """A task with a metric and a baseline that the report does not know."""

    def scorers(self, answers, given):
        return {"not_seen_before": metrics.mean(np.ones(len(given)))} | super().scorers(answers, given)


def test_a_metric_and_a_system_without_a_title_are_shown_by_their_names(answers, monkeypatch):
    monkeypatch.setattr(evaluate, "find", lambda name: Strange())
    answers.given["nearest"] = answers.given.pop("tfidf")
    scores = evaluate.score(RUN, answers)
    page = report.render("a", RUN, report.View("Task", "Errors", [4]), scores, answers, {}, CURVE, CHOICES)
    assert '<th class="n">not_seen_before</th>' in page and "By not_seen_before the fine-tuned model" in page
    assert "<td>nearest</td>" in page and {row["system"] for row in evaluate.flat(scores)} == set(answers.given)


def test_a_part_of_a_task_is_a_table_or_a_figure_with_its_note(answers):
    panels = [report.Panel("Pairs", columns=("Name", "Rows"), rows=[("<b>", 3)]), report.Panel("Empty", "Nothing.")]
    view = report.View("Task", "Errors", [4], panels, {"tfidf": "Another name"})
    page = report.render("a", RUN, view, evaluate.score(RUN, answers), answers, {}, CURVE, CHOICES)
    assert '<tr><th>Name</th><th class="n">Rows</th></tr>\n<tr><td>&lt;b&gt;</td><td class="n">3</td></tr>' in page
    assert '<h2>Empty</h2>\n<p class="sub">Nothing.</p>' in page
    assert "<td>Another name</td>" in page and report.TITLES["tfidf"] not in page


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

    assert "is better than the stronger baseline" in report.verdict(scores(0.01, 0.05), "accuracy", report.TITLES)
    assert "cannot be distinguished from" in report.verdict(scores(-0.01, 0.05), "accuracy", report.TITLES)
    assert "is worse than" in report.verdict(scores(-0.05, -0.01), "accuracy", report.TITLES)
