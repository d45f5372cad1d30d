"""Label Studio's JSON: records are exported as tasks, labels are imported as annotation rows.

Format: https://labelstud.io/guide/task_format. Regions of type `labels` hold a span layer, `choices` hold a scene or a
dispute; `from_name` of a region is the layer. `interface` makes the labelling interface.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from finelake.jobs.annotation.adjudicate import DISPUTED, anchor
from finelake.lake.config.contract import HUMAN_ROLES, LAYERS, SPAN_LAYERS
from finelake.lake.errors import UserError, did_you_mean

Row = dict[str, Any]  # the columns of ANNOTATIONS
DISPUTE = "dispute"  # from_name of the choice by which an arbitrator disputes layers
OBJECT = "text"  # the name of the text in the interface


def interface(labels: Mapping[str, Sequence[str]]) -> str:
    """Label Studio's labelling interface (XML) for layer -> labels; UserError for an unknown layer."""
    _check_layers(labels)
    lines = ["<View>"]
    for layer, values in labels.items():
        block, item = ("Labels", "Label") if layer in SPAN_LAYERS else ("Choices", "Choice")
        lines.append(f'  <{block} name="{layer}" toName="{OBJECT}">')
        lines += [f"    <{item} value={quoteattr(value)}/>" for value in values]
        lines.append(f"  </{block}>")
    lines.append(f'  <Text name="{OBJECT}" value="$text"/>')
    lines.append(f'  <Choices name="{DISPUTE}" toName="{OBJECT}" choice="multiple">')
    lines += [f'    <Choice value="{layer}"/>' for layer in labels]
    return "\n".join([*lines, "  </Choices>", "</View>"])


def to_tasks(records: Iterable[Mapping[str, Any]], annotations: Iterable[Mapping[str, Any]] = ()) -> list[dict]:
    """Tasks to import, one per masked record (record_id, source, text), sorted by `record_id`.

    `annotations`: rows of ANNOTATIONS to include, for an arbitrator to see; blind annotators get none. A span is placed
    at the occurrence of its quote nearest to `start`; UserError when the text does not hold the quote. Label Studio
    shows the labels of people without an account (by id or e-mail) as the importer's own.
    """
    own: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in annotations:
        own.setdefault(row["record_id"], {}).setdefault(row["annotator"], []).append(row)
    return [
        {
            "data": {"text": record["text"], "record_id": record["record_id"], "source": record["source"]},
            "annotations": [
                {"completed_by": _completed_by(annotator), "result": _regions(record, rows)}
                for annotator, rows in sorted(own.get(record["record_id"], {}).items())
            ],
        }
        for record in sorted(records, key=lambda record: record["record_id"])
    ]


def from_export(
    tasks: Iterable[Mapping[str, Any]], roles: Mapping[str, str] | None = None, layers: Sequence[str] = LAYERS
) -> list[Row]:
    """Annotation rows from exported tasks.

    `roles`: annotator -> annotator | arbitrator | committee; default: annotator. `layers`: the layers that people had
    to label; one without a region gives a row with label None (nothing found). An annotator is identified by the user
    id (by e-mail only where an export has no id). Skipped tasks give nothing; drafts and predictions are not read.
    UserError, naming the task, for anything else.
    """
    _check_layers(layers)
    for annotator, role in (roles or {}).items():
        if role not in HUMAN_ROLES:
            raise UserError(f"{annotator} has the unknown role {role}; {did_you_mean(role, HUMAN_ROLES)}")
    rows: list[Row] = []
    for task in tasks:
        name = f"Label Studio task {task.get('id', '?') if isinstance(task, Mapping) else '?'}"
        try:
            rows += _task_rows(task, roles or {}, layers)
        except _Unexpected as fault:
            hint = "export in the format JSON, from a project made with these tasks"
            raise UserError(f"{name}: {fault}; {hint}") from None
        except (KeyError, TypeError, AttributeError) as error:
            hint = "export in the format JSON, not JSON_MIN"
            raise UserError(f"{name} lacks {error}, or its type is wrong; {hint}") from None
    return rows


class _Unexpected(Exception):
    """An exported task that cannot be read; the message says why."""


def _check_layers(layers: Iterable[str]) -> None:
    for layer in layers:
        if layer not in LAYERS:
            raise UserError(f"Label Studio: unknown layer {layer}; {did_you_mean(layer, LAYERS)}")


