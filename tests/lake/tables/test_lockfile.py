"""dvc.lock is read as DVC writes it; an output that differs from the pinned one is reported."""

import subprocess
import sys

import pytest

from finelake.lake.errors import UserError
from finelake.lake.tables import lockfile


@pytest.mark.parametrize(("read", "current"), [("1", True), ("0", False)])
def test_a_stage_is_current_when_it_read_what_was_written_last(read, current):
    made = {"outs": [{"path": "snapshots/dedup.json", "md5": "1"}]}
    deps = [{"path": "snapshots/dedup.json", "md5": read}, {"path": "jobs/mask.py", "md5": "2"}]
    assert lockfile.is_current({"dedup": made, "mask": {"deps": deps}}, "mask") is current
    assert not lockfile.is_current({"dedup": made}, "mask")


def test_manifests_are_distinguished_from_other_outputs():
    stages = {
        "quality": {"outs": [{"path": "reports/quality.txt", "md5": "1"}]},
        "tokenize@a": {"outs": [{"path": "snapshots/tokenize-a.json", "md5": "2"}]},
        "mine": {"deps": [{"path": "snapshots/split.json", "md5": "3"}]},
    }
    assert list(lockfile.pinned_manifests(stages)) == [("tokenize@a", "snapshots/tokenize-a.json", "2")]


@pytest.fixture
def outputs(tmp_path):
    """A project in which DVC pins a folder of files and a file."""
    root = tmp_path / "project"
    for name in ("model/weights", "model/deep/more", "scores"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "dvc.yaml").write_text("stages:\n  train:\n    cmd: x\n    outs: [model, scores]\n")
    for command in (["init", "--quiet", "--no-scm"], ["commit", "--quiet", "--force"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=root, check=True)
    return root


def test_an_output_is_what_dvc_pins(outputs):
    for path in ("model", "scores", "not/known"):
        lockfile.check_output(outputs, path)


@pytest.mark.parametrize("change", ["altered", "gone", "new"])
def test_an_output_that_was_altered_is_named(outputs, change):
    path = outputs / "model" / ("other" if change == "new" else "deep/more")
    path.unlink() if change == "gone" else path.write_text("model/deep/m0re")
    with pytest.raises(
        UserError, match="model is not what dvc.lock pins: .* `dvc checkout --force model`.*force train`"
    ):
        lockfile.check_output(outputs, "model")
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "--quiet", "--force", "model"], cwd=outputs, check=True)
    lockfile.check_output(outputs, "model")
    (outputs / "scores").write_text("5cores")
    with pytest.raises(UserError, match="scores is not what dvc.lock pins"):
        lockfile.check_output(outputs, "scores")


@pytest.mark.parametrize(
    "text", ["stages: 3", "stages: {a: 1}", "stages: {a: {outs: [1]}}", "[1]", "{", b"\xff", "[" * 9999]
)
def test_names_a_lock_file_that_dvc_did_not_write(tmp_path, text):
    (tmp_path / "dvc.lock").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match="dvc.lock of the work tree was altered or truncated"):
        lockfile.work_tree(tmp_path)
