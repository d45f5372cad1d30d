"""evaluate@RUN: the fine-tuned model on the test part, beside two baselines, with intervals, overall and by slice."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from finelake.lake.config.contract import DIFFICULTIES
from finelake.lake.config.project import Settings, write_atomically
from finelake.lake.config.runs import Run
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots
from finelake.lake.tables.lockfile import check_output
from finelake.training.data.records import count_rejects, read_records
from finelake.training.data.samples import Samples, open_samples, read_rows
from finelake.training.evaluation import metrics, report
from finelake.training.evaluation.answers import MODEL, Answers, Question
from finelake.training.loop.memory import evaluation_advice, oom_as_user_error
from finelake.training.loop.progress import Progress, read_csv, write_csv, write_json
from finelake.training.tasks import find
from finelake.training.tasks.task import Scorer, Task

SLICES = {"business": (), "lang": (), "difficulty": DIFFICULTIES}  # values that have an order in it
SMALLEST = 5  # rows below which a slice has no scores: an interval over them says nothing


def run(root: Path, run_name: str, run: Run, settings: Settings) -> None:
    """Write metrics/RUN/evaluate.json, plots/RUN and reports/RUN.html.

    UserError when an input is missing or altered.
    """
    model = root / "models" / run_name / "model"
    check_output(root, f"models/{run_name}/model")
    samples = open_samples(root, settings.lake, run_name)
    train, test = (read_records(root, settings.lake, run_name, part) for part in ("train", "test"))
    left_out = count_rejects(root, settings.lake, run_name, "test")
    task = find(run.task)
    progress = Progress(f"evaluate@{run_name}", samples.parts["test"].samples)
    with oom_as_user_error(progress.name, evaluation_advice(f"runs.{run_name}", run)):
        answers = collect(run, samples, train, test, left_out, model, progress)
    scores = score(run, answers)
    write_json(root / "metrics" / run_name / "evaluate.json", scores)
    plots = root / "plots" / run_name
    write_csv(plots / "evaluate" / "scores.csv", flat(scores))
    for name, rows in task.plots(answers).items():
        write_csv(plots / "evaluate" / f"{name}.csv", rows)
    chosen = choices(root / "metrics" / run_name / "train.json")
    curve, pinned = read_csv(plots / "train.csv"), pins(root, run_name)
    page = report.render(run_name, run, view(task, answers, run), scores, answers, pinned, curve, chosen)
    write_atomically(root / "reports" / f"{run_name}.html", page)


def choices(path: Path) -> dict[str, dict[str, Any]]:
    """What training chose for the run, by name: {"value", "reason"}. UserError when its figures are not there."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["choices"]
        whole = all({"value", "reason"} <= choice.keys() for choice in found.values())
        if whole and found["strategy"]["value"] in report.STRATEGIES:
            return found
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(f"{path} does not say how the run was trained; run its stage `train` again")


def view(task: Task, answers: Answers, run: Run) -> report.View:
    """What the task decides of the report."""
    examples, panels = task.examples(answers, run), task.panels(answers)
    return report.View(task.title, task.examples_title, examples, panels, task.titles)


def pins(root: Path, run_name: str) -> dict[str, str]:
    """Content hash of each table that the run read, by name."""
    return {
        f"{stage}.{name}": table.content
        for stage in (f"select@{run_name}", f"tokenize@{run_name}")
        for name, table in snapshots.read_manifest(root, stage).items()
    }


def collect(
    run: Run, samples: Samples, train: list[dict], test: list[dict], left_out: int, model: Path, progress: Progress
) -> Answers:
    """Answers of the model and of the baselines to the test rows that were tokenized.

    `left_out`: test rows that select@RUN rejected.
    """
    known, entry = {row["record_id"]: row for row in test}, f"runs.{progress.name.partition('@')[2]}"
    ids = [record for records in read_rows(samples.parts["test"], ["record_ids"])["record_ids"] for record in records]
    if not ids:
        raise UserError(f"the test part has no rows; widen {entry}.select.where in params.yaml or look at split.report")
    unknown = next((record for record in ids if record not in known), None)
    if unknown:
        raise UserError(f"the samples hold the record {unknown}, which select@RUN does not; run `finelake repro`")
    rows = [known[record] for record in ids]
    task = find(run.task)
    asked = _questions(task, rows)
    given = {MODEL: task.predict(model, samples.parts["test"], [question.prompt for question in asked], run, progress)}
    given |= task.baselines(_questions(task, train), asked)
    return Answers(rows, [question.wanted for question in asked], given, selected=len(test) + left_out)


def _questions(task: Task, rows: Iterable[Mapping[str, Any]]) -> list[Question]:
    return [Question(task.prompt(row), task.wanted(row), row["lang"]) for row in rows]


# ---------------------------------------------------------------------------------------------------------------------
# Scores


def score(run: Run, answers: Answers) -> dict[str, Any]:
    """Each system's scores with intervals, overall and by slice.

    {"rows", "selected", SYSTEM: {METRIC: {"value", "low", "high"}}, "by": {SLICE: {VALUE: {"rows", SYSTEM: …}}},
     "gain": {BASELINE: {METRIC: …}}}, where a gain is the model's score less the baseline's on the same resamples
    """
    scorers = {name: find(run.task).scorers(answers, given) for name, given in answers.given.items()}

    def scored(rows: np.ndarray) -> dict[str, Any]:
        systems = {
            name: {metric: metrics.interval(of, rows, run.evaluate.bootstrap, run.seed) for metric, of in here.items()}
            for name, here in scorers.items()
        }
        return {"rows": len(rows), **systems}

    everything = np.arange(len(answers.rows))
    return {
        "selected": answers.selected,
        **scored(everything),
        "gain": {name: _gain(scorers[MODEL], scorers[name], everything, run) for name in answers.baselines},
        "by": {column: _by(column, answers, scored) for column in SLICES},
    }


def flat(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """The scores as rows for a plot: slice, value, rows, system, metric, score and its interval."""
    slices = [("all", "all", scores)]
    slices += [(column, name, here) for column, values in scores["by"].items() for name, here in values.items()]
    return [
        {"slice": column, "value": name, "rows": here["rows"], "system": system, "metric": metric}
        | {"score": found["value"], "low": found["low"], "high": found["high"]}
        for column, name, here in slices
        for system in (MODEL, *scores["gain"])
        for metric, found in here[system].items()
    ]


def _gain(ours: dict[str, Scorer], theirs: dict[str, Scorer], rows: np.ndarray, run: Run) -> dict[str, Any]:
    def difference(metric: str) -> Scorer:
        return lambda chosen: ours[metric](chosen) - theirs[metric](chosen)

    return {metric: metrics.interval(difference(metric), rows, run.evaluate.bootstrap, run.seed) for metric in ours}


def _by(column: str, answers: Answers, scored: Callable[[np.ndarray], dict]) -> dict[str, Any]:
    values = np.array([str(row[column]) for row in answers.rows])
    known = SLICES[column]
    names = sorted(set(values.tolist()), key=lambda name: (known.index(name) if name in known else len(known), name))
    chosen = {name: np.flatnonzero(values == name) for name in names}
    return {name: scored(rows) for name, rows in chosen.items() if len(rows) >= SMALLEST}
