"""Show what happened to a record: origin, changes, duplicates, labels, split, and the models trained on it.

Prints kinds, counts, labels and ids, never a text.
"""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from finelake.lake.config.project import settings
from finelake.lake.query import duck
from finelake.lake.query.trace import Row, Tables, find, trace
from finelake.lake.tables import digests
from finelake.output.table import printable

EXAMPLE = """  finelake trace 8cd10e7a
  finelake trace tickets/T0000017 --rev main"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", help="record_id, the beginning of one, or SOURCE/KEY")
    parser.add_argument("--rev", help="read the tables that this commit, branch, tag or experiment pinned")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="output format (text)")


def main(options: argparse.Namespace) -> None:
    pinned = duck.pinned(options.root, options.rev)
    lake = settings(options.root).lake
    with (
        digests.kept(options.root),
        duck.connect(options.root, lake, options.rev) as connection,
        duck.sentences(),
    ):
        opened = duck.views(connection)
        tables = Tables(connection, {name: table for name, table in pinned.items() if name in opened})
        history = trace(tables, options.root, options.rev, find(tables, options.record))
    if options.format == "json":
        print(json.dumps(history, ensure_ascii=False, indent=2, default=str))
        return
    for line in _lines(history):
        print(printable(line))


def _lines(history: Row) -> Iterator[str]:
    yield f"record {history['record_id']}"
    time = f"{history['occurred_at']} UTC" if history["occurred_at"] else "unknown"
    yield f"  source {history['source']}, key {_shown(history['source_key'])}, time {time}"
    yield f"  business {_shown(history['business'])}, language {_shown(history['lang'])}"
    for step in history["steps"]:
        first, *rest = list(_sentences(step, history["record_id"])) or [step["outcome"]]
        yield f"{step['stage']:<18} {first}"
        yield from (f"{'':<18} {line}" for line in rest)


def _shown(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _sentences(step: Row, record: str) -> Iterator[str]:
    """What a stage did, one line each."""
    if step["outcome"] == "unseen":
        yield "not seen: the stage ran before its input held the record; run `finelake repro`"
    for reject in step["rejects"] if step["outcome"] == "rejected" else []:
        yield f"rejected: {reject['reason']}" + (f" ({reject['detail']})" if reject["detail"] else "")
    if step.get("imputed"):
        yield f"imputed: {', '.join(step['imputed'])}"
    if step.get("cluster", record) != record:
        yield f"marked as a near-duplicate of {step['cluster']}"
    for other in step.get("replaced_by", []):
        yield f"replaced by {_other(other)}"
    for other in step.get("replaces", []):
        yield f"replaces {_other(other)}"
    if step.get("masked"):
        yield f"masked: {', '.join(f'{kind} {count}' for kind, count in step['masked'].items())}"
    yield from _label_sentences(step)
    if step.get("split"):
        yield f"{step['split']}, difficulty {step['difficulty']}, scene {_shown(step['scene'])}"
    yield from _sample_sentences(step)


def _other(duplicate: Row) -> str:
    return f"{duplicate['record_id']} (distance {duplicate['distance']} bits, similarity {duplicate['similarity']:.2f})"


def _label_sentences(step: Row) -> Iterator[str]:
    for label in step.get("labels", []):
        span = "" if label["start"] is None else f" at {label['start']} to {label['end']}"
        yield f"{label['layer']}: {label['label']}{span}, {label['decided_by']}"
    for annotation in step.get("annotations", []):
        labels = ", ".join(label or "nothing" for label in annotation["labels"])
        yield f"{annotation['role']} {annotation['annotator']} on {annotation['layer']}: {labels}"
    for undecided in step.get("todo", []):
        yield f"{undecided['layer']} needs a human: {undecided['reason']}"


def _sample_sentences(step: Row) -> Iterator[str]:
    if "sample_id" not in step:
        return
    packed = f" of {step['records']} records" if step["records"] > 1 else ""
    yield f"part {step['part']}, shard {step['shard']}, sample {step['sample_id']}{packed}"
    if step["trained"] is not None:
        scores = ", ".join(f"{metric} {value:.3g}" for metric, value in step["trained"].items())
        yield f"the model of {step['stage'].partition('@')[2]} was trained on it (test: {scores or 'not evaluated'})"
