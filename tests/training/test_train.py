"""The loop: accumulation, resumption, determinism, ranks."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError
from finelake.training.data.samples import Part, split_parts
from tests.training.conftest import classified, sample, sharded, write_part

HERE = Path(__file__).parent
RUN = with_values(
    Run(task="classify", base=Base(kind="folder", name="base")),
    max_length=12,
    shards=3,
    strategy="lora",
    lora_rank=4,
    lora_alpha=32,
    epochs=2,
    global_batch_size=8,
    gradient_accumulation_steps=2,
    learning_rate=1e-2,
    head_learning_rate=1e-2,
    save_steps=3,
    logging_steps=2,
    eval_batch_size=16,
)

# A child process, as a stage runs; it can kill itself at a step, or in the middle of saving a checkpoint.
CHILD = """
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from finelake.training import train as trainer
from finelake.training.loop import checkpoints
from finelake.lake.config.runs import with_values
from tests.training.test_train import RUN, job, descend_plainly

settings = json.loads(sys.argv[1])
if settings.get("plain"):
    descend_plainly(setattr)
if settings.get("die_at"):
    whole = trainer.set_rates
    def set_rates(optimizer, done, *rest):
        if done == settings["die_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(optimizer, done, *rest)
    trainer.set_rates = set_rates
if settings.get("die_saving"):
    write = checkpoints.write_atomically
    def write_atomically(path, text):
        if path.stem == settings["die_saving"]:
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, text)
    checkpoints.write_atomically = write_atomically
trainer.fit(job(Path(settings["folder"]), Path(settings["encoder"]), with_values(RUN, **settings.get("run", {{}}))))
"""


PLAIN = {"dropout": 0.0, "max_grad_norm": 0.0, "learning_rate": 0.005, "head_learning_rate": 0.005}


def descend_plainly(set_attribute: Callable) -> None:
    """Plain gradient descent. AdamW forgives a gradient of the wrong size, so it can't show that sizes are right."""
    import deepspeed

    initialize = deepspeed.initialize

    def descend(groups, lr, fused):
        return torch.optim.SGD([{name: group[name] for name in ("params", "lr", "peak")} for group in groups], lr=lr)

    def untested(config, **rest):
        return initialize(config={**config, "zero_allow_untested_optimizer": True}, **rest)

    set_attribute(torch.optim, "AdamW", descend)
    set_attribute(deepspeed, "initialize", untested)


@pytest.fixture
def plain_descent(monkeypatch):
    descend_plainly(monkeypatch.setattr)


def job(folder: Path, encoder: Path, run: Run = RUN):
    from finelake.training.models.strategies import Hardware, choose
    from finelake.training.train import Job

    parts = split_parts(sorted(str(path) for path in folder.rglob("*.parquet")))
    run, choices = choose(run, parts["train"].samples, 2, Hardware(gpu=False, bf16=True, flash=False))
    return Job(
        name="train@tiny",
        run=run,
        train=parts["train"],
        validation=parts["validation"],
        labels=("a", "b", "c"),
        base=encoder,
        tokenizer=folder / "tokenizer",
        model=folder / "model",
        metrics=folder / "train.json",
        curves=folder / "train.csv",
        checkpoints=folder / "checkpoints",
        choices=choices,
    )


def project(folder: Path) -> Path:
    write_part(folder, "train", sharded(classified(61), 3))
    write_part(folder, "validation", sharded(classified(20, first=100), 2))
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    return folder


ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}


def command(folder: Path, encoder: Path, ranks: int = 1, **settings) -> list[str]:
    script = folder / "child.py"
    script.write_text(CHILD.format(root=str(HERE.parents[1])))
    argument = json.dumps({"folder": str(folder), "encoder": str(encoder), **settings})
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)] if ranks > 1 else []
    return [sys.executable, *launcher, str(script), argument]


def start(folder: Path, encoder: Path, ranks: int = 1, **settings) -> subprocess.CompletedProcess:
    here = command(folder, encoder, ranks, **settings)
    return subprocess.run(here, env=ENVIRONMENT, capture_output=True, text=True, timeout=240)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model = folder / "model"
    return {**load_file(model / "adapter" / "adapter_model.safetensors"), **load_file(model / "head.safetensors")}


def losses(folder: Path) -> list[str]:
    return [line.split(",")[2] for line in (folder / "train.csv").read_text().splitlines()]


def largest_difference(left: Path, right: Path) -> float:
    ours, theirs = weights(left), weights(right)
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def fit(folder: Path, encoder: Path, **changes) -> Path:
    """Train in this process."""
    from finelake.training import train as trainer

    trainer.fit(job(folder, encoder, with_values(RUN, **changes)))
    return folder


