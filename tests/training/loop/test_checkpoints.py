"""A checkpoint is loaded whole or not at all, and never runs anything."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from finelake.lake.errors import UserError
from finelake.training.loop import checkpoints
from finelake.training.loop.checkpoints import Record, best_path, damages, sha256
from tests.training.test_train import fit, largest_difference, losses, project

TAG = "step-00000014"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def link(path: Path) -> None:
    """The same bytes by way of a link: another file may stand behind it a moment later."""
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.fixture
def folder(tmp_path) -> Path:
    """What a checkpoint looks like from outside."""
    (tmp_path / TAG).mkdir()
    for name in ("model.pt", "optim.pt"):
        (tmp_path / TAG / name).write_bytes(name.encode() * 100)
    best_path(tmp_path, 1).write_bytes(b"weights")
    files = {path.name: sha256(path) for path in (tmp_path / TAG).iterdir()}
    write_record(tmp_path, Record(files, 1, sha256(best_path(tmp_path, 1))))
    return tmp_path


def write_record(folder: Path, record: Record) -> None:
    content = {"files": record.files, "best_epoch": record.best_epoch, "best_sha256": record.best_sha256}
    (folder / f"{TAG}.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("harm", "name", "problem"),
    [
        (flip, f"{TAG}/model.pt", "model.pt was altered"),
        (cut, f"{TAG}/optim.pt", "optim.pt was altered"),
        (Path.unlink, f"{TAG}/optim.pt", "optim.pt is missing"),
        (link, f"{TAG}/optim.pt", "optim.pt is missing"),
        (Path.touch, f"{TAG}/more.pt", "more.pt was added"),
        (Path.mkdir, f"{TAG}/more", "more was added"),
        (flip, "best-1.safetensors", "best-1.safetensors was altered"),
        (Path.unlink, "best-1.safetensors", "best-1.safetensors is missing"),
        (cut, f"{TAG}.json", "its record cannot be read"),
        (lambda path: path.write_bytes(b""), f"{TAG}.json", "its record cannot be read"),
        (lambda path: path.write_bytes(b"\xff[]"), f"{TAG}.json", "its record cannot be read"),
        (lambda path: path.write_text("[]"), f"{TAG}.json", "its record cannot be read"),
        (lambda path: path.write_text('{"files": {}, "best_epoch": "../../x"}'), f"{TAG}.json", "its record cannot"),
    ],
)
def test_each_damage_is_named(folder, harm, name, problem):
    assert list(damages(folder, TAG)) == []
    harm(folder / name)
    assert [found for found in damages(folder, TAG) if found.startswith(problem)]
    lines = []
    assert checkpoints._last_whole(folder, lines.append) == -1
    assert len(lines) == 1 and f"the checkpoint {folder / TAG} is damaged ({problem}" in lines[0]


def test_a_name_in_a_record_that_leaves_the_folder_is_not_followed(folder):
    shutil.copytree(folder / TAG, folder / "other")
    write_record(folder, Record({"../other/model.pt": sha256(folder / "other" / "model.pt")}, None, None))
    assert list(damages(folder, TAG)) == ["its record cannot be read"]


def test_the_last_whole_one_counts_and_a_folder_without_a_record_does_not(folder):
    shutil.copytree(folder / TAG, folder / "step-00000020")
    (folder / "latest").write_text("../../elsewhere")
    lines = []
    assert (checkpoints._last_whole(folder, lines.append), lines) == (14, [])


@pytest.fixture(scope="module")
def left(tmp_path_factory, encoder) -> tuple[Path, Path]:
    """A run that went undisturbed, and one that ended before it wrote its model: its last checkpoints are 13 and 14."""
    from finelake.training import train as trainer

    whole = fit(project(tmp_path_factory.mktemp("whole")), encoder)
    folder = project(tmp_path_factory.mktemp("left"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "_finish", lambda *rest: None)
        fit(folder, encoder, save_steps=6)
    return whole, folder


@pytest.mark.parametrize("harm", [flip, Path.unlink])
def test_training_goes_on_from_the_one_before_and_ends_in_the_same_weights(left, tmp_path, encoder, capsys, harm):
    whole, folder = left[0], shutil.copytree(left[1], tmp_path / "copy")
    harm(next((folder / "checkpoints" / TAG).iterdir()))
    fit(folder, encoder, save_steps=6)
    said = capsys.readouterr().err
    assert f"{TAG} is damaged (" in said and "resuming from step 13 of 14" in said
    assert largest_difference(whole, folder) < 1e-6
    assert losses(whole) == losses(folder)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("made",)


def test_code_in_a_checkpoint_is_not_run_even_with_a_fitting_record(left, tmp_path, encoder, monkeypatch):
    folder = shutil.copytree(left[1], tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    path = next((folder / "checkpoints" / TAG).iterdir())
    torch.save({"module": Bomb()}, path)
    record = folder / "checkpoints" / f"{TAG}.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"files": {path.name: sha256(path)}}))
    with pytest.raises(UserError, match=f"{TAG} holds more than data, which could run code; delete"):
        fit(folder, encoder, save_steps=6)
    assert not Path("made").exists()


def test_best_weights_that_were_altered_are_never_published(tmp_path):
    from finelake.training import train as trainer

    job = type("Job", (), {"checkpoints": tmp_path, "name": "train@tiny"})
    best_path(tmp_path, 3).write_bytes(b"other")
    with pytest.raises(UserError, match=r"best-3.safetensors is missing or was altered; delete .* and run train@tiny"):
        trainer._best_weights(job, checkpoints.State(best_epoch=3, best_sha256="0" * 64))
