"""Fine-tune a run's model: one visible loop over a DeepSpeed engine.

Run as `python -m finelake.training.train RUN` in a project, or under torchrun for several ranks. A run that was killed
and is started again goes on from its last checkpoint and ends in the weights of an undisturbed run.
"""

import argparse
import hashlib
import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load, save_file
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from finelake.lake.config import params, project
from finelake.lake.config.project import PARAMS, Settings, flush
from finelake.lake.config.runs import Run, parse_run
from finelake.lake.errors import UserError, exit_code
from finelake.lake.tables.lockfile import check_output
from finelake.training import libraries
from finelake.training.data.batch import Batch
from finelake.training.data.loader import Loader, Mix, scan
from finelake.training.data.samples import Part, count_labels, open_samples, record_ids
from finelake.training.loop.checkpoints import (
    State,
    best_path,
    fingerprint,
    load_checkpoint,
    make_private,
    save_checkpoint,
    sha256,
)
from finelake.training.loop.engine import STORE, start_engine, start_process, summed
from finelake.training.loop.memory import oom_as_user_error, training_advice
from finelake.training.loop.progress import Meter, Progress, mean_speed, write_csv, write_json, write_textfile
from finelake.training.models import model as models
from finelake.training.models import strategies
from finelake.training.tasks import find
from finelake.training.tasks.task import Task

NAMED = 5  # records named of a batch without a finite loss


@dataclass(frozen=True)
class Job:
    """Everything a training run needs, as paths and numbers."""

    name: str
    run: Run  # all values chosen
    train: Part
    validation: Part
    labels: tuple[str, ...]
    base: Path
    tokenizer: Path
    model: Path  # folder to write
    metrics: Path  # file to write
    curves: Path  # file to write
    checkpoints: Path  # folder for this job's checkpoints alone
    choices: Sequence[strategies.Choice] = ()
    textfile: Path | None = None  # file to write for Prometheus
    log: Path | None = None  # file for what DeepSpeed logs

    @property
    def task(self) -> Task:
        return find(self.run.task)

    @property
    def entry(self) -> str:
        """Where params.yaml has the run."""
        return f"runs.{self.name.partition('@')[2]}"

    def loader(self, rank: int, world_size: int) -> Loader:
        """UserError when sizes do not fit."""
        run, ratios = self.run, tuple(self.run.select.mix.values())
        mix = Mix(ratios, run.train.mix_rule, run.tokenize.shards) if ratios else Mix()
        sizes = (run.train.global_batch_size, run.train.gradient_accumulation_steps, rank, world_size)
        grouped = run.train.group_by_length
        return Loader(
            self.train, self.task.labels, run.seed, *sizes, mix=mix, group_by_length=grouped, entry=self.entry
        )


# ---------------------------------------------------------------------------------------------------------------------
# The loop


def fit(job: Job) -> None:
    """Train, keep the best epoch by validation, and write the model folder, figures and curves of a job."""
    run, task, device = job.run, job.task, start_process(job.log)
    rank, world_size = dist.get_rank(), dist.get_world_size()
    loader = job.loader(rank, world_size)
    model = task.build(run, job.base, len(job.labels))
    if task.packs and run.tokenize.packing and task.mixes(model):
        raise UserError(
            f"params.yaml: {job.entry}.tokenize.packing: in this base, packed texts see each other; set it to false"
        )
    meter = Meter(device, models.trained_parameters(model), models.operations(model))
    engine = start_engine(model, run)
    state = load_checkpoint(engine, job.checkpoints, lambda text: print(f"{job.name}: {text}", file=sys.stderr))
    weights = _class_weights(job, device)
    total = run.train.epochs * loader.steps
    progress = Progress(job.name, total, shown=rank == 0, done=state.epoch * loader.steps + state.step)
    for choice in job.choices:
        progress.say(f"{choice.name} {choice.value}: {choice.reason}")
    if progress.done:
        progress.say(f"resuming from step {progress.done} of {total}")

    while state.epoch < run.train.epochs and not _patience_over(state, run):
        engine.train()
        loader.waited = 0.0
        meter.start()
        for batches in loader.epoch(state.epoch, state.step):
            done = state.epoch * loader.steps + state.step
            torch.manual_seed(step_seed(run.seed, done, rank))  # dropout follows from the step, so a resume repeats it
            rate = set_rates(engine.optimizer, done, total, run.train.warmup_ratio)
            targets = summed(sum(batch.targets for batch in batches), device)
            loss_here = 0.0
            for batch in (batch.to(device) for batch in batches):
                scores = engine(batch)
                loss = task.loss(scores, batch, run.train.label_smoothing, weights)
                loss_here += _finite(loss, scores, batch, job, done + 1)
                # The engine averages over micro-batches and ranks; what is wanted is the mean over the step's targets.
                engine.backward(loss * (run.train.gradient_accumulation_steps * world_size / max(targets, 1)))
                engine.step()
            state.step, state.targets = state.step + 1, state.targets + targets
            state.loss += summed(loss_here, device)
            meter.add(sum(batch.tokens for batch in batches), loader)
            if state.step % run.train.logging_steps == 0 or state.step == loader.steps:
                row = {"step": done + 1, "epoch": state.epoch, "loss": state.loss / max(state.targets, 1)}
                speed = meter.row(summed(meter.tokens, device), world_size, total - done - 1)
                state.curve.append({**row, "learning_rate": rate, **speed})
                state.loss = state.targets = 0.0
                if rank == 0:
                    write_csv(job.curves, state.curve)
                    write_textfile(job.textfile, job.name, state.curve[-1])
                progress.update(done + 1, **state.curve[-1])
            if state.step % run.train.save_steps == 0 and state.step < loader.steps:
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
        _finish(job, state, loader, meter.trained)
    dist.barrier()


