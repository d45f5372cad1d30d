"""Stages on a Spark cluster of this machine: the same bytes, whatever happens to a worker (marked slow)."""

import contextlib
import csv
import hashlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyspark
import pytest
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from tokenizers import Tokenizer, models, pre_tokenizers

from finelake.jobs import runner
from finelake.lake.config.params import load
from tests.small import free_port

pytestmark = pytest.mark.slow
SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
DAEMON = "org.apache.spark.deploy"


class Cluster:
    """A standalone master and two workers of one core each, whose executors have a Python without packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.master = f"spark://127.0.0.1:{self.port}"
        self.workers: dict[str, subprocess.Popen] = {}
        self.head = self._start("master.Master", "--host", "127.0.0.1", "--port", str(self.port), "--webui-port", "0")
        deadline = time.monotonic() + 120
        while not _listens(self.port):
            assert self.head.poll() is None and time.monotonic() < deadline, (folder / "master.Master.log").read_text()
            time.sleep(0.2)

    def start_worker(self, name: str) -> None:
        options = ("--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g")
        work = ("--work-dir", str(self.folder / name))
        self.workers[name] = self._start("worker.Worker", *options, *work, self.master, log=name)

    def kill_worker(self, name: str) -> None:
        """SIGKILL a worker with its executor and its Python processes."""
        process = self.workers.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for name in list(self.workers):
            self.kill_worker(name)
        self.head.kill()
        self.head.wait()

    def _start(self, name: str, *arguments: str, log: str = "") -> subprocess.Popen:
        cleanup = ("enabled=true", "interval=10", "appDataTtl=1")  # each application unpacks 700 MB
        variables = {
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_WORKER_OPTS": " ".join(f"-Dspark.worker.cleanup.{option}" for option in cleanup),
        }
        with (self.folder / f"{log or name}.log").open("ab") as file:
            command = [str(SPARK_CLASS), f"{DAEMON}.{name}", *arguments]
            return subprocess.Popen(
                command, env=os.environ | variables, stdout=file, stderr=file, start_new_session=True
            )


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


# --- a small project of every kind of source -------------------------------------------------------------------------

STAGES = ("ingest", "clean", "dedup", "mask", "annotate", "split", "select@notes", "tokenize@notes")
ROWS = 240
PARAMS = """
sources:
  notes: {kind: files, path: data/notes.csv, format: csv, key: id, occurred_at: day, text: body, business: product,
          numbers: [amount], facts: [channel]}
  calls: {kind: database, url: "jdbc:sqlite:data/calls.db", table: calls, key: id, occurred_at: day, text: body,
          business: product, facts: [channel]}
  pages: {kind: api, url: "http://127.0.0.1:1/", landing: data/pages, key: id, occurred_at: day, text: body,
          business: product, numbers: [amount], facts: [channel]}
  papers: {kind: documents, path: data/papers, business_value: papers}
  labels:
    kind: database
    url: "jdbc:sqlite:data/calls.db"
    table: labels
    role: annotations
    columns: {record_source_value: notes, record_key: id, layer_value: scene, annotator: who, role_value: annotator,
              label: label}
clean: {}
dedup: {}
mask: {}
annotate: {}
split: {}
runs:
  notes: {task: classify, seed: 0, select: {where: "source = 'notes'"}, base: {kind: folder, name: none},
          tokenize: {max_length: 16, shards: 2}, train: {}, evaluate: {}}
"""
THINGS = ("card", "loan", "account", "transfer", "password", "branch", "statement")


def note(number: int) -> dict[str, str]:
    """A row of its own words; each fifth repeats the row before, each third holds a phone number."""
    thing, same = THINGS[number % len(THINGS)], number - 1 if number % 5 == 1 else number
    letters = hashlib.sha256(str(same).encode()).hexdigest().translate(str.maketrans("0123456789", "ghijklmnop"))
    text = f"My {thing} " + " ".join(textwrap.wrap(letters, 6)) + (" 13800138000" if number % 3 == 0 else "")
    row = {"id": str(number), "day": f"2024-{1 + number % 12:02d}-{1 + number % 28:02d}", "body": text}
    return row | {"product": thing, "amount": str(number * 37 % 101), "channel": "web" if number % 2 else "phone"}


def write_project(root: Path) -> None:
    """params.yaml, data and a tokenizer below `root`."""
    data, tokenizer = root / "data", root / "models" / "notes" / "tokenizer"
    for folder in (data / "papers", data / "pages", tokenizer):
        folder.mkdir(parents=True)
    (root / "params.yaml").write_text(PARAMS)
    with (data / "notes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, note(0))
        writer.writeheader()
        writer.writerows(note(number) for number in range(ROWS))
    write_database(data / "calls.db")
    for page in range(3):
        items = [note(1000 + 20 * page + number) for number in range(20)]
        (data / "pages" / f"{page:08d}.json").write_text(json.dumps({"items": items}))
    write_papers(data / "papers")
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<end>": 1, "<unk>": 2, "My": 3, "card": 4}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(tokenizer / "tokenizer.json"))
    (tokenizer / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>", "pad_token": "<pad>"}))


def write_database(path: Path) -> None:
    calls = [
        tuple(note(2000 + number)[name] for name in ("id", "day", "body", "product", "channel")) for number in range(60)
    ]
    labels = [(str(number), who, THINGS[number % len(THINGS)]) for number in range(ROWS) for who in ("ann", "ben")]
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("create table calls (id text, day text, body text, product text, channel text)")
        database.execute("create table labels (id text, who text, label text)")
        database.executemany("insert into calls values (?, ?, ?, ?, ?)", calls)
        database.executemany("insert into labels values (?, ?, ?)", labels)


def write_papers(folder: Path) -> None:
    """A PDF with a text layer and one that is a picture, so that OCR runs on the executors."""
    picture = Image.new("RGB", (1240, 400), "white")
    ImageDraw.Draw(picture).text((60, 150), "The branch opens at nine", fill="black", font_size=80)
    for name in ("typed", "scanned"):
        page = Canvas(str(folder / f"{name}.pdf"), pagesize=(595, 192), invariant=True)
        if name == "typed":
            page.drawString(50, 100, "Cards are blocked after three wrong passwords.")
        else:
            page.drawImage(ImageReader(picture), 0, 0, 595, 192)
        page.save()


# --- the tests -------------------------------------------------------------------------------------------------------

# All stages in one application: a session for each would unpack the packages seven times.
CHAIN = """
import sys
from pathlib import Path
from finelake.jobs import runner
from finelake.jobs.spark.session import open_session
from finelake.lake.config.params import load
from finelake.lake.config.project import settings

