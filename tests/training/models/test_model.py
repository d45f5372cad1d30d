"""Models come back from their folders as they were; what is damaged is named."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError
from finelake.training.models import model as models
from finelake.training.tasks import find, load
from tests.training.conftest import batch, tokenizer_folder

BASE = Base(kind="folder", name="base")


@pytest.mark.parametrize("strategy", ["lora", "full"])
def test_a_classifier_comes_back_as_it_was_saved(tmp_path, encoder, strategy):
    run = with_values(Run(task="classify", base=BASE), strategy=strategy, lora_rank=4, lora_alpha=32)
    model = find(run.task).build(run, encoder, 3)
    for parameter in (p for p in model.parameters() if p.requires_grad):
        torch.nn.init.normal_(parameter, std=0.05)
    inputs = batch([[5, 6, 7, 8], [9, 10, 0, 0]])
    before = model.eval()(inputs).detach()
    models.save(model, run, ("a", "b", "c"), tokenizer_folder(tmp_path), tmp_path / "model")
    again, description = load(tmp_path / "model")
    torch.testing.assert_close(again(inputs), before, atol=1e-5, rtol=1e-5)
    assert description == models.Description("classify", ("a", "b", "c"), 20.0)
    assert (tmp_path / "model" / "adapter").exists() == (strategy == "lora")
    assert not [path for path in (tmp_path / "model").rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]
    assert str(tmp_path) not in "".join(p.read_text() for p in (tmp_path / "model").rglob("*.json"))


def test_lora_trains_the_adapter_and_the_head_alone(encoder):
    run = with_values(
        Run(task="classify", base=BASE),
        strategy="lora",
        lora_rank=8,
        lora_alpha=16,
        learning_rate=5e-5,
        head_learning_rate=1e-2,
    )
    model = find(run.task).build(run, encoder, 3)
    names = set(models.trainable_state(model))
    assert {name for name in names if "lora_" not in name} == {"head.weight", "head.bias"}
    groups = models.parameter_groups(model, run)
    assert {(group["peak"], group["weight_decay"]) for group in groups} == {(5e-5, 0.01), (1e-2, 0.01), (1e-2, 0.0)}


def test_pickled_weights_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(UserError, match="no weights in safetensors format"):
        models.load_body(tmp_path, AutoModel)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, encoder, causal):
    """Model folders as training saves them: an encoder with its adapter beside it, a merged one, a causal one."""
    root = tmp_path_factory.mktemp("saved")
    labels = ("a", "b", "c")
    lora = {"strategy": "lora", "lora_rank": 4, "lora_alpha": 8}
    runs = {
        "adapter": (with_values(Run(task="classify", base=BASE), merge=False, **lora), encoder, labels),
        "merged": (with_values(Run(task="classify", base=BASE), **lora), encoder, labels),
        "causal": (
            with_values(Run(task="classify", base=BASE), task="instruct", max_length=128, strategy="full"),
            causal,
            (),
        ),
    }
    tokenizer = tokenizer_folder(root)
    for name, (run, base, classes) in runs.items():
        models.save(find(run.task).build(run, base, len(classes)), run, classes, tokenizer, root / name)
    return root


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_a_tensor(path: Path) -> None:
    """A file of weights that lacks one of them, as an interrupted conversion leaves it."""
    tensors = load_file(path)
    del tensors[sorted(tensors)[0]]
    save_file(tensors, path, {"format": "pt"})


def of_other_shapes(path: Path) -> None:
    save_file({name: torch.zeros(7) for name in load_file(path)}, path, {"format": "pt"})


DAMAGES = {
    "gone": Path.unlink,
    "cut": halved,
    "empty": lambda path: path.write_bytes(b""),
    "bytes": lambda path: path.write_bytes(b"\xff" * 100),
    "{": lambda path: path.write_text("{"),
    "[]": lambda path: path.write_text("[]"),
    "null": lambda path: path.write_text("null"),
    "nested": lambda path: path.write_text("[" * 100_000),
}
FILES = [
    *[("adapter", name) for name in ("config.json", "model.safetensors", "head.safetensors", "finelake.json")],
    *[("adapter", f"adapter/{name}") for name in ("adapter_config.json", "adapter_model.safetensors")],
    *[("merged", name) for name in ("model.safetensors", "head.safetensors")],
    *[("causal", name) for name in ("config.json", "model.safetensors", "finelake.json")],
]


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_damaged_file_of_a_model_is_named_with_the_stage_that_writes_it(saved, tmp_path, name, file):
    weights = {"without a tensor": without_a_tensor, "other shapes": of_other_shapes}
    for number, damage in enumerate([*DAMAGES.values(), *(weights.values() if "safetensors" in file else ())]):
        folder = tmp_path / str(number)
        shutil.copytree(saved / name, folder)
        damage(folder / file)
        with pytest.raises(UserError) as error:
            load(folder)
        assert str(folder) in str(error.value)
        assert "run the stage `train` of this run again" in str(error.value) or "no weights in" in str(error.value)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        *[("config.json", {"model_type": value}) for value in ("no-such-architecture", 3, None)],
        *[("config.json", {"hidden_size": value}) for value in (32, "16", None, -1, 0)],
        *[("config.json", {"num_hidden_layers": value}) for value in (3, "2", None)],
        ("config.json", {"vocab_size": 7}),
        *[("finelake.json", {"task": value}) for value in ("tag", 3, None, "instruct")],
        *[("finelake.json", {"labels": value}) for value in ("abc", [], ["a"], [1, 2, 3], None, {"a": 1}, ["a"] * 4)],
        *[("finelake.json", {"scale": value}) for value in ("20", None, float("nan"), [])],
        *[("finelake.json", {"adapter": value}) for value in ("yes", 1, None)],
        ("finelake.json", {"format": 2}),
        ("finelake.json", {"more": 1}),
    ],
)
def test_values_that_finelake_does_not_write_are_named(saved, tmp_path, file, changes):
    folder = tmp_path / "model"
    shutil.copytree(saved / "adapter", folder)
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(content | changes))
    with pytest.raises(UserError, match="run the stage `train` of this run again"):
        load(folder)


def test_a_base_that_is_damaged_names_the_stage_base(tmp_path, encoder):
    shutil.copytree(encoder, tmp_path / "base")
    halved(tmp_path / "base" / "model.safetensors")
    with pytest.raises(UserError, match="cannot be read as a model .*; run the stage `base` of this run again"):
        find("classify").build(with_values(Run(task="classify", base=BASE), strategy="full"), tmp_path / "base", 3)


def test_an_encoder_cannot_write(encoder):
    """Its output weights would be drawn at random."""
    with pytest.raises(UserError, match="weights .* are missing"):
        find("instruct").build(
            with_values(Run(task="classify", base=BASE), task="instruct", max_length=128, strategy="full"), encoder, 0
        )


def test_a_passing_trouble_is_not_reported_as_damage(saved, monkeypatch):
    def no_more_files(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(models.AutoConfig, "from_pretrained", no_more_files)
    with pytest.raises(OSError, match="Too many open files"):
        load(saved / "merged")