def descend_on(ranks: int, folder: Path, base: Path, **changes) -> Path:
    """Train by plain descent on a number of ranks; one rank is this process, with the fixture plain_descent."""
    if ranks == 1:
        return fit(folder, base, **changes)
    done = start(folder, base, ranks, plain=True, run=changes)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, encoder) -> Path:
    return fit(project(tmp_path_factory.mktemp("undisturbed")), encoder)


def test_it_learns_and_says_how(undisturbed):
    figures = json.loads((undisturbed / "train.json").read_text())
    assert {
        name: figures[name]
        for name in ("steps", "epochs", "samples", "samples_per_epoch", "dropped_per_epoch", "ranks")
    } == {
        "steps": 14,
        "epochs": 2,
        "samples": 61,
        "samples_per_epoch": 61,
        "dropped_per_epoch": 5,
        "ranks": 1,
    }
    lines = (undisturbed / "train.csv").read_text().splitlines()
    assert lines[0] == "step,epoch,loss,learning_rate,tokens_per_second,data_wait,eta,memory"
    assert [line.split(",")[0] for line in lines[1:]] == ["2", "4", "6", "7", "9", "11", "13", "14"]
    assert float(lines[-1].split(",")[2]) < float(lines[1].split(",")[2])
    assert not (undisturbed / "checkpoints").exists()


@pytest.mark.parametrize("kill", [{"die_at": 11}, {"die_saving": "step-00000006"}])
def test_killed_and_started_again_ends_in_the_same_weights(tmp_path, encoder, undisturbed, kill, capsys):
    folder = project(tmp_path)
    assert start(folder, encoder, **kill).returncode == -signal.SIGKILL
    assert not (folder / "model").exists()
    fit(folder, encoder)
    assert "resuming from step" in capsys.readouterr().err
    assert largest_difference(folder, undisturbed) < 1e-6
    assert losses(folder) == losses(undisturbed)


def test_killed_in_bfloat16_it_goes_on_from_float32_weights(tmp_path, encoder):
    half = {"precision": "bf16"}
    whole = fit(project(tmp_path / "whole"), encoder, **half)
    folder = project(tmp_path / "killed")
    assert start(folder, encoder, die_at=11, run=half).returncode == -signal.SIGKILL
    fit(folder, encoder, **half)
    assert largest_difference(folder, whole) == 0
    assert losses(folder) == losses(whole)


def test_two_ranks_train_as_one(tmp_path, encoder, plain_descent):
    # Without dropout nothing depends on the number of ranks but the order of sums.
    one = fit(project(tmp_path / "one"), encoder, **PLAIN)
    two = descend_on(2, project(tmp_path / "two"), encoder, **PLAIN, zero_stage=1)
    assert largest_difference(one, two) < 1e-5


def test_accumulated_steps_equal_one_big_batch(tmp_path, encoder, plain_descent):
    whole = fit(project(tmp_path / "whole"), encoder, **PLAIN, gradient_accumulation_steps=1)
    accumulated = fit(project(tmp_path / "accumulated"), encoder, **PLAIN, gradient_accumulation_steps=4)
    assert largest_difference(whole, accumulated) < 1e-5


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_a_step_follows_the_mean_over_the_targets_of_all_its_micro_batches(tmp_path, causal, plain_descent, ranks):
    """Micro-batches of 1 to 49 targets; the step is worked out here from one batch of all samples."""
    from finelake.training.data.batch import COLUMNS, collate
    from finelake.training.tasks.instruct import TASK

    lengths = (2, 2, 3, 3, 5, 8, 11, 13, 2, 14, 3, 12, 4, 4, 9, 14)
    numbers = [range(5, 5 + length) for length in lengths]
    rows = [sample(i, list(ids), list(ids), 16) for i, ids in enumerate(numbers)]
    write_part(tmp_path, "train", [rows])
    (tmp_path / "tokenizer").mkdir()
    changes = {"task": "instruct", "max_length": 128, "strategy": "full", "epochs": 1, "global_batch_size": 16}
    changes |= {"gradient_accumulation_steps": 4, "max_grad_norm": 0.0, "learning_rate": 1.0}
    descend_on(ranks, tmp_path, causal, **changes)

    expected = TASK.build(with_values(RUN, **changes), causal, 0)
    whole = collate({name: np.array([row[name] for row in rows]) for name in COLUMNS}, TASK.labels)
    (TASK.loss(expected(whole), whole) / whole.targets).backward()
    trained, _ = TASK.load(tmp_path / "model")
    for ours, theirs in zip(trained.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs - theirs.grad, atol=1e-5, rtol=0)


