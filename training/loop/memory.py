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


def training_advice(entry: str, run: Run) -> str:
    """What the training of a run needed memory for, and what lowers it; `entry`: where params.yaml has the run."""
    train = f"{entry}.train"
    offload = f", spread it with {train}.zero_stage: 3 and {train}.offload: true" if torch.cuda.is_available() else ""
    checkpointing = "" if run.train.gradient_checkpointing else f", set {train}.gradient_checkpointing: true"
    return (
        f"{run.train.global_batch_size} samples per step in {run.train.gradient_accumulation_steps} micro-batches of "
        f"{run.tokenize.max_length} tokens per sample; raise {train}.gradient_accumulation_steps, "
        f"lower {entry}.tokenize.max_length{checkpointing}{offload}"
    )


def evaluation_advice(entry: str, run: Run) -> str:
    """What the evaluation of a run needed memory for, and what lowers it; `entry`: where params.yaml has the run."""
    size, length = run.train.eval_batch_size, run.tokenize.max_length
    return f"{size} samples of up to {length} tokens at once; lower {entry}.train.eval_batch_size"
