"""How much of a model a run trains, and with which figures: the values a run leaves open, by a table of rules.

    samples      strategy auto   LoRA rank, alpha   learning rate
    < 1,000      lora            8,  16             5e-5
    < 10,000     lora            16, 32             5e-5
    < 100,000    lora            32, 32             5e-5
    more         full            64, 32             5e-6 where the strategy is full, else 5e-5

A prefix has a fifth as many vectors as the model has layers, at least one. A value that a run gives is never changed.
"""

import importlib.util
from dataclasses import dataclass
from typing import Any

import torch

from finelake.lake.config.runs import Run, with_values
from finelake.lake.errors import UserError

BASE_RATE = 5e-5
FULL_FROM = 100_000  # samples
LORA = ((1_000, 8, 16), (10_000, 16, 32), (FULL_FROM, 32, 32))  # below so many samples: rank, alpha
LORA_LARGEST = (64, 32)


@dataclass(frozen=True)
class Choice:
    """A value that a rule chose for a run."""

    name: str
    value: str | int | float
    reason: str


@dataclass(frozen=True)
class Hardware:
    """What the device of a run has."""

    gpu: bool
    bf16: bool
    flash: bool  # the package flash_attn


def hardware() -> Hardware:
    gpu = torch.cuda.is_available()
    # Every CPU computes bfloat16, those without instructions for it slowly.
    return Hardware(gpu, not gpu or torch.cuda.is_bf16_supported(), importlib.util.find_spec("flash_attn") is not None)


def choose(run: Run, samples: int, layers: int, device: Hardware) -> tuple[Run, list[Choice]]:
    """The run with every open value filled in, and what was chosen why; `samples` are those of the train part."""
    strategy = _strategy(run, samples)
    run = with_values(run, strategy=strategy.value)
    found = [_rate(run.train.strategy)]
    found += _lora(samples) if run.train.strategy == "lora" else []
    found += [_prefix(layers)] if run.train.strategy == "prefix" else []
    found += _device(run, device)
    chosen = [choice for choice in found if getattr(run.train, choice.name) in (None, "auto")]
    values: dict[str, Any] = {choice.name: choice.value for choice in chosen}
    return with_values(run, **values), [strategy, *chosen]


def _strategy(run: Run, samples: int) -> Choice:
    if run.train.strategy != "auto":
        return Choice("strategy", run.train.strategy, "the run says so")
    if samples >= FULL_FROM:
        return Choice("strategy", "full", f"{samples} samples, {FULL_FROM} or more")
    return Choice("strategy", "lora", f"{samples} samples, fewer than {FULL_FROM}")


def _rate(strategy: str) -> Choice:
    if strategy == "full":
        return Choice("learning_rate", BASE_RATE / 10, f"all weights are trained: a tenth of {BASE_RATE}")
    return Choice("learning_rate", BASE_RATE, "the base rate")


def _lora(samples: int) -> list[Choice]:
    rank, alpha = next(((rank, alpha) for below, rank, alpha in LORA if samples < below), LORA_LARGEST)
    return [Choice("lora_rank", rank, f"{samples} samples"), Choice("lora_alpha", alpha, f"{samples} samples")]


def _prefix(layers: int) -> Choice:
    return Choice("prefix_length", max(layers // 5, 1), f"a fifth of {layers} layers, at least 1")


def _device(run: Run, device: Hardware) -> list[Choice]:
    half = device.gpu and device.bf16
    compiled = device.gpu and run.train.zero_stage < 3
    return [
        Choice("precision", "bf16" if half else "fp32", "a GPU with bf16" if half else "no GPU with bf16"),
        Choice("attention", "sdpa", "PyTorch's own kernels, for every mask"),
        Choice(
            "compile",
            "always" if compiled else "never",
            "a GPU" if compiled else "parameters are spread over ranks" if device.gpu else "no GPU",
        ),
    ]


def refuse(entry: str, run: Run, device: Hardware, packed: bool) -> None:
    """UserError for values that do not go together, by name; before any model is loaded.

    `entry`: where params.yaml has the run; `run` as choose() gave it; `packed`: whether samples hold several texts.
    """
    train = run.train
    prefix, flash = train.strategy == "prefix", train.attention == "flash_attention_2"
    wrong = {
        "strategy prefix with gradient_checkpointing: a prefix is a cache of keys, which checkpointing drops; "
        "set gradient_checkpointing: false or strategy: lora": prefix and train.gradient_checkpointing,
        "strategy prefix with packing: packed texts would share one prefix's positions; "
        f"set {entry}.tokenize.packing: false": prefix and packed,
        "strategy prefix with zero_stage 3: the prefix is read outside of the layers that gather it; "
        "set zero_stage to 0, 1 or 2": prefix and train.zero_stage == 3,
        "attention flash_attention_2 with packing: it takes no mask that keeps packed texts apart; "
        f"set attention: sdpa or {entry}.tokenize.packing: false": flash and packed,
        "attention flash_attention_2 in precision fp32: its kernels know half precision alone; "
        "set precision: bf16": flash and train.precision == "fp32",
        "attention flash_attention_2 needs a GPU and the package flash_attn; set attention: sdpa": (
            flash and not (device.gpu and device.flash)
        ),
        "attention flex_attention needs a GPU: its kernels have no backward pass on a CPU; set attention: sdpa": (
            train.attention == "flex_attention" and not device.gpu
        ),
        "precision fp16 needs a GPU; set precision: fp32": train.precision == "fp16" and not device.gpu,
        "precision bf16 needs a GPU of a newer kind; set precision: fp16": train.precision == "bf16"
        and not device.bf16,
        "compile always with zero_stage 3: parameters come and go while a step runs; set compile: never": (
            train.compile == "always" and train.zero_stage == 3
        ),
    }
    for sentence, is_so in wrong.items():
        if is_so:
            raise UserError(f"params.yaml: {entry}.train.{sentence}")
