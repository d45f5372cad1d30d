"""After mask nothing holds a raw value: no table, manifest, log, report or answer; and no file holds the key."""

import csv
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet
import pytest
import yaml

from finelake.jobs import mask
from finelake.text.personal_data import masking
from finelake.text.personal_data.kinds import KINDS
from tests import small

pytestmark = pytest.mark.slow
KEY = "a key that no other project has, 2024"
PLANTED = {
    "url": "https://ann:s3cr3tpw@bank.example/x",
    "email": "jane.roe@mail.example",
    "resident_id": "11010519491231002X",
    "credit_code": "91110108551385082Q",
    "iban": "GB29NWBK60161331926819",
    "card": "4111-1111-1111-1111",
    "ssn": "460-89-9847",
    "passport": "护照E87654321",
    "phone": "13987654321",
    "plate": "京A98765",
    "wechat": "微信号roe_jane77",
    "qq": "QQ:987654321",
    "ip": "203.0.113.77",
    "address": "北京市朝阳区建国路88号",
    "name": "我叫欧阳菲菲，",
}
OWN = {"badge": "B7654321"}  # a kind that params.yaml describes
RAW = {
    **PLANTED,
    **OWN,
    "url": "s3cr3tpw",
    "passport": "E87654321",
    "wechat": "roe_jane77",
    "qq": "987654321",
    "name": "欧阳菲菲",
    "bare card": "4111111111111111",
}
LABELS = {kind: value for kind, value in (PLANTED | OWN).items() if kind in (*masking.PROVEN, *OWN)}
BEFORE = ("ingest", "clean", "dedup")
CHECKS = {  # laws that nothing keeps, so that failing rows are shown
    "own_raw": "-- Nothing.\n-- table: clean.records\n-- severity: warn\nselect * from this\n",
    "own_masked": "-- Nothing.\n-- table: mask.records\n-- severity: warn\nselect * from this\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The small project with every planted value in a text, a fact and a key, run up to quality with an event log."""
    folder = small.make(tmp_path_factory.mktemp("raw") / "project")
    plant(folder / "data" / "notes.csv")
    label(folder / "data" / "annotations.csv")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    modes = {"phone": "pseudonym", "email": "pseudonym", "card": "partial", "passport": "drop"}
    params["mask"] = {
        "modes": modes, "key_fingerprint": mask.fingerprint(KEY), "patterns": {"badge": r"B\d{7}"}
    }  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for name, sql in CHECKS.items():
        (folder / "quality" / f"{name}.sql").write_text(sql)
    (folder / "events").mkdir()
    (folder / "spark.conf").write_text(f"spark.eventLog.enabled true\nspark.eventLog.dir file://{folder}/events\n")
    said = run(folder, "repro", "quality")
    small.git(folder, "add", "--all")
    small.git(folder, "commit", "--quiet", "--message", "first")
    (folder / "said.txt").write_text(said)
    return folder


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    return small.run(
        folder, *arguments, code=code,
        FINELAKE_MASK_KEY=KEY, FINELAKE_SPARK_PROPERTIES=str(folder / "spark.conf"),
    )  # fmt: skip


def plant(notes: Path) -> None:
    with notes.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    planted = [*PLANTED.values(), *OWN.values()]
    for row, value in zip(rows[40:], planted, strict=False):
        row[2] += f" {value}。"
    for row, value in zip(rows[80:], planted, strict=False):
        row[header.index("channel")] = value
    rows[120][0] = f"120/{PLANTED['email']}"
    rows[121][0] = f"121/{PLANTED['passport']}"
    with notes.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def label(annotations: Path) -> None:
    """Two people who agree on a value as label, of the kinds that labels are judged by, and a person who is named by an
    address."""
    with annotations.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for number, value in enumerate([*LABELS.values()], start=130):
            writer.writerows([[number, "a", value], [number, "b", value]])
        writer.writerow([160, PLANTED["email"], "loan"])


def test_annotations_with_raw_values_are_rejected(project):
    rejected = run(
        project,
        "sql",
        "--format",
        "csv",
        "select detail, count(*) from mask.rejects where contains(detail, ': ') group by all",
    )
    found = dict(row.rsplit(",", 1) for row in rejected.split("\n")[1:] if row)
    assert found == {f"label: {kind}": "2" for kind in LABELS}


def test_an_annotator_named_by_a_value_keeps_the_label(project):
    coded = "annotator-" + masking.pseudonym("annotator", PLANTED["email"], KEY)
    query = f"select label from mask.annotations where annotator = '{coded}'"
    assert run(project, "sql", "--format", "csv", query).split() == ["label", "loan"]


def test_every_kind_was_found(project):
    counts = run(project, "sql", "--format", "csv", "select distinct kind from mask.counts order by all")
    dropped = run(project, "sql", "--format", "csv", "select count(*) from mask.rejects where detail = 'passport'")
    assert counts.split()[1:] == sorted({*KINDS, *OWN} - {"passport"})
    assert dropped.split()[1:] == ["3"]


def test_no_file_holds_a_raw_value_or_the_key(project):
    for path, content in written(project):
        assert KEY not in content, path
        found = [kind for kind, value in RAW.items() if value in content]
        assert not found, (path, found)


def written(project: Path, but: Sequence[str] = BEFORE) -> Iterator[tuple[Path, str]]:
    """Every file but the raw data, the tables of `but` and Git's objects, with what a reader makes of it."""
    raw = [project / "data", project / ".git", *(project / "lakehouse" / stage for stage in but)]
    for path in sorted(project.rglob("*")):
        if not path.is_file() or path.name == "test.db" or any(top in path.parents for top in raw):
            continue
        content = path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".parquet":
            content += str(pyarrow.parquet.read_table(path).to_pylist())
        yield path, content


def test_the_logs_are_there(project):
    assert any(path.stat().st_size for path in (project / "events").rglob("*"))
    assert (project / ".finelake" / "spark.log").exists()


@pytest.mark.parametrize("form", ["text", "json", "junit", "html"])
def test_no_report_shows_a_raw_value(project, form):
    said = run(project, "quality", "own_raw", "own_masked", "no_personal_data", "--format", form, code=1)
    assert not [kind for kind, value in RAW.items() if value in said]


def test_no_answer_shows_a_raw_value(project):
    ids = run(project, "sql", "--format", "csv", "select record_id from mask.records where cardinality(masked) > 0")
    rejected = run(
        project, "sql", "--format", "csv", "select record_id from mask.rejects where reason = 'personal_data'"
    )
    answers = [run(project, "trace", record) for record in (*ids.split()[1:6], *rejected.split()[1:])]
    answers += [run(project, "diff", "HEAD", ".", "mask.records"), run(project, "history", "mask.records")]
    assert not [kind for kind, value in RAW.items() if any(value in answer for answer in answers)]


def test_only_the_owner_reads_tables_before_mask(project):
    modes = {stage: stat.S_IMODE((project / "lakehouse" / stage).stat().st_mode) for stage in (*BEFORE, "mask")}
    umask = subprocess.run("umask", shell=True, capture_output=True, text=True, check=True).stdout
    assert modes == {**dict.fromkeys(BEFORE, 0o700), "mask": 0o777 & ~int(umask, 8)}


@pytest.mark.skipif(os.environ.get("FINELAKE_MASK_KEY") is not None, reason="this environment has a key of its own")
def test_without_the_key_mask_reports_one_sentence(project):
    said = small.run(project, "run", "mask", code=2)
    assert said == (
        "finelake: mask makes pseudonyms and FINELAKE_MASK_KEY is not set; export the key (see docs/personal-data.md)\n"
    )


def test_tables_before_mask_can_be_expired_and_rebuilt(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    before = small.manifests(copy)
    said = run(copy, "vacuum", "--unmasked", "--keep-days", "0", "--delete")
    assert said.count("clean/") and "Freed" in said
    assert not [path for path, content in written(copy, but=()) if any(value in content for value in RAW.values())]
    verified = run(copy, "verify", "--deep")
    assert "ingest" not in verified.splitlines()[0]
    assert verified.splitlines()[1].startswith("clean, dedup, ingest: expired on purpose; `finelake repair --expired`")
    nothing = small.run(copy, "repro", "split", JAVA_HOME="/nowhere")
    assert nothing == "Nothing to do: every stage is up to date.\n"
    assert "expired" in run(copy, "quality", code=1)  # of own_masked
    run(copy, "run", "quality")
    (record,) = run(copy, "sql", "--format", "csv", "select any_value(record_id) from mask.records").split()[1:]
    assert "kept" in run(copy, "trace", record)
    said = run(copy, "run", "mask", code=2)
    assert "table dedup/records, version 0 was expired on purpose; rebuild it with `finelake repair --expired`" in said
    assert small.manifests(copy) == before
    assert small.stages_run(run(copy, "repair", "--expired")) == list(BEFORE)
    assert small.manifests(copy) == before
    assert run(copy, "verify").count("\n") == 1


def test_only_the_owner_reads_temporary_files_and_a_killed_run_s_are_swept(tmp_path):
    folder = small.make(tmp_path / "project")
    temporary = folder / ".finelake" / "tmp"
    command = [sys.executable, "-m", "finelake.cli", "repro", "ingest"]
    process = subprocess.Popen(command, cwd=folder, env=small.environment(), start_new_session=True)
    while process.poll() is None and not list(temporary.glob("*/blockmgr-*/*/*")):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    # What the run wrote is still there, as it was while the run lived.
    modes = {path: path.lstat().st_mode for path in temporary.rglob("*") if path.is_file() or path.is_dir()}
    assert [path for path in modes if path.name.startswith("blockmgr-")]
    assert [path for path, mode in modes.items() if mode & 0o044] == []
    assert {stat.S_IMODE((folder / ".finelake").stat().st_mode), stat.S_IMODE(temporary.stat().st_mode)} == {0o700}
    (killed,) = [path for path in temporary.iterdir() if path.is_dir()]
    small.run(folder, "repro", "ingest")
    assert not killed.exists()
    assert [path.name for path in temporary.iterdir()] == [".lock"]
