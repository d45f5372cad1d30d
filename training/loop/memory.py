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
    checkpointing = "" if run.gradient_checkpointing else ", set gradient_checkpointing: true"
    return (
        f"batch_size {run.batch_size} in {run.accumulation} micro-batches of {run.tokens} tokens a sample; "
        f"raise accumulation, lower samples.tokens{checkpointing}{offload}"
    )


def asked_by_evaluation(run: Run) -> str:
    return f"{run.evaluate_batch} samples of up to {run.tokens} tokens at once; lower train.evaluate_batch"
