"""The trace of a record, from tables with one row of each kind."""

from datetime import datetime

import duckdb
import pytest

from finelake.lake.errors import UserError
from finelake.lake.keys import record_id
from finelake.lake.query.trace import Tables, find, trace

TIME = datetime(2024, 5, 1)
KEPT, COPY, BROKEN = (record_id("tickets", key) for key in ("T1", "T2", "T3"))
REJECTS = "'tickets' as source, '{}' as reason, '{}' as detail"
TABLES = {
    "ingest.records": f"""
        select record_id, 'tickets' as source, source_key, timestamp '2024-05-01' as occurred_at, 'cards' as business,
               'en' as lang
        from (values ('{KEPT}', 'T1'), ('{COPY}', 'T2')) t(record_id, source_key)""",
    "ingest.rejects": f"select '{BROKEN}' as record_id, {REJECTS.format('no_text', '')}",
    "clean.records": "select *, if(source_key = 'T1', ['facts.channel'], []) as imputed from ingest.records",
    "clean.rejects": "from ingest.rejects where false",
    "dedup.records": f"select *, record_id as cluster from clean.records where record_id = '{KEPT}'",
    "dedup.rejects": f"select '{COPY}' as record_id, {REJECTS.format('duplicate', KEPT)}",
    "dedup.duplicates": f"select '{COPY}' as removed, '{KEPT}' as kept, 3 as distance, 0.9::double as similarity",
    "mask.records": "select * replace ('<PHONE>' as source_key), map {'phone': 2} as masked from dedup.records",
    "mask.rejects": f"select '{COPY}' as record_id, {REJECTS.format('record_gone', 'scene')}",
    "mask.annotations": f"""select '{KEPT}' as record_id, 'scene' as layer, 'ann' as annotator, 'annotator' as role,
                                   'lost' as label, 'a text' as quote, 0 as start""",
    "annotate.gold": f"""select '{KEPT}' as record_id, 'scene' as layer, 'lost' as label, null::int as start,
                                null::int as end, 'agreed' as decided_by""",
    "annotate.todo": f"select '{KEPT}' as record_id, 'term' as layer, 'disputed' as reason",
    "annotate.rejects": "from ingest.rejects where false",
    "split.records": "select *, 'train' as split, 'lost' as scene, 'easy' as difficulty from mask.records",
    "split.rejects": "from ingest.rejects where false",
    "select_answer.records": "select record_id from split.records where false",
    "select_answer.rejects": f"""select '{KEPT}' as record_id, 'tickets' as source, 'no_reply' as reason,
                                        'train' as detail""",
    "tokenize_intent.samples": f"select 'train' as part, 3 as shard, 's1' as sample_id, ['x', '{KEPT}'] as record_ids",
    "tokenize_intent.rejects": "from ingest.rejects where false",
}


def chain(*stages: str) -> Tables:
    """The tables of the stages; of all, when none is named."""
    connection = duckdb.connect()
    pinned = {}
    for table, query in TABLES.items():
        schema, name = table.split(".")
        if not stages or schema in stages:
            connection.execute(f"create schema if not exists {schema}; create table {table} as {query}")
            pinned[schema, name] = (schema.replace("_", "@"), None)
    return Tables(connection, pinned)


LOCK = """
stages:
  tokenize@intent: {outs: [{path: snapshots/tokenize-intent.json, md5: one}]}
  train@intent: {deps: [{path: snapshots/tokenize-intent.json, md5: MD5}]}
"""


@pytest.fixture
def root(tmp_path):
    """A project whose model of the run was trained on the pinned samples and evaluated."""
    (tmp_path / "dvc.lock").write_text(LOCK.replace("MD5", "one"))
    (tmp_path / "metrics" / "intent").mkdir(parents=True)
    (tmp_path / "metrics" / "intent" / "evaluate.json").write_text('{"model": {"accuracy": {"value": 0.9}}}')
    return tmp_path


def step(stage: str, outcome: str = "kept", **columns) -> dict:
    return {"stage": stage, "outcome": outcome, "rejects": [], **columns}


