"""Where a run stands, and checkpoints of it: a run that was killed goes on from the last whole one.

Each checkpoint is a folder and, written last, a record with the SHA-256 of its files. Nothing is loaded that does not
fit its record, and DeepSpeed's files, which are pickles, are read as data. Somebody who can write the record too could
change the project as well: the record is against damage and against files from elsewhere.
"""

import dataclasses
import hashlib
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from finelake.lake.config import project
from finelake.lake.config.project import write_atomically
from finelake.lake.config.runs import Run
from finelake.lake.errors import UserError

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

KEPT = 2  # checkpoints kept: the last one, and the one before
SOURCES = (
    "train.py",
    *("loop/checkpoints.py", "loop/engine.py", "models/model.py", "models/strategies.py"),
    *("data/batch.py", "data/loader.py", "data/plan.py", "data/samples.py"),
    *("tasks/__init__.py", "tasks/task.py"),
)


@dataclass
class State:
    """Where a run stands; part of each checkpoint."""

    epoch: int = 0
    step: int = 0  # optimiser steps done in this epoch
    best: list[float] | None = None  # validation score of the best epoch; larger is better, compared in order
    best_epoch: int | None = None
    best_sha256: str | None = None  # of its weights
    worse: int = 0  # epochs since the best one
    loss: float = 0.0  # sum over the targets since the last row of the curve
    targets: float = 0.0  # their number
    curve: list[dict] = field(default_factory=list)
    validation: list[dict] = field(default_factory=list)


def best_path(folder: Path, epoch: int | None) -> Path:
    """The weights of an epoch that was the best one: a checkpoint needs those of its own time."""
    return folder / f"best-{epoch}.safetensors"


def save_checkpoint(engine: "DeepSpeedEngine", folder: Path, state: State, done: int) -> None:
    """Write a checkpoint, then its record: a kill in between leaves the one before in force."""
    tag = f"step-{done:08d}"
    if dist.get_rank() == 0:
        make_private(folder)
        _remove(folder, tag)  # what a kill left, or what was found damaged
    dist.barrier()
    content = {"state": dataclasses.asdict(state)}
    engine.save_checkpoint(str(folder), tag, client_state=content, save_latest=False, exclude_frozen_parameters=True)
    dist.barrier()
    if dist.get_rank() == 0:
        digests = {}
        for path in sorted((folder / tag).iterdir()):
            project.flush(path)
            digests[path.name] = sha256(path)
        project.flush(folder / tag)
        record = Record(digests, state.best_epoch, state.best_sha256)
        write_atomically(_record(folder, tag), json.dumps(dataclasses.asdict(record), indent=2) + "\n")
        _remove_old(folder)
    dist.barrier()


