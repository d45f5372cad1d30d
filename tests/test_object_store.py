"""A lake in an object store: written by Spark, committed by two processes at once, read by every reader."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import fs

from finelake import cli
from finelake.jobs.spark.commit import commit, read
from finelake.lake.query.duck import connect, run_query
from finelake.lake.tables import snapshots, storage, vacuum
from finelake.lake.tables.locks import unnamed
from finelake.lake.tables.snapshots import write_manifest
from tests import small

ROOT = Path(__file__).parents[1]
PARAMS = """
sources:
  notes: {kind: files, path: notes.csv, format: csv, key: id, occurred_at: date, text: text}
"""
COMMITS = 10
# What finelake.jobs.spark.commit.commit does after Spark has written a data file.
WRITER = f"""
import sys
import uuid
import pyarrow as pa
import pyarrow.parquet as parquet
from deltalake.transaction import AddAction
from pyspark.sql.types import LongType, StructType
from finelake.lake.tables import storage
from finelake.jobs.spark.commit import _publish, schema_hash
from finelake.lake.tables.snapshots import Table

root, writer = sys.argv[1:]
schema = StructType().add("id", LongType())
print("ready", flush=True)
sys.stdin.readline()
for number in range({COMMITS}):
    path = f"data/{{uuid.uuid4().hex}}/part-0.parquet"
    filesystem, place = storage.filesystem(f"{{root}}/x/records/{{path}}")
    parquet.write_table(pa.table({{"id": [number]}}), place, filesystem=filesystem)
    size = filesystem.get_file_info(place).size
    content = f"{{writer}}{{number:031d}}"
    table = Table("x/records", 1, schema_hash(schema), content)
    assert _publish(root, table, [AddAction(path, size, {{}}, 0, True, '{{"numRecords": 1}}')], schema, ())