def _regions(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[dict]:
    regions: list[dict] = []
    disputed = [row["layer"] for row in rows if row["label"] == DISPUTED]
    for row in rows:
        if row["label"] not in (None, DISPUTED):
            regions.append(_region(record, row))
    return regions + ([_choices(DISPUTE, disputed)] if disputed else [])


def _region(record: Mapping[str, Any], row: Mapping[str, Any]) -> dict:
    if row["layer"] not in SPAN_LAYERS:
        return _choices(row["layer"], [row["label"]])
    span = anchor(record["text"], row["quote"], row["start"])
    if span is None:
        raise UserError(
            f"record {record['record_id']} does not hold a quote of layer {row['layer']}; "
            "use the annotations that mask wrote"
        )
    value = {"start": span[0], "end": span[1], "text": row["quote"], "labels": [row["label"]]}
    return {"from_name": row["layer"], "to_name": OBJECT, "type": "labels", "value": value}


def _choices(name: str, values: list[str]) -> dict:
    return {"from_name": name, "to_name": OBJECT, "type": "choices", "value": {"choices": values}}


def _task_rows(task: Mapping[str, Any], roles: Mapping[str, str], layers: Sequence[str]) -> list[Row]:
    data, rows = task["data"], []
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled"):
            continue
        annotator = _person(annotation["completed_by"])
        labels = [one for region in annotation["result"] for one in _labels(region, data["text"], layers)]
        seen = {layer for layer, *_ in labels}
        for layer, label, quote, start in labels + [(layer, None, None, None) for layer in layers if layer not in seen]:
            rows.append(
                {
                    "record_id": data["record_id"],
                    "source": data["source"],
                    "layer": layer,
                    "annotator": annotator,
                    "role": roles.get(annotator, "annotator"),
                    "label": label,
                    "quote": quote,
                    "start": start,
                }
            )
    return rows


def _completed_by(annotator: str) -> int | dict[str, str]:
    # Imports accept a user's id or e-mail and refuse a bare name.
    return int(annotator) if annotator.isdecimal() else {"email": annotator}


def _person(completed_by: Any) -> str:
    if isinstance(completed_by, Mapping):
        completed_by = completed_by["id"] if "id" in completed_by else completed_by["email"]
    if isinstance(completed_by, bool) or not isinstance(completed_by, int | str) or completed_by == "":
        raise _Unexpected("completed_by names nobody")
    return str(completed_by)


def _labels(region: Mapping[str, Any], text: str, layers: Sequence[str]) -> list[tuple]:
    """(layer, label, quote, start) for each label of a region."""
    name, kind, value = region["from_name"], region["type"], region["value"]
    if name == DISPUTE and kind == "choices":
        _known(value["choices"], layers)
        return [(layer, DISPUTED, None, None) for layer in value["choices"]]
    _known([name], layers)
    if kind != ("labels" if name in SPAN_LAYERS else "choices"):
        raise _Unexpected(f"a region of {name} has the type {kind}")
    if kind == "choices":
        return [(name, label, None, None) for label in value["choices"]]
    quote, start = _span(value, text)
    return [(name, label, quote, start) for label in value["labels"]]


def _known(names: Iterable[str], layers: Sequence[str]) -> None:
    for name in names:
        if name not in layers:
            raise _Unexpected(f"a region belongs to {name}, which is not one of the layers {', '.join(layers)}")


def _span(value: Mapping[str, Any], text: str) -> tuple[str, int]:
    """Quote and start in code points. Older Label Studio counts UTF-16 units, which the region's text reveals."""
    start, end = value["start"], value["end"]
    if not 0 <= start < end:
        raise _Unexpected(f"a region spans {start} to {end}")
    quote = text[start:end]
    named = value.get("text", quote).replace("\\n", "\n")  # Label Studio writes a line break as backslash and n
    if quote.replace("\\n", "\n") == named and len(quote) == end - start:
        return quote, start
    units = text.encode("utf-16-le")
    quote = units[2 * start : 2 * end].decode("utf-16-le", errors="replace")
    if quote.replace("\\n", "\n") != named or len(units) < 2 * end:
        raise _Unexpected(f"the region {start} to {end} does not hold the text that it names")
    return quote, len(units[: 2 * start].decode("utf-16-le", errors="replace"))
