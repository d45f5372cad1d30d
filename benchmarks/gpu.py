"""What only a GPU does: correctness in half precision, packed and compiled, and speed beside Trainer and TRL.

    python benchmarks/gpu.py FOLDER [--only STEP …] [--loop-path FOLDER] [--seconds 440] [--tiny] [--table]

One GPU and 8 minutes; no network and no files but those the script makes in FOLDER. Each step runs in a process of its
own and is a line of FOLDER/results.jsonl: its checks with their limits, its figures, or why it was left out. --tiny is
the same on a CPU with tiny models, for the tests. --table prints what is there.

checks     scores of a causal model and of a classifier in fp32, bf16 and fp16 against float64; packed texts against
           single ones by each attention; compiled layers and gradient checkpointing against the plain model; full,
           LoRA and prefix each train, are saved and read again
loop       the training loop itself, files and checkpoints included: twice the same weights, and after a stop too. It
           needs petastorm with its older numpy and pyarrow, which --loop-path puts before those of the other steps
ours …     LoRA of rank 16 on a random model of Llama 3.1 8B's shape in bf16, samples of 4,096 tokens, one a step
trainer …  the same model, adapter and samples by Hugging Face's Trainer, and by TRL's SFTTrainer where it is installed
encoder …  full training of a random MiniLM classifier, by us and by Trainer

MFU is tokens per second x operations per token / the peak of dense bf16 (`PEAKS` in training/loop/progress.py).
Operations per token: 4 for each frozen weight of a matrix and 6 for each trained one (`operations`), without attention;
"with attention" adds 6 x layers x tokens x width, which is causal attention forwards and backwards.
"""

import argparse
import gc
import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from finelake.lake.config.contract import NO_LOSS
from finelake.lake.config.runs import Base, Run, with_values
from finelake.training.data.batch import Batch
from finelake.training.loop.engine import compile_layers, start_engine, start_process
from finelake.training.models import model as models
from finelake.training.models import strategies
from finelake.training.tasks import find, load

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
CLASSES = 7
PACKAGES = ("torch", "transformers", "peft", "accelerate", "deepspeed", "trl", "petastorm", "pyarrow", "numpy")

Figures = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """Shapes of the random models, samples and steps."""

    causal: dict[str, int]  # LlamaConfig, for speed
    encoder: dict[str, int]  # BertConfig, for speed
    tokens: int  # of a sample of the causal model
    text: int  # tokens of a packed text
    batch: int  # samples of an encoder's step, 128 tokens at most
    steps: int  # measured ones
    warm: int  # steps before those
    small: dict[str, int]  # both models, for correctness


LLAMA = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32}
LLAMA |= {"num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072}
MINILM = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12}
SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TINY |= {"vocab_size": 300, "max_position_embeddings": 512}
FULL_SIZE = Size(
    LLAMA, MINILM | {"vocab_size": 30522}, 4096, 512, 256, 8, 4, SMALL | {"vocab_size": 2000, "num_key_value_heads": 2}
)
TINY_SIZE = Size(TINY, TINY, 64, 16, 8, 2, 1, TINY)

# ---------------------------------------------------------------------------------------------------------------------
# Models and samples


