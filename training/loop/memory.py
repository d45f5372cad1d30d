"""Memory that does not suffice, told with what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from finelake.lake.config.runs import Run
from finelake.lake.errors import UserError


@contextmanager
def memory_told(name: str, asked: str) -> Iterator[None]:
    """Turns an allocation that failed while the stage `name` was at work into a UserError; `asked`, by one of the
    functions below, says what needed the memory and what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's CPU allocator has no kind of error of its own
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise UserError(f"{name}: out of memory with {asked}") from None


def asked_by_training(run: Run) -> str:
    offload = ", spread it with zero_stage 3 and offload: true" if torch.cuda.is_available() else ""
    checkpointing = "" if run.train.gradient_checkpointing else ", set gradient_checkpointing: true"
    return (
        f"global_batch_size {run.train.global_batch_size} in {run.train.gradient_accumulation_steps} micro-batches of "
        f"{run.samples.max_length} tokens per sample; raise gradient_accumulation_steps, lower samples.max_length"
        f"{checkpointing}{offload}"
    )


def asked_by_evaluation(run: Run) -> str:
    size, length = run.train.eval_batch_size, run.samples.max_length
    return f"{size} samples of up to {length} tokens at once; lower train.eval_batch_size"
