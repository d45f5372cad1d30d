"""The shipped checks: all of them pass on a small complete project, and each finds exactly what breaks its rule."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from finelake.lake.config.contract import REJECT_REASONS
from finelake.lake.quality import checks as quality
from finelake.lake.quality.checks import load_checks, matching, run_check

CHECKS = {check.name: check for check in load_checks(Path(__file__).parent, quality.Params())}
# The project has eight labelled records: few enough to read, too few for these defaults.
SMALL = {"psi_rows": 1, "train_rows": 1, "test_rows": 1}


def key(name: str) -> str:
    """The id of a record of the source tickets."""
    return hashlib.sha256(f"tickets\x1f{name}".encode()).hexdigest()[:32]


K1, K2, K3, K7, K8, K9, K10 = (key(f"k{number}") for number in (1, 2, 3, 7, 8, 9, 10))

# Ten records: k9 is an outlier, k10 a duplicate of k8; k1 to k4 are train, k5 and k6 validation, k7 and k8 test.
PROJECT = """
create schema ingest; create schema clean; create schema dedup; create schema mask; create schema annotate;
create schema split; create schema select_intent; create schema tokenize_intent;
create table ingest.records as
    select left(sha256('tickets' || chr(31) || 'k' || n), 32) as record_id, 'tickets' as source, 'k' || n as source_key,
        timestamptz '2024-01-01 00:00:00+00' + to_days(n::int) as occurred_at, 'cards' as business, 'en' as lang,
        case n when 1 then 'call 13812345678 now' else 'text ' || n end as text,
        map {'amount': n::double} as numbers, map {'channel': 'web'} as facts
    from range(1, 11) as numbered(n);
create table ingest.rejects (record_id text, source text, stage text, reason text, detail text);
create table clean.rejects as from ingest.rejects; create table dedup.rejects as from ingest.rejects;
create table mask.rejects as from ingest.rejects; create table annotate.rejects as from ingest.rejects;
create table split.rejects as from ingest.rejects; create table select_intent.rejects as from ingest.rejects;
create table tokenize_intent.rejects as from ingest.rejects;
create table ingest.columns as select 'tickets' as source, 'body' as name, 'text' as type, 'text' as used_as;
create table ingest.unparsable as
    select record_id, source, 'age' as "column" from ingest.records where source_key = 'k2';
create table ingest.annotations as
    select record_id, 'annotations' as source, layer, annotator, 'annotator' as role,
        case layer when 'entity' then 'verb' else ['a', 'b'][1 + ascii(right(source_key, 1)) % 2] end as label,
        case layer when 'entity' then 'call' end as quote, case layer when 'entity' then 0 end as start
    from ingest.records, (values ('scene'), ('entity')) as layers(layer), (values ('x'), ('y')) as people(annotator)
    where source_key <> 'k9' and (layer = 'scene' or source_key = 'k1');
create table clean.records as
    select *, ['facts.channel'][:(source_key = 'k1')::int] as imputed from ingest.records where source_key <> 'k9';
insert into clean.rejects
    select record_id, source, 'clean', 'outlier', 'amount' from ingest.records where source_key = 'k9';
create table clean.outliers as
    select 'tickets' as source, 'cards' as business, 'amount' as "column", method, method = 'sigma' as chosen,
        10 as rows, (method <> 'plain')::int as rejected
    from (values ('plain'), ('sigma'), ('iterated'), ('mad')) as methods(method);
create table dedup.records as select *, record_id as cluster from clean.records where source_key <> 'k10';
create table dedup.duplicates as
    select a.record_id as removed, b.record_id as kept, 3 as distance, 0.9::double as similarity
    from clean.records as a, clean.records as b where a.source_key = 'k10' and b.source_key = 'k8';
insert into dedup.rejects select removed, 'tickets', 'dedup', 'duplicate', kept from dedup.duplicates;
create table mask.records as
    select * replace (replace(text, '13812345678', '<PHONE>') as text),
        case source_key when 'k1' then map {'phone': 1} else map {}::map(text, int) end as masked
    from dedup.records;
create table mask.counts as select 'tickets' as source, 'en' as lang, 'phone' as kind, 1 as count;
create table mask.annotations as from ingest.annotations semi join mask.records using (record_id);
insert into mask.rejects
    select record_id, source, 'mask', 'record_gone', layer
    from ingest.annotations anti join mask.records using (record_id);
