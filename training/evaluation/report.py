"""One self-contained HTML page about a run: what was trained on what, how good it is, and where it errs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure

from finelake.lake.config.runs import Run
from finelake.training.evaluation.answers import MODEL, Answers
from finelake.training.evaluation.figures import svg

TITLES = {  # a reader's names of metrics, slices and systems; what is not here is shown by its own name
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "bleu": "BLEU",
    "rouge_l": "ROUGE-L",
    "exact_match": "Exact match",
    "business": "Business",
    "lang": "Language",
    "difficulty": "Difficulty",
    MODEL: "Fine-tuned model",
    "majority": "Most frequent answer",
    "tfidf": "TF-IDF + linear SVC",
}
STRATEGIES = {"lora": "LoRA", "prefix": "prefix tuning", "full": "full fine-tuning"}
COLOURS = {MODEL: "#1f5fa8", "tfidf": "#d08a2e", "majority": "#9aa3ad"}
OTHER = "#68717a"  # colour of a system that is not among these


@dataclass(frozen=True)
class Panel:
    """A part of the page: a heading, and below it a figure or a table."""

    title: str
    note: str = ""
    figure: Markup | None = None
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str | int]] = ()


@dataclass(frozen=True)
class View:
    """What a task decides of the page."""

    title: str  # of the task
    examples_title: str
    examples: Sequence[int]  # numbers of the rows that are shown
    panels: Sequence[Panel] = ()
    titles: Mapping[str, str] = field(default_factory=dict)  # beside TITLES, or instead of one of them


def render(
    name: str,
    run: Run,
    view: View,
    scores: dict[str, Any],
    answers: Answers,
    pins: dict[str, str],
    curve: Sequence[dict[str, str]],
    choices: dict[str, dict[str, Any]],
) -> str:
    """The page as HTML; every text in it is escaped. `choices`: see evaluate.choices()."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=select_autoescape(["html"]), undefined=StrictUndefined, trim_blocks=True
    )
    titles = {**TITLES, **view.titles}
    environment.filters |= {"score": score_text, "title": lambda key: titles.get(key, key)}
    names = list(scores[MODEL])
    return environment.get_template("report.html").render(
        name=name,
        run=run,
        view=view,
        strategy=STRATEGIES[choices["strategy"]["value"]],
        choices=choices,
        scores=scores,
        metrics=names,
        systems=list(answers.given),
        verdict=verdict(scores, names[0], titles),
        bars=bars(scores, names, list(answers.given), titles),
        curves=curves(curve),
        examples=examples(answers, view.examples),
        pins=pins,
        settings=settings(run),
    )


def score_text(metric: str, number: float) -> str:
    """BLEU as it is (0 to 100), everything else as a percentage."""
    return f"{number if metric == 'bleu' else 100 * number:.1f}"


def verdict(scores: dict[str, Any], metric: str, titles: Mapping[str, str]) -> str:
    """One sentence: better than the stronger baseline, worse, or not distinguishable."""
    rival = max(scores["gain"], key=lambda name: scores[name][metric]["value"])
    gain = scores["gain"][rival][metric]
    low, high = score_text(metric, gain["low"]), score_text(metric, gain["high"])
    by = titles.get(metric, metric)
    by = by if by.isupper() else by.lower()
    words = {True: "is better than", False: "cannot be distinguished from"}[gain["low"] > 0]
    words = "is worse than" if gain["high"] < 0 else words
    return (
        f"By {by} the fine-tuned model {words} the stronger baseline, {titles.get(rival, rival)}: "
        f"{score_text(metric, gain['value'])} points (95 % interval {low} to {high})."
    )


def settings(run: Run) -> dict[str, Any]:
    """The run's parameters that say something, by the names that params.yaml has for them."""
    flat: dict[str, Any] = {}
    for key, value in asdict(run).items():
        flat |= {f"{key}.{name}": one for name, one in value.items()} if isinstance(value, dict) else {key: value}
    return {key: value for key, value in flat.items() if value is not None}


def examples(answers: Answers, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Rows to look at, with what is wanted and what the model gives."""
    rows, wanted, given = answers.rows, answers.wanted, answers.given[MODEL]
    return [{"text": rows[i]["text"], "lang": rows[i]["lang"], "wanted": wanted[i], "given": given[i]} for i in numbers]


# ---------------------------------------------------------------------------------------------------------------------
# Figures


def bars(scores: dict[str, Any], names: list[str], systems: list[str], titles: Mapping[str, str]) -> Markup:
    """Every score with its interval, one panel a metric."""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for panel, metric in zip(panels, names, strict=True):
            for row, system in enumerate(reversed(systems)):
                found = {key: float(score_text(metric, value)) for key, value in scores[system][metric].items()}
                spread = [[found["value"] - found["low"]], [found["high"] - found["value"]]]
                error = np.maximum(spread, 0)
                colour = COLOURS.get(system, OTHER)
                panel.barh(row, found["value"], xerr=error, color=colour, height=0.62, error_kw={"lw": 1.1})
                panel.text(found["high"] + 2, row, f"{found['value']:.1f}", va="center")
            panel.set_yticks(range(len(systems)), [titles.get(system, system) for system in reversed(systems)])
            panel.set_xlim(0, 118)
            panel.set_xticks([0, 25, 50, 75, 100])
            panel.set_title(titles.get(metric, metric), loc="left", fontweight="bold")
            panel.spines[["top", "right"]].set_visible(False)
            if panel is not panels[0]:
                panel.set_yticklabels([])

    return svg(draw, 9.2, 0.8 + 0.4 * len(systems))


def curves(curve: Sequence[dict[str, str]]) -> Markup | None:
    """Training loss and learning rate by step; None where no curve was kept."""
    if not curve:
        return None
    steps, losses, rates = ([float(row[name]) for row in curve] for name in ("step", "loss", "learning_rate"))

    def draw(figure: Figure) -> None:
        panel = figure.subplots()
        panel.plot(steps, losses, color=COLOURS[MODEL], lw=1.6)
        panel.set_xlabel("optimiser step")
        panel.set_ylabel("training loss", color=COLOURS[MODEL])
        panel.set_ylim(bottom=0)
        rate = panel.twinx()
        rate.plot(steps, rates, color=COLOURS["majority"], lw=1.2, ls="--")
        rate.set_ylabel("learning rate", color="#68717a")
        rate.set_ylim(bottom=0)
        for axis in (panel, rate):
            axis.spines[["top"]].set_visible(False)

    return svg(draw, 9.2, 2.6)
