"""submit: what is refused before anything is sent, what is sent, and how the manifest is returned."""

import json
import os
import stat
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finelake.commands import submit
from finelake.jobs.spark import cluster
from finelake.lake.config.params import load
from finelake.lake.config.project import Settings, settings
from finelake.lake.errors import UserError
from finelake.lake.tables.storage import write_bytes

SOURCES = """
sources:
  calls: {{kind: database, url: "{url}", table: t, key: id, occurred_at: d, text: b, user: me,
          password: "${{CALLS_KEY}}"}}
  pages: {{kind: api, url: "${{PAGES_URL}}", landing: /mnt/pages, key: id, occurred_at: d, text: b,
          headers: {{Authorization: "Bearer ${{PAGES_KEY}}"}}}}
"""
YARN = Settings(lake="/mnt/lake", master="yarn", memory="1g", ranks=1)
KUBERNETES = Settings(lake="/mnt/lake", master="k8s://https://h:6443", memory="1g", ranks=1)
SECRET = "very\\secret value"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project whose ingest reads a PostgreSQL table with a password from the environment."""
    for name in ("FINELAKE_SPARK_PROPERTIES", "FINELAKE_LAKE", "FINELAKE_MASTER", "PYSPARK_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cluster, "code_zip", lambda: Path("/p/code.zip"))
    monkeypatch.setattr(cluster, "packages_archive", lambda: Path("/p/packages.tar.gz"))
    monkeypatch.setenv("CALLS_KEY", SECRET)
    (tmp_path / "params.yaml").write_text(SOURCES.format(url="jdbc:postgresql://h/calls"))
    return tmp_path


def content(root: Path) -> dict[str, Any]:
    return load(root / "params.yaml")


def with_properties(root: Path, monkeypatch, **values: str) -> None:
    path = root / "spark.properties"
    path.write_text("".join(f"spark.{key} {value}\n" for key, value in values.items()))
    monkeypatch.setenv(cluster.PROPERTIES, str(path))


@pytest.mark.parametrize("master", ["spark://h:7077", "local[2]"])
def test_cluster_mode_needs_yarn_or_kubernetes(root, master):
    with pytest.raises(UserError, match="Spark has no cluster mode for Python on .*; use --deploy-mode client"):
        submit.refuse("clean", master, "cluster", content(root))
    submit.refuse("clean", master, "client", content(root))


def test_a_training_stage_is_not_a_spark_stage(root):
    with pytest.raises(UserError, match="train@x is not a Spark stage; run it with `finelake run train@x`"):
        submit.refuse("train@x", "yarn", "client", content(root))


@pytest.mark.parametrize(
    "source",
    [
        'x: {kind: database, url: "jdbc:sqlite:data/a.db", table: t, key: id, occurred_at: d, text: b}',
        "x: {kind: files, path: data/a.db, format: csv, key: id, occurred_at: d, text: b}",
        'x: {kind: api, url: "http://h", landing: data/a.db, key: id, occurred_at: d, text: b}',
        "x: {kind: documents, path: data/a.db}",
    ],
)
def test_a_driver_on_the_cluster_reads_no_file_of_the_project(root, source):
    (root / "params.yaml").write_text(f"sources:\n  {source}\n")
    with pytest.raises(UserError, match="source x reads data/a.db of this project"):
        submit.refuse("ingest", "yarn", "cluster", content(root))
    submit.refuse("ingest", "yarn", "client", content(root))
    submit.refuse("clean", "yarn", "cluster", content(root))
    (root / "params.yaml").write_text(f"sources:\n  {source.replace('data/', '/mnt/')}\n")
    submit.refuse("ingest", "yarn", "cluster", content(root))


def test_without_java_or_spark_submit_nothing_is_sent(root, monkeypatch):
    monkeypatch.setattr(submit, "spark_home", lambda: root)
    with pytest.raises(UserError, match="holds no bin/spark-submit"):
        submit.refuse("clean", "yarn", "client", content(root))
    monkeypatch.setenv("JAVA_HOME", str(root))
    with pytest.raises(UserError, match="Spark needs Java 17"):
        submit.refuse("clean", "yarn", "client", content(root))


def test_a_lake_in_the_project_is_out_of_reach(root, monkeypatch):
    monkeypatch.setenv("FINELAKE_MASTER", "spark://h:7077")
    with pytest.raises(UserError, match="executors of spark://h:7077 cannot reach the lake lakehouse"):
        settings(root)
    for lake in ("/mnt/lake", "s3a://bucket/lake"):
        monkeypatch.setenv("FINELAKE_LAKE", lake)
        assert settings(root).lake == lake


def test_yarn_gets_the_variables_that_sources_name_and_hides_their_values(root):
    spark = submit.properties("ingest", YARN, "cluster", content(root))
    assert spark["spark.yarn.appMasterEnv.CALLS_KEY"] == SECRET
    assert spark["spark.yarn.appMasterEnv.PYTHONPATH"] == "packages"
    assert spark["spark.redaction.regex"].endswith("|CALLS_KEY")
    assert spark["spark.submit.deployMode"] == "cluster"
    assert not [key for key in spark if "PAGES" in key]  # landed already: only `pull` needs them
    assert SECRET not in submit.properties("clean", YARN, "cluster", content(root)).values()
    assert SECRET not in submit.properties("ingest", YARN, "client", content(root)).values()


def test_the_key_of_pseudonyms_becomes_no_spark_property(root, monkeypatch):
    monkeypatch.setenv("FINELAKE_MASK_KEY", SECRET)
    submit.refuse("mask", "yarn", "cluster", content(root))
    with (root / "params.yaml").open("a") as params:
        params.write("mask: {modes: {phone: pseudonym}}\n")
    with pytest.raises(UserError, match="on YARN FINELAKE_MASK_KEY would become a Spark property"):
        submit.refuse("mask", "yarn", "cluster", content(root))
    submit.refuse("clean", "yarn", "cluster", content(root))
    reference = "kubernetes.driver.secretKeyRef.FINELAKE_MASK_KEY"
    given = {"kubernetes.container.image": "i", "kubernetes.file.upload.path": "s3a://b/u", reference: "mask:key"}
    with_properties(root, monkeypatch, **given)
    submit.refuse("mask", KUBERNETES.master, "cluster", content(root))
    for chosen, mode in ((KUBERNETES, "cluster"), (YARN, "client")):
        assert SECRET not in str(submit.properties("mask", chosen, mode, content(root)))


def test_the_keys_of_an_object_store_are_sent_for_a_lake_in_it(root, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k")
    monkeypatch.setenv("AWS_REGION", "r")
    spark = submit.properties("clean", replace(YARN, lake="s3a://bucket/lake"), "cluster", content(root))
    assert spark["spark.yarn.appMasterEnv.AWS_SECRET_ACCESS_KEY"] == "k"
    assert spark["spark.yarn.appMasterEnv.AWS_REGION"] == "r"
    assert spark["spark.redaction.regex"].endswith("|AWS_SECRET_ACCESS_KEY")
    assert not [key for key in submit.properties("clean", YARN, "cluster", content(root)) if "AWS" in key]
    given = {"kubernetes.container.image": "i", "kubernetes.file.upload.path": "s3a://b/u"}
    with_properties(root, monkeypatch, **given)
    with pytest.raises(UserError, match="needs spark.kubernetes.driver.secretKeyRef.AWS_SECRET_ACCESS_KEY"):
        submit.properties("clean", replace(KUBERNETES, lake="s3a://bucket/lake"), "cluster", content(root))


def test_kubernetes_needs_an_image_a_folder_and_secrets_by_reference(root, monkeypatch):
    given = {"kubernetes.container.image": "i", "kubernetes.file.upload.path": "s3a://b/u"}
    for count, key in enumerate((*given, "kubernetes.driver.secretKeyRef.CALLS_KEY")):
        with_properties(root, monkeypatch, **dict(list(given.items())[:count]))
        with pytest.raises(UserError, match=f"Kubernetes needs spark.{key}"):
            submit.properties("ingest", KUBERNETES, "cluster", content(root))
    with_properties(root, monkeypatch, **given, **{"kubernetes.driver.secretKeyRef.CALLS_KEY": "calls:key"})
    spark = submit.properties("ingest", KUBERNETES, "cluster", content(root))
    assert spark["spark.kubernetes.driverEnv.PYTHONPATH"] == "packages"
    assert SECRET not in spark.values()


def test_what_is_sent_holds_the_stages_inputs_and_no_secret_on_the_command_line(root):
    for name in ("dedup", "ingest", "clean"):
        (root / "snapshots").mkdir(exist_ok=True)
        (root / "snapshots" / f"{name}.json").write_text(name)
    spark = submit.properties("ingest", YARN, "cluster", content(root))
    scratch = root / "scratch"
    scratch.mkdir()
    command = submit.write(scratch, root, "mask", ("dedup.records", "ingest.annotations"), spark)
    assert command[1:] == ["--properties-file", str(scratch / "spark.properties"), str(scratch / "finelake_driver.py")]
    assert os.access(command[0], os.X_OK)
    with zipfile.ZipFile(scratch / "workspace.zip") as archive:
        assert archive.namelist() == ["params.yaml", "snapshots/dedup.json", "snapshots/ingest.json"]
    written = (scratch / "spark.properties").read_text().splitlines()
    assert "spark.yarn.appMasterEnv.CALLS_KEY very\\\\secret value" in written
    assert f"spark.files {scratch / 'workspace.zip'}" in written


def test_the_tokenizer_of_a_run_is_sent(root):
    folder = root / "models" / "r" / "tokenizer"
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text("{}")
    (root / "snapshots").mkdir()
    (root / "snapshots" / "split.json").write_text("{}")
    submit.pack(root / "w.zip", root, "tokenize@r", ("split.records",))
    with zipfile.ZipFile(root / "w.zip") as archive:
        assert archive.namelist() == ["params.yaml", "snapshots/split.json", "models/r/tokenizer/tokenizer.json"]


def test_each_state_is_shown_once_and_the_console_kept(root, capsys):
    lines = [
        "INFO Client: Application report for application_1_1 (state: ACCEPTED)",
        "INFO Client: Application report for application_1_1 (state: ACCEPTED)",
        "INFO LoggingPodStatusWatcherImpl: Application status for spark-1 (phase: Running)",
        "something else",
    ]
    script = root / "console.py"
    script.write_text(f"import sys\nfor line in {lines!r}: print(line)\nsys.exit(3)\n")
    assert submit.watch([sys.executable, str(script)], root / "logs" / "spark.log", "clean") == 3
    assert capsys.readouterr().out == "clean: ACCEPTED\nclean: Running\n"
    assert (root / "logs" / "spark.log").read_text().splitlines() == lines


def fake_spark_submit(root: Path, monkeypatch, body: str) -> None:
    """A spark-submit that runs `body` with the driver's arguments as `stage, workspace, lake, result`."""
    home = root / "spark"
    script = home / "bin" / "spark-submit"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!{sys.executable}\nimport sys\nstage, workspace, lake, result = sys.argv[4:]\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(submit, "spark_home", lambda: home)


