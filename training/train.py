"""Fine-tune a run's model: one visible loop over a DeepSpeed engine.

Run as `python -m training.train RUN` in a project, or under torchrun for several ranks. A run that was killed and is
started again goes on from its last checkpoint and ends in the weights of an undisturbed run.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import deepspeed
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file

from lake import params, project
from lake.errors import UserError
from lake.project import PARAMS, Settings, write_atomically
from lake.runs import Run, parse_run
from training import model as models
from training.loader import Loader, scan
from training.progress import Progress, write_csv, write_json
from training.samples import Part, open_samples

# DeepSpeed 0.19 calls torch by an older name.
warnings.filterwarnings("ignore", category=FutureWarning, message="`torch.distributed.all_gather_into_tensor`")

KEPT = 2  # checkpoints kept: the last one, and the one before


@dataclass(frozen=True)
class Job:
    """Everything a training run needs, as paths and numbers."""

    name: str
    run: Run
    train: Part
    validation: Part
    labels: tuple[str, ...]
    base: Path
    tokenizer: Path
    model: Path  # folder to write
    metrics: Path  # file to write
    curves: Path  # file to write
    checkpoints: Path  # folder for this job's checkpoints alone


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


# ---------------------------------------------------------------------------------------------------------------------
# The loop


def fit(job: Job) -> None:
    """Train, keep the best epoch by validation, and write the model folder, figures and curves of a job."""
    run, device = job.run, _start_process()
    rank, world_size = dist.get_rank(), dist.get_world_size()
    loader = Loader(job.train, run.seed, run.batch_size, run.accumulation, rank, world_size)
    engine = _engine(models.build(run, job.base, len(job.labels)), run)
    state = load_checkpoint(engine, job.checkpoints)
    total = run.epochs * loader.steps
    progress = Progress(job.name, total, shown=rank == 0, done=state.epoch * loader.steps + state.step)
    if progress.done:
        progress.say(f"goes on from step {progress.done} of {total}")
    meter = Meter()

    while state.epoch < run.epochs and not _patience_over(state, run):
        engine.train()
        loader.waited = 0.0
        for batches in loader.epoch(state.epoch, state.step):
            done = state.epoch * loader.steps + state.step
            torch.manual_seed(step_seed(run.seed, done, rank))  # dropout follows from the step, so a resume repeats it
            rate = set_rates(engine.optimizer, done, total, run.warmup)
            targets = _total(sum(batch.targets for batch in batches), device)
            loss_here = 0.0
            for batch in (batch.to(device) for batch in batches):
                loss = models.loss_sum(engine(batch), batch, run.label_smoothing)
                loss_here += loss.detach().item()
                # The engine averages over micro-batches and ranks; what is wanted is the mean over the step's targets.
                engine.backward(loss * (run.accumulation * world_size / max(targets, 1)))
                engine.step()
            state.step, state.targets = state.step + 1, state.targets + targets
            state.loss += _total(loss_here, device)
            meter.add(sum(batch.tokens for batch in batches), loader)
            if (done + 1) % run.log_steps == 0 or done + 1 == total:
                row = {"step": done + 1, "epoch": state.epoch, "loss": state.loss / max(state.targets, 1)}
                state.curve.append({**row, "learning_rate": rate, **meter.row(device)})
                state.loss = state.targets = 0.0
                if rank == 0:
                    write_csv(job.curves, state.curve)
                progress.update(done + 1, **state.curve[-1])
            if state.step % run.checkpoint_steps == 0 and state.step < loader.steps:
                save_checkpoint(engine, job.checkpoints, state, done + 1)

        figures = validate(engine.module, job.validation, run, device)
        state.validation.append({"epoch": state.epoch, **figures})
        if figures:
            progress.say(f"epoch {state.epoch + 1}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        _keep_best(engine.module, job, state, figures, rank)
        state.epoch, state.step = state.epoch + 1, 0
        save_checkpoint(engine, job.checkpoints, state, state.epoch * loader.steps)

    progress.close()
    if rank == 0:
        _finish(engine.module, job, state, loader, world_size)
    dist.barrier()


def set_rates(optimizer: torch.optim.Optimizer, done: int, total: int, warmup: float) -> float:
    """Linear rise over the first `warmup` share of `total` steps, then linear fall to 0; the first group's rate."""
    rising = max(round(total * warmup), 1)
    factor = min((done + 1) / rising, (total - done) / max(total - rising, 1), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return optimizer.param_groups[0]["lr"]


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for each step and rank, 63 bits."""
    return int.from_bytes(hashlib.blake2b(f"{seed},{step},{rank}".encode(), digest_size=8).digest(), "big") >> 1


@torch.no_grad()
def validate(model: torch.nn.Module, part: Part, run: Run, device: torch.device) -> dict[str, float]:
    """Mean loss and accuracy over the targets of a part; empty where the part is."""
    model.eval()
    sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, right, targets
    for _, batch in scan(part, run.evaluate_batch, dist.get_rank(), dist.get_world_size()):
        here = batch.to(device)
        scores = model(here)
        chosen, labels = scores.argmax(-1), here.labels
        if scores.dim() == 3:
            chosen, labels = chosen[:, :-1], labels[:, 1:]
        right = (chosen == labels).sum()
        sums += torch.stack([models.loss_sum(scores, here).double(), right.double(), right.new_tensor(batch.targets)])
    dist.all_reduce(sums)
    loss, right, targets = sums.tolist()
    return {"loss": loss / targets, "accuracy": right / targets} if targets else {}


def _patience_over(state: State, run: Run) -> bool:
    return run.patience is not None and state.worse >= run.patience


def _keep_best(model: torch.nn.Module, job: Job, state: State, figures: dict[str, float], rank: int) -> None:
    # A classifier is chosen by what it is for; its loss can rise while its answers still get better.
    by_accuracy = [figures["accuracy"]] if figures and job.run.task == "classify" else []
    score = [*by_accuracy, -figures["loss"]] if figures else None
    if score and state.best and score <= state.best:
        state.worse += 1
        return
    state.best, state.best_epoch, state.worse = score, state.epoch, 0
    if rank == 0:
        job.checkpoints.mkdir(parents=True, exist_ok=True)
        new = job.checkpoints / ".best.safetensors"
        save_file(models.trainable_state(model), new)
        os.replace(new, job.checkpoints / "best.safetensors")


def _finish(model: models.Model, job: Job, state: State, loader: Loader, world_size: int) -> None:
    models.restore(model, load_file(job.checkpoints / "best.safetensors"))
    figures = _figures(job, state, loader, world_size, models.trained_parameters(model))
    models.save(model, job.run, job.labels, job.tokenizer, job.model)
    write_csv(job.curves, state.curve)
    write_json(job.metrics, figures)
    shutil.rmtree(job.checkpoints)


def _figures(job: Job, state: State, loader: Loader, world_size: int, trained: int) -> dict:
    best = next((row for row in state.validation if row["epoch"] == state.best_epoch), {})
    speeds = [row["tokens_per_second"] for row in state.curve]
    return {
        "steps": state.epoch * loader.steps,
        "epochs": state.epoch,
        "samples": job.train.samples,
        "left_out_an_epoch": job.train.samples - loader.steps * job.run.batch_size,
        "trained_parameters": trained,
        "ranks": world_size,
        "train_loss": state.curve[-1]["loss"],
        "best_epoch": state.best_epoch,
        "validation": {name: best[name] for name in best if name != "epoch"},
        "tokens_per_second": sum(speeds) / len(speeds),
    }


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


@dataclass
class Meter:
    """Speed and waiting since the last row of the curve."""

    tokens: int = 0  # this rank's
    waited: float = 0.0  # seconds
    began: float = field(default_factory=time.perf_counter)

    def add(self, tokens: int, loader: Loader) -> None:
        self.tokens += tokens
        self.waited += loader.waited
        loader.waited = 0.0

    def row(self, device: torch.device) -> dict[str, float]:
        """Tokens a second over all ranks and this rank's share of time spent waiting for data; starts afresh."""
        spent = time.perf_counter() - self.began
        speed, waiting = _total(self.tokens, device) / spent, self.waited / spent
        self.tokens, self.waited, self.began = 0, 0.0, time.perf_counter()
        return {"tokens_per_second": round(speed, 1), "data_wait": round(waiting, 4)}


def _total(value: float, device: torch.device) -> float:
    """The sum of `value` over all ranks."""
    tensor = torch.tensor(float(value), dtype=torch.float64, device=device)
    dist.all_reduce(tensor)
    return tensor.item()


# ---------------------------------------------------------------------------------------------------------------------
# Processes and the engine


def _start_process() -> torch.device:
    """Join the process group (of one, where torchrun started none), once a process; the device of this rank."""
    gpu = torch.cuda.is_available()
    if not gpu:
        # Two OpenMP threads stall each other at random on a busy machine: one a rank, more ranks instead.
        torch.set_num_threads(1)
        _without_compiled_ops()
    torch.use_deterministic_algorithms(True, warn_only=gpu)
    backend, local_rank = "nccl" if gpu else "gloo", int(os.environ.setdefault("LOCAL_RANK", "0"))
    if gpu:
        torch.cuda.set_device(local_rank)
    if not dist.is_initialized():
        if "WORLD_SIZE" in os.environ:
            dist.init_process_group(backend)
        else:
            dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)  # needs no port
    deepspeed.init_distributed(dist_backend=backend, verbose=False)
    return torch.device("cuda", local_rank) if gpu else torch.device("cpu")


