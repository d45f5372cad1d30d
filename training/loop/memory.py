"""Out of memory: the error names what needed it and what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from finelake.lake.config.runs import Run
from finelake.lake.errors import UserError


@contextmanager
def oom_as_user_error(stage: str, advice: str) -> Iterator[None]:
    """Raises UserError for an allocation that fails in the stage. `advice`, by one of the functions below, names what
    needed the memory and what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's CPU allocator has no kind of error of its own
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise UserError(f"{stage}: out of memory with {advice}") from None


def training_advice(run: Run) -> str:
    """What the training of a run needed memory for, and what lowers it."""
    offload = ", spread it with zero_stage 3 and offload: true" if torch.cuda.is_available() else ""
    checkpointing = "" if run.train.gradient_checkpointing else ", set gradient_checkpointing: true"
    return (
        f"global_batch_size {run.train.global_batch_size} in {run.train.gradient_accumulation_steps} micro-batches of "
        f"{run.tokenize.max_length} tokens per sample; raise gradient_accumulation_steps, lower tokenize.max_length"
        f"{checkpointing}{offload}"
    )


def evaluation_advice(run: Run) -> str:
    """What the evaluation of a run needed memory for, and what lowers it."""
    size, length = run.train.eval_batch_size, run.tokenize.max_length
    return f"{size} samples of up to {length} tokens at once; lower train.eval_batch_size"