def _class_weights(job: Job, device: torch.device) -> torch.Tensor | None:
    if job.run.train.class_weights == "none":
        return None
    return torch.tensor(models.class_weights(count_labels(job.train, len(job.labels))), device=device)


def _finite(loss: torch.Tensor, scores: torch.Tensor, batch: Batch, job: Job, step: int) -> float:
    """The loss as a number. UserError names the records of the batch where it is none."""
    value = loss.detach().item()
    if math.isfinite(value):
        return value
    wrong = (~torch.isfinite(scores)).flatten(1).any(1).tolist()
    numbers = [number for number, is_wrong in zip(batch.numbers, wrong, strict=True) if is_wrong] or batch.numbers
    ids = record_ids(job.train, numbers)
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    raise UserError(
        f"{job.name}: the loss of step {step} is {value}, from the records {', '.join(ids[:NAMED])}{more}; "
        f"look at them (`finelake trace {ids[0]}`), or lower {job.entry}.train.learning_rate"
    )


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
    """The task's figures, each the mean over the targets of a part; empty where the part is."""
    model.eval()
    task = find(run.task)
    # Parameters spread over ranks are gathered layer by layer, by all ranks together: each then takes every batch.
    share = (0, 1) if run.train.zero_stage == 3 else (dist.get_rank(), dist.get_world_size())
    sums = torch.zeros(1 + len(task.figures), dtype=torch.float64, device=device)
    for _, batch in scan(part, task.labels, run.train.eval_batch_size, *share):
        here = batch.to(device)
        tally = task.tally(model(here), here)
        sums += torch.stack([sums.new_tensor(batch.targets), *(tally[name].double() for name in task.figures)])
    dist.all_reduce(sums)
    targets, *figures = sums.tolist()
    return {name: figure / targets for name, figure in zip(task.figures, figures, strict=True)} if targets else {}


def _patience_over(state: State, run: Run) -> bool:
    return run.train.early_stopping_patience is not None and state.worse >= run.train.early_stopping_patience


def _keep_best(model: torch.nn.Module, job: Job, state: State, figures: dict[str, float], rank: int) -> None:
    score = job.task.rank(figures) if figures else None
    if score and state.best and score <= state.best:
        state.worse += 1
        return
    state.best, state.best_epoch, state.worse = score, state.epoch, 0
    weights = models.trainable_state(model)
    if rank == 0:
        make_private(job.checkpoints)
        new = job.checkpoints / ".best.safetensors"
        save_file(weights, new)
        flush(new)
        state.best_sha256 = sha256(new)
        os.replace(new, best_path(job.checkpoints, state.epoch))


def _finish(job: Job, state: State, loader: Loader, trained: int) -> None:
    # Built anew: the engine's own may be in half precision, compiled or spread over ranks.
    model = job.task.build(job.run, job.base, len(job.labels))
    models.restore(model, load(_best_weights(job, state)))
    models.save(model, job.run, job.labels, job.tokenizer, job.model)
    write_csv(job.curves, state.curve)
    write_json(job.metrics, _figures(job, state, loader, trained))
    shutil.rmtree(job.checkpoints)


def _best_weights(job: Job, state: State) -> bytes:
    """The weights of the best epoch as they were written. UserError when they are not there any more."""
    path = best_path(job.checkpoints, state.best_epoch)
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != state.best_sha256:
        raise UserError(f"{path} is missing or was altered; delete {path.parent} and run {job.name} again")
    return content


def _figures(job: Job, state: State, loader: Loader, trained: int) -> dict:
    best = next((row for row in state.validation if row["epoch"] == state.best_epoch), {})
    return {
        "steps": state.epoch * loader.steps,
        "epochs": state.epoch,
        "samples": job.train.samples,
        "samples_per_epoch": loader.samples,
        "dropped_per_epoch": loader.samples - loader.steps * job.run.train.global_batch_size,
        "trained_parameters": trained,
        "ranks": loader.world_size,
        "train_loss": state.curve[-1]["loss"],
        "best_epoch": state.best_epoch,
        "validation": {name: best[name] for name in best if name != "epoch"},
        "tokens_per_second": mean_speed(state.curve),
        "choices": {choice.name: {"value": choice.value, "reason": choice.reason} for choice in job.choices},
    }


