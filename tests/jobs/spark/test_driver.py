"""The driver program: a stage from a workspace, its manifest or its error as a file of the lake."""

import zipfile

import pytest

from finelake.jobs import runner
from finelake.jobs.spark import driver
from finelake.jobs.spark.commit import commit
from finelake.jobs.stage import ANNOTATIONS, RECORDS, REJECTS
from finelake.lake.config.params import load
from finelake.lake.tables import snapshots

PARAMS = "sources:\n  notes: {kind: files, path: x.csv, format: csv, key: id, occurred_at: d, text: t}\n"


def ingested(spark, root):
    """A project at `root` whose ingest pinned empty tables; its lake."""
    (root / "params.yaml").write_text(PARAMS)
    lake = str(root / "lake")
    schemas = {"records": RECORDS, "annotations": ANNOTATIONS, "rejects": REJECTS}
    tables = {
        name: commit(spark.createDataFrame([], schema), lake, f"ingest/{name}", schema)
        for name, schema in schemas.items()
    }
    snapshots.write_manifest(root, "ingest", tables)
    return lake


def test_a_zipped_workspace_gives_the_manifest_that_the_project_gives(spark, tmp_path):
    lake = ingested(spark, tmp_path)
    runner.publish(spark, runner.prepare(tmp_path, "clean", lake, load(tmp_path / "params.yaml")))
    expected = snapshots.manifest_path(tmp_path, "clean").read_text()
    with zipfile.ZipFile(tmp_path / "workspace.zip", "w") as archive:
        for name in ("params.yaml", "snapshots/ingest.json"):
            archive.write(tmp_path / name, name)
    with driver.opened(tmp_path / "workspace.zip") as root:
        outcome = driver.run(spark, root, "clean", lake)
        assert root != tmp_path
    assert not root.exists()
    assert outcome["manifest"] == expected
    assert outcome["line"].startswith("clean: 0 records, 0 rejects, ")


def test_a_users_mistake_is_an_outcome(spark, tmp_path):
    (tmp_path / "params.yaml").write_text("clean: {}\n")
    (error,) = driver.run(spark, tmp_path, "clean", str(tmp_path / "lake")).items()
    assert error[0] == "error"
    assert "snapshots/ingest.json does not exist" in error[1]


def test_an_error_of_the_system_is_an_outcome_and_a_fault_is_not(tmp_path, monkeypatch):
    def failing(error: Exception):
        def prepare(*_):
            raise error

        monkeypatch.setattr(runner, "prepare", prepare)
        (tmp_path / "params.yaml").write_text("clean: {}\n")
        return driver.run(None, tmp_path, "clean", str(tmp_path / "lake"))

    closed = failing(PermissionError(13, "Permission denied", "/a"))
    assert closed == {"error": "/a: permission denied; give this user access to it and run the same command again"}
    with pytest.raises(KeyError):
        failing(KeyError("a fault"))


def test_a_folder_is_its_own_workspace(tmp_path):
    with driver.opened(tmp_path) as root:
        assert root == tmp_path
    assert tmp_path.is_dir()
