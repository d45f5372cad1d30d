"""Vacuum frees unreferenced data, and never what any branch, tag, experiment or work tree pins."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finelake.jobs.spark.commit import commit
from finelake.lake.errors import UserError
from finelake.lake.tables.locks import MARK, writing
from finelake.lake.tables.snapshots import (
    Table,
    expire,
    expired,
    history,
    intact,
    manifest_path,
    problems,
    require,
    write_manifest,
)
from finelake.lake.tables.vacuum import Rules, delete, pinned, unreferenced

NOTHING = Rules(days=0)


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=finelake", "-c", "user.email=finelake@localhost")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def pin(root: Path, table: Table) -> None:
    """Write the manifest and commit it, as a project without DVC's cache does."""
    write_manifest(root, "clean", {"records": table})
    md5 = hashlib.md5(manifest_path(root, "clean").read_bytes()).hexdigest()
    lock = (
        f"schema: '2.0'\nstages:\n  clean:\n    cmd: x\n    outs:\n    - path: snapshots/clean.json\n      md5: {md5}\n"
    )
    (root / "dvc.lock").write_text(lock)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "pin")


@pytest.fixture
def project(spark, tmp_path):
    """A Git repository and a lake of five versions: v0 on a branch, v1 tagged, v2 in an old commit, v3, v4 pinned."""
    root, lake = tmp_path / "project", str(tmp_path / "lake")
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    frames = [spark.range(number + 1).coalesce(1) for number in range(5)]
    tables = [commit(frame, lake, "clean/records", frame.schema) for frame in frames]
    pin(root, tables[0])
    git(root, "branch", "old")
    pin(root, tables[1])
    git(root, "tag", "released")
    pin(root, tables[2])
    pin(root, tables[4])
    return root, lake, tables


def freed(root: Path, lake: str, rules: Rules) -> list[int | None]:
    return [item.version for item in unreferenced(lake, pinned(root, rules.every_commit), rules)]


def test_what_nothing_pins_is_unreferenced(project):
    root, lake, tables = project
    assert freed(root, lake, NOTHING) == [3, 2]
    (item, _) = unreferenced(lake, pinned(root), NOTHING)
    files = list(Path(lake, item.folder).iterdir())
    assert (item.table, item.rows, item.files) == ("clean/records", 4, len(files))
    assert item.size == sum(file.stat().st_size for file in files)


@pytest.mark.parametrize(
    ("rules", "versions"),
    [
        (Rules(days=7), []),
        (Rules(days=0, versions=1), [3, 2]),
        (Rules(days=0, versions=2), [2]),
        (Rules(days=0, every_commit=True), [3]),
    ],
)
def test_rules_keep_more(project, rules, versions):
    root, lake, _ = project
    assert freed(root, lake, rules) == versions


def test_days_are_counted_from_now(project):
    root, lake, _ = project
    later = time.time() + 8 * 24 * 60 * 60
    assert [item.version for item in unreferenced(lake, pinned(root), Rules(days=7), now=later)] == [3, 2]


def test_deleting_leaves_every_pin_complete(project):
    root, lake, tables = project
    assert delete(lake, unreferenced(lake, pinned(root), NOTHING)) == []
    assert [intact(lake, table, deep=True) for table in tables] == [True, True, False, False, True]
    assert unreferenced(lake, pinned(root), NOTHING) == []


def test_a_freed_content_is_written_again_on_demand(spark, project):
    root, lake, tables = project
    delete(lake, unreferenced(lake, pinned(root), NOTHING))
    frame = spark.range(4)
    assert commit(frame, lake, "clean/records", frame.schema) == tables[3]
    assert intact(lake, tables[3], deep=True)


def test_the_manifest_of_a_running_experiment_keeps_its_table(project):
    root, lake, tables = project
    copy = root / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    write_manifest(copy, "clean", {"records": tables[3]})
    assert freed(root, lake, NOTHING) == [2]


def test_the_pins_of_a_ref_can_be_ignored(project):
    root, lake, _ = project
    assert [item.version for item in unreferenced(lake, pinned(root, without=["old"]), NOTHING)] == [3, 2, 0]
    with pytest.raises(UserError, match="--without older: there is no such ref; did you mean old?"):
        pinned(root, without=["older"])


def test_a_manifest_that_cannot_be_read_stops_everything(project):
    root, lake, _ = project
    git(root, "rm", "--cached", "--quiet", "snapshots/clean.json")
    git(root, "commit", "--quiet", "--message", "not in Git, and in no cache of DVC")
    subprocess.run(
        [sys.executable, "-m", "dvc", "init", "--quiet", "--force"], cwd=root, check=True, capture_output=True
    )
    with pytest.raises(UserError, match="snapshots/clean.json of .* is not in DVC's cache; fetch it with"):
        pinned(root)


def test_an_aborted_write_is_unreferenced_and_one_in_progress_is_kept(project):
    root, lake, _ = project
    left = Path(lake, "clean", "records", "data", "0123")
    left.mkdir()
    (left / "part-0.parquet").write_bytes(b"half")
    assert freed(root, lake, NOTHING) == [3, 2, None]
    assert freed(root, lake, Rules(days=7)) == []
    found = unreferenced(lake, pinned(root), NOTHING)
    with writing(lake, "elsewhere"), writing(lake, "clean"):  # sweeps what the killed one left, and holds the rest
        assert delete(lake, found) == found
    assert delete(lake, found) == []