def test_rates_rise_and_fall():
    from finelake.training.train import set_rates

    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([{"params": [weight], "peak": 1.0}])
    rates = [set_rates(optimizer, done, 10, 0.2) for done in range(10)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])


def test_step_seeds_differ_by_step_and_rank():
    from finelake.training.train import step_seed

    seeds = {step_seed(seed, step, rank) for seed in range(3) for step in range(20) for rank in range(4)}
    assert len(seeds) == 3 * 20 * 4


def test_a_changed_parameter_never_resumes_a_stale_checkpoint(encoder):
    from finelake.training.loop.checkpoints import fingerprint

    same = fingerprint(RUN, "content", encoder)
    assert same == fingerprint(replace(RUN), "content", encoder)
    assert same != fingerprint(replace(RUN, seed=1), "content", encoder)
    assert same != fingerprint(RUN, "other", encoder)


def test_part_is_what_its_files_say(tmp_path):
    files = write_part(tmp_path, "train", [classified(4), classified(3, first=4)])
    assert split_parts(files)["train"] == Part(tuple(files), (4, 3))


STRATEGIES = [
    {"strategy": "full", "learning_rate": 3e-3, "head_learning_rate": 3e-3},
    {"strategy": "lora", "learning_rate": 1e-2},
    {"strategy": "lora", "learning_rate": 1e-2, "merge": False},
    {"strategy": "prefix", "learning_rate": 3e-2},
]


def measured(folder: Path, base: Path, run: Run) -> dict[str, float]:
    """Validation figures of the untouched base: of the run's model before its first step."""
    from finelake.training import train as trainer
    from finelake.training.loop.engine import start_process

    device, here = start_process(), job(folder, base, with_values(run, strategy="full"))
    return trainer.validate(here.task.build(here.run, base, len(here.labels)), here.validation, here.run, device)


@pytest.mark.parametrize("changes", STRATEGIES)
def test_each_strategy_beats_the_untouched_base_and_is_read_as_it_was_saved(tmp_path, encoder, changes):
    from finelake.training import train as trainer
    from finelake.training.tasks import load

    folder = project(tmp_path)
    run = with_values(RUN, **{"epochs": 4, "lora_rank": None, "lora_alpha": None, **changes})
    before = measured(folder, encoder, run)
    trainer.fit(job(folder, encoder, run))
    figures = json.loads((folder / "train.json").read_text())
    assert figures["choices"]["strategy"] == {"value": changes["strategy"], "reason": "the run says so"}
    assert figures["validation"]["loss"] < before["loss"]
    assert figures["validation"]["accuracy"] > before["accuracy"]
    model, description = load(folder / "model")
    again = trainer.validate(model, job(folder, encoder, run).validation, run, torch.device("cpu"))
    assert again == pytest.approx(figures["validation"], abs=1e-5)
    assert description.adapter == (changes["strategy"] == "prefix" or "merge" in changes)
    assert (folder / "model" / "adapter").exists() == (changes["strategy"] != "full")


@pytest.mark.parametrize("changes", [{"strategy": "prefix", "packing": False}, {"strategy": "lora", "merge": False}])
def test_a_causal_model_with_an_adapter_learns_and_writes_after_it_was_read(tmp_path, causal, changes):
    from finelake.training import train as trainer
    from finelake.training.tasks import load

    rows = [sample(i, [5, 6 + i % 4, 20 + i % 4, 1], [-100, -100, 20 + i % 4, 1], 16) for i in range(32)]
    write_part(tmp_path, "train", sharded(rows, 2))
    write_part(tmp_path, "validation", [rows[:8]])
    (tmp_path / "tokenizer").mkdir()
    base, size = (
        Base(kind="folder", name="base"),
        {"global_batch_size": 8, "gradient_accumulation_steps": 1, "epochs": 6},
    )
    run = with_values(
        Run(task="classify", base=base), task="instruct", max_length=128, learning_rate=3e-2, **size, **changes
    )
    before = measured(tmp_path, causal, run)
    trainer.fit(job(tmp_path, causal, run))
    figures = json.loads((tmp_path / "train.json").read_text())
    assert figures["validation"]["loss"] < before["loss"]
    model, description = load(tmp_path / "model")
    assert description.adapter
    again = trainer.validate(model, job(tmp_path, causal, run).validation, run, torch.device("cpu"))
    assert again == pytest.approx(figures["validation"], abs=1e-5)
    ids = torch.tensor([[5, 6], [5, 7]])
    written = model.body.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=1, do_sample=False)
    assert written.shape == (2, 3)


