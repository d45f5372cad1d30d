import numpy as np
import pytest
import torch

from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError
from finelake.training.loop.memory import evaluation_advice, oom_as_user_error, training_advice

RUN = with_values(
    Run(task="classify", base=Base(kind="folder", name="base")),
    global_batch_size=8,
    gradient_accumulation_steps=2,
    max_length=12,
)


def fill_the_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("failing", [lambda: torch.zeros(2**50), lambda: np.zeros(2**50), fill_the_gpu])
@pytest.mark.parametrize(
    ("stage", "asking", "run", "message"),
    [
        (
            *("train@tiny", training_advice, RUN),
            "train@tiny: out of memory with 8 samples per step in 2 micro-batches of 12 tokens per sample; raise "
            "runs.tiny.train.gradient_accumulation_steps, lower runs.tiny.tokenize.max_length, "
            "set runs.tiny.train.gradient_checkpointing: true",
        ),
        (
            *("train@tiny", training_advice, with_values(RUN, gradient_checkpointing=True)),
            "train@tiny: out of memory with 8 samples per step in 2 micro-batches of 12 tokens per sample; raise "
            "runs.tiny.train.gradient_accumulation_steps, lower runs.tiny.tokenize.max_length",
        ),
        (
            *("evaluate@tiny", evaluation_advice, RUN),
            "evaluate@tiny: out of memory with 64 samples of up to 12 tokens at once; "
            "lower runs.tiny.train.eval_batch_size",
        ),
    ],
)
def test_out_of_memory_names_what_to_change(monkeypatch, stage, asking, run, message, failing):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError) as error, oom_as_user_error(stage, asking("runs.tiny", run)):
        failing()
    assert str(error.value) == message


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="size of tensor"), oom_as_user_error("train@tiny", ""):
        torch.zeros(2) + torch.zeros(3)
