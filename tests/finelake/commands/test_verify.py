"""`finelake verify` reports nothing as complete that is not, and `finelake repro` nothing as up to date."""

import hashlib
import json
import os
import uuid
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import yaml
from deltalake.transaction import AddAction
from pyspark.sql.types import StructType

from finelake import cli
from finelake.commands.repro import STAGE_FILE
from finelake.jobs.spark.commit import _publish, schema_hash
from finelake.lake.tables.snapshots import Table, manifest_path, write_manifest

STAGES = ("clean", "mask")


def commit(lake: str, path: str, values: list[int]) -> Table:
    """A committed table, without Spark."""
    batch = f"data/{uuid.uuid4().hex}"
    file = Path(lake, path, batch, "part.parquet")
    file.parent.mkdir(parents=True)
    parquet.write_table(pa.table({"id": values}), file)
    schema = StructType().add("id", "long")
    content = hashlib.sha256(str(values).encode()).hexdigest()[:32]
    table = Table(path, len(values), schema_hash(schema), content)
    stats = json.dumps({"numRecords": len(values)})
    _publish(lake, table, [AddAction(f"{batch}/part.parquet", file.stat().st_size, {}, 0, True, stats)], schema, ())
    return table


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two pinned stages, each of one table, and the dvc.lock that names their manifests."""
    sections = {name: {} for name in ("clean", "dedup", "mask", "annotate", "split", "quality", "runs")}
    source = {"kind": "files", "path": "x.csv", "format": "csv", "key": "id", "text": "text", "occurred_at": "day"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"sources": {"x": source}} | sections))
    for stage in STAGES:
        table = commit(str(tmp_path / "lakehouse"), f"{stage}/records", [1, 2, 3])
        write_manifest(tmp_path, stage, {"records": table})
    lock(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lock(root: Path) -> None:
    stages = {}
    for stage in STAGES:
        path = manifest_path(root, stage)
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        stages[stage] = {"cmd": "x", "outs": [{"path": str(path.relative_to(root)), "hash": "md5", "md5": md5}]}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def finelake(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return exit.value.code, captured.out, captured.err


def refused(capsys, *arguments: str) -> str:
    code, out, err = finelake(capsys, *arguments)
    assert (code, out, err.count("\n"), err.startswith("finelake: ")) == (2, "", 1, True)
    return err


@pytest.mark.usefixtures("project")
def test_a_complete_lake_is_reported_as_complete(capsys):
    for arguments in (["verify"], ["verify", "--deep"]):
        assert finelake(capsys, *arguments) == (0, "2 tables of 2 stages are complete (6 rows).\n", "")


def test_a_project_that_pins_nothing_is_not_reported_as_complete(capsys, project):
    for path in (project / "dvc.lock", *(manifest_path(project, stage) for stage in STAGES)):
        path.unlink()
    assert finelake(capsys, "verify") == (0, "Nothing is pinned yet; `finelake repro` runs the stages.\n", "")


def test_a_manifest_that_is_missing_is_named(capsys, project):
    manifest_path(project, "clean").unlink()
    assert "snapshots/clean.json is missing" in refused(capsys, "verify")
    assert "snapshots/clean.json is missing, so tables cannot be checked" in refused(capsys, "quality")


def test_a_manifest_without_tables_is_named(capsys, project):
    manifest_path(project, "clean").write_text('{"format": 4, "stage": "clean", "tables": {}}')
    assert "snapshots/clean.json is not the one that dvc.lock pins" in refused(capsys, "verify")
    (project / "dvc.lock").unlink()
    assert "snapshots/clean.json is not a snapshot manifest of clean" in refused(capsys, "verify")


def test_names_a_manifest_with_a_wrong_number_of_rows(capsys, project):
    table = commit(str(project / "lakehouse"), "clean/records", [1, 2, 3])
    write_manifest(project, "clean", {"records": replace(table, rows=7)})
    assert "snapshots/clean.json is not the one that dvc.lock pins" in refused(capsys, "verify")
    lock(project)
    assert "clean/records has 3 rows, its manifest 7" in refused(capsys, "verify")


def test_every_reader_of_a_file_finds_a_flipped_bit(capsys, project):
    (file,) = project.glob("lakehouse/clean/records/data/*/part.parquet")
    content = file.read_bytes()
    file.write_bytes(content[:5] + bytes([content[5] ^ 1]) + content[6:])
    for arguments in (["verify", "--deep"], ["sql", "from clean.records"], ["run", "dedup"]):
        assert "was altered (other SHA-256)" in refused(capsys, *arguments)
    assert finelake(capsys, "sql", "select count(*) as n from mask.records")[0] == 0


@pytest.mark.parametrize("altered", ["adt", None])
def test_every_reader_finds_a_log_with_other_files_than_its_commit(capsys, project, altered):
    (log,) = project.glob("lakehouse/clean/records/_delta_log/*.json")
    lines = log.read_text().splitlines(keepends=True)
    kept = [
        line.replace('"add"', f'"{altered}"') if altered else line for line in lines if altered or '"add"' not in line
    ]
    log.write_text("".join(kept))
    for arguments in (["verify"], ["sql", "from clean.records"], ["run", "dedup"]):
        assert "its Delta log names other files than its commit wrote" in refused(capsys, *arguments)


def test_damaged_stored_digests_report_no_file_as_altered(capsys, project):
    memory = project / ".finelake" / "digests.json"
    for file in project.glob("lakehouse/*/records/data/*/*"):
        os.utime(file, (1, 1))
    assert finelake(capsys, "sql", "from clean.records")[0] == 0
    if memory.exists():
        memory.write_text(memory.read_text().replace("a", "b"))
    assert finelake(capsys, "sql", "from clean.records")[0] == 0


def test_a_named_pipe_is_not_waited_for(capsys, project):
    for name in ("quality/a.sql", "snapshots/split.json", ".finelake/digests.json"):
        (project / name).parent.mkdir(exist_ok=True)
        os.mkfifo(project / name)
    assert "a.sql is not a regular file" in refused(capsys, "quality")
    (project / "quality" / "a.sql").unlink()
    for arguments in (["verify"], ["quality"], ["sql", "select 1"], ["vacuum"]):
        assert "split.json is not a regular file" in refused(capsys, *arguments)
    (project / "snapshots" / "split.json").unlink()
    assert finelake(capsys, "sql", "from clean.records")[0] == 0


def test_repair_reports_nothing_as_complete_whose_manifest_is_missing(capsys, project):
    manifest_path(project, "clean").unlink()
    assert "snapshots/clean.json is missing" in refused(capsys, "repair")


@pytest.mark.parametrize("days", ["nan", "-1"])
@pytest.mark.usefixtures("project")
def test_vacuum_keeps_a_number_of_days(capsys, days):
    assert "--keep-days and --keep-versions are numbers of 0 or more" in refused(
        capsys, "vacuum", f"--keep-days={days}"
    )


def test_every_reader_finds_a_log_with_other_columns_than_the_files(capsys, project):
    (log,) = project.glob("lakehouse/clean/records/_delta_log/*.json")
    log.write_text(log.read_text().replace('\\"name\\":\\"id\\"', '\\"name\\":\\"ie\\"'))
    for arguments in (["verify", "--deep"], ["sql", "from clean.records"], ["run", "dedup"]):
        assert "the columns in its Delta log are not those of its files" in refused(capsys, *arguments)


# ---------------------------------------------------------------- what repro refuses before DVC runs


ALL = {name: {"cmd": "x"} for name in ("ingest", "clean", "dedup", "mask", "annotate", "split", "quality")}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (None, "dvc.yaml does not exist"),
        ("", "dvc.yaml holds no sections"),
        ("stages:\n", "dvc.yaml has no stage ingest; restore the file from Git"),
        ("stages: [ingest]\n", "dvc.yaml has no stage ingest"),
        ("stages: {ingest: {cmd: x}, ingest: {cmd: y}}\n", "dvc.yaml is not valid YAML (ingest is given twice"),
        (yaml.safe_dump({"stages": {name: ALL[name] for name in ALL if name != "quality"}}), "has no stage quality"),
    ],
)
def test_repro_without_its_stages_is_refused(capsys, project, stages, message):
    if stages is not None:
        (project / STAGE_FILE).write_text(stages)
    assert message in refused(capsys, "repro")


def test_a_run_needs_the_stages_of_runs(capsys, project):
    (project / STAGE_FILE).write_text(yaml.safe_dump({"stages": ALL}))
    params = yaml.safe_load((project / "params.yaml").read_text())
    run = {"task": "instruct", "seed": 0, "select": {}, "base": {"kind": "scratch"}}
    params["runs"] = {"a": run | {"tokenize": {"max_length": 160}, "train": {}, "evaluate": {}}}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    assert "dvc.yaml has no stage select" in refused(capsys, "repro")


def test_a_section_that_is_given_twice_is_refused(capsys, project):
    with (project / "params.yaml").open("a") as file:
        file.write("clean: {}\n")
    for arguments in (["repro"], ["run", "clean"], ["quality"]):
        assert "clean is given twice" in refused(capsys, *arguments)


def test_checks_that_cannot_be_listed_are_named(capsys, project):
    (project / "quality").write_text("not a folder")
    assert "quality: a file stands where a folder is needed" in refused(capsys, "quality")