def llama(size: dict[str, int], dtype: torch.dtype, attention: str = "sdpa") -> torch.nn.Module:
    """A random causal model, made on the device."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    rope = {"rope_type": "default", "rope_theta": 500000.0}
    config = LlamaConfig(**size, rope_parameters=rope, tie_word_embeddings=False, pad_token_id=0, bos_token_id=None)
    with torch.device(DEVICE):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)


def bert(size: dict[str, int], head: bool = False) -> torch.nn.Module:
    from transformers import AutoModel, AutoModelForSequenceClassification, BertConfig

    config = BertConfig(**size, num_labels=CLASSES)
    kind = AutoModelForSequenceClassification if head else AutoModel
    with torch.device(DEVICE):
        return kind.from_config(config, attn_implementation="sdpa")


def run_of(task: str, **values: Any) -> Run:
    """A run with every value given or chosen for this device, as a stage has it."""
    sizes = {"max_length": 1 << 20, "global_batch_size": 1, "gradient_accumulation_steps": 1}
    run = with_values(Run(task="classify", base=Base(kind="folder", name="random")), task=task, **{**sizes, **values})
    return strategies.choose(run, 1_000, 6, strategies.hardware())[0]


def on_random(run: Run, body: Callable[[], torch.nn.Module]) -> models.Model:
    """The model of a run, on a body that is in no folder."""
    with patch.object(models, "load_body", lambda *_: body()):
        return find(run.task).build(run, Path(), CLASSES)


def causal_batch(lengths: list[int], vocabulary: int, seed: int = 0) -> Batch:
    """One sample of texts packed behind each other, all tokens but the first of each being targets."""
    ids = torch.from_numpy(np.random.default_rng(seed).integers(5, vocabulary, (1, sum(lengths))))
    segments = torch.repeat_interleave(torch.arange(1, len(lengths) + 1), torch.tensor(lengths)).unsqueeze(0)
    labels = ids.clone()
    labels[:, 0] = NO_LOSS
    labels[:, 1:][segments[:, 1:] != segments[:, :-1]] = NO_LOSS
    return Batch(ids, labels, segments, int((labels != NO_LOSS).sum()), ids.numel()).to(DEVICE)


def class_batch(samples: int, vocabulary: int, tokens: int = 128, seed: int = 0) -> Batch:
    random = np.random.default_rng(seed)
    segments = torch.from_numpy(np.arange(tokens) < random.integers(tokens // 4, tokens + 1, (samples, 1))).long()
    ids = torch.from_numpy(random.integers(5, vocabulary, (samples, tokens))) * segments
    labels = torch.from_numpy(random.integers(0, CLASSES, samples))
    return Batch(ids, labels, segments, samples, int(segments.sum())).to(DEVICE)


def piece(batch: Batch, first: int, last: int) -> Batch:
    """The tokens first … last - 1 of the one sample, as a text that stands alone."""
    ids, labels = batch.input_ids[:, first:last], batch.labels[:, first:last]
    return Batch(ids, labels, torch.ones_like(ids), last - first - 1, last - first)


# ---------------------------------------------------------------------------------------------------------------------
# Training


class PlainEngine:
    """What the loop asks of DeepSpeed's engine, by torch only, where DeepSpeed is not installed."""

    def __init__(self, model: models.Model, run: Run):
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(run.train.precision)
        self.module, self.half = model.to(DEVICE), half
        self.optimizer = torch.optim.AdamW(models.parameter_groups(model, run), lr=run.train.learning_rate or 0.0)

    def __call__(self, batch: Batch) -> torch.Tensor:
        with torch.autocast(DEVICE, self.half, enabled=self.half is not None):
            return self.module(batch)

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def step(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def start(model: models.Model, run: Run) -> tuple[Any, str]:
    """The engine of a run, and its name."""
    if importlib.util.find_spec("deepspeed") is None:
        return PlainEngine(model, run), "torch only: deepspeed is not installed"
    start_process()
    return start_engine(model, run), "deepspeed"


def loss_sum(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    return find("instruct" if scores.dim() == 3 else "classify").loss(scores, batch)


def step(engine: Any, batch: Batch) -> float:
    """One step as the training loop takes it; its mean loss."""
    loss = loss_sum(engine(batch), batch) / batch.targets
    value = loss.item()
    engine.backward(loss)
    engine.step()
    return value


def timed(action: Callable[[], Any], size: Size) -> float:
    """Median seconds of an action, after those that warm up."""
    spent = []
    for _ in range(size.warm + size.steps):
        synchronize()
        began = time.perf_counter()
        action()
        synchronize()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent[size.warm :])


def synchronize() -> None:
    if GPU:
        torch.cuda.synchronize()


def used() -> float:
    """Highest memory of the GPU since the last call, GiB."""
    if not GPU:
        return 0.0
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 1)


def free() -> None:
    gc.collect()
    torch._dynamo.reset()
    if GPU:
        torch.cuda.empty_cache()
        used()


