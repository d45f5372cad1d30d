"""What torch's companions read from a process, and where their messages go: set when an engine starts."""

import logging
import os
import warnings
from pathlib import Path

import torch

LOG = Path(".finelake") / "training.log"  # in a project: what the libraries log

# Uses of older interfaces that the pinned versions of these libraries make of one another: nothing a user could change.
KNOWN = (
    # Petastorm 0.12.1 uses pyarrow's older interface, and says so at each call.
    *((kind, "", r"petastorm\.") for kind in (FutureWarning, DeprecationWarning)),
    (FutureWarning, "`is_gradient_checkpointing`", ""),  # PEFT 0.21 asks transformers 5 for it
    (FutureWarning, "`torch.distributed.all_gather_into_tensor`", ""),  # DeepSpeed 0.19 calls it
)


def prepare(log: Path | None = None) -> None:
    """No bars between a stage's own lines, and the warnings of transformers in the file `log`, where one is given.

    Before DeepSpeed is imported, which would search for a GPU where there is none.
    """
    from transformers.utils import logging as transformers

    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    for kind, message, module in KNOWN:
        warnings.filterwarnings("ignore", category=kind, message=message, module=module)
    transformers.disable_progress_bar()
    if log is not None:
        redirect("transformers", log)


def redirect(library: str, log: Path) -> None:
    """Append what a library logs to a file instead of the terminal."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = logging.FileHandler(log, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger(library).handlers[:] = [handler]