def load_checkpoint(engine: "DeepSpeedEngine", folder: Path, say: Callable[[str], None] = print) -> State:
    """Restore the engine from the last whole checkpoint; the state of a new run where there is none.

    A damaged one is named by `say` and passed over. UserError where ZeRO spread it over another number of ranks, and
    where it holds more than data.
    """
    done = _last_whole(folder, say) if dist.get_rank() == 0 else 0
    shared = torch.tensor([done], device=engine.device)  # all ranks go on from the one that the first has checked
    dist.broadcast(shared, 0)
    if shared.item() < 0:
        return State()
    tag = f"step-{shared.item():08d}"
    then, now = len(list((folder / tag).glob("*_optim_states.pt"))), dist.get_world_size()
    if engine.zero_optimization_stage() > 0 and then != now:
        raise UserError(
            f"the checkpoint {folder / tag} is spread over {then} ranks, not {now}; go on with FINELAKE_RANKS={then}, "
            "or delete it to start afresh (zero_stage 0 goes on with any number)"
        )
    files = engine.checkpoint_engine
    files.load = _load_data
    try:
        _, content = engine.load_checkpoint(str(folder), tag, load_module_strict=False)
        return State(**content["state"])
    except pickle.UnpicklingError:
        raise UserError(
            f"the checkpoint {folder / tag} holds more than data, which could run code; delete {folder} to start afresh"
        ) from None
    except (RuntimeError, AssertionError, LookupError, TypeError, ValueError, EOFError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise
        raise UserError(
            f"the checkpoint {folder / tag} cannot be read ({type(error).__name__}), though it has the digests of its "
            f"record; delete {folder / tag} to go on from the one before"
        ) from None
    finally:
        del files.load


def _load_data(path: str, map_location: Any = None) -> Any:
    """Instead of DeepSpeed's reader: a pickle of tensors, plain values and numbers with names only."""
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    with torch.serialization.safe_globals([LossScaler, DynamicLossScaler, ZeroStageEnum, fragment_address]):
        return torch.load(path, map_location=map_location, weights_only=True)


def _last_whole(folder: Path, say: Callable[[str], None]) -> int:
    """The steps after which the last checkpoint was written that fits its record; -1 where none does."""
    for record in sorted(folder.glob("step-" + "[0-9]" * 8 + ".json"), reverse=True):
        problem = next(damages(folder, record.stem), None)
        if problem is None:
            return int(record.stem.removeprefix("step-"))
        say(f"the checkpoint {folder / record.stem} is damaged ({problem}) and is not used; going on without it")
    return -1


def damages(folder: Path, tag: str) -> Iterator[str]:
    """How a checkpoint, or the best weights of its time, differ from its record."""
    record = _read_record(folder, tag)
    if record is None:
        yield "its record cannot be read"
        return
    there = {path.name: path for path in (folder / tag).glob("*")}
    for name in sorted(there.keys() - record.files.keys()):
        yield f"{name} was added"
    expected: list[tuple[Path, str | None]] = [(folder / tag / name, digest) for name, digest in record.files.items()]
    if record.best_epoch is not None:
        expected.append((best_path(folder, record.best_epoch), record.best_sha256))
    for path, digest in expected:
        if path.is_symlink() or not path.is_file():
            yield f"{path.name} is missing"
        elif sha256(path) != digest:
            yield f"{path.name} was altered"


@dataclass(frozen=True)
class Record:
    """What a checkpoint is made of."""

    files: dict[str, str]  # name -> SHA-256, 64 hexadecimal digits
    best_epoch: int | None  # the weights that were the best by then
    best_sha256: str | None


def _read_record(folder: Path, tag: str) -> Record | None:
    """The record of a checkpoint; None where there is none that can be read."""
    try:
        found = Record(**json.loads(_record(folder, tag).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    plain = isinstance(found.files, dict) and all(name == Path(name).name for name in found.files)
    return found if plain and isinstance(found.best_epoch, int | None) else None


def make_private(folder: Path) -> None:
    """The folder of a run's checkpoints, which its owner only can open."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(folder: Path, tag: str) -> Path:
    return folder / f"{tag}.json"


def _remove(folder: Path, tag: str) -> None:
    _record(folder, tag).unlink(missing_ok=True)  # first: without it the rest is nothing
    shutil.rmtree(folder / tag, ignore_errors=True)


def _remove_old(folder: Path) -> None:
    """Remove all checkpoints but the last, and the best weights that none of them needs."""
    for old in sorted(folder.glob("step-*.json"))[:-KEPT]:
        _remove(folder, old.stem)
    records = [_read_record(folder, record.stem) for record in folder.glob("step-*.json")]
    needed = {best_path(folder, record.best_epoch) for record in records if record and record.best_epoch is not None}
    for path in set(folder.glob("best-*.safetensors")) - needed:
        path.unlink()


def fingerprint(run: Run, content: str, base: Path) -> str:
    """Names a run's inputs: a checkpoint is continued only by the same code, samples, base and values, among them those
    that were chosen for this device, such as the precision."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(dataclasses.asdict(run), sort_keys=True).encode())
    digest.update(content.encode())
    sources = [Path(__file__).parents[1] / name for name in (*SOURCES, f"tasks/{run.task}.py")]
    for path in [*sources, *sorted(base.glob("*"))]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