@contextmanager
def memory_may_run_out(figures: Figures, name: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        figures[name] = "out of memory"
    finally:
        free()


# ---------------------------------------------------------------------------------------------------------------------
# Correctness


def checks(size: Size, folder: Path) -> Figures:
    """Each check as (value, limit); above its limit it has failed."""
    found: dict[str, tuple[float, float]] = {}
    kinds = {
        "causal": ("instruct", lambda: llama(size.small, torch.float32), causal_batch([67, 33, 28], 300)),
        "classifier": ("classify", lambda: bert(TINY | size.small), class_batch(8, 300, 32)),
    }
    for name, (task, make, batch) in kinds.items():
        body = make().to(torch.float32)
        body.save_pretrained(folder / name)
        run = run_of(task, strategy="full", precision="fp32", compile="never", dropout=0.0)
        model = find(run.task).build(run, folder / name, CLASSES).to(DEVICE).eval()
        if task == "classify":
            torch.nn.init.normal_(model.head.weight)
        found |= {f"{name}: {key}": pair for key, pair in precisions(model, batch).items()}
        found |= {f"{name}: {key}": pair for key, pair in same_gradients(model, batch).items()}
        for strategy, rate in (("full", 1e-3), ("lora", 1e-2), ("prefix", 0.1 if task == "instruct" else 0.02)):
            for precision in ("bf16", "fp16", "fp32") if GPU else ("fp32",):
                how = {"precision": precision} | ({"compile": "never"} if precision != "bf16" else {})
                run = run_of(task, strategy=strategy, learning_rate=rate, prefix_length=8, dropout=0.0, **how)
                pairs = trained(run, folder / name, batch, folder / "model")
                found |= {f"{name}: {strategy} in {precision}, {key}": pair for key, pair in pairs.items()}
    for attention in ("eager", "sdpa", "flex_attention") if GPU else ("eager", "sdpa"):
        found |= packed(folder / "causal", attention)
    return {
        "checks": {name: [float(f"{value:.2g}"), limit] for name, (value, limit) in found.items()},
        "failed": [name for name, (value, limit) in found.items() if not value <= limit],
        "engine": start(torch.nn.Linear(1, 1), run_of("classify", precision="fp32", compile="never"))[1],
    }


def difference(left: torch.Tensor, right: torch.Tensor) -> float:
    """Norm of the difference relative to that of `right`."""
    left, right = left.detach().double().cpu(), right.detach().double().cpu()
    return float((left - right).norm() / right.norm())


@torch.no_grad()
def precisions(model: models.Model, batch: Batch) -> dict[str, tuple[float, float]]:
    """Scores and loss in each precision against float64; parameters are cast, as DeepSpeed does."""
    states = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    cast(model, torch.float64)
    exact, loss = model(batch), loss_sum(model(batch), batch)
    found = {}
    for dtype, limit in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)):
        name = str(dtype).removeprefix("torch.")
        cast(model, torch.float32)
        model.load_state_dict(states)
        cast(model, dtype)
        scores = model(batch)
        found[f"scores in {name}"] = difference(scores, exact), limit
        found[f"loss in {name}"] = abs(float(loss_sum(scores, batch) / loss) - 1), limit
    cast(model, torch.float32)
    model.load_state_dict(states)
    return found


def cast(model: torch.nn.Module, dtype: torch.dtype) -> None:
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