def _without_compiled_ops() -> None:
    # DeepSpeed would compile a shared-memory reduction on first use, for minutes; gloo does without.
    known = getattr(deepspeed.ops, "__compatible_ops__", None)
    if isinstance(known, dict):
        known["deepspeed_shm_comm"] = False


def _engine(model: models.Model, run: Run) -> deepspeed.DeepSpeedEngine:
    share = run.batch_size // dist.get_world_size() // run.accumulation
    # ZeRO fills whole buckets at each step; the default of 500 million numbers costs a small model seconds.
    bucket = min(-(-models.trained_parameters(model) // 1024) * 1024, 48 * 2**20)
    zero = {"stage": run.zero_stage, "reduce_bucket_size": bucket, "allgather_bucket_size": bucket}
    config = {
        "train_micro_batch_size_per_gpu": share,
        "gradient_accumulation_steps": run.accumulation,
        "gradient_clipping": run.clip,
        "zero_optimization": zero,
        "steps_per_print": 1_000_000_000,
    }
    optimizer = torch.optim.AdamW(models.parameter_groups(model, run), lr=run.learning_rate)
    return deepspeed.initialize(model=model, optimizer=optimizer, config=config)[0]


# ---------------------------------------------------------------------------------------------------------------------
# Checkpoints


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
    """Restore the engine from the last whole checkpoint; the state of a new run where there is none."""
    latest = folder / "latest"
    if not latest.exists():
        return State()
    tag = latest.read_text(encoding="utf-8")
    _, content = engine.load_checkpoint(str(folder), tag, load_module_strict=False)
    return State(**content["state"])


def fingerprint(run: Run, content: str, base: Path) -> str:
    """Names a run's inputs: a checkpoint is continued only by the same code, parameters, samples and base."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(dataclasses.asdict(run), sort_keys=True).encode())
    digest.update(content.encode())
    sources = [Path(__file__).with_name(f"{name}.py") for name in ("train", "model", "loader", "plan")]
    for path in [*sources, *sorted(base.glob("*"))]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------------------------------------
# The stage


def prepare(root: Path, lake_root: str, run_name: str, run: Run) -> Job:
    """The job of a run in a project. UserError when an input is missing, altered or too small."""
    samples = open_samples(root, lake_root, run_name)
    folder = root / "models" / run_name
    if run.task == "classify" and not samples.labels:
        raise UserError(f"tokenize@{run_name} pins no classes; check `label` and `where` of runs.{run_name}")
    models.load_config(folder / "base")
    key = fingerprint(run, samples.content, folder / "base")
    return Job(
        name=f"train@{run_name}",
        run=run,
        train=samples.parts["train"],
        validation=samples.parts["validation"],
        labels=samples.labels,
        base=folder / "base",
        tokenizer=folder / "tokenizer",
        model=folder / "model",
        metrics=root / "metrics" / run_name / "train.json",
        curves=root / "plots" / run_name / "train.csv",
        checkpoints=root / ".finelake" / "checkpoints" / run_name / key,
    )


def run(root: Path, run_name: str, run: Run, settings: Settings) -> None:
    """Train a run of a project on as many processes as the settings say. UserError for what the user can mend."""
    job = prepare(root, settings.lake, run_name, run)
    # Refuses sizes that do not fit before any process is started.
    Loader(job.train, run.seed, run.batch_size, run.accumulation, 0, settings.ranks)
    if settings.ranks == 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        fit(job)
        # Checkpoints that other parameters or code left behind are of no more use either.
        shutil.rmtree(job.checkpoints.parent, ignore_errors=True)
        dist.destroy_process_group()
        return
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={settings.ranks}"]
    environment = {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1", **os.environ}
    status = subprocess.run([*command, "-m", "training.train", run_name], cwd=root, env=environment).returncode
    if status:
        mend = "mend what is said above, or set FINELAKE_RANKS=1"
        raise UserError(f"train@{run_name} failed on {settings.ranks} ranks; {mend}")


def main() -> int:
    """Command line of one rank."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description="fine-tune the model of a run")
    parser.add_argument("run", help="name of an entry under `runs:` in params.yaml, for example intent")
    arguments = parser.parse_args()
    try:
        root = project.find_root(Path.cwd())
        entry = parse_run(params.load(root / PARAMS), arguments.run)
        run(root, arguments.run, entry, project.settings(root))
    except UserError as error:
        print(f"finelake: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
