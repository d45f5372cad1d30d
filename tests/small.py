"""A small project for tests of all stages: 240 notes in a CSV file, annotated by two people."""

import csv
import os
import random
import re
import socket
import subprocess
import sys
from pathlib import Path

from finelake import __version__

STAGES = ("ingest", "clean", "dedup", "mask", "annotate", "split")
PARAMS = """
sources:
  notes:
    kind: files
    path: data/notes.csv
    format: csv
    key: id
    occurred_at: date
    text: text
    business: product
    numbers: [amount]
    facts: [channel]
  annotations:
    kind: files
    path: data/annotations.csv
    format: csv
    role: annotations
    columns:
      record_source_value: notes
      record_key: id
      layer_value: scene
      annotator: who
      role_value: annotator
      label: label
clean: {outliers: {sigmas: 3.0}}
dedup: {}
mask: {}
annotate: {}
split: {}
quality: {}
runs: {}
"""
# The JVM of a small chain is not worth optimising: half the time a stage.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
WORDS = {
    False: "branch morning letter friend garden window train coffee doctor summer school river office market teacher "
    "bridge winter kitchen music paper ticket village dinner camera holiday neighbour hospital station",
    True: "早上 朋友 公园 医生 夏天 学校 河边 办公室 市场 老师 冬天 厨房 音乐 车票 晚饭 相机 假期 邻居 医院 车站 信件",
}
SCENES = ("lost_card", "transfer", "loan", "fees")
PHRASES = {
    "lost_card": ("My card is gone since {n} days, please block it", "我的银行卡丢了{n}天,请尽快挂失"),
    "transfer": ("The transfer number {n} has not arrived at my landlord", "第{n}笔转账一直没有到账,麻烦查一下"),
    "loan": ("I would like to pay back my loan within {n} months", "我想在{n}个月内提前还清贷款"),
    "fees": ("You charged me a fee of {n} dollars that nobody explained", "为什么扣了我{n}元的管理费"),
}


def make(folder: Path) -> Path:
    """The project in `folder`, a Git and DVC repository with everything committed but the data."""
    (folder / "data").mkdir(parents=True)
    _write(folder / "data" / "notes.csv", ["id", "date", "text", "product", "amount", "channel"], _notes())
    _write(folder / "data" / "annotations.csv", ["id", "who", "label"], _annotations())
    run(folder, "init", ".")
    (folder / "params.yaml").write_text(f'finelake: "{__version__}"{PARAMS}')
    git(folder, "init", "--quiet", "--initial-branch", "main")
    run_dvc(folder, "init", "--quiet", "--force")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a small project")
    return folder


def _notes() -> list[list[object]]:
    rows = []
    for number in range(240):
        scene, chinese = SCENES[number % 4], number % 3 == 0
        text = PHRASES[scene][chinese].format(n=number // 4)
        story = random.Random(number).sample(WORDS[chinese].split(), 9)
        text += (" " if not chinese else ",") + ("" if chinese else " ").join(story)
        if number % 10 == 3:
            text += " 我的电话是13812345678" if chinese else " call me at 13812345678"
        amount = 1e9 if number == 77 else "" if number % 9 == 5 else 100 + number % 37
        day = f"2024-{1 + number // 28:02d}-{1 + number % 28:02d}"
        rows.append([number, day, text, scene[:4], amount, "" if number % 11 == 0 else ("web", "phone")[number % 2]])
    return rows + [[1000 + number, "2024-12-01", *rows[number][2:]] for number in range(0, 40, 4)]


def _annotations() -> list[list[object]]:
    return [
        [number, who, SCENES[(number + (who == "b" and number % 20 == 7)) % 4]]
        for number in range(120)
        for who in ("a", "b")
    ]


def _write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def environment(**variables: str) -> dict[str, str]:
    """The `finelake` of this Python on the PATH."""
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "FINELAKE_MEMORY": "600m", "JAVA_TOOL_OPTIONS": QUICK_JAVA}
    return os.environ | own | variables


def run(folder: Path, *arguments: str, code: int = 0, **variables: str) -> str:
    """Run `finelake` in the project; its whole output."""
    return _run([sys.executable, "-m", "finelake.cli", *arguments], folder, code, variables)


def run_dvc(folder: Path, *arguments: str, code: int = 0, **variables: str) -> str:
    """Run `dvc` in the project; its whole output."""
    return _run([sys.executable, "-m", "dvc", *arguments], folder, code, variables)


def _run(command: list[str], folder: Path, code: int, variables: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=finelake", "-c", "user.email=finelake@localhost")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def manifests(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "snapshots").glob("*.json"))}


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", output)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
