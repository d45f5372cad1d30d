"""One self-contained HTML page about a run: what was trained on what, how good it is, and where it errs."""

import io
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure

from finelake.lake.config.runs import Run
from finelake.training.evaluation import metrics
from finelake.training.evaluation.answers import MODEL, Answers

TITLES = {
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
    "tfidf_instruct": "TF-IDF nearest prompt's reply",
}
STRATEGIES = {"lora": "LoRA", "prefix": "prefix tuning", "full": "full fine-tuning"}
COLOURS = {MODEL: "#1f5fa8", "tfidf": "#d08a2e", "majority": "#9aa3ad"}
SHOWN_CLASSES = 40  # classes up to which the whole confusion matrix can be read
CONFUSIONS = 15  # pairs of classes listed

# Text stays text (the reader's own fonts have Chinese), and the same figures give the same bytes.
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "finelake", "font.family": "sans-serif", "font.size": 9}


def render(
    name: str,
    run: Run,
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
    environment.filters |= {"score": score_text, "title": lambda key: title(key, run.task)}
    names = [metric for metric in TITLES if metric in scores[MODEL]]
    return environment.get_template("report.html").render(
        name=name,
        run=run,
        strategy=STRATEGIES[choices["strategy"]["value"]],
        choices=choices,
        scores=scores,
        metrics=names,
        systems=list(answers.given),
        verdict=verdict(scores, names[0], run.task),
        bars=bars(scores, names, list(answers.given), run.task),
        curves=curves(curve),
        confusion=confusion_matrix(answers) if run.task == "classify" else None,
        confusions=confusions(answers) if run.task == "classify" else [],
        examples=examples(run, answers),
        pins=pins,
        settings=settings(run),
    )


def title(key: str, task: str) -> str:
    """A reader's name for a metric, a slice or a system."""
    return TITLES.get(f"{key}_{task}", TITLES.get(key, key))


def score_text(metric: str, number: float) -> str:
    """BLEU as it is (0 to 100), everything else as a percentage."""
    return f"{number if metric == 'bleu' else 100 * number:.1f}"


def verdict(scores: dict[str, Any], metric: str, task: str) -> str:
    """One sentence: better than the stronger baseline, worse, or not to be told apart."""
    rival = max(scores["gain"], key=lambda name: scores[name][metric]["value"])
    gain = scores["gain"][rival][metric]
    low, high = score_text(metric, gain["low"]), score_text(metric, gain["high"])
    by = title(metric, task)
    by = by if by.isupper() else by.lower()
    words = {True: "is better than", False: "cannot be told apart from"}[gain["low"] > 0]
    words = "is worse than" if gain["high"] < 0 else words
    return (
        f"By {by} the fine-tuned model {words} the stronger baseline, {title(rival, task)}: "
        f"{score_text(metric, gain['value'])} points (95 % interval {low} to {high})."
    )


def settings(run: Run) -> dict[str, Any]:
    """The run's parameters that say something, by the names that params.yaml has for them."""
    flat: dict[str, Any] = {}
    for key, value in asdict(run).items():
        flat |= {f"{key}.{name}": one for name, one in value.items()} if isinstance(value, dict) else {key: value}
    return {key: value for key, value in flat.items() if value is not None}


# ---------------------------------------------------------------------------------------------------------------------
# Where it errs


def confusions(answers: Answers) -> list[dict[str, Any]]:
    """The pairs of classes confused most often, with the share of the true class that they take."""
    pairs = list(zip(answers.wanted, answers.given[MODEL], strict=True))
    totals = Counter(answers.wanted)
    wrong = Counter((actual, predicted) for actual, predicted in pairs if actual != predicted)
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
    return [
        {"actual": actual, "predicted": predicted, "count": count, "of": totals[actual]}
        for (actual, predicted), count in ranked
    ]


def examples(run: Run, answers: Answers) -> list[dict[str, Any]]:
    """Rows to look at: classify: wrong ones drawn at random; instruct: half the worst by ROUGE-L, half at random."""
    given, wanted = answers.given[MODEL], answers.wanted
    random = np.random.default_rng(run.seed)
    if run.task == "classify":
        wrong = [index for index, pair in enumerate(zip(wanted, given, strict=True)) if pair[0] != pair[1]]
        chosen = sorted(random.permutation(wrong)[: run.evaluate.examples].astype(int).tolist())
    else:
        worst = np.argsort(metrics.rouge_l(given, wanted), kind="stable")[: run.evaluate.examples // 2].tolist()
        rest = random.permutation(sorted(set(range(len(wanted))) - set(worst)))
        chosen = [*worst, *sorted(rest[: run.evaluate.examples - len(worst)].astype(int).tolist())]
    return [
        {"text": answers.rows[i]["text"], "lang": answers.rows[i]["lang"], "wanted": wanted[i], "given": given[i]}
        for i in chosen
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Figures


def _svg(draw: Callable[[Figure], None], width: float, height: float) -> Markup:
    """A figure as SVG to stand in the page. Matplotlib escapes the texts in it."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # measured here, drawn by the reader's fonts
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(text.getvalue()[text.getvalue().index("<svg") :])


def bars(scores: dict[str, Any], names: list[str], systems: list[str], task: str) -> Markup:
    """Every score with its interval, one panel a metric."""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for panel, metric in zip(panels, names, strict=True):
            for row, system in enumerate(reversed(systems)):
                found = {key: float(score_text(metric, value)) for key, value in scores[system][metric].items()}
                spread = [[found["value"] - found["low"]], [found["high"] - found["value"]]]
                error = np.maximum(spread, 0)
                panel.barh(row, found["value"], xerr=error, color=COLOURS[system], height=0.62, error_kw={"lw": 1.1})
                panel.text(found["high"] + 2, row, f"{found['value']:.1f}", va="center")
            panel.set_yticks(range(len(systems)), [title(system, task) for system in reversed(systems)])
            panel.set_xlim(0, 118)
            panel.set_xticks([0, 25, 50, 75, 100])
            panel.set_title(title(metric, task), loc="left", fontweight="bold")
            panel.spines[["top", "right"]].set_visible(False)
            if panel is not panels[0]:
                panel.set_yticklabels([])

    return _svg(draw, 9.2, 0.8 + 0.4 * len(systems))


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

    return _svg(draw, 9.2, 2.6)


def confusion_matrix(answers: Answers) -> Markup | None:
    """The confusion matrix by share of the true class; None for more classes than can be read."""
    names = sorted(set(answers.wanted))
    if len(names) > SHOWN_CLASSES:
        return None
    index = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for actual, predicted in zip(answers.wanted, answers.given[MODEL], strict=True):
        if predicted in index:
            counts[index[actual], index[predicted]] += 1
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)

    def draw(figure: Figure) -> None:
        panel = figure.subplots()
        panel.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="#eceff2", linewidth=0.4)
        panel.invert_yaxis()
        centres = np.arange(len(names)) + 0.5
        panel.set_xticks(centres, names, rotation=90, parse_math=False)
        panel.set_yticks(centres, names, parse_math=False)
        panel.set_xlabel("predicted")
        panel.set_ylabel("actual")
        panel.set_aspect("equal")

    size = 2.6 + 0.2 * len(names)
    return _svg(draw, size, size)