create table annotate.gold as
    select distinct record_id, layer, label, start, start + 4 as "end", 'agreed' as decided_by from mask.annotations;
create table annotate.units as
    select record_id, layer, 'agreed' as outcome, 2 as annotations, 1 as labels from annotate.gold;
create table annotate.todo as select record_id, layer, '' as reason from annotate.units where false;
create table annotate.agreement as
    select layer, 2 as annotators, count(*) as units, 1.0::double as kappa, 0.85::double as gate, true as passed
    from annotate.units group by layer;
create table split.records as
    select masked.*, label as scene, 'easy' as difficulty,
        case when source_key <= 'k4' then 'train' when source_key <= 'k6' then 'validation' else 'test' end as split
    from mask.records as masked join annotate.gold using (record_id) where layer = 'scene';
create table split.report as select 'time_order' as promise, true as kept, 0.0 as expected, 1.0 as actual, '' as detail;
create table select_intent.records as
    select split as part, record_id, source, business, lang, difficulty, 0 as task, text, [] as spans, scene as label,
        null::text as prompt, null::text as target
    from split.records;
create table tokenize_intent.samples as
    select split as part, 0 as shard, record_id as sample_id, [record_id] as record_ids, [5, 6, 7, 0] as input_ids,
        [case scene when 'a' then 0 else 1 end] as labels, [1, 1, 1, 0] as segments, 3 as length
    from split.records;