def test_a_mix_is_trained_as_planned(tmp_path, encoder):
    write_part(tmp_path, "train", [*sharded(classified(40), 3), *sharded(classified(9, first=40), 3)])
    write_part(tmp_path, "validation", sharded(classified(20, first=100), 2))
    (tmp_path / "tokenizer").mkdir()
    fit(tmp_path, encoder, mix={"source = 'a'": 2, "source = 'b'": 1}, epochs=1)
    figures = json.loads((tmp_path / "train.json").read_text())
    counted = {name: figures[name] for name in ("samples", "samples_per_epoch", "dropped_per_epoch", "steps")}
    assert counted == {"samples": 49, "samples_per_epoch": 60, "dropped_per_epoch": 4, "steps": 7}


def test_gradient_checkpointing_changes_nothing_but_memory(tmp_path, encoder, undisturbed):
    folder = fit(project(tmp_path), encoder, gradient_checkpointing=True)
    assert largest_difference(folder, undisturbed) < 1e-5


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # the compiler's own
def test_compiled_layers_train_as_plain_ones(tmp_path, encoder, undisturbed, monkeypatch):
    # The usual backend takes minutes on a CPU; what is compiled is traced the same for each.
    monkeypatch.setattr("finelake.training.loop.engine.BACKEND", "eager")
    folder = fit(project(tmp_path), encoder, compile="always")
    assert largest_difference(folder, undisturbed) < 1e-5


def test_bfloat16_learns_like_float32(tmp_path, encoder, undisturbed):
    folder = fit(project(tmp_path), encoder, precision="bf16")
    ours, theirs = ([float(loss) for loss in losses(place)[1:]] for place in (folder, undisturbed))
    assert ours == pytest.approx(theirs, abs=0.1)


def test_classes_count_by_their_frequency():
    from finelake.training.models import model as models

    counts = [90, 9, 1, 0]
    weights = models.class_weights(counts)
    assert weights == pytest.approx([100 / 270, 100 / 27, 100 / 3, 0.0])
    assert sum(count * weight for count, weight in zip(counts, weights, strict=True)) == pytest.approx(100)


@pytest.mark.parametrize("changes", [{"class_weights": "balanced"}, {"label_smoothing": 0.2}])
def test_weights_and_smoothing_change_what_is_learned(tmp_path, encoder, undisturbed, changes):
    folder = fit(project(tmp_path), encoder, **changes)
    assert largest_difference(folder, undisturbed) > 1e-4


def test_a_loss_that_is_no_number_names_the_records(tmp_path, encoder):
    from transformers import BertModel

    base = BertModel.from_pretrained(encoder)
    base.embeddings.word_embeddings.weight.data[49] = float("nan")
    base.save_pretrained(tmp_path / "broken")
    rows = classified(61, vocabulary=49)
    rows[7]["input_ids"][0] = rows[30]["input_ids"][0] = 49
    write_part(tmp_path, "train", sharded(rows, 3))
    (tmp_path / "tokenizer").mkdir()
    message = r"train@tiny: the loss of step \d+ is nan, from the records r000(07|30)(, r000\d\d)?; look at them "
    with pytest.raises(
        UserError, match=message + r"\(`finelake trace r000(07|30)`\), or lower runs.tiny.train.learning_rate"
    ):
        fit(tmp_path, tmp_path / "broken")


@pytest.mark.slow
def test_ranks_that_fail_are_reported_in_one_line(tmp_path, monkeypatch, capfd):
    from finelake.training import train as trainer

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    with pytest.raises(
        UserError, match="^train@tiny failed on 2 ranks; fix what is reported above, or set FINELAKE_RANKS=1"
    ):
        trainer._launch("tiny", 2)
    assert dict(os.environ) == before  # a training that follows in this process is a rank of nothing
    said = capfd.readouterr().err
    assert f"finelake: {tmp_path} is in no Finelake project" in said and "Traceback" not in said


def test_the_command_line_of_a_rank_reports_in_one_line(tmp_path, monkeypatch, capsys):
    from finelake.training import train as trainer

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", "tiny"])
    (tmp_path / "params.yaml").write_text("runs: [")
    assert trainer.main() == 2
    (tmp_path / "params.yaml").write_bytes(b"\xff")
    assert trainer.main() == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"finelake: {tmp_path}/params.yaml is not valid YAML") and "params.yaml" in second


def test_training_stops_without_a_better_epoch_and_keeps_the_best(tmp_path, encoder):
    rates = {"learning_rate": 0.3, "head_learning_rate": 0.3}
    folder = fit(project(tmp_path), encoder, epochs=40, early_stopping_patience=2, logging_steps=100, **rates)
    figures = json.loads((folder / "train.json").read_text())
    assert figures["epochs"] == figures["best_epoch"] + 3 < 40
    assert len(losses(folder)[1:]) == figures["epochs"]  # the curve has the last epoch too


