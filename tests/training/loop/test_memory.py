import numpy as np
import pytest
import torch

from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError
from finelake.training.loop.memory import asked_by_evaluation, asked_by_training, memory_told

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
            *("train@tiny", asked_by_training, RUN),
            "train@tiny: out of memory with global_batch_size 8 in 2 micro-batches of 12 tokens per sample; raise "
            "gradient_accumulation_steps, lower samples.max_length, set gradient_checkpointing: true",
        ),
        (
            *("train@tiny", asked_by_training, with_values(RUN, gradient_checkpointing=True)),
            "train@tiny: out of memory with global_batch_size 8 in 2 micro-batches of 12 tokens per sample; raise "
            "gradient_accumulation_steps, lower samples.max_length",
        ),
        (
            *("evaluate@tiny", asked_by_evaluation, RUN),
            "evaluate@tiny: out of memory with 64 samples of up to 12 tokens at once; lower train.eval_batch_size",
        ),
    ],
)
def test_too_little_memory_is_told_with_what_to_change(monkeypatch, stage, asking, run, message, failing):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError) as told, memory_told(stage, asking(run)):
        failing()
    assert str(told.value) == message


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="size of tensor"), memory_told("train@tiny", asked_by_training(RUN)):
        torch.zeros(2) + torch.zeros(3)