"""


@pytest.fixture(scope="module")
def spark_there(spark, object_store):
    """The shared session, with the settings that a new session would read from the environment."""
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    hadoop.set("fs.s3a.endpoint", object_store["AWS_ENDPOINT_URL"])
    hadoop.set("fs.s3a.path.style.access", "true")
    hadoop.set("fs.s3a.access.key", object_store["AWS_ACCESS_KEY_ID"])
    hadoop.set("fs.s3a.secret.key", object_store["AWS_SECRET_ACCESS_KEY"])
    return spark


@pytest.fixture(scope="module")
def project(spark_there, s3_lake, tmp_path_factory):
    """A project that pins the first of two versions of a table and a partitioned table: (folder, lake, both pins)."""
    root = tmp_path_factory.mktemp("project")
    (root / "params.yaml").write_text(PARAMS)
    (root / "notes.csv").write_text("id,date,text\n1,2024-01-01,hello\n")
    frame = spark_there.createDataFrame([(1, "it's"), (2, "b")], "id int, name string").coalesce(1)
    records = commit(frame, s3_lake, "clean/records", frame.schema)
    commit(frame.limit(1), s3_lake, "clean/records", frame.schema)
    write_manifest(root, "clean", {"records": records})
    shards = spark_there.createDataFrame([("train", 10, "a"), ("train", 2, "b")], "part string, shard int, id string")
    shards = shards.repartition("part", "shard")
    samples = commit(shards, s3_lake, "tokenize/run/samples", shards.schema, ("part", "shard"))
    write_manifest(root, "tokenize@run", {"samples": samples})
    return root, s3_lake, records, samples


@pytest.fixture
def inside(project, monkeypatch):
    """The project as the command line finds it."""
    monkeypatch.chdir(project[0])
    monkeypatch.setenv("FINELAKE_LAKE", project[1])
    return project


def test_every_reader_finds_the_pinned_version(spark_there, project):
    root, lake, pinned, samples = project
    assert sorted(map(tuple, read(spark_there, lake, pinned).collect())) == [(1, "it's"), (2, "b")]
    connection = connect(root, lake)
    assert run_query(connection, "select * from clean.records order by id").fetchall() == [(1, "it's"), (2, "b")]
    rows = run_query(connection, "select part, shard, id from tokenize_run.samples order by id").fetchall()
    assert rows == [("train", 10, "a"), ("train", 2, "b")]
    assert [path.split("/")[-2] for path in snapshots.files(lake, "tokenize@run", samples)] == ["shard=2", "shard=10"]
    assert [version.content == pinned.content for version in snapshots.history(lake, "clean/records")] == [False, True]


def test_same_content_commits_nothing_and_leaves_nothing(spark_there, project):
    _, lake, pinned, _ = project
    before = storage.list_files(lake, "clean")
    rows = read(spark_there, lake, pinned).repartition(2)
    assert commit(rows, lake, "clean/records", rows.schema) == pinned
    assert storage.list_files(lake, "clean") == before
    assert not [file for file in before if "data" in file.path and "_delta_log" in file.path]


def test_no_answer_holds_a_secret(project, object_store):
    root, lake, _, _ = project
    rows = run_query(connect(root, lake), "select * from duckdb_secrets()").fetchall()
    assert object_store["AWS_SECRET_ACCESS_KEY"] not in str(rows)


def test_missing_and_altered_objects_are_named(inside, capsys):
    _, lake, pinned, _ = inside
    assert finelake(capsys, "verify", "--deep") == (0, "2 tables of 2 stages are complete (4 rows).\n", "")
    filesystem, path = storage.filesystem(snapshots.files(lake, "clean", pinned)[0])
    name = path.partition("/clean/records/")[2]
    content = filesystem.open_input_stream(path).read()

    rewrite(filesystem, path, content[:10] + bytes([content[10] ^ 1]) + content[11:])
    assert finelake(capsys, "verify")[0] == 0
    assert f"the data file {name} was altered (other SHA-256)" in finelake(capsys, "verify", "--deep")[2]
    rewrite(filesystem, path, content[:-1])
    assert (
        f"{name} was altered ({len(content) - 1} bytes, written with {len(content)})" in finelake(capsys, "verify")[2]
    )
    filesystem.delete_file(path)
    code, out, err = finelake(capsys, "verify")
    assert (code, out) == (2, "")
    assert f"finelake: table clean/records, version 0: the data file {name} is missing; rebuild what is missing" in err
    rewrite(filesystem, path, content)
    assert finelake(capsys, "verify", "--deep")[0] == 0


def rewrite(filesystem, path: str, content: bytes) -> None:
    with filesystem.open_output_stream(path) as stream:
        stream.write(content)


def finelake(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return exit.value.code, captured.out, captured.err


@pytest.mark.parametrize("command", [("verify",), ("sql", "select 1"), ("history", "clean.records"), ("run", "ingest")])
@pytest.mark.usefixtures("inside")
def test_every_command_reports_once_that_the_store_refuses(capsys, monkeypatch, command):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    code, out, err = finelake(capsys, *command)
    assert (code, out) == (2, "")
    assert err.count("cannot be reached (access denied)") == 1
    assert err.count("\n") == 1 and "repair" not in err


def test_what_no_pin_needs_is_unreferenced_by_age(project):
    _, lake, records, samples = project
    filesystem, path = storage.filesystem(f"{lake}/clean/records/data/0123/part-0.parquet")
    rewrite(filesystem, path, b"half")
    assert "0123" in unnamed(lake, "clean/records")
    pins = {(table.path, table.schema, table.content): "main" for table in (records, samples)}
    now = vacuum.Rules(days=-1)
    assert vacuum.unreferenced(lake, pins, vacuum.Rules()) == []
    found = vacuum.unreferenced(lake, pins, now)
    assert [(item.table, item.version, item.rows, item.files) for item in found] == [
        ("clean/records", 1, 1, 1),
        ("clean/records", None, None, 1),
    ]
    assert vacuum.delete(lake, found) == []
    assert vacuum.unreferenced(lake, pins, now) == []
    assert all(snapshots.intact(lake, table, deep=True) for table in (records, samples))


def test_two_processes_commit_at_once_and_lose_nothing(s3_lake):
    lake = f"{s3_lake}/race"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, lake, name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    versions = snapshots.history(lake, "x/records")
    assert [version.number for version in versions] == list(range(2 * COMMITS - 1, -1, -1))
    assert {version.content for version in versions} == {f"{name}{n:031d}" for name in "ab" for n in range(COMMITS)}
    for version in versions:
        table = snapshots.Table("x/records", 1, version.schema, version.content)
        assert snapshots.intact(lake, table, deep=True)
        assert snapshots.find_version(lake, table) == version.number


SESSION = """
import sys
from finelake.jobs.spark.session import open_session
from finelake.jobs.spark.commit import commit, read
spark = open_session("local[2]", "1g")
frame = spark.range(3)
table = commit(frame, sys.argv[1], "x/numbers", frame.schema)
print(read(spark, sys.argv[1], table).count(), spark.sparkContext.getConf().getAll())
"""


@pytest.mark.slow
def test_spark_reads_the_keys_from_the_environment_and_logs_them_nowhere(s3_lake, object_store, tmp_path):
    defaults = f"spark.eventLog.enabled true\nspark.eventLog.dir file://{tmp_path}\nspark.eventLog.compress false\n"
    (tmp_path / "spark-defaults.conf").write_text(defaults)
    command = [sys.executable, "-c", SESSION, s3_lake]
    settings = os.environ | {"SPARK_CONF_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("3 ["), done.stderr
    events = [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    logged = "".join([*events, done.stdout, done.stderr])
    assert "SparkListenerEnvironmentUpdate" in logged
    assert "fs.s3a.endpoint.region" in logged
    assert object_store["AWS_SECRET_ACCESS_KEY"] not in logged


@pytest.mark.slow
def test_all_stages_pin_what_they_pin_in_a_folder(s3_lake, small_project, tmp_path):
    lake = {"FINELAKE_LAKE": f"{s3_lake}/chain"}
    there = small.make(tmp_path / "there")
    small.run(there, "repro", "split", **lake)
    assert f"{len(small.STAGES)} stages are complete" in small.run(there, "verify", "--deep", **lake)
    assert not (there / "lakehouse").exists()
    assert small.manifests(there) == small.manifests(small_project)
    counts = ("sql", "--format", "csv", "select split, count(*) from split.records group by all order by all")
    assert small.run(there, *counts, **lake) == small.run(small_project, *counts)
    # The raw tables can go, and the masked ones stay whole.
    assert "Freed" in small.run(there, "vacuum", "--unmasked", "--keep-days", "0", "--delete", **lake)
    assert {stage for stage in small.STAGES if data_files(f"{s3_lake}/chain/{stage}")} == {"mask", "annotate", "split"}
    assert "clean, dedup, ingest: expired on purpose" in small.run(there, "verify", "--deep", **lake)
    assert small.run(there, *counts, **lake) == small.run(small_project, *counts)


def data_files(folder: str) -> list[str]:
    filesystem, place = storage.filesystem(folder)
    found = filesystem.get_file_info(fs.FileSelector(place, recursive=True, allow_not_found=True))
    return [info.path for info in found if info.path.endswith(".parquet")]
