"""The runner: checked inputs, balanced rows, the manifest last."""

import datetime
from dataclasses import replace

import pytest
from pyspark.errors import PythonException
from pyspark.sql import functions as F

from finelake.jobs import clean, runner
from finelake.jobs.spark.commit import commit, read
from finelake.jobs.stage import ANNOTATIONS, RECORDS, REJECTS
from finelake.lake.config.params import load
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots

ROW = ("1" * 32, "notes", "1", datetime.datetime(2024, 1, 1), "b", "en", "hello", {"x": 1.0}, {"f": "a"})
OTHER = ("2" * 32, "notes", "2", datetime.datetime(2024, 1, 2), "b", "en", "world", {"x": 2.0}, {"f": "b"})


@pytest.fixture
def project(spark, tmp_path):
    """A project whose ingest has run, on two records."""
    (tmp_path / "params.yaml").write_text(
        "sources:\n  notes: {kind: files, path: x.csv, format: csv, key: id, occurred_at: d, text: t}\n"
    )
    lake = str(tmp_path / "lake")
    frames = {
        "records": spark.createDataFrame([ROW, OTHER], RECORDS),
        "annotations": spark.createDataFrame([], ANNOTATIONS),
        "rejects": spark.createDataFrame([], REJECTS),
    }
    tables = {name: commit(frame, lake, f"ingest/{name}", frame.schema) for name, frame in frames.items()}
    snapshots.write_manifest(tmp_path, "ingest", tables)
    return tmp_path


def run_clean(spark, root):
    return runner.publish(spark, runner.prepare(root, "clean", str(root / "lake"), load(root / "params.yaml")))


def test_a_stage_reads_what_is_pinned_and_pins_what_it_wrote(spark, project):
    tables, rejected = run_clean(spark, project)
    assert snapshots.read_manifest(project, "clean") == tables
    assert rejected == {}
    rows = read(spark, str(project / "lake"), tables["records"]).select("record_id", "text").collect()
    assert sorted(map(tuple, rows)) == [("1" * 32, "hello"), ("2" * 32, "world")]


def test_the_same_content_commits_nothing(spark, project):
    first = run_clean(spark, project)
    assert run_clean(spark, project) == first
    assert len(snapshots.history(str(project / "lake"), "clean/records")) == 1


def test_a_later_version_of_the_input_is_not_read(spark, project):
    before = run_clean(spark, project)
    commit(spark.createDataFrame([ROW], RECORDS), str(project / "lake"), "ingest/records", RECORDS)
    assert run_clean(spark, project) == before


def test_a_lost_row_is_found_and_nothing_is_pinned(spark, project, monkeypatch):
    whole = clean.build

    def lossy(frames, params):
        outputs = whole(frames, params)
        return outputs | {"records": outputs["records"].where("source_key = '1'")}

    monkeypatch.setattr(clean, "STAGE", replace(clean.STAGE, build=lossy))
    with pytest.raises(AssertionError, match="clean: ingest.records: 2 rows in, but 1 kept or rejected"):
        run_clean(spark, project)
    assert not snapshots.manifest_path(project, "clean").exists()


def test_a_worker_s_user_error_is_reported_and_any_other_error_is_a_fault(spark, project, monkeypatch):
    whole = clean.build

    def broken(error):
        @F.udf("string")
        def text(value):
            raise error

        def build(frames, params):
            outputs = whole(frames, params)
            return outputs | {"records": outputs["records"].withColumn("text", text("text"))}

        monkeypatch.setattr(clean, "STAGE", replace(clean.STAGE, build=build))
        return run_clean(spark, project)

    with pytest.raises(UserError, match="^the pattern is too slow; write another one$"):
        broken(UserError("the pattern is too slow; write another one"))
    with pytest.raises(PythonException, match="ValueError: 7"):
        broken(ValueError("7"))
    assert not snapshots.manifest_path(project, "clean").exists()


def test_an_undeclared_column_is_found_and_nothing_is_pinned(spark, project, monkeypatch):
    whole = clean.build

    def wider(frames, params):
        outputs = whole(frames, params)
        return outputs | {"records": outputs["records"].selectExpr("*", "1 as more")}

    monkeypatch.setattr(clean, "STAGE", replace(clean.STAGE, build=wider))
    with pytest.raises(TypeError, match="clean.records has columns"):
        run_clean(spark, project)
    assert not snapshots.manifest_path(project, "clean").exists()


def test_a_stage_out_of_order_names_the_stage_before(spark, project):
    with pytest.raises(UserError, match="snapshots/clean.json does not exist: the stage clean has not run yet"):
        runner.prepare(project, "dedup", str(project / "lake"), load(project / "params.yaml"))


def test_a_missing_data_file_is_named_before_anything_is_computed(spark, project):
    for file in (project / "lake" / "ingest" / "records").rglob("*.parquet"):
        file.unlink()
    with pytest.raises(UserError, match="table ingest/records, version 0: the data file .* is missing"):
        runner.prepare(project, "clean", str(project / "lake"), load(project / "params.yaml"))


def test_describes_a_result_in_one_line():
    result = runner.Result("clean", 1.25, {"records": 5824, "rejects": 15}, {"outlier": 15})
    assert runner.describe(result) == "clean: 5,824 records, 15 rejects (outlier 15), 1.2 s"


def test_a_reject_for_a_reason_that_is_not_declared_is_a_fault_and_nothing_is_pinned(spark, project, monkeypatch):
    monkeypatch.setattr(runner, "REJECT_REASONS", {"clean": ("outlier",)})
    empty = (*ROW[:6], " ", {}, {})
    records = spark.createDataFrame([empty, OTHER], RECORDS)
    table = commit(records, str(project / "lake"), "ingest/records", RECORDS)
    snapshots.write_manifest(project, "ingest", snapshots.read_manifest(project, "ingest") | {"records": table})
    with pytest.raises(TypeError, match=r"^clean rejects rows for \['empty'\], which it does not declare$"):
        run_clean(spark, project)
    assert not snapshots.manifest_path(project, "clean").exists()