def prepared(root: Path, monkeypatch) -> Settings:
    """Nothing is checked in a lake, and the submission is one on this machine."""

    class Work:
        class declared:
            reads = ()

    monkeypatch.setattr("finelake.jobs.runner.prepare", lambda *_: Work)
    return Settings(lake=str(root / "lake"), master="local[1]", memory="1g", ranks=1)


def test_the_manifest_is_returned_through_the_lake(root, monkeypatch):
    outcome = {"manifest": "the manifest\n", "line": "clean: 3 records"}
    body = (
        "from pathlib import Path\npath = Path(lake, result)\npath.parent.mkdir(parents=True)\n"
        f"path.write_text({json.dumps(outcome)!r})"
    )
    fake_spark_submit(root, monkeypatch, body)
    assert submit.submit(root, "clean", prepared(root, monkeypatch), "client", content(root)) == "clean: 3 records"
    assert (root / "snapshots" / "clean.json").read_text() == "the manifest\n"
    assert list((root / "lake" / submit.SUBMISSIONS).iterdir()) == []


def test_a_mistake_that_the_stage_finds_is_reported_and_nothing_is_pinned(root):
    write_bytes(str(root / "lake"), "_submissions/1/clean.json", json.dumps({"error": "a is missing; add it"}).encode())
    with pytest.raises(UserError, match="a is missing; add it"):
        submit.fetch(root, "clean", str(root / "lake"), "_submissions/1/clean.json")
    assert not (root / "snapshots").exists()


def test_a_driver_that_stores_no_outcome_is_a_failure(root, monkeypatch):
    fake_spark_submit(root, monkeypatch, "sys.exit(7)")
    with pytest.raises(
        UserError, match=r"clean left no result \(exit code 7 of spark-submit\); see .finelake/spark.log"
    ):
        submit.submit(root, "clean", prepared(root, monkeypatch), "client", content(root))