def test_a_record_that_was_kept(root):
    assert trace(chain(), root, None, KEPT) == {
        "record_id": KEPT,
        "source": "tickets",
        "source_key": "<PHONE>",
        "occurred_at": TIME,
        "business": "cards",
        "lang": "en",
        "steps": [
            step("ingest"),
            step("clean", imputed=["facts.channel"]),
            step(
                "dedup",
                cluster=KEPT,
                replaced_by=[],
                replaces=[{"record_id": COPY, "distance": 3, "similarity": 0.9}],
            ),
            step("mask", masked={"phone": 2}),
            step(
                "annotate",
                labels=[{"layer": "scene", "label": "lost", "start": None, "end": None, "decided_by": "agreed"}],
                annotations=[{"layer": "scene", "annotator": "ann", "role": "annotator", "labels": ["lost"]}],
                todo=[{"layer": "term", "reason": "disputed"}],
            ),
            step("split", split="train", scene="lost", difficulty="easy"),
            step("select@answer", "rejected")
            | {"rejects": [{"source": "tickets", "reason": "no_reply", "detail": "train"}]},
            step("tokenize@intent", part="train", shard=3, sample_id="s1", records=2, trained={"accuracy": 0.9}),
        ],
    }


def test_an_annotation_that_mask_rejected_is_shown_with_the_labels(root):
    tables = chain()
    tables.connection.execute(
        f"insert into mask.rejects select '{KEPT}' as record_id, {REJECTS.format('personal_data', 'label: phone')}"
    )
    steps = {step["stage"]: step for step in trace(tables, root, None, KEPT)["steps"]}
    assert (steps["mask"]["outcome"], steps["mask"]["rejects"]) == ("kept", [])
    assert [(row["reason"], row["detail"]) for row in steps["annotate"]["rejects"]] == [
        ("personal_data", "label: phone")
    ]


def test_a_duplicate_ends_where_it_was_replaced(root):
    history = trace(chain(), root, None, COPY)
    assert history["source_key"] == "T2"
    assert history["steps"][:2] == [step("ingest"), step("clean", imputed=[])]
    assert history["steps"][2:] == [
        step(
            "dedup",
            outcome="rejected",
            rejects=[{"source": "tickets", "reason": "duplicate", "detail": KEPT}],
            replaced_by=[{"record_id": KEPT, "distance": 3, "similarity": 0.9}],
            replaces=[],
        )
    ]


def test_a_row_that_was_never_a_record(root):
    history = trace(chain(), root, None, BROKEN)
    rejects = [{"source": "tickets", "reason": "no_text", "detail": ""}]
    assert history["steps"] == [step("ingest", outcome="rejected", rejects=rejects)]
    assert (history["source"], history["source_key"]) == ("tickets", None)


@pytest.mark.parametrize("stages", [("ingest", "clean"), ("ingest", "clean", "dedup", "mask")])
def test_a_chain_that_ran_in_part(root, stages):
    tables = chain(*stages)
    assert tuple(history["stage"] for history in trace(tables, root, None, KEPT)["steps"]) == stages


def test_a_stage_older_than_its_input_has_not_seen_the_record(root):
    tables = chain("ingest", "clean")
    tables.connection.execute("delete from clean.records")
    assert trace(tables, root, None, KEPT)["steps"][-1] == step("clean", outcome="unseen")


@pytest.mark.parametrize("lock", ["stages: {}", LOCK.replace("MD5", "another")])
def test_a_model_of_other_samples_was_not_trained_on_it(root, lock):
    (root / "dvc.lock").write_text(lock)
    assert trace(chain(), root, None, KEPT)["steps"][-1]["trained"] is None


def test_a_record_is_found_by_id_beginning_and_key():
    for wanted in (KEPT, KEPT[:6], KEPT[:6].upper(), "tickets/T1"):
        assert find(chain(), wanted) == KEPT
    assert find(chain(), "tickets/T3") == BROKEN


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("12", "'12' is too short for the beginning of an id"),
        ("123456", "no pinned table holds a record 123456"),
        ("tickets/T9", "no pinned table holds a record tickets/T9"),
    ],
)
def test_reports_an_unknown_record_in_one_sentence(wanted, message):
    with pytest.raises(UserError, match=message):
        find(chain(), wanted)


def test_a_beginning_of_several_is_refused():
    tables = chain("ingest")
    tables.connection.execute(f"update ingest.records set record_id = '{KEPT[:8]}00' where source_key = 'T2'")
    with pytest.raises(UserError, match=f"{KEPT[:5]} matches 2 records, such as"):
        find(tables, KEPT[:5])
