"""Packed texts are computed as single ones, targets look one token ahead, and replies are those of each prompt."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from finelake.lake.config.runs import Base, Run, Tokenize, with_values
from finelake.text.templates import PROMPT, REPLY
from finelake.training.base import from_scratch
from finelake.training.data.samples import Part
from finelake.training.evaluation.answers import Answers
from finelake.training.loop.progress import Progress
from finelake.training.models import model as models
from finelake.training.tasks.instruct import TASK, segment_positions
from tests.training.conftest import batch
from tests.training.test_base import TEXTS, TINY

RUN = with_values(
    Run(task="instruct", base=Base(kind="folder", name="base"), tokenize=Tokenize(max_length=128)), strategy="full"
)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("attention", ["sdpa", "eager", "flex_attention"])
@pytest.mark.parametrize("window", [None, 3])
def test_packed_logits_equal_single_ones(causal, tmp_path, attention, window):
    if window:
        causal = with_window(causal, window, tmp_path / "base")
    model = TASK.build(with_values(RUN, attention=attention), causal, 0).eval()
    first, second = [5, 6, 7, 8, 9], [11, 12, 13]
    # On a CPU flex attention is slow to compile, and only its forward pass exists.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        packed = model(batch([first + second + [0, 0]], [[1] * 5 + [2] * 3 + [0, 0]]))[0]
        torch.testing.assert_close(packed[:5], model(batch([first]))[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(packed[5:8], model(batch([second]))[0], atol=1e-5, rtol=0)
    assert torch.isfinite(packed).all()


def with_window(causal: Path, tokens: int, folder: Path) -> Path:
    """The same weights as a model whose tokens look at so many tokens back."""
    shutil.copytree(causal, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": tokens}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_sliding_window_hides_earlier_tokens_of_a_packed_text(causal, tmp_path):
    model = TASK.build(RUN, with_window(causal, 3, tmp_path / "base"), 0).eval()
    one = model(batch([[5, 6, 7, 8, 9, 10, 11, 3]], [[1] * 7 + [2]]))[0]
    other = model(batch([[19, 6, 7, 8, 9, 10, 11, 3]], [[1] * 7 + [2]]))[0]
    # Two layers of three tokens reach four back.
    torch.testing.assert_close(one[5:7], other[5:7], atol=1e-6, rtol=0)
    assert not torch.allclose(one[4], other[4], atol=1e-6)


def test_a_base_in_which_packed_texts_see_each_other_is_noticed(causal, tmp_path):
    from transformers import OPTConfig, OPTForCausalLM

    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, ffn_dim=32, word_embed_proj_dim=16
    )
    OPTForCausalLM(config).save_pretrained(tmp_path / "opt")
    assert TASK.mixes(TASK.build(RUN, tmp_path / "opt", 0))
    model = TASK.build(RUN, causal, 0).train()
    assert not TASK.mixes(model) and model.training


def test_padding_changes_nothing(causal):
    model = TASK.build(RUN, causal, 0).eval()
    single, padded = model(batch([[5, 6, 7]]))[0], model(batch([[5, 6, 7, 0, 0], [9, 9, 9, 9, 9]]))[0, :3]
    torch.testing.assert_close(padded, single, atol=1e-5, rtol=0)


def test_positions_restart_in_each_segment():
    segments = torch.tensor([[1, 1, 1, 2, 2, 0, 0]])
    assert segment_positions(segments).tolist() == [[0, 1, 2, 0, 1, 0, 1]]


def test_no_target_crosses_the_border_of_packed_texts():
    labels, segments = np.array([[7, 8, 9, 7, 8]]), np.array([[1, 1, 1, 2, 2]])
    assert TASK.labels(labels, segments).tolist() == [[-100, 8, 9, -100, 8]]


def test_the_loss_looks_one_token_ahead():
    scores = torch.zeros(1, 3, 4)
    scores[0, 0, 2] = scores[0, 1, 3] = 50.0
    sure = batch([[1, 2, 3]], labels=[[-100, 2, 3]])
    assert TASK.loss(scores, sure).item() == pytest.approx(0.0, abs=1e-6)
    wrong = batch([[1, 2, 3]], labels=[[-100, 2, 1]])
    assert TASK.loss(scores, wrong).item() == pytest.approx(50.0, abs=1e-3)


def test_a_validation_counts_the_next_tokens_that_are_right():
    scores = torch.zeros(1, 3, 4)
    scores[0, 0, 2] = scores[0, 1, 1] = 50.0
    tally = TASK.tally(scores, batch([[1, 2, 3]], labels=[[-100, 2, 3]]))
    assert tally["accuracy"].item() == 1
    assert tally["loss"].item() == pytest.approx(50.0, abs=1e-3)
    assert TASK.rank({"loss": 2.0, "accuracy": 0.5}) == [-2.0]


def test_generation_in_batches_is_generation_one_by_one(tmp_path):
    from_scratch(TINY, 0, TEXTS, tmp_path, "base@tiny")
    run = with_values(
        Run(task="instruct", base=TINY, tokenize=Tokenize(max_length=65)),
        max_length=64,
        max_new_tokens=8,
        strategy="full",
        eval_batch_size=3,
        prompt="{text}",
    )
    models.save(TASK.build(run, tmp_path / "base", 0), run, (), tmp_path / "tokenizer", tmp_path / "model")
    prompts = [f"{PROMPT}{text}{REPLY}" for text in ("My card", "我的信用卡丢了怎么办？", "What now, my card?", "卡")]
    part, progress = Part((), ()), Progress("t", 4, shown=False)
    together = TASK.predict(tmp_path / "model", part, prompts, run, progress)
    alone = [TASK.predict(tmp_path / "model", part, [prompt], run, progress)[0] for prompt in prompts]
    assert together == alone
    assert any(together)
    assert not any(marker in reply for reply in together for marker in (PROMPT, REPLY))


def test_prompt_and_reply_are_those_that_select_rendered():
    row = {"prompt": f"{PROMPT}lost card{REPLY}", "target": "We block it."}
    assert (TASK.prompt(row), TASK.wanted(row)) == (f"{PROMPT}lost card{REPLY}", "We block it.")


def test_examples_are_the_worst_then_some_drawn_at_random():
    wanted = ["my card is lost"] * 8
    given = [*wanted[:2], "no", *wanted[3:5], "yes", *wanted[6:]]
    rows = [{"lang": "en"}] * 8
    answers = Answers(rows, wanted, {"model": given}, selected=8)
    shown = TASK.examples(answers, with_values(RUN, examples=4))
    assert shown[:2] == [2, 5] and len(set(shown)) == 4 and shown[2:] == sorted(shown[2:])
    scores = TASK.scorers(answers, given)
    assert list(scores) == ["bleu", "rouge_l", "exact_match"]
    assert scores["exact_match"](np.arange(8)) == 0.75