# ---------------------------------------------------------------------------------------------------------------------
# The stage


def prepare(root: Path, run_name: str, run: Run, settings: Settings) -> Job:
    """The job of a run in a project. UserError when an input is missing, altered or too small, or values that do not
    go together."""
    samples = open_samples(root, settings.lake, run_name)
    folder = root / "models" / run_name
    for name in ("base", "tokenizer"):
        check_output(root, f"models/{run_name}/{name}")
    task, entry = find(run.task), f"runs.{run_name}"
    if task.labelled and not samples.labels:
        raise UserError(
            f"tokenize@{run_name} pins no classes; check {entry}.select.label and {entry}.select.where in params.yaml"
        )
    layers = models.load_config(folder / "base").num_hidden_layers
    hardware = strategies.hardware()
    chosen, choices = strategies.choose(run, samples.parts["train"].samples, layers, hardware)
    strategies.refuse(entry, chosen, hardware, packed=task.packs and chosen.tokenize.packing)
    key = fingerprint(chosen, samples.content, folder / "base")
    return Job(
        name=f"train@{run_name}",
        run=chosen,
        train=samples.parts["train"],
        validation=samples.parts["validation"],
        labels=samples.labels,
        base=folder / "base",
        tokenizer=folder / "tokenizer",
        model=folder / "model",
        metrics=root / "metrics" / run_name / "train.json",
        curves=root / "plots" / run_name / "train.csv",
        checkpoints=root / ".finelake" / "checkpoints" / run_name / key,
        choices=choices,
        textfile=Path(settings.metrics) if settings.metrics else None,
        log=root / libraries.LOG,
    )


def run(root: Path, run_name: str, run: Run, settings: Settings) -> None:
    """Train a run of a project on as many processes as the settings say. UserError for what the user can fix."""
    launched = os.environ.get("WORLD_SIZE")  # by torchrun or deepspeed: this process is one rank of so many
    ranks = int(launched or settings.ranks)
    job = prepare(root, run_name, run, settings)
    job.loader(0, ranks)  # refuses sizes that do not fit before any process is started
    if ranks > 1 and not launched:
        _launch(run_name, ranks)
        return
    with oom_as_user_error(job.name, training_advice(job.entry, job.run)):
        fit(job)
    # Checkpoints that other parameters or code left behind are of no more use either.
    shutil.rmtree(job.checkpoints.parent, ignore_errors=True)
    dist.destroy_process_group()


def _launch(run_name: str, ranks: int) -> None:
    """Start the ranks of a run on this machine, as torchrun does, and wait. UserError when one of them fails."""
    try:
        with tempfile.TemporaryDirectory(prefix="finelake-") as folder:  # which only this user can enter
            launch = elastic_launch(_on_this_machine(run_name, ranks, folder), sys.executable)
            with _inherited({STORE: f"{folder}/ranks"}):
                launch("-P", "-m", "finelake.training.train", run_name)
    except SignalException:  # the ranks are ended by now
        raise KeyboardInterrupt from None
    except ChildFailedError as error:
        killed = any(failure.exitcode == -signal.SIGKILL for failure in error.failures.values())
        hint = "fix what is reported above, or set FINELAKE_RANKS=1"
        if killed:
            hint = (
                "one was killed, as the system does when memory runs out; raise "
                f"runs.{run_name}.train.gradient_accumulation_steps or lower FINELAKE_RANKS"
            )
        raise UserError(f"train@{run_name} failed on {ranks} ranks; {hint}") from None


@contextmanager
def _inherited(variables: Mapping[str, str]) -> Iterator[None]:
    """What the processes that are started meanwhile inherit; what runs in this process afterwards knows none of it."""
    before = dict(os.environ)
    os.environ |= {
        "OMP_WAIT_POLICY": "passive",
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        **before,
        **variables,
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def _on_this_machine(run_name: str, ranks: int, folder: str) -> LaunchConfig:
    """The ranks meet in a file: a port would be open to every machine that reaches it, and unpickle what it gets."""
    return LaunchConfig(
        1,
        1,
        ranks,
        run_id=run_name,
        rdzv_backend="c10d",
        rdzv_endpoint=f"{folder}/launcher",
        rdzv_configs={"store_type": "file"},
        max_restarts=0,
    )


def main() -> int:
    """Command line of one rank."""
    parser = argparse.ArgumentParser(
        prog="python -m finelake.training.train", description="fine-tune the model of a run"
    )
    parser.add_argument("run", help="name of an entry under `runs:` in params.yaml, for example intent")
    arguments = parser.parse_args()
    return exit_code(lambda: _rank(arguments.run))


def _rank(run_name: str) -> None:
    root = project.find_root(project.current_folder())
    libraries.prepare(root / libraries.LOG)
    entry = parse_run(params.load(root / PARAMS), run_name)
    run(root, run_name, entry, project.settings(root))


if __name__ == "__main__":
    sys.exit(main())