create table tokenize_intent.classes as from (values (0, 'a'), (1, 'b')) as classes("index", label);
create schema previous_ingest; create table previous_ingest.records as from ingest.records;
create schema previous_clean; create table previous_clean.records as from clean.records;
create schema previous_split; create table previous_split.records as from split.records;
"""


@pytest.fixture(scope="module")
def whole():
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute(PROJECT)
    return connection


@pytest.fixture
def project(whole):
    """The project, in a transaction that is rolled back."""
    cursor = whole.cursor()
    cursor.execute("begin")
    yield cursor
    cursor.execute("rollback")


def tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    found = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
    return {f"{schema.replace('_', '@')}.{name}" for schema, name in found}


def small(name: str) -> quality.Check:
    check = CHECKS[name]
    return replace(check, values={key: SMALL.get(key, value) for key, value in check.values.items()})


@pytest.mark.parametrize("name", CHECKS)
def test_a_complete_project_passes(project, name):
    checked = matching(CHECKS[name].tables, tables(project))
    assert set(checked) <= tables(project)
    for table in checked:
        result = run_check(project, small(name), table)
        assert (result.status, result.failing, result.examples) == ("passed", 0, []), table


# check -> (table, what breaks the rule, the failing rows as they are shown)
BROKEN = {
    "agreement_is_a_kappa": (
        "annotate.agreement",
        "update annotate.agreement set kappa = 0.5 where layer = 'scene'",
        [{"layer": "scene", "annotators": 2, "units": 8, "kappa": 0.5, "gate": 0.85, "passed": True}],
    ),
    "agreement_is_unique": (
        "annotate.agreement",
        "update annotate.agreement set layer = 'term'",
        [{"layer": "term", "annotators": 2, "rows": 2}],
    ),
    "agreement_passes_its_gate": (
        "annotate.agreement",
        "update annotate.agreement set kappa = 0.5, passed = false where layer = 'scene'",
        [{"layer": "scene", "annotators": 2, "kappa": 0.5, "gate": 0.85}],
    ),
    "annotations_are_kept_or_rejected": (
        "mask.annotations",
        f"delete from mask.annotations where record_id = '{K2}' and annotator = 'x'",
        [{"before": 20, "kept": 17, "rejected": 2}],
    ),
    "annotations_name_records": (
        "ingest.annotations",
        f"update ingest.annotations set record_id = 'gone' where record_id = '{K2}' and annotator = 'x'",
        [{"record_id": "gone", "layer": "scene"}],
    ),
    "classes_are_numbered": (
        "tokenize@intent.classes",
        "update tokenize_intent.classes set \"index\" = 2 where label = 'b'",
        [{"index": 2, "label": "b", "place": 1, "rows": 1}],
    ),
    "clean_keeps_or_rejects": (
        "clean.records",
        f"delete from clean.records where record_id = '{K2}'; "
        f"insert into clean.rejects select * replace ('{K3}' as record_id) from clean.rejects",
        [
            {"record_id": K2, "before": 1, "kept": 0, "rejected": 0},
            {"record_id": K3, "before": 1, "kept": 1, "rejected": 1},
        ],
    ),
    "clusters_name_their_survivor": (
        "dedup.records",
        f"update dedup.records set cluster = '{K10}' where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets", "cluster": K10}],
    ),
    "clusters_stay_in_one_part": (
        "split.records",
        f"update split.records set cluster = '{K1}' where record_id = '{K7}'",
        [
            {"record_id": K1, "source": "tickets", "cluster": K1, "split": "train"},
            {"record_id": K7, "source": "tickets", "cluster": K1, "split": "test"},
        ],
    ),
    "columns_are_accounted_for": (
        "ingest.columns",
        "update ingest.columns set used_as = null",
        [{"source": "tickets", "column": "body", "rows": 1}],
    ),
    "deciders_are_known": (
        "annotate.gold",
        f"update annotate.gold set decided_by = 'me' where record_id = '{K2}'",
        [{"decided_by": "me", "rows": 1}],
    ),
    "dedup_keeps_or_rejects": (
        "dedup.records",
        f"delete from dedup.records where record_id = '{K2}'",
        [{"record_id": K2, "before": 1, "kept": 0, "rejected": 0}],
    ),
    "duplicates_are_near": (
        "dedup.duplicates",
        "update dedup.duplicates set distance = 65",
        [{"removed": K10, "kept": K8, "distance": 65, "similarity": 0.9}],
    ),
    "duplicates_are_removed_once": (
        "dedup.duplicates",
        "insert into dedup.duplicates from dedup.duplicates",
        [{"removed": K10, "rows": 2, "kept": 2}],
    ),
    "duplicates_name_records": (
        "dedup.duplicates",
        f"update dedup.duplicates set kept = '{K9}'",
        [{"removed": K10, "kept": K9}],
    ),
    "facts_are_filled": (
        "clean.records",
        f"update clean.records set facts = map {{'channel': ''}} where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets"}],
    ),
    "few_records_are_left_out": (
        "tokenize@intent.rejects",
        "insert into tokenize_intent.rejects from ("
        "from dedup.rejects union all from clean.rejects union all from clean.rejects)",
        [{"rejected": 3, "kept": 8, "share": 0.273}],
    ),
    "few_labels_are_personal": (
        "mask.annotations",
        "insert into mask.rejects select record_id, source, 'mask', 'personal_data', 'label: phone' "
        "from mask.annotations limit 5; "
        # What is gone with its record or is a record itself does not count.
        "insert into mask.rejects select record_id, source, 'mask', 'record_gone', 'scene' from mask.annotations; "
        "insert into mask.rejects select record_id, source, 'mask', 'personal_data', 'card' from mask.annotations",
        [{"source": "annotations", "rejected": 5, "kept": 18, "share": 0.217}],
    ),
    "few_records_are_duplicates": (
        "dedup.rejects",
        "insert into dedup.rejects from dedup.rejects union all from dedup.rejects union all from dedup.rejects",
        [{"source": "tickets", "rejected": 4, "kept": 8, "share": 0.333}],
    ),
    "few_rows_are_rejected": (
        "clean.rejects",
        "insert into clean.rejects from clean.rejects union all from clean.rejects",
        [{"source": "tickets", "rejected": 3, "kept": 9, "share": 0.25}],
    ),
    "few_selected_records_are_rejected": (
        "select@intent.rejects",
        "insert into select_intent.rejects from ("
        "select record_id, source, 'select', 'no_class', part from select_intent.records limit 3)",
        [{"rejected": 3, "kept": 8, "share": 0.273}],
    ),
    "few_texts_are_cut": (
        "tokenize@intent.samples",
        f"update tokenize_intent.samples set length = 4 where sample_id = '{K2}'",
        [{"sample_id": K2, "part": "train", "shard": 0}],
    ),
    "few_values_are_imputed": (
        "clean.records",
        f"update clean.records set imputed = ['facts.channel'] where record_id in ('{K2}', '{K3}')",
        [{"source": "tickets", "column": "facts.channel", "rows": 3, "share": 0.333}],
    ),
    "gold_is_unique": (
        "annotate.gold",
        "insert into annotate.gold from annotate.gold where layer = 'entity'",
        [
            {
                "record_id": K1,
                "layer": "entity",
                "label": "verb",
                "start": 0,
                "end": 4,
                "rows": 2,
            }
        ],
    ),
    "imputed_fields_are_there": (
        "clean.records",
        f"update clean.records set imputed = ['facts.colour'] where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets"}],
    ),
    "labels_are_classes": (
        "tokenize@intent.samples",
        f"update tokenize_intent.samples set labels = [2] where sample_id = '{K2}'",
        [{"sample_id": K2, "part": "train", "label": 2}],
    ),
    "labels_name_records": (
        "annotate.units",
        f"update annotate.units set record_id = 'gone' where record_id = '{K2}'",
        [{"record_id": "gone", "layer": "scene"}],
    ),
    "langs_are_known": (
        "ingest.records",
        f"update ingest.records set lang = 'French' where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets", "lang": "French"}],
    ),
    "layers_are_annotated_twice": (
        "annotate.agreement",
        "update annotate.agreement set units = 0 where layer = 'scene'",
        [{"layer": "scene", "units": 0}],
    ),
    "layers_are_known": (
        "annotate.gold",
        "update annotate.gold set layer = 'mood' where layer = 'entity'",
        [{"layer": "mood", "rows": 1}],
    ),
    "lengths_are_stable": (
        "clean.records",
        "update clean.records set text = repeat('x', 99)",
        [{"source": "tickets", "column": "length", "psi": 3.316, "before": 9, "now": 9}],
    ),
    "mask_counts_add_up": (
        "mask.counts",
        "update mask.counts set count = 2",
        [{"source": "tickets", "kind": "phone", "said": 2, "found": 1}],
    ),
    "mask_counts_are_unique": (
        "mask.counts",
        "insert into mask.counts from mask.counts",
        [{"source": "tickets", "lang": "en", "kind": "phone", "rows": 2}],
    ),
    "mask_keeps_all": (
        "mask.records",
        f"delete from mask.records where record_id = '{K2}'",
        [{"record_id": K2}],
    ),
    "masked_kinds_are_known": (
        "mask.records",
        f"update mask.records set masked = map {{'shoe size': 1}} where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets", "kind": "shoe size", "number": 1}],
    ),
    "no_personal_data": (
        "mask.records",
        f"update mask.records set facts = map {{'note': 'a@b.org'}}, text = '13812345678' where record_id = '{K2}'",
        [{"record_id": K2, "kind": "email", "values": 1}, {"record_id": K2, "kind": "phone", "values": 1}],
    ),
    "numbers_are_finite": (
        "clean.records",
        f"update clean.records set numbers = map {{'amount': 'nan'::double}} where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets"}],
    ),
    "numbers_are_stable": (
        "clean.records",
        "update clean.records set numbers = map {'amount': 99.0}",
        [{"source": "tickets", "column": "amount", "psi": 1.745, "before": 9, "now": 9}],
    ),
    "outcomes_are_known": (
        "annotate.units",
        "update annotate.units set outcome = 'lost' where layer = 'entity'",
        [{"outcome": "lost", "rows": 1}],
    ),
    "outliers_add_up": (
        "clean.outliers",
        "update clean.outliers set chosen = method = 'plain'",
        [{"source": "tickets", "column": "amount", "rejected": 1}],
    ),
    "outliers_are_counted_once": (
        "clean.outliers",
        "insert into clean.outliers from clean.outliers where method = 'mad'",
        [{"source": "tickets", "column": "amount", "rejected": 1, "rows": 10}],
    ),
    "parts_are_known": (
        "split.records",
        f"update split.records set split = 'dev' where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets", "split": "dev", "difficulty": "easy"}],
    ),
    "parts_have_rows": (
        "split.records",
        "delete from split.records where split = 'test'",
        [{"split": "test"}],
    ),
    "promises_are_kept": (
        "split.report",
        "update split.report set kept = false",
        [{"promise": "time_order", "expected": 0.0, "actual": 1.0, "detail": ""}],
    ),
    "promises_are_unique": (
        "split.report",
        "insert into split.report from split.report",
        [{"promise": "time_order", "rows": 2}],
    ),
    "record_ids_are_unique": (
        "split.records",
        f"insert into split.records from split.records where record_id = '{K2}'",
        [{"record_id": K2, "rows": 2}],
    ),
    "record_ids_follow_from_keys": (
        "ingest.records",
        f"update ingest.records set source_key = 'k0' where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets"}],
    ),
    "records_are_sampled_once": (
        "tokenize@intent.samples",
        f"update tokenize_intent.samples set record_ids = ['{K2}', '{K3}'] where sample_id = '{K2}'",
        [{"record_id": K3, "samples": 2, "rejected": 0}],
    ),
    "records_are_whole": (
        "clean.records",
        f"update clean.records set text = null, numbers = map {{}}::map(text, double) where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets", "lang": "en"}],
    ),
    "records_have_one_scene": (
        "annotate.gold",
        f"insert into annotate.gold select * replace ('c' as label) from annotate.gold where record_id = '{K2}'",
        [{"record_id": K2, "rows": 2}],
    ),
    "reject_reasons_are_known": (
        "clean.rejects",
        "update clean.rejects set reason = 'ugly'",
        [{"stage": "clean", "reason": "ugly", "rows": 1}],
    ),
    "rejects_are_unique": (
        "clean.rejects",
        "insert into clean.rejects from clean.rejects",
        [{"record_id": K9, "rows": 2}],
    ),
    "roles_are_known": (
        "mask.annotations",
        "update mask.annotations set role = 'boss' where layer = 'entity'",
        [{"role": "boss", "rows": 2}],
    ),
    "sample_ids_are_unique": (
        "tokenize@intent.samples",
        f"update tokenize_intent.samples set sample_id = '{K2}' where sample_id = '{K3}'",
        [{"sample_id": K2, "rows": 2}],
    ),
    "sample_parts_have_rows": (
        "tokenize@intent.samples",
        "delete from tokenize_intent.samples where part = 'validation'",
        [{"part": "validation"}],
    ),
    "samples_are_equally_long": (
        "tokenize@intent.samples",
        f"update tokenize_intent.samples set input_ids = [5, 6, 7] where sample_id = '{K2}'",
        [{"sample_id": K2, "part": "train", "shard": 0, "tokens": 3, "segments": 4}],
    ),
    "samples_are_filled": (
        "tokenize@intent.samples",
        f"update tokenize_intent.samples set labels = [-100, -100, -100, -100] where sample_id = '{K2}'",
        [{"sample_id": K2, "part": "train", "shard": 0}],
    ),
    "samples_hold_split_records": (
        "tokenize@intent.samples",
        f"update tokenize_intent.samples set part = 'test' where sample_id = '{K2}'",
        [{"sample_id": K2, "record_id": K2, "part": "test", "split": "train"}],
    ),
    "selected_records_are_split_records": (
        "select@intent.records",
        f"update select_intent.records set part = 'test', text = 'x' where record_id = '{K2}'",
        [{"record_id": K2, "part": "test", "split": "train"}],
    ),
    "selected_records_are_unique": (
        "select@intent.records",
        f"insert into select_intent.rejects values ('{K2}', 'tickets', 'select', 'no_text', 'train')",
        [{"record_id": K2, "times": 2}],
    ),
    "selected_records_are_whole": (
        "select@intent.records",
        f"update select_intent.records set label = null where record_id = '{K2}'",
        [{"record_id": K2, "labelled": False, "paired": False}],
    ),
    "scenes_are_balanced": (
        "split.records",
        "update split.records set scene = 'a' where split = 'test'",
        [{"split": "test", "scene": "a", "rows": 2, "share": 1.0}],
    ),
    "scenes_are_gold": (
        "split.records",
        f"update split.records set scene = 'c' where record_id = '{K1}'",
        [{"record_id": K1, "source": "tickets", "scene": "c", "label": "b"}],
    ),
    "scenes_are_stable": (
        "split.records",
        "update split.records set scene = 'a'",
        [{"column": "scene", "psi": 1.259, "now": 8, "before": 8}],
    ),
    "scenes_have_examples": (
        "split.records",
        "update split.records set scene = 'a' where split = 'test'",
        [{"scene": "b", "train": 2, "test": 0}],
    ),
    "shares_are_stable": (
        "ingest.records",
        "update ingest.records set lang = 'zh'",
        [{"column": "lang", "psi": 5.535, "now": 10, "before": 10}],
    ),
    "source_keys_are_unique": (
        "ingest.records",
        f"update ingest.records set source_key = 'k2' where record_id = '{K3}'",
        [{"record_id": min(K2, K3), "source": "tickets", "rows": 2}],
    ),
    "sources_are_fresh": (
        "ingest.records",
        f"update ingest.records set source = 'old', occurred_at = '2020-01-11' where record_id = '{K2}'",
        [{"source": "old", "days": 1461}],
    ),
    "sources_keep_their_size": (
        "ingest.records",
        f"delete from ingest.records where record_id in ('{K1}', '{K2}', '{K3}')",
        [{"source": "tickets", "now": 7, "before": 10}],
    ),
    "spans_lie_in_their_text": (
        "annotate.gold",
        "update annotate.gold set \"end\" = 99 where layer = 'entity'",
        [{"record_id": K1, "layer": "entity", "start": 0, "end": 99}],
    ),
    "split_keeps_or_rejects": (
        "split.records",
        f"delete from split.records where record_id = '{K2}'",
        [{"record_id": K2, "before": 1, "kept": 0, "rejected": 0}],
    ),
    "test_is_later_than_train": (
        "split.records",
        f"update split.records set split = 'train' where record_id = '{K8}'",
        [{"record_id": K8, "source": "tickets", "split": "train"}],
    ),
    "text_keys_stay_in_one_part": (
        "split.records",
        f"update split.records set text = 'TEXT, 2!' where record_id = '{K7}'",
        [
            {"record_id": K2, "source": "tickets", "split": "train"},
            {"record_id": K7, "source": "tickets", "split": "test"},
        ],
    ),
    "texts_are_tidy": (
        "clean.records",
        f"update clean.records set text = 'a' || chr(8203) || 'b' where record_id = '{K2}'; "
        f"update clean.records set text = ' a' where record_id = '{K3}'",
        [{"record_id": K2, "source": "tickets"}, {"record_id": K3, "source": "tickets"}],
    ),
    "texts_stay_in_one_part": (
        "split.records",
        f"update split.records set text = 'text 2' where record_id = '{K7}'",
        [
            {"record_id": K2, "source": "tickets", "split": "train"},
            {"record_id": K7, "source": "tickets", "split": "test"},
        ],
    ),
    "times_are_plausible": (
        "ingest.records",
        f"update ingest.records set occurred_at = '1900-01-01' where record_id = '{K2}'",
        [{"record_id": K2, "source": "tickets"}],
    ),
    "todos_are_known": (
        "annotate.todo",
        f"insert into annotate.todo values ('{K2}', 'scene', 'lunch')",
        [{"reason": "lunch", "rows": 1}],
    ),
    "todos_are_undecided_units": (
        "annotate.todo",
        f"insert into annotate.todo values ('{K2}', 'scene', 'needs_arbitrator')",
        [{"record_id": K2, "layer": "scene", "reason": "needs_arbitrator", "outcome": None}],
    ),
    "unparsable_values_are_missing": (
        "ingest.unparsable",
        "update ingest.unparsable set \"column\" = 'amount'",
        [{"record_id": K2, "source": "tickets", "column": "amount", "rows": 1}],
    ),
    "units_account_for_annotations": (
        "annotate.units",
        f"update annotate.units set annotations = 1 where record_id = '{K2}'",
        [{"before": 18, "kept": 17, "rejected": 0}],
    ),
    "units_are_decided": (
        "annotate.units",
        f"update annotate.units set outcome = 'needs_arbitrator' where record_id = '{K2}'",
        [{"record_id": K2, "layer": "scene", "outcome": "needs_arbitrator"}],
    ),
    "units_are_unique": (
        "annotate.units",
        "insert into annotate.units from annotate.units where layer = 'entity'",
        [{"record_id": K1, "layer": "entity", "rows": 2}],
    ),
    "units_count_their_labels": (
        "annotate.units",
        "update annotate.units set labels = 2 where layer = 'entity'",
        [{"record_id": K1, "layer": "entity", "said": 2, "found": 1}],
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_finds_what_breaks_the_rule(project, name):
    assert name in BROKEN, f"{name} is shipped without a case that it finds"
    table, statements, rows = BROKEN[name]
    assert table in matching(CHECKS[name].tables, tables(project))
    for statement in statements.split("; "):
        project.execute(statement)
    result = run_check(project, small(name), table)
    assert result.status == {"error": "error", "warn": "warning"}[CHECKS[name].severity]
    assert result.failing == len(rows)
    times = ("occurred_at", "newest")
    shown = [{column: value for column, value in row.items() if column not in times} for row in result.examples]
    assert shown == sorted(rows, key=lambda row: [str(value) for value in row.values()])


def test_every_case_is_of_a_shipped_check():
    assert set(BROKEN) == set(CHECKS)


def test_every_table_of_every_stage_is_checked(whole):
    from finelake.jobs.stage import load_stage
    from finelake.lake.config.stages import SPARK, of_run

    written = set()
    for stage in SPARK:
        name = of_run(stage, "intent")
        written |= {f"{name}.{table}" for table in load_stage(stage).writes}
    checked = {table for check in CHECKS.values() for table in matching(check.tables, written)}
    assert written <= checked
    assert written <= tables(whole)


PERSONAL = {
    "mail me at jane.doe@mail.example.com": ["email"],
    "手机13812345678": ["phone"],
    "138-1234-5678 or 138 1234 5678": ["phone"],
    "+86 13812345678": ["phone"],
    "电话010-62345678": ["phone"],
    "call (415) 555-0132": ["phone"],
    "+44 20 7946 0958": ["phone"],
    "0755-26012345": [],  # nothing says that it is a telephone
    "order number is 4111 1111 1111 1111": [],
    "合同的电话是13812345678": ["phone"],
    "身份证11010519491231002X": ["resident_id"],
    "身份证 110105 19491231 0021": [],  # wrong check digit
    "卡号6222 0212 3456 7890 128": ["card"],
    "4111-1111-1111-1111": ["card"],
    "4111111111111112": [],  # Luhn
    "order 13812345678": [],
    "订单号4111111111111111": [],
    "TX13812345678": [],
    "¥13812345678": [],
    "0.13812345678": [],
    "seen at 10.20.30.40": ["ip"],
    "version 1.2.3.4.5": [],
    "on 2024-10-06 at 12:30, 1,001.77 paid": [],
    "<PHONE>, <CARD> and <EMAIL>": [],
    "１３８１２３４５６７８": ["phone"],  # full-width
    "打一三八一二三四五六七八": ["phone"],
    "①③⑧①②③④⑤⑥⑦⑧": ["phone"],
    "二〇二四年一月二十三日": [],
    "https://ann:s3cret@e.com and https://<URL:abcdefghijkl>@e.com": ["email", "url"],
    "https://e.com/?page=2&token=0123456789": ["url"],
    "https://<URL>@e.com/?token=<URL>&page=12345678": [],
    "GB29NWBK60161331926819": ["iban"],
    "GB29NWBK60161331926818": [],  # wrong check digits
    "代码91110108551385082Q": ["credit_code"],
    "代码911101085513850820": [],  # wrong check digit
    "SSN: 460-89-9847": ["ssn"],
    "460-89-9847": ["ssn"],
    "<EMAIL>460-89-9847": ["ssn"],  # as a value that touched another one would stay
    "part-460-89-9847, A460-89-9847, 460-89-98471": [],
    "order【460-89-9847】": [],
    "order\n460-89-9847": ["ssn"],
    "<PHONE>13812345678 and <IBAN>4111111111111111": ["card", "phone"],
    "SSN: 666-89-9847": [],  # no area
    "护照E12345678": ["passport"],
    "零件E12345678": [],
    "京A12345的车": ["plate"],
    "鲁B20000元": [],
    "微信号：zhang_san": ["wechat"],
    "微信号：<WECHAT>": [],
    "QQ:123456789": ["qq"],
    "QQ:12345元": [],
    "北京市朝阳区建国路88号": ["address"],
    "市区人民路5号线": [],
    "PO Box 1234": ["address"],
    "我叫王小明，": ["name"],
    "My name is John Smith": ["name"],
    "我叫<NAME>，my name is <NAME:abcdefghijkl>": [],
}


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_data_by_kind(project, text):
    project.execute(f"update mask.records set text = $text where record_id = '{K2}'", {"text": text})
    result = run_check(project, CHECKS["no_personal_data"], "mask.records")
    assert [row["kind"] for row in result.examples] == PERSONAL[text]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("mask.records", "source_key"),
        ("mask.annotations", "quote"),
        ("mask.annotations", "label"),
        ("mask.annotations", "annotator"),
        ("annotate.gold", "label"),
        ("split.records", "text"),
        ("mask.rejects", "detail"),
    ],
)
def test_personal_data_are_found_in_every_text(project, table, column):
    project.execute(f"update {table} set {column} = 'x 13812345678'")
    assert run_check(project, CHECKS["no_personal_data"], table).failing > 0


CLASSES = [
    "Name: Change", "Customer: Complaint", "Billing: Refund", "First Name: Typo", "Account holder: Deceased",
    "Miss Payment", "Mr Cooper", "Prof. Services Fee", "Unit 3", "version 10.15.7.33", "微信12345", "高先生投诉",
    "微信号zhang_san", "QQ:123456789", "PO Box 1234", "姓名：王小明", "My name is John Smith",
]  # fmt: skip


@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("table", ["mask.annotations", "annotate.gold"])
def test_a_class_named_by_words_stops_no_chain(project, table, label):
    """What mask keeps as a label (see tests/jobs/test_mask.py) passes the independent check too."""
    project.execute(f"update {table} set label = $label", {"label": label})
    assert run_check(project, CHECKS["no_personal_data"], table).status == "passed"


def test_all_labels_of_a_source_rejected_stop_the_chain(project):
    project.execute(
        "insert into mask.rejects select record_id, source, 'mask', 'personal_data', 'label: email' "
        "from mask.annotations; delete from mask.annotations"
    )
    result = run_check(project, CHECKS["few_labels_are_personal"], "mask.annotations")
    assert result.status == "error"
    assert result.examples == [{"source": "annotations", "rejected": 18, "kept": 0, "share": 1.0}]


def test_a_record_dropped_for_its_personal_data_is_accounted_for(project):
    project.execute(
        f"insert into mask.rejects select record_id, source, 'mask', 'personal_data', 'card' "
        f"from mask.records where record_id = '{K2}'"
    )
    assert run_check(project, CHECKS["mask_keeps_all"], "mask.records").failing == 1  # kept and rejected
    project.execute(f"delete from mask.records where record_id = '{K2}'")
    for name, table in (("mask_keeps_all", "mask.records"), ("annotations_are_kept_or_rejected", "mask.annotations")):
        assert run_check(project, CHECKS[name], table).status == "passed"


def test_an_annotation_rejected_for_its_label_is_accounted_for(project):
    project.execute(
        f"insert into mask.rejects select record_id, source, 'mask', 'personal_data', 'label: phone' "
        f"from mask.annotations where record_id = '{K2}' and annotator = 'x'"
    )
    for name, table in (("mask_keeps_all", "mask.records"), ("reject_reasons_are_known", "mask.rejects")):
        assert run_check(project, CHECKS[name], table).status == "passed"
    assert (
        run_check(project, CHECKS["annotations_are_kept_or_rejected"], "mask.annotations").failing == 1
    )  # kept and rejected
    project.execute(f"delete from mask.annotations where record_id = '{K2}' and annotator = 'x'")
    assert run_check(project, CHECKS["annotations_are_kept_or_rejected"], "mask.annotations").status == "passed"


def test_a_project_s_own_kind_is_known(project):
    project.execute(f"update mask.records set masked = map {{'badge_2': 1}} where record_id = '{K2}'")
    assert run_check(project, CHECKS["masked_kinds_are_known"], "mask.records").status == "passed"


def test_reasons_and_kinds_are_those_of_the_stages():
    from finelake.jobs import ingest, mask

    rules = {*ingest.ROW_RULES, *ingest.ANNOTATION_RULES, "superseded", "duplicate_key"}
    readers = {"corrupt_row", "encrypted", "broken", "no_text", "too_large", "unsupported"}
    assert set(REJECT_REASONS["ingest"]) == rules | readers
    assert set(CHECKS["no_personal_data"].values["personal"]) == set(mask.KINDS)
    assert all(re.fullmatch("[a-z][a-z0-9_]{0,31}", kind) for kind in mask.KINDS)  # see masked_kinds_are_known
    for stage in REJECT_REASONS.keys() - {"ingest"}:
        jobs = Path(__file__).parents[3] / "jobs"
        paths = [jobs / f"{stage}.py", *((jobs / "annotation").glob("*.py") if stage == "annotate" else ())]
        code = "".join(path.read_text(encoding="utf-8") for path in paths)
        assert all(f'"{reason}"' in code for reason in REJECT_REASONS[stage]), stage


def test_a_check_ends_with_what_fails():
    for check in CHECKS.values():
        assert check.sql.startswith("with\n") and check.sql.endswith("select * from failing"), check.name
