"""evaluate@RUN: the fine-tuned model on the test part, beside two baselines, with intervals, overall and by slice."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from finelake.lake.config.contract import DIFFICULTIES
from finelake.lake.config.project import Settings, write_atomically
from finelake.lake.config.runs import Run
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots
from finelake.lake.tables.lockfile import check_output
from finelake.training.data.loader import scan
from finelake.training.data.records import count_rejects, read_records
from finelake.training.data.samples import Samples, open_samples, read_rows
from finelake.training.evaluation import baselines, metrics, report
from finelake.training.evaluation.answers import MODEL, Answers
from finelake.training.loop.memory import evaluation_advice, oom_as_user_error
from finelake.training.loop.progress import Progress, read_csv, write_csv, write_json
from finelake.training.models.model import Causal, Classifier, load, reading

SLICES = {"business": (), "lang": (), "difficulty": DIFFICULTIES}  # values that have an order in it
SMALLEST = 5  # rows below which a slice has no scores: an interval over them says nothing

Scorer = Callable[[np.ndarray], float]


def run(root: Path, run_name: str, run: Run, settings: Settings) -> None:
    """Write metrics/RUN/evaluate.json, plots/RUN and reports/RUN.html.

    UserError when an input is missing or altered.
    """
    model = root / "models" / run_name / "model"
    check_output(root, f"models/{run_name}/model")
    samples = open_samples(root, settings.lake, run_name)
    train, test = (read_records(root, settings.lake, run_name, part) for part in ("train", "test"))
    left_out = count_rejects(root, settings.lake, run_name, "test")
    progress = Progress(f"evaluate@{run_name}", samples.parts["test"].samples)
    with oom_as_user_error(progress.name, evaluation_advice(run)):
        answers = collect(run, samples, train, test, left_out, model, progress)
    scores = score(run, answers)
    write_json(root / "metrics" / run_name / "evaluate.json", scores)
    plots = root / "plots" / run_name
    write_csv(plots / "evaluate" / "scores.csv", flat(scores))
    pairs = [{"actual": a, "predicted": p} for a, p in zip(answers.wanted, answers.given[MODEL], strict=True)]
    if run.task == "classify":
        write_csv(plots / "evaluate" / "confusion.csv", pairs)
    chosen = choices(root / "metrics" / run_name / "train.json")
    page = report.render(run_name, run, scores, answers, pins(root, run_name), read_csv(plots / "train.csv"), chosen)
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
    known = {row["record_id"]: row for row in test}
    ids = [record for records in read_rows(samples.parts["test"], ["record_ids"])["record_ids"] for record in records]
    if not ids:
        raise UserError("the test part has no rows; widen select.where of the run or look at split.report")
    unknown = next((record for record in ids if record not in known), None)
    if unknown:
        raise UserError(f"the samples hold the record {unknown}, which select@RUN does not; run `finelake repro`")
    rows = [known[record] for record in ids]
    if run.task == "classify":
        given = {MODEL: classify(model, samples, run.train.eval_batch_size, progress)}
        texts, labels = [row["text"] for row in train], [row["label"] for row in train]
        given |= baselines.classify(texts, labels, [row["text"] for row in rows])
        wanted = [row["label"] for row in rows]
    else:
        prompts = [row["prompt"] for row in rows]
        given = {MODEL: generate(model, prompts, run, progress)}
        pairs = [(row["prompt"], row["target"], row["lang"]) for row in train]
        given |= baselines.answer(pairs, [(row["prompt"], row["lang"]) for row in rows])
        wanted = [row["target"] for row in rows]
    return Answers(rows, wanted, given, selected=len(test) + left_out)


@torch.no_grad()
def classify(folder: Path, samples: Samples, batch_size: int, progress: Progress) -> list[str]:
    """The class that the model in `folder` gives to each test sample, in file order."""
    model, description = load(folder)
    if not isinstance(model, Classifier):
        raise UserError(f"{folder} holds no classifier; run the stage `train` of this run again")
    device = _device(model)
    chosen = np.zeros(samples.parts["test"].samples, dtype=np.int64)
    for numbers, batch in scan(samples.parts["test"], batch_size):
        chosen[numbers] = model(batch.to(device)).argmax(-1).cpu().numpy()
        progress.update(progress.done + len(numbers))
    progress.close()
    return [description.labels[index] for index in chosen]


@torch.no_grad()
def generate(folder: Path, prompts: Sequence[str], run: Run, progress: Progress) -> list[str]:
    """The reply of the model in `folder` to each prompt: greedy, at most run.evaluate.max_new_tokens tokens."""
    model, _ = load(folder)
    if not isinstance(model, Causal):
        raise UserError(f"{folder} holds no causal model; run the stage `train` of this run again")
    device = _device(model)
    with reading(folder, "train"):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    room = run.tokenize.max_length - run.evaluate.max_new_tokens
    coded = [tokenizer(prompt, add_special_tokens=False)["input_ids"][-room:] for prompt in prompts]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    replies = [""] * len(coded)
    by_length = sorted(range(len(coded)), key=lambda index: len(coded[index]))
    for first in range(0, len(coded), run.train.eval_batch_size):
        chosen = by_length[first : first + run.train.eval_batch_size]
        width = max(len(coded[index]) for index in chosen)
        # Padding on the left: what is generated then follows each prompt directly.
        ids = torch.tensor([[pad] * (width - len(coded[i])) + coded[i] for i in chosen], device=device)
        real = torch.tensor([[0] * (width - len(coded[i])) + [1] * len(coded[i]) for i in chosen], device=device)
        written = model.body.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=real,
            max_new_tokens=run.evaluate.max_new_tokens,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=pad,
        )[:, width:]
        for index, text in zip(chosen, tokenizer.batch_decode(written, skip_special_tokens=True), strict=True):
            replies[index] = text.strip()
        progress.update(progress.done + len(chosen))
    progress.close()
    return replies


def _device(model: torch.nn.Module) -> torch.device:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    model.to(device)
    return device


# ---------------------------------------------------------------------------------------------------------------------
# Scores


def score(run: Run, answers: Answers) -> dict[str, Any]:
    """Each system's scores with intervals, overall and by slice.

    {"rows", "selected", SYSTEM: {METRIC: {"value", "low", "high"}}, "by": {SLICE: {VALUE: {"rows", SYSTEM: …}}},
     "gain": {BASELINE: {METRIC: …}}}, where a gain is the model's score less the baseline's on the same resamples
    """
    scorers = {name: _scorers(run.task, answers, given) for name, given in answers.given.items()}

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
        "gain": {name: _gain(scorers[MODEL], scorers[name], everything, run) for name in baselines.NAMES},
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
        for system in (MODEL, *baselines.NAMES)
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


def _scorers(task: str, answers: Answers, given: Sequence[str]) -> dict[str, Scorer]:
    wanted = answers.wanted
    if task == "classify":
        names = {name: index for index, name in enumerate(sorted({*wanted, *given}))}
        predicted, true = (np.array([names[name] for name in column]) for column in (given, wanted))
        return {"accuracy": metrics.mean(predicted == true), "macro_f1": metrics.macro_f1(predicted, true)}
    return {
        "bleu": metrics.Bleu(given, wanted, [row["lang"] for row in answers.rows]),
        "rouge_l": metrics.mean(metrics.rouge_l(given, wanted)),
        "exact_match": metrics.mean(metrics.exact_match(given, wanted)),
    }
