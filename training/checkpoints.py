"""Where a run stands, and checkpoints of it: a run that was killed goes on from the last whole one."""

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import deepspeed
import torch.distributed as dist

from lake import project
from lake.errors import UserError
from lake.project import write_atomically
from lake.runs import Run

KEPT = 2  # checkpoints kept: the last one, and the one before
SOURCES = ("train", "checkpoints", "engine", "model", "loader", "plan", "samples", "strategies")


@dataclass
class State:
    """Where a run stands; part of each checkpoint."""

    epoch: int = 0
    step: int = 0  # optimiser steps done in this epoch
    best: list[float] | None = None  # validation score of the best epoch; larger is better, compared in order
    best_epoch: int | None = None
    worse: int = 0  # epochs since the best one
    loss: float = 0.0  # sum over the targets since the last row of the curve
    targets: float = 0.0  # their number
    curve: list[dict] = field(default_factory=list)
    validation: list[dict] = field(default_factory=list)


def save_checkpoint(engine: deepspeed.DeepSpeedEngine, folder: Path, state: State, done: int) -> None:
    """Write a checkpoint, then name it in `latest`: a kill in between leaves the one before in force."""
    tag = f"step-{done:08d}"
    content = {"state": dataclasses.asdict(state)}
    engine.save_checkpoint(str(folder), tag, client_state=content, save_latest=False, exclude_frozen_parameters=True)
    dist.barrier()
    if dist.get_rank() == 0:
        for path in (folder / tag).iterdir():
            project.flush(path)
        write_atomically(folder / "latest", tag)
        for old in sorted(folder.glob("step-*"))[:-KEPT]:
            shutil.rmtree(old)
    dist.barrier()


def load_checkpoint(engine: deepspeed.DeepSpeedEngine, folder: Path) -> State:
    """Restore the engine from the last whole checkpoint; the state of a new run where there is none.

    UserError where ZeRO spread it over another number of ranks.
    """
    latest = folder / "latest"
    if not latest.exists():
        return State()
    tag = latest.read_text(encoding="utf-8")
    then, now = len(list((folder / tag).glob("*_optim_states.pt"))), dist.get_world_size()
    if engine.zero_optimization_stage() > 0 and then != now:
        raise UserError(
            f"the checkpoint {folder / tag} is spread over {then} ranks, not {now}; go on with FINELAKE_RANKS={then}, "
            "or delete it to start afresh (zero_stage 0 goes on with any number)"
        )
    _, content = engine.load_checkpoint(str(folder), tag, load_module_strict=False)
    return State(**content["state"])


def fingerprint(run: Run, content: str, base: Path) -> str:
    """Names a run's inputs: a checkpoint is continued only by the same code, samples, base and values, among them those
    that were chosen for this device, such as the precision."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(dataclasses.asdict(run), sort_keys=True).encode())
    digest.update(content.encode())
    sources = [Path(__file__).with_name(f"{name}.py") for name in SOURCES]
    for path in [*sources, *sorted(base.glob("*"))]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