root = Path.cwd()
chosen = settings(root)
spark = open_session(chosen.master, chosen.memory, root / runner.LOG)
for stage in sys.argv[1:]:
    runner.publish(spark, runner.prepare(root, stage, chosen.lake, load(root / "params.yaml")))
spark.stop()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    running.start_worker("one")
    running.start_worker("two")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory) -> Path:
    """A Python that has no package at all."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    lacks = subprocess.run([python, "-c", "import pandas"], capture_output=True, text=True, env={})
    assert "No module named 'pandas'" in lacks.stderr
    return python


@pytest.fixture(scope="module")
def projects(tmp_path_factory, spark) -> tuple[Path, Path]:
    """A project whose stages ran in this process, and the same one before any ran."""
    done, fresh = tmp_path_factory.mktemp("projects") / "done", tmp_path_factory.mktemp("projects") / "fresh"
    for root in (done, fresh):
        write_project(root)
    for stage in STAGES:
        runner.publish(spark, runner.prepare(done, stage, str(done / "lakehouse"), load(done / "params.yaml")))
    return done, fresh


@pytest.fixture
def variables(cluster, bare_python, projects, tmp_path) -> dict[str, str]:
    """The settings of a run on the cluster."""
    (tmp_path / "spark.properties").write_text(
        f"# the loopback cluster\nspark.executor.memory 600m\nspark.pyspark.python {bare_python}\n"
        "spark.driver.host=127.0.0.1\nspark.sql.shuffle.partitions 4\n"
    )
    return {
        "FINELAKE_MASTER": cluster.master,
        "FINELAKE_LAKE": str(projects[1] / "lake"),
        "FINELAKE_MEMORY": "1g",
        "FINELAKE_SPARK_PROPERTIES": str(tmp_path / "spark.properties"),
    }


def start(root: Path, variables: dict[str, str], *arguments: str) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK", "SPARK"))}
    command = [sys.executable, *arguments]
    return subprocess.Popen(
        command, cwd=root, env=environment | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen, root: Path) -> str:
    output, _ = process.communicate(timeout=1500)
    assert process.returncode == 0, output + (root / runner.LOG).read_text()[-5000:]
    return output


def manifests(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "snapshots").glob("*.json"))}


def test_killing_all_workers_in_mid_stage_costs_only_time(cluster, projects, variables):
    done, fresh = projects
    process = start(fresh, variables, "-c", CHAIN, *STAGES)
    wait_for(fresh / "lake" / "dedup" / "records" / "data", process)
    for name in ("one", "two"):
        cluster.kill_worker(name)
    cluster.start_worker("three")
    finish(process, fresh)
    assert manifests(fresh) == manifests(done)
    assert len(manifests(done)) == len(STAGES)


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def test_run_and_submit_on_the_cluster_pin_the_same_bytes(projects, variables):
    done, fresh = projects
    for stage, command in (("clean", ("run",)), ("tokenize@notes", ("submit", "--deploy-mode", "client"))):
        pinned = done / "snapshots" / f"{stage.replace('@', '-')}.json"
        target = fresh / "snapshots" / pinned.name
        target.unlink()
        said = finish(start(fresh, variables, "-m", "finelake.cli", command[0], stage, *command[1:]), fresh)
        assert target.read_bytes() == pinned.read_bytes()
        assert f"{stage}: " in said.splitlines()[-1]
    assert not list((fresh / "lake" / "_submissions").iterdir())