def same_gradients(model: models.Model, batch: Batch) -> dict[str, tuple[float, float]]:
    """The loss and gradient with compiled layers and with gradient checkpointing against the plain model's, fp32."""

    def measure() -> tuple[torch.Tensor, torch.Tensor]:
        model.zero_grad()
        loss = loss_sum(model(batch), batch)
        loss.backward()
        grads = [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
        return loss, torch.cat(grads)

    model.train()
    plain, found = measure(), {}

    def compare(name: str) -> None:
        loss, grad = measure()
        found[f"{name}, loss"] = difference(loss, plain[0]), 1e-5
        found[f"{name}, gradient"] = difference(grad, plain[1]), 1e-4

    body: Any = model.body
    body.gradient_checkpointing_enable({"use_reentrant": False})
    compare("gradient checkpointing")
    if GPU:
        compile_layers(model)
        compare("compiled, gradient checkpointing")
        body.gradient_checkpointing_disable()
        compare("compiled")
    model.zero_grad()
    return found


def trained(run: Run, base: Path, batch: Batch, folder: Path) -> dict[str, tuple[float, float]]:
    """Loss after a few steps as a share of the first, the same again, and scores of the model read from its folder."""
    results = []
    for _ in range(2):
        engine, _ = start(find(run.task).build(run, base, CLASSES), run)
        losses = [step(engine, batch) for _ in range(12)]
        results.append(models.trainable_state(engine.module))
    again = max(float((one - results[1][name]).abs().max()) for name, one in results[0].items())
    tokenizer = folder.with_name("tokenizer")
    tokenizer.mkdir(exist_ok=True)
    model = find(run.task).build(run, base, CLASSES)
    models.restore(model, results[1])
    model = model.to(DEVICE).eval()
    with torch.no_grad():
        before = model(batch)
        models.save(model, run, tuple(map(str, range(CLASSES))) if run.task == "classify" else (), tokenizer, folder)
        after = load(folder)[0].to(DEVICE)(batch)
    return {
        "last loss / first": (losses[-1] / losses[0], 0.995),
        "trained twice, largest difference": (again, 0.0),
        "scores of the saved model": (difference(after, before), 1e-4),
    }


@torch.no_grad()
def packed(base: Path, attention: str) -> dict[str, tuple[float, float]]:
    """Scores of packed texts against those of the same texts, each computed alone."""
    lengths, found = [67, 33, 28], {}
    ends = np.cumsum(lengths).tolist()
    batch = causal_batch(lengths, 300, seed=1)
    run = run_of("instruct", strategy="full", attention=attention, precision="fp32", dropout=0.0)
    model = find(run.task).build(run, base, 0).to(DEVICE).eval()
    for dtype, limit in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        cast(model, dtype)
        together = model(batch)[0]
        alone = [model(piece(batch, end - length, end))[0] for length, end in zip(lengths, ends, strict=True)]
        name = str(dtype).removeprefix("torch.")
        found[f"packed texts, {attention}, {name}"] = difference(together, torch.cat(alone)), limit
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The loop, with its files


def loop(size: Size, folder: Path) -> Figures:
    from finelake.training import train
    from finelake.training.loop.progress import read_csv

    (folder / "tokenizer").mkdir(exist_ok=True)
    bert(TINY | size.small).float().save_pretrained(folder / "base")
    parts = write_parts(folder)
    run = run_of("classify", strategy="lora", learning_rate=1e-3, epochs=2, global_batch_size=32)
    run = with_values(run, gradient_accumulation_steps=2, logging_steps=1, save_steps=2)

    def job(name: str) -> train.Job:
        place = folder / name
        place.mkdir(exist_ok=True)
        labels = tuple(map(str, range(CLASSES)))
        files = {"metrics": place / "train.json", "curves": place / "train.csv", "checkpoints": place / "checkpoints"}
        paths = {"base": folder / "base", "tokenizer": folder / "tokenizer", "model": place / "model"}
        return train.Job(name, run, parts["train"], parts["validation"], labels, **paths, **files)

    for name in ("once", "again"):
        train.fit(job(name))
    stop_at, update = 7, train.Progress.update

    def stopping(progress: Any, done: int, **figures: float) -> None:
        update(progress, done, **figures)
        if done == stop_at:
            raise KeyboardInterrupt

    with patch.object(train.Progress, "update", stopping), suppress(KeyboardInterrupt):
        train.fit(job("stopped"))
    train.fit(job("stopped"))
    curve = read_csv(folder / "once" / "train.csv")
    differences = {name: largest_difference(folder / "once", folder / name) for name in ("again", "stopped")}
    rate = float(curve[-1]["loss"]) / float(curve[0]["loss"])
    found = {"trained again": (differences["again"], 0.0), "stopped and resumed": (differences["stopped"], 0.0)}
    found["last loss / first"] = rate, 0.995
    return {
        "checks": {name: list(pair) for name, pair in found.items()},
        "failed": [name for name, (value, limit) in found.items() if not value <= limit],
        "precision": run.train.precision,
        "compile": run.train.compile,
        "data_wait": statistics.median(float(row["data_wait"]) for row in curve),
    }


def write_parts(folder: Path) -> dict[str, Any]:
    """Samples of a task that can be learned, in the layout of tokenize@RUN: the class's token stands in each text."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    from finelake.training.data.samples import split_parts

    random, files = np.random.default_rng(0), []
    for part, shards in (("train", 4), ("validation", 1)):
        for shard in range(shards):
            rows = []
            for number in range(64):
                label, length = int(random.integers(CLASSES)), int(random.integers(8, 33))
                ids = random.integers(20, 300, length)
                ids[random.integers(length)] = 5 + label
                padding = [0] * (32 - length)
                row = {"record_ids": [f"{part}{shard}-{number}"], "input_ids": [*ids.tolist(), *padding]}
                rows.append(row | {"labels": [label], "segments": [1] * length + padding, "length": length})
            path = folder / f"part={part}" / f"shard={shard}" / "samples.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            parquet.write_table(pa.Table.from_pylist(rows), path)
            files.append(str(path))
    return split_parts(files)


def largest_difference(left: Path, right: Path) -> float:
    from safetensors.torch import load_file

    one, other = (load_file(place / "model" / "model.safetensors") for place in (left, right))
    return max(float((one[name].float() - other[name].float()).abs().max()) for name in one)


# ---------------------------------------------------------------------------------------------------------------------
# Speed of a causal model


def ours(size: Size, folder: Path) -> Figures:
    """Finelake: one text a sample and packed, by both masks, compiled and not."""
    tokens, vocabulary = size.tokens, size.causal["vocab_size"]
    whole = [causal_batch([tokens], vocabulary, seed) for seed in range(4)]
    packs = [causal_batch([size.text] * (tokens // size.text), vocabulary, seed) for seed in range(4)]
    figures: Figures = {}

    def measure(name: str, engine: Any, batches: list[Batch]) -> None:
        with memory_may_run_out(figures, name):
            turn = iter(batches * (size.steps + size.warm))
            seconds = timed(lambda: step(engine, next(turn)), size)
            figures[name] = speed(engine.module, tokens / seconds, size) | {"memory": used()}

    run = run_of("instruct", strategy="lora", lora_rank=16, lora_alpha=32, precision="bf16", compile="never")
    model = on_random(run, lambda: llama(size.causal, torch.bfloat16))
    engine, figures["engine"] = start(model, run)
    free()
    measure("not compiled", engine, whole)
    if not GPU:
        return figures
    began = time.perf_counter()
    compile_layers(engine.module)
    with memory_may_run_out(figures, "compiled"):
        step(engine, whole[0])
        figures["compile_seconds"] = round(time.perf_counter() - began, 1)
    measure("compiled", engine, whole)
    torch.use_deterministic_algorithms(False)
    measure("compiled, sums in any order", engine, whole)
    torch.use_deterministic_algorithms(True, warn_only=True)
    measure("packed, sdpa", engine, packs)
    model.body.get_base_model().set_attn_implementation("flex_attention")
    measure("packed, flex_attention", engine, packs)
    measure("flex_attention", engine, whole)
    return figures


def speed(model: torch.nn.Module, rate: float, size: Size) -> Figures:
    """Tokens per second, and MFU where the device's peak is known."""
    from finelake.training.loop.progress import peak

    figures: Figures = {"tokens_per_second": round(rate)}
    best = peak(torch.cuda.get_device_name()) if GPU else None
    if best:
        operations = models.operations(model)
        attention = 6 * size.causal["num_hidden_layers"] * size.tokens * size.causal["hidden_size"]
        figures["mfu"] = round(rate * operations / best, 3)
        figures["mfu with attention"] = round(rate * (operations + attention) / best, 3)
    return figures


def lora_model(size: Size) -> torch.nn.Module:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear")
    return get_peft_model(llama(size.causal, torch.bfloat16), config)


def arguments_of(folder: Path, size: Size, samples: int, **more: Any) -> dict[str, Any]:
    """What Trainer and SFTTrainer are given alike."""
    return {
        "output_dir": str(folder / "theirs"),
        "per_device_train_batch_size": samples,
        "max_steps": size.warm + size.steps,
        "learning_rate": 5e-5,
        "bf16": True,
        "use_cpu": not GPU,
        "report_to": [],
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        **more,
    }


def stopwatch() -> Any:
    """A callback that keeps the time of each step's end."""
    from transformers import TrainerCallback

    class Stopwatch(TrainerCallback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            synchronize()
            self.ends.append(time.perf_counter())

        def seconds(self, size: Size) -> float:
            return statistics.median(np.diff(self.ends)[size.warm - 1 :].tolist())

    return Stopwatch()


def theirs(size: Size, folder: Path, trl: bool = False, compiled: bool = False) -> Figures:
    """Hugging Face's Trainer, or TRL's SFTTrainer, on the samples of `ours`; memory may need checkpointing."""
    figures: Figures = {}
    for checkpointing in (False, True):
        name = "gradient checkpointing" if checkpointing else "without checkpointing"
        with memory_may_run_out(figures, name):
            how = {"torch_compile": compiled, "gradient_checkpointing": checkpointing}
            figures[name] = train_theirs(size, folder, trl, **how)
        if figures[name] != "out of memory":
            break
    return figures


def train_theirs(size: Size, folder: Path, trl: bool, **more: Any) -> Figures:
    from transformers import Trainer, TrainingArguments, default_data_collator

    rows = [causal_batch([size.tokens], size.causal["vocab_size"], seed).input_ids[0].tolist() for seed in range(4)]
    rows *= size.warm + size.steps
    model, watch = lora_model(size), stopwatch()
    arguments = arguments_of(folder, size, 1, **more)
    trainer: Any
    if trl:
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        data = Dataset.from_list([{"input_ids": ids} for ids in rows])
        config = SFTConfig(max_length=size.tokens, **arguments)
        trainer = SFTTrainer(model, args=config, train_dataset=data, processing_class=words(), callbacks=[watch])
    else:
        data = [{"input_ids": ids, "labels": ids} for ids in rows]
        config = TrainingArguments(**arguments)
        trainer = Trainer(model, config, data_collator=default_data_collator, train_dataset=data, callbacks=[watch])
    trainer.train()
    return speed(model, size.tokens / watch.seconds(size), size) | {"memory": used()}


def words() -> Any:
    """A tokenizer, which SFTTrainer wants also for samples that are tokens already."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(WordLevel({"<pad>": 0, "<end>": 1}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>")


# ---------------------------------------------------------------------------------------------------------------------
# Speed of an encoder


def encoder_ours(size: Size, folder: Path) -> Figures:
    batches = [class_batch(size.batch, size.encoder["vocab_size"], seed=seed) for seed in range(4)]
    figures: Figures = {}
    for compiled in ("never", "always") if GPU else ("never",):
        run = run_of("classify", strategy="full", precision="bf16", compile=compiled, global_batch_size=size.batch)
        engine, figures["engine"] = start(on_random(run, lambda: bert(size.encoder)), run)
        turn = iter(batches * (size.steps + size.warm))
        seconds = timed(lambda engine=engine, turn=turn: step(engine, next(turn)), size)
        name = "compiled" if compiled == "always" else "not compiled"
        figures[name] = {"samples_per_second": round(size.batch / seconds), "memory": used()}
        free()
    return figures


def encoder_theirs(size: Size, folder: Path) -> Figures:
    from transformers import Trainer, TrainingArguments, default_data_collator

    rows = []
    for seed in range(4):
        batch = class_batch(size.batch, size.encoder["vocab_size"], seed=seed).to("cpu")
        columns = zip(batch.input_ids, batch.segments, batch.labels, strict=True)
        rows += [{"input_ids": ids, "attention_mask": mask, "labels": label} for ids, mask, label in columns]
    figures: Figures = {}
    for compiled in (False, True) if GPU else (False,):
        watch, workers = stopwatch(), 4 if GPU else 0
        arguments = arguments_of(folder, size, size.batch, torch_compile=compiled, dataloader_num_workers=workers)
        config = TrainingArguments(**arguments, num_train_epochs=size.warm + size.steps)
        model = bert(size.encoder, head=True)
        Trainer(model, config, data_collator=default_data_collator, train_dataset=rows, callbacks=[watch]).train()
        name = "compiled" if compiled else "not compiled"
        figures[name] = {"samples_per_second": round(size.batch / watch.seconds(size)), "memory": used()}
        free()
    return figures


# ---------------------------------------------------------------------------------------------------------------------

STEPS: dict[str, Callable[[Size, Path], Figures]] = {
    "ours": ours,
    "trainer": theirs,
    "checks": checks,
    "loop": loop,
    "encoder ours": encoder_ours,
    "encoder trainer": encoder_theirs,
    "trl": lambda size, folder: theirs(size, folder, trl=True),
    "trainer compiled": lambda size, folder: theirs(size, folder, compiled=True),
}


def surroundings() -> Figures:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {"device": torch.cuda.get_device_name() if GPU else "CPU", "versions": versions}


def measure(name: str, arguments: argparse.Namespace, seconds: float) -> Figures:
    """The line of a step, which runs in a process of its own."""
    command = [sys.executable, __file__, str(arguments.folder), "--step", name]
    command += ["--tiny"] if arguments.tiny else []
    environment = dict(os.environ)
    if name == "loop" and arguments.loop_path:
        environment["PYTHONPATH"] = os.pathsep.join([arguments.loop_path, os.environ.get("PYTHONPATH", "")])
    began, result = time.perf_counter(), {"step": name, "left_out": f"no result within {seconds:.0f} s"}
    log = arguments.folder / f"{name.replace(' ', '-')}.log"
    try:
        with log.open("w", encoding="utf-8") as errors:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, env=environment, timeout=seconds)
        lines = [line for line in done.stdout.decode().splitlines() if line.startswith('{"step"')]
        reason = (log.read_text(encoding="utf-8").strip().splitlines() or ["no output"])[-1]
        result = json.loads(lines[-1]) if lines else {"step": name, "left_out": reason[:300]}
    except subprocess.TimeoutExpired:
        pass
    return result | {"seconds": round(time.perf_counter() - began, 1)}


def table(results: list[Figures]) -> str:
    """Markdown: the speeds, then the checks that failed and what was left out."""
    lines = ["| step | | per second | MFU | with attention | GiB |", "|---" * 6 + "|"]
    remarks = []
    for one in results:
        step, checked, failed = one["step"], one.get("checks", {}), one.get("failed", [])
        for name, figures in one.items():
            if figures == "out of memory":
                lines.append(f"| {step} | {name} | {figures} | | | |")
            elif isinstance(figures, dict) and "memory" in figures:
                rate = figures.get("tokens_per_second") or figures["samples_per_second"]
                cells = [figures.get(key, "") for key in ("mfu", "mfu with attention", "memory")]
                lines.append(f"| {step} | {name} | {rate:,} | {' | '.join(map(str, cells))} |")
        if "left_out" in one:
            remarks.append(f"{step}: left out, {one['left_out']}")
        if checked:
            remarks.append(f"{step}: {len(checked) - len(failed)} of {len(checked)} checks hold")
            remarks += [f"{step}: {name}: {checked[name]}" for name in failed]
    return "\n".join([*lines, "", *remarks])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--loop-path", help="folder of petastorm with its numpy and pyarrow")
    parser.add_argument("--seconds", type=float, default=440, help="steps that do not fit are left out")
    parser.add_argument("--tiny", action="store_true", help="tiny models, for a CPU")
    parser.add_argument("--table", action="store_true", help="print what is there")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path, size = arguments.folder / "results.jsonl", TINY_SIZE if arguments.tiny else FULL_SIZE
    if arguments.step:
        with tempfile.TemporaryDirectory() as place:
            figures = STEPS[arguments.step](size, Path(place))
        print(json.dumps({"step": arguments.step, **figures, **surroundings()}), flush=True)
        return
    end = time.perf_counter() + arguments.seconds
    for name in [] if arguments.table else arguments.only:
        result = measure(name, arguments, max(end - time.perf_counter(), 1))
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        print(json.dumps(result), file=sys.stderr, flush=True)
    print(table([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]))


if __name__ == "__main__":
    main()