def test_without_a_log_only_aborted_writes_are_unreferenced(project):
    root, lake, _ = project
    log = Path(lake, "clean", "records", "_delta_log")
    log.rename(log.with_name("away"))
    half = Path(lake, "clean", "records", "data", "0123")
    half.mkdir()
    (half / "part-0.parquet").write_bytes(b"half")
    assert unreferenced(lake, {}, NOTHING) == []
    (half / MARK).touch()
    assert [(item.batch, item.version) for item in unreferenced(lake, {}, NOTHING)] == [("0123", None)]


@pytest.mark.parametrize("lost", ["all of it", "its last commits"])
def test_a_pin_that_no_version_satisfies_stops_everything(project, lost):
    root, lake, tables = project
    logs = sorted(Path(lake, "clean", "records", "_delta_log").glob("*.json"))
    for log in logs if lost == "all of it" else logs[3:]:
        log.unlink()
    message = (
        f"no version with the content {tables[4].content} that the work tree pins.* so nothing is deleted; restore"
    )
    with pytest.raises(UserError, match=message):
        unreferenced(lake, pinned(root), NOTHING)
    (root / "snapshots" / "clean.json").unlink()
    (root / "dvc.lock").unlink()
    with pytest.raises(UserError, match="or ignore what (HEAD|main|old|released) pins with --without"):
        unreferenced(lake, pinned(root), NOTHING)


@pytest.mark.parametrize("altered", ["the folder", "the key", "all of it"])
def test_files_of_the_delta_log_are_kept_whatever_the_commit_lists(project, altered):
    root, lake, tables = project
    log = Path(lake, "clean", "records", "_delta_log", f"{4:020d}.json")
    (batch,) = history(lake, "clean/records")[0].batches
    old, new = {"the folder": (batch, "f" * 32), "the key": ("files", "fi1es"), "all of it": ("{", "")}[altered]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "commitInfo" in line:
            metadata = line["commitInfo"]["userMetadata"].replace(old, new)
            line["commitInfo"]["userMetadata"] = metadata
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    if altered == "all of it":  # then nothing says what the version holds
        with pytest.raises(UserError, match="so nothing is deleted"):
            unreferenced(lake, pinned(root), NOTHING)
        return
    assert history(lake, "clean/records")[0].batches == ({"f" * 32} if altered == "the folder" else set())
    assert list(problems(lake, tables[4])) == [
        "table clean/records, version 4: its Delta log names other files than its commit wrote"
    ]
    delete(lake, unreferenced(lake, pinned(root), NOTHING))
    assert list(Path(lake, "clean", "records", "data", batch).glob("*.parquet"))


def test_what_dvc_lock_pins_is_kept_without_its_manifest(project):
    root, lake, tables = project
    for damage in (lambda path: path.write_text(path.read_text().replace('"format": 4', '"format": 2')), Path.unlink):
        damage(manifest_path(root, "clean"))
        if manifest_path(root, "clean").exists():
            with pytest.raises(UserError, match="has snapshot format 2"):
                pinned(root)
    assert freed(root, lake, NOTHING) == [3, 2]
    git(root, "rm", "--cached", "--quiet", "snapshots/clean.json")
    git(root, "commit", "--quiet", "--message", "no manifest in Git")
    with pytest.raises(UserError, match="clean.json, which dvc.lock pins, is missing here and in DVC's cache"):
        pinned(root)


def test_links_and_other_folders_of_a_lake_are_kept(project, tmp_path):
    root, lake, tables = project
    Path(lake, "clean_old").symlink_to("clean")
    Path(lake, "loop").symlink_to(".")
    assert [item.table for item in unreferenced(lake, pinned(root), NOTHING)] == ["clean/records"] * 2
    Path(lake, "clean").rename(tmp_path / "elsewhere")
    Path(lake, "clean").symlink_to(tmp_path / "elsewhere")
    assert unreferenced(lake, pinned(root), NOTHING) == []
    assert intact(lake, tables[4], deep=True)


def test_a_hook_of_git_does_not_lead_to_other_pins(project, tmp_path, monkeypatch):
    root, lake, _ = project
    git(tmp_path, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert freed(root, lake, NOTHING) == [3, 2]


def test_manifests_that_cannot_be_listed_stop_everything(project):
    root, _, _ = project
    (root / "snapshots").rename(root / "away")
    (root / "snapshots").write_text("not a folder")
    with pytest.raises(NotADirectoryError):
        pinned(root)


def test_expendable_tables_are_expired_and_not_lost(spark, project):
    root, lake, tables = project
    assert pinned(root, expendable=lambda manifests, stages: ["mask"]) == pinned(root)
    pins = pinned(root, expendable=lambda manifests, stages: manifests.keys() & stages.keys())
    found = unreferenced(lake, pins, NOTHING)
    assert [item.version for item in found] == [4, 3, 2, 1, 0]
    expire(lake, "clean/records", [4])
    assert not expired(lake, tables[4])  # its files are still there
    delete(lake, found)
    assert [expired(lake, table) for table in tables] == [False, False, False, False, True]
    assert list(problems(lake, tables[4])) == ["table clean/records, version 4 was expired on purpose"]
    assert "data file" in next(problems(lake, tables[3]))
    with pytest.raises(
        UserError, match="version 4 was expired on purpose; rebuild it with `finelake repair --expired`"
    ):
        require(lake, "clean", tables[4])
    frame = spark.range(5).coalesce(1)
    assert commit(frame, lake, "clean/records", frame.schema) == tables[4]
    assert not expired(lake, tables[4])
    assert intact(lake, tables[4], deep=True)
