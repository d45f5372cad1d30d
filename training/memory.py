"""Memory that does not suffice, told with what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lake.errors import UserError
from lake.runs import Run


@contextmanager
def memory_told(name: str, run: Run) -> Iterator[None]:
    """Turns an allocation that failed while the stage `name` of a run was at work into a UserError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's CPU allocator has no kind of error of its own
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        told = _evaluating(run) if name.startswith("evaluate") else _training(run)
        raise UserError(f"{name}: out of memory with {told}") from None


def _training(run: Run) -> str:
    offload = ", spread it with zero_stage 3 and offload: true" if torch.cuda.is_available() else ""
    checkpointing = "" if run.gradient_checkpointing else ", set gradient_checkpointing: true"
    return (
        f"batch_size {run.batch_size} in {run.accumulation} micro-batches of {run.tokens} tokens a sample; "
        f"raise accumulation, lower samples.tokens{checkpointing}{offload}"
    )


def _evaluating(run: Run) -> str:
    return f"{run.evaluate_batch} samples of up to {run.tokens} tokens at once; lower train.evaluate_batch"
