"""Tasks are exported and labels imported without loss; an unexpected export is refused."""

import copy
import json
import xml.etree.ElementTree as ElementTree

import pytest

from finelake.jobs.annotation.adjudicate import DISPUTED
from finelake.jobs.annotation.labelstudio import from_export, interface, to_tasks
from finelake.jobs.stage import ANNOTATIONS
from finelake.lake.errors import UserError

TEXT = "😀 Li asked Li:\nis the 贷款 paid?"
RECORD = {"record_id": "r1", "source": "tickets", "text": TEXT, "lang": "en"}


def row(layer, annotator, label, quote=None, start=None, role="annotator"):
    return dict(zip(ANNOTATIONS.names, ("r1", "tickets", layer, annotator, role, label, quote, start), strict=True))


def exported(*regions, completed_by=7, **more):
    """A task as Label Studio exports it."""
    annotation = {"id": 11, "completed_by": completed_by, "was_cancelled": False, "result": list(regions), **more}
    data = {"text": TEXT, "record_id": "r1", "source": "tickets"}
    return {"id": 3, "data": data, "annotations": [annotation], "drafts": [], "predictions": []}


def span(start, end, *labels, layer="entity", **value):
    value = {"start": start, "end": end, "labels": list(labels), **value}
    return {"id": "Dx", "from_name": layer, "to_name": "text", "type": "labels", "origin": "manual", "value": value}


def choice(layer, *labels):
    return {"id": "C", "from_name": layer, "to_name": "text", "type": "choices", "value": {"choices": list(labels)}}


def test_tasks_hold_the_masked_text_and_the_record_id():
    assert to_tasks([RECORD | {"record_id": "r2"}, RECORD]) == [
        {"data": {"text": TEXT, "record_id": key, "source": "tickets"}, "annotations": []} for key in ("r1", "r2")
    ]


def test_round_trip():
    rows = [
        row("entity", "7", "PERSON", "Li", 2),
        row("entity", "7", "PERSON", "Li", 11),
        row("scene", "7", "loan"),
        row("term", "7", None),
        row("term", "b@example.com", DISPUTED, role="arbitrator"),
        row("entity", "b@example.com", None, role="arbitrator"),
        row("scene", "b@example.com", None, role="arbitrator"),
    ]
    tasks = json.loads(json.dumps(to_tasks([RECORD], rows)))
    back = from_export(tasks, roles={"b@example.com": "arbitrator"})
    assert sorted(back, key=str) == sorted(rows, key=str)


def test_an_export_becomes_annotation_rows():
    task = exported(span(2, 4, "PERSON", "CUSTOMER"), choice("scene", "loan"), completed_by={"id": 7, "email": "a@b.c"})
    assert from_export([task], {"7": "committee"}, ("entity", "scene")) == [
        row("entity", "7", "PERSON", "Li", 2, "committee"),
        row("entity", "7", "CUSTOMER", "Li", 2, "committee"),
        row("scene", "7", "loan", role="committee"),
    ]


def test_offsets_in_code_points_or_in_utf16_units_give_the_same_place():
    points, units = span(11, 13, "PERSON", text="Li"), span(12, 14, "PERSON", text="Li")
    expected = [row("entity", "7", "PERSON", "Li", 11)]
    assert from_export([exported(points)], layers=["entity"]) == expected
    assert from_export([exported(units)], layers=["entity"]) == expected


def test_reads_a_line_break_that_label_studio_escapes():
    broken = span(11, 17, "X", text="Li:\\nis")
    assert from_export([exported(broken)], layers=["entity"]) == [row("entity", "7", "X", "Li:\nis", 11)]


def test_skipped_tasks_give_no_rows():
    assert from_export([exported(was_cancelled=True)]) == []


def without(key):
    task = copy.deepcopy(exported(span(2, 4, "PERSON")))
    del task["annotations"][0]["result"][0][key]
    return task


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (exported(span(2, 4, "PERSON", layer="mood")), "task 3: a region belongs to mood"),
        (exported(choice("entity", "PERSON")), "task 3: a region of entity has the type choices"),
        (exported(span(4, 4, "PERSON")), "task 3: a region spans 4 to 4"),
        (exported(span(2, 400, "PERSON")), "task 3: the region 2 to 400 does not hold"),
        (exported(span(2, 4, "PERSON", text="Wang")), "task 3: the region 2 to 4 does not hold"),
        (exported(completed_by=None), "task 3: completed_by names nobody"),
        (exported(choice("dispute", "mood")), "task 3: a region belongs to mood"),
        (without("type"), "task 3 lacks 'type', or its type is wrong"),
        (without("value"), "task 3 lacks 'value', or its type is wrong"),
        ({"id": 3, "text": TEXT, "label": []}, "task 3 lacks 'data', or its type is wrong.*not JSON_MIN"),
        ("x", "task ?"),
    ],
)
def test_names_the_task_of_an_unreadable_export(task, message):
    with pytest.raises(UserError, match=message) as refusal:
        from_export([task])
    assert "Li" not in str(refusal.value)


def test_unknown_roles_and_layers_are_refused():
    with pytest.raises(UserError, match="unknown role boss"):
        from_export([], {"7": "boss"})
    with pytest.raises(UserError, match="unknown layer mood"):
        from_export([], layers=["mood"])
    with pytest.raises(UserError, match="r1 does not hold a quote of layer entity"):
        to_tasks([RECORD], [row("entity", "7", "PERSON", "Wang", 2)])


def test_the_interface_names_layers_as_the_regions_do():
    root = ElementTree.fromstring(interface({"entity": ['A"<B'], "scene": ["loan"]}))
    blocks = [(block.tag, block.get("name"), [item.get("value") for item in block]) for block in root]
    assert blocks == [
        ("Labels", "entity", ['A"<B']),
        ("Choices", "scene", ["loan"]),
        ("Text", "text", []),
        ("Choices", "dispute", ["entity", "scene"]),
    ]