def test_the_last_two_checkpoints_are_kept_and_the_best(tmp_path, encoder, monkeypatch):
    from finelake.training import train as trainer

    monkeypatch.setattr(trainer, "_finish", lambda *rest: None)
    folder = fit(project(tmp_path), encoder)
    last = ["step-00000013", "step-00000013.json", "step-00000014", "step-00000014.json"]
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert [name for name in names if not name.startswith("best-")] == last
    needed = {json.loads((folder / "checkpoints" / name).read_text())["best_epoch"] for name in last[1::2]}
    assert {name for name in names if name.startswith("best-")} == {f"best-{epoch}.safetensors" for epoch in needed}
    assert stat.S_IMODE((folder / "checkpoints").stat().st_mode) == 0o700


def test_exports_prometheus_metrics(tmp_path, encoder):
    from finelake.training import train as trainer

    folder = project(tmp_path)
    trainer.fit(replace(job(folder, encoder, with_values(RUN, epochs=1)), textfile=folder / "prom" / "train.prom"))
    lines = (folder / "prom" / "train.prom").read_text().splitlines()
    values = {line.split("{")[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}
    row = (folder / "train.csv").read_text().splitlines()[-1].split(",")
    assert values["finelake_train_step"] == 7 and values["finelake_train_eta_seconds"] == 0
    assert values["finelake_train_loss"] == pytest.approx(float(row[2]))
    assert 'finelake_train_loss{run="train@tiny"}' in "\n".join(lines)
    assert [path.name for path in (folder / "prom").iterdir()] == ["train.prom"]


ZERO = [
    (1, {"zero_stage": 3}),
    (1, {"zero_stage": 2, "offload": True}),
    (2, {"zero_stage": 2}),
    (2, {"zero_stage": 3, "offload": True}),
    (4, {"zero_stage": 0}),
    (4, {"zero_stage": 3}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "zero"), ZERO)
def test_every_zero_stage_on_any_ranks_trains_as_one_rank_without(tmp_path, encoder, plain_descent, ranks, zero):
    one = fit(project(tmp_path / "one"), encoder, **PLAIN)
    spread = descend_on(ranks, project(tmp_path / "spread"), encoder, **PLAIN, **zero)
    assert largest_difference(one, spread) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_killed_on_one_number_of_ranks_and_continued_on_another(tmp_path, encoder, plain_descent, before, after):
    whole = fit(project(tmp_path / "whole"), encoder, **PLAIN)
    folder = project(tmp_path / "killed")
    assert start(folder, encoder, ranks=before, plain=True, run=PLAIN, die_at=11).returncode != 0
    done = start(folder, encoder, ranks=after, plain=True, run=PLAIN)
    assert done.returncode == 0, done.stderr
    assert "resuming from step 10 of 14" in done.stderr
    assert largest_difference(whole, folder) < 1e-5


@pytest.mark.slow
def test_killed_at_random_moments_again_and_again(tmp_path, encoder, undisturbed):
    """The kills fall where they fall: in a step, while a checkpoint or the model is written."""
    folder, random = project(tmp_path), np.random.default_rng(0)
    for _ in range(4):
        again = command(folder, encoder, run={"save_steps": 1})
        with subprocess.Popen(again, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as child:
            assert child.stderr is not None
            next(line for line in child.stderr if line.startswith("train@tiny: "))  # it has begun
            time.sleep(float(random.uniform(0, 0.5)))
            child.kill()
    if not (folder / "model").exists():
        fit(folder, encoder, save_steps=1)
    assert largest_difference(folder, undisturbed) < 1e-6
    assert losses(folder) == losses(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(("zero_stage", "before", "after"), [(1, 2, 1), (2, 1, 2), (3, 2, 1)])
def test_a_checkpoint_spread_over_other_ranks_is_refused_by_name(tmp_path, encoder, zero_stage, before, after):
    folder, run = project(tmp_path), {"zero_stage": zero_stage}
    assert start(folder, encoder, ranks=before, run=run, die_at=11).returncode != 0
    done = start(folder, encoder, ranks=after, run=run)
    assert done.returncode != 0
    assert (
        f"the checkpoint {folder}/checkpoints/step-00000010 is spread over {before} ranks, not {after}; "
        f"go on with FINELAKE_RANKS={before}, or delete it to start afresh (zero_stage 0 goes on with any number)"
    ) in done.stderr
    assert not (folder / "model").exists()
