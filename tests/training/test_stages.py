"""The stages train and evaluate in a small project, on a lake that deltalake wrote."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from deltalake import CommitProperties, write_deltalake
from pyarrow.fs import copy_files

from finelake.lake.config.project import Settings
from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots, storage
from finelake.training.data import samples
from tests.small import environment, free_port
from tests.training.conftest import SCHEMA, classified
from tests.training.data.test_records import REJECTS, record
from tests.training.data.test_records import SCHEMA as RECORDS

RUN = with_values(
    Run(task="classify", base=Base(kind="folder", name="base")),
    strategy="full",
    epochs=2,
    global_batch_size=8,
    gradient_accumulation_steps=2,
    learning_rate=1e-2,
    bootstrap=50,
    examples=3,
)
PARTS = {"train": 60, "validation": 20, "test": 20}


def commit(root: Path, stage: str, tables: dict[str, tuple[pa.Table, list[str]]]) -> None:
    """Write tables and pin them, as the runner of the Spark stages does."""
    pinned = {}
    for name, (rows, partitions) in tables.items():
        path = snapshots.table_path(stage, name)
        pinned[name] = snapshots.Table(path, rows.num_rows, "s" * 32, name[0] * 32)
        properties = CommitProperties(custom_metadata={"userMetadata": pinned[name].metadata({})})
        write_deltalake(
            str(root / "lakehouse" / path), rows, partition_by=partitions or None, commit_properties=properties
        )
    snapshots.write_manifest(root, stage, pinned)


@pytest.fixture
def project(tmp_path, encoder) -> Path:
    rows, records, first = [], [], 0
    for part, count in PARTS.items():
        for row in classified(count, first=first):
            shard = int(row["sample_id"][1:]) % 3
            rows.append({**row, "part": part, "shard": shard})
            scene = "abc"[row["labels"][0]]
            text = f"{scene} text {row['sample_id']}"
            records.append(record(0, record_id=row["record_ids"][0], text=text, part=part, label=scene))
        first += count
    schema = SCHEMA.append(pa.field("part", pa.string())).append(pa.field("shard", pa.int32()))
    classes = pa.table({"index": pa.array([0, 1, 2], pa.int32()), "label": ["a", "b", "c"]})
    unfit = [dict(zip(REJECTS.names, ("r", "tickets", "select", "no_class", part), strict=True)) for part in PARTS]
    tables = {"records": (records, RECORDS, ["part"]), "rejects": (unfit, REJECTS, [])}
    commit(
        tmp_path,
        "select@tiny",
        {name: (pa.Table.from_pylist(rows, schema), parts) for name, (rows, schema, parts) in tables.items()},
    )
    table = pa.Table.from_pylist(rows, schema=schema)
    commit(tmp_path, "tokenize@tiny", {"samples": (table, ["part", "shard"]), "classes": (classes, [])})
    folder = tmp_path / "models" / "tiny"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    (folder / "base").symlink_to(encoder)
    return tmp_path


def settings(root: Path) -> Settings:
    return Settings(lake=str(root / "lakehouse"), master="local[1]", memory="1g", ranks=1)


def test_samples_are_the_pinned_files_in_shard_order(project):
    opened = samples.open_samples(project, str(project / "lakehouse"), "tiny")
    assert {name: part.samples for name, part in opened.parts.items()} == PARTS
    assert opened.labels == ("a", "b", "c")
    for name, part in opened.parts.items():
        folders = [path.split("/")[-3:-1] for path in part.files]
        assert folders == [[f"part={name}", f"shard={shard}"] for shard in range(3)]


def test_train_then_evaluate(project, monkeypatch):
    from finelake.training import evaluate, train

    monkeypatch.setattr(train.dist, "destroy_process_group", lambda: None)  # other tests train in this process too
    train.run(project, "tiny", RUN, settings(project))
    assert (project / "models" / "tiny" / "model" / "head.safetensors").exists()
    assert not (project / ".finelake" / "checkpoints" / "tiny").exists()
    evaluate.run(project, "tiny", RUN, settings(project))

    scores = json.loads((project / "metrics" / "tiny" / "evaluate.json").read_text())
    assert (scores["rows"], scores["selected"]) == (20, 21)
    labels = [row["labels"][0] for row in classified(20, first=80)]
    majority = np.bincount([row["labels"][0] for row in classified(60)]).argmax()
    expected = round(float(np.mean(np.array(labels) == majority)), 4)
    assert scores["majority"]["accuracy"]["value"] == expected
    assert scores["tfidf"]["accuracy"]["value"] == 1.0  # each text says its class
    lines = (project / "plots" / "tiny" / "evaluate" / "confusion.csv").read_text().splitlines()
    actual = {line.split(",")[0] for line in lines[1:]}
    assert lines[0] == "actual,predicted" and len(lines) == 21 and actual <= set("abc")
    table = (project / "plots" / "tiny" / "evaluate" / "scores.csv").read_text().splitlines()
    assert table[0] == "slice,value,rows,system,metric,score,low,high"
    assert f"all,all,20,majority,accuracy,{expected}," in table[3]
    page = (project / "reports" / "tiny.html").read_text()
    assert "r" * 32 in page and "select@tiny.records" in page
    assert str(project) not in page


def test_a_lake_in_an_object_store_gives_the_same_weights(project, s3_lake, monkeypatch):
    from finelake.training import train

    monkeypatch.setattr(train.dist, "destroy_process_group", lambda: None)
    here = settings(project)
    filesystem, there = storage.filesystem(s3_lake)
    copy_files(here.lake, there, destination_filesystem=filesystem, use_threads=False)
    weights = project / "models" / "tiny" / "model" / "head.safetensors"
    train.run(project, "tiny", RUN, here)
    expected = weights.read_bytes()
    shutil.rmtree(weights.parent)
    train.run(project, "tiny", RUN, replace(here, lake=s3_lake))
    assert weights.read_bytes() == expected


def test_a_missing_file_is_named_before_anything_is_trained(project):
    from finelake.training import train

    victim = next((project / "lakehouse/tokenize/tiny/samples/part=train/shard=1").glob("*.parquet"))
    victim.unlink()
    with pytest.raises(UserError, match=f"{victim.name} is missing; rebuild it with `finelake repair tokenize@tiny`"):
        train.run(project, "tiny", RUN, settings(project))


def test_sizes_that_do_not_fit_are_refused_before_anything_is_trained(project):
    from finelake.training import train

    size = "params.yaml: runs.tiny.train.global_batch_size"
    with pytest.raises(
        UserError, match=f"{size} 64 is more than the 60 samples of the train part; .* runs.tiny.select"
    ):
        train.run(project, "tiny", with_values(RUN, global_batch_size=64), settings(project))
    with pytest.raises(UserError, match=f"{size} 8 is not a multiple of 3 ranks x runs.tiny.train.gradient_acc"):
        train.run(project, "tiny", RUN, replace(settings(project), ranks=3))


def entry(run: Run) -> dict:
    """The run as an entry of `runs:`."""
    return asdict(run)


def launched(project: Path, *commands: list[str], **variables: str) -> tuple[list[str], bytes]:
    """Losses and weights of the run that these commands train together, each started as a node would."""
    trained, curve = project / "models" / "tiny" / "model", project / "plots" / "tiny" / "train.csv"
    shutil.rmtree(trained, ignore_errors=True)
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", *command, "finelake.training.train", "tiny"], cwd=project, env=variables
        )
        for command in commands
    ]
    assert [node.wait(timeout=240) for node in nodes] == [0] * len(nodes)
    losses = [line.split(",")[2] for line in curve.read_text().splitlines()]
    return losses, (trained / "model.safetensors").read_bytes() + (trained / "head.safetensors").read_bytes()


@pytest.mark.slow
def test_every_launcher_trains_as_finelake_ranks_does(project):
    """What docs/training.md tells to type, with two nodes on this machine."""
    (project / "params.yaml").write_text(yaml.safe_dump({"runs": {"tiny": entry(RUN)}}))
    (project / "hosts").write_text("127.0.0.1 slots=1\nlocalhost slots=1\n")
    here = environment(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    expected = launched(project, [], **here, FINELAKE_RANKS="2")

    torchrun = ["torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1", "--rdzv_backend", "c10d"]
    torchrun += ["--rdzv_endpoint", f"127.0.0.1:{free_port()}", "--rdzv_id", "tiny", "-m"]
    assert launched(project, torchrun, torchrun, **here) == expected

    deepspeed = ["deepspeed.launcher.runner", "--hostfile", "hosts", "--master_addr", "127.0.0.1"]
    deepspeed += ["--master_port", str(free_port()), "--no_local_rank", "--no_ssh"]
    # Settings meant for `finelake run` do not start ranks within ranks.
    pair = [[*deepspeed, "--node_rank", str(number), "--module"] for number in (0, 1)]
    assert launched(project, *pair, **here, FINELAKE_RANKS="2") == expected
