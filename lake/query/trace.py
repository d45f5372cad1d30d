"""What the pinned tables record about one record, stage by stage; never its text."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from finelake.lake.errors import UserError
from finelake.lake.keys import record_id
from finelake.lake.query import duck
from finelake.lake.quoting import quoted
from finelake.lake.tables.lockfile import outputs
from finelake.lake.tables.revisions import lock, output_at
from finelake.lake.tables.snapshots import FOLDER, Table

ORIGIN = ("source", "source_key", "occurred_at", "business", "lang")
ADDED = {  # the stages that a record passes, and the columns that each adds to a record it kept
    "ingest": (),
    "clean": ("imputed",),
    "dedup": ("cluster",),
    "mask": ("masked",),
    "split": ("split", "scene", "difficulty"),
}
BEFORE_GOLD = ("mask", "annotate")  # the stages that reject annotations of a record that is kept
SHORTEST = 4  # digits of an id

Row = dict[str, Any]


@dataclass(frozen=True)
class Tables:
    """The pinned tables in DuckDB."""

    connection: duckdb.DuckDBPyConnection
    pinned: Mapping[tuple[str, str], tuple[str, Table]]  # as `finelake.lake.query.duck.pinned` gives them

    def rows(self, schema: str, name: str, columns: str, where: str, value: str) -> list[Row]:
        """The sorted rows for which `where`, with `value` for its ?, holds; none where the stage has not run."""
        if (schema, name) not in self.pinned:
            return []
        table = f"{quoted(schema)}.{quoted(name)}"
        answer = self.connection.execute(f"select {columns} from {table} where {where} order by all", [value])
        names = [column[0] for column in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def find(tables: Tables, reference: str) -> str:
    """The id that `reference` means: an id, the beginning of one, or SOURCE/KEY.

    UserError when no record, or more than one, matches.
    """
    source, slash, key = reference.partition("/")
    start = record_id(source, key) if slash else reference.lower()
    if len(start) < SHORTEST:
        raise UserError(f"{reference!r} is too short for the beginning of an id; give {SHORTEST} digits or more")
    matches: set[str] = set()
    for schema, name in tables.pinned:
        if name in ("records", "rejects"):
            rows = tables.rows(schema, name, "distinct record_id", "starts_with(record_id, ?)", start)
            matches |= {row["record_id"] for row in rows}
    if len(matches) > 1:
        examples = f"such as {min(matches)} and {max(matches)}"
        raise UserError(f"{reference} matches {len(matches)} records, {examples}; give more digits")
    if not matches:
        raise UserError(f"no pinned table holds a record {reference}; give its id, the beginning of one, or SOURCE/KEY")
    return matches.pop()


def trace(tables: Tables, root: Path, rev: str | None, record: str) -> Row:
    """What happened to a record: its origin, and one step per stage that saw it, with its outcome.

    outcome is kept, rejected, or unseen (the stage ran before its input held the record). The steps of training runs
    name its rejection (select@…) or its sample (tokenize@…), and under `trained` the scores of the model trained on it.
    """
    steps = list(_record_steps(tables, record))
    kept = [step["stage"] for step in steps if step["outcome"] == "kept"]
    origin = _origin(tables, kept[-1], record) if kept else dict.fromkeys(ORIGIN)
    if any(step["stage"] == "mask" and step["outcome"] == "rejected" for step in steps):
        origin["source_key"] = None  # it was not masked
    if not kept:
        origin["source"] = next((step["rejects"][0]["source"] for step in steps if step["rejects"]), None)
    if "mask" in kept and ("annotate", "gold") in tables.pinned:
        before_split = next((index for index, step in enumerate(steps) if step["stage"] == "split"), len(steps))
        steps.insert(before_split, _labels(tables, record))
    steps += [step for stage in _of_runs(tables, "select") if (step := _unselected(tables, stage, record))]
    steps += [step for stage in _of_runs(tables, "tokenize") if (step := _sample(tables, root, rev, stage, record))]
    return {"record_id": record, **origin, "steps": steps}


def _of_runs(tables: Tables, name: str) -> list[str]:
    """The stage `name` of each training run that has pinned tables: select@intent, …"""
    return [stage for stage in dict(tables.pinned.values()) if stage.startswith(f"{name}@")]


def _origin(tables: Tables, stage: str, record: str) -> Row:
    """Where the record came from, read from the last stage that kept it: source_key is masked from `mask` on."""
    return tables.rows(stage, "records", ", ".join(ORIGIN), "record_id = ?", record)[0]


def _record_steps(tables: Tables, record: str) -> Iterator[Row]:
    """One step per stage that has run, up to the first that did not keep the record."""
    for stage, columns in ADDED.items():
        if (stage, "records") not in tables.pinned:
            continue  # it has not run, or its tables were expired
        kept = tables.rows(stage, "records", ", ".join(("record_id", *columns)), "record_id = ?", record)
        rejects = [] if kept else tables.rows(stage, "rejects", "source, reason, detail", "record_id = ?", record)
        outcome = "kept" if kept else "rejected" if rejects else "unseen"
        step = {"stage": stage, "outcome": outcome, "rejects": rejects}
        step |= {column: kept[0][column] for column in columns if kept}
        if stage == "dedup":
            step["replaced_by"] = _duplicates(tables, "kept", "removed", record)
            step["replaces"] = _duplicates(tables, "removed", "kept", record)
        yield step
        if not kept:
            return


def _duplicates(tables: Tables, other: str, own: str, record: str) -> list[Row]:
    """The records in the column `other` of dedup.duplicates where `record` is in the column `own`."""
    columns = f"{other} as record_id, distance, similarity"
    return tables.rows("dedup", "duplicates", columns, f"{own} = ?", record)


def _labels(tables: Tables, record: str) -> Row:
    """The labels of a record, who gave which, and what still needs a human."""
    by_annotator = "layer, annotator, role, list(label order by start, label) as labels"
    # For a record that mask kept, its rejects are annotations.
    of_stages = [
        tables.rows(stage, "rejects", "source, reason, detail", "record_id = ?", record) for stage in BEFORE_GOLD
    ]
    return {
        "stage": "annotate",
        "outcome": "kept",
        "rejects": [reject for rejects in of_stages for reject in rejects],
        "labels": tables.rows("annotate", "gold", 'layer, label, start, "end", decided_by', "record_id = ?", record),
        "annotations": tables.rows(
            "mask", "annotations", by_annotator, "record_id = ? group by layer, annotator, role", record
        ),
        "todo": tables.rows("annotate", "todo", "layer, reason", "record_id = ?", record),
    }


def _unselected(tables: Tables, stage: str, record: str) -> Row | None:
    """Why a training run does not use a record that its condition chose."""
    rejects = tables.rows(duck.schema_name(stage), "rejects", "source, reason, detail", "record_id = ?", record)
    return {"stage": stage, "outcome": "rejected", "rejects": rejects} if rejects else None


def _sample(tables: Tables, root: Path, rev: str | None, stage: str, record: str) -> Row | None:
    """The sample of a training run that holds the record, and the model trained on it."""
    schema, run = duck.schema_name(stage), stage.partition("@")[2]
    columns = "part, shard, sample_id, len(record_ids) as records"
    samples = tables.rows(schema, "samples", columns, "list_contains(record_ids, ?)", record)
    rejects = tables.rows(schema, "rejects", "source, reason, detail", "record_id = ?", record)
    if not samples and not rejects:
        return None
    learned = bool(samples) and samples[0]["part"] == "train" and _is_trained(root, rev, run)
    step = {"stage": stage, "outcome": "kept" if samples else "rejected", "rejects": rejects}
    return step | (samples[0] if samples else {}) | {"trained": _scores(root, rev, run) if learned else None}


def _is_trained(root: Path, rev: str | None, run: str) -> bool:
    """Whether the run's model was trained on the pinned samples, and not on earlier ones."""
    stages = lock(root, rev)
    path = f"{FOLDER}/tokenize-{run}.json"
    read = {dep["path"]: dep.get("md5") for dep in stages.get(f"train@{run}", {}).get("deps") or []}
    return path in read and read[path] == outputs(stages.get(f"tokenize@{run}", {})).get(path)


def _scores(root: Path, rev: str | None, run: str) -> Row:
    """The model's scores on the test part; empty where it was not evaluated."""
    path = f"metrics/{run}/evaluate.json"
    if rev is not None:
        text = output_at(root, rev, f"evaluate@{run}", path)
    else:
        text = (root / path).read_text(encoding="utf-8") if (root / path).exists() else None
    scores = json.loads(text)["model"] if text else {}
    return {metric: score["value"] for metric, score in scores.items()}
