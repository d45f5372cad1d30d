"""One training run: an entry of `runs:` in params.yaml. Read by each of its stages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from finelake.lake.config import conditions
from finelake.lake.config.names import check_names
from finelake.lake.config.params import parse, section, unknown_key
from finelake.lake.errors import UserError
from finelake.text import templates
from finelake.text.templates import PROMPT, REPLY


@dataclass(frozen=True)
class Base:
    """The model a run starts from: a Python package's folder, a folder, a hub snapshot, or trained from scratch."""

    kind: Literal["package", "folder", "hub", "scratch"]
    name: str | None = None  # package: its import name; folder: a path from the project root; hub: owner/model
    folder: str = "model"  # package: where the model lies inside it
    revision: str | None = None  # hub: the commit, 40 hexadecimal digits
    vocab_size: int = 6000  # scratch: tokens
    hidden_size: int = 192  # scratch
    num_layers: int = 4  # scratch
    num_heads: int = 4  # scratch: attention heads
    max_steps: int = 150  # scratch: optimiser steps of pre-training on the train split's text
    batch_size: int = 16  # scratch: sequences per step
    max_length: int = 128  # scratch: tokens per pre-training sequence
    learning_rate: float = 2e-3  # scratch: peak rate of pre-training

    def __post_init__(self) -> None:
        if self.kind == "scratch":
            _positive(self, "vocab_size", "hidden_size", "num_layers", "num_heads", "batch_size", "max_length")
            _positive(self, "learning_rate")
            _refuse(self.name is not None, "kind scratch has no name; leave name out or choose another kind")
            _refuse(self.vocab_size < 300, "vocab_size must be at least 300: 256 bytes and the markers come first")
            _refuse(self.hidden_size % (2 * self.num_heads) != 0, "hidden_size must be a multiple of twice num_heads")
            return
        _refuse(self.name is None, f"kind {self.kind} needs a name")
        if self.kind == "package":
            _refuse(not str(self.name).isidentifier(), f"name {self.name!r} is not the import name of a package")
        if self.kind == "hub":
            pinned = re.fullmatch("[0-9a-f]{40}", self.revision or "")
            _refuse(not pinned, "kind hub needs revision, the commit as 40 hexadecimal digits: names move")


@dataclass(frozen=True)
class Select:
    """Which records, and what the model reads and is to give."""

    where: str = "true"  # condition on split.records, see conditions.py
    label: str = "scene"  # classify: the class, a column or facts.NAME
    prompt: str = PROMPT + "{text}" + REPLY  # instruct: template of what the model reads
    target: str = "{facts.reply}"  # instruct: template of what it is to write; the end token is added
    mix: dict[str, int] = field(default_factory=dict)  # tasks of the train part: condition on split.records -> ratio

    def __post_init__(self) -> None:
        _refuse(len(self.mix) == 1, "mix names one task; name two or more conditions, or leave it out")
        _refuse(any(part < 1 for part in self.mix.values()), "mix: each ratio is a whole number of 1 or more")
        _check_column("label", self.label, {"facts"})


@dataclass(frozen=True)
class Tokenize:
    """How a selected record becomes a sample."""

    max_length: int = 64  # tokens of a sequence; longer texts are cut (classify) or rejected (instruct)
    shards: int = 8  # files per part
    packing: bool = True  # instruct: put several training records into one sequence; attention never joins them

    def __post_init__(self) -> None:
        _positive(self, "max_length", "shards")


@dataclass(frozen=True)
class Train:
    """How the model is trained; None and `auto` are decided by training/models/strategies.py."""

    strategy: Literal["auto", "full", "lora", "prefix"] = "auto"
    lora_rank: int | None = None
    lora_alpha: int | None = None
    lora_dropout: float = 0.0  # share
    prefix_length: int | None = None  # vectors before each layer's keys and values
    merge: bool = True  # lora: save weights that hold the adapter; False: the base's and the adapter
    dropout: float | None = None  # share; None: as the base's configuration says
    scale: float = 20.0  # classify: what the cosine-like scores are multiplied with before the softmax
    epochs: int = 3  # passes over the train part
    global_batch_size: int = 32  # samples per optimiser step, over all ranks and accumulated micro-batches
    gradient_accumulation_steps: int = 4  # micro-batches per optimiser step and rank
    mix_rule: Literal["repeat", "cut"] = "repeat"  # tasks that run out first start over, or the others are cut to them
    group_by_length: bool = False  # samples of like length in a step: less padding, but steps are no random samples
    learning_rate: float | None = None  # peak
    head_learning_rate: float | None = None  # classify: peak rate of the new head; None: learning_rate
    warmup_ratio: float = 0.1  # share of all steps in which the rate rises linearly; then it falls linearly to 0
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0  # 0: not clipped
    label_smoothing: float = 0.0  # share
    class_weights: Literal["none", "balanced"] = "none"  # classify, balanced: a class counts by 1 / its frequency
    early_stopping_patience: int | None = None  # epochs without a better validation loss; None: never stop early
    zero_stage: Literal[0, 1, 2, 3] = 0  # spread over ranks: nothing, optimiser, gradients too, parameters too
    offload: bool = False  # zero_stage above 0: optimiser (stage 3: parameters too) in the CPU's memory
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # auto: bf16 on a GPU that has it, else fp32
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2", "flex_attention"] = "auto"  # auto: sdpa
    gradient_checkpointing: bool = False  # less memory, a forward pass more
    compile: Literal["auto", "always", "never"] = "auto"  # torch.compile; auto: on a GPU, below zero_stage 3
    save_steps: int = 100  # optimiser steps between checkpoints within an epoch
    logging_steps: int = 10  # optimiser steps between rows of the curves; each epoch ends with one
    eval_batch_size: int = 64  # samples evaluated at once

    def __post_init__(self) -> None:
        _positive(self, "scale", "epochs", "global_batch_size", "gradient_accumulation_steps")
        given = ("lora_rank", "lora_alpha", "prefix_length", "learning_rate", "head_learning_rate")
        _positive(self, *(name for name in given if getattr(self, name) is not None))
        _positive(self, "save_steps", "logging_steps", "eval_batch_size")
        for name in ("lora_dropout", "warmup_ratio", "label_smoothing"):
            _refuse(not 0 <= getattr(self, name) < 1, f"{name} is {getattr(self, name)}, not a share from 0 to below 1")
        _refuse(self.dropout is not None and not 0 <= self.dropout < 1, f"dropout is {self.dropout}, not a share")
        whole = self.global_batch_size % self.gradient_accumulation_steps == 0
        _refuse(not whole, "global_batch_size must be a multiple of gradient_accumulation_steps")
        patience = self.early_stopping_patience
        never = "early_stopping_patience must be at least 1; leave it out for never"
        _refuse(patience is not None and patience < 1, never)
        _refuse(self.max_grad_norm < 0 or self.weight_decay < 0, "max_grad_norm and weight_decay cannot be negative")
        _refuse(self.offload and self.zero_stage == 0, "offload needs zero_stage 1, 2 or 3")


@dataclass(frozen=True)
class Evaluate:
    """What the evaluation generates, resamples and shows."""

    max_new_tokens: int = 64  # instruct: longest generated reply
    bootstrap: int = 1000  # resamples behind each interval
    examples: int = 20  # rows shown in the report

    def __post_init__(self) -> None:
        _positive(self, "max_new_tokens", "bootstrap")


@dataclass(frozen=True)
class Run:
    """What to train, on which records, from which base, and how: a section per stage of the run."""

    task: Literal["classify", "instruct"]
    base: Base
    seed: int = 0
    select: Select = field(default_factory=Select)
    tokenize: Tokenize = field(default_factory=Tokenize)
    train: Train = field(default_factory=Train)
    evaluate: Evaluate = field(default_factory=Evaluate)

    def __post_init__(self) -> None:
        mixed = bool(self.select.mix) and self.train.group_by_length
        _refuse(mixed, "train.group_by_length would undo select.mix in each step; leave one out")
        if self.task == "instruct":
            weighted = self.train.class_weights == "balanced"
            _refuse(weighted, "train.class_weights are for task classify; leave them out")
            room = self.evaluate.max_new_tokens < self.tokenize.max_length
            _refuse(not room, "evaluate.max_new_tokens must be below tokenize.max_length: the prompt needs room too")
            for name in ("prompt", "target"):
                _check_template(f"select.{name}", getattr(self.select, name))
        elif self.base.kind == "scratch":
            raise ValueError("base kind scratch makes a causal model for task instruct; classify needs an encoder")


# An old name, or one in the section where it is not -> the present one.
RENAMED = {
    "where": "select.where",
    "base.vocabulary": "base.vocab_size",
    "base.hidden": "base.hidden_size",
    "base.layers": "base.num_layers",
    "base.heads": "base.num_heads",
    "base.steps": "base.max_steps",
    "base.context": "base.max_length",
    "select.max_length": "tokenize.max_length",
    "select.packing": "tokenize.packing",
    "select.mix_rule": "train.mix_rule",
    "train.mix": "select.mix",
    "samples.label": "select.label",
    "samples.prompt": "select.prompt",
    "samples.target": "select.target",
    "samples.mix": "select.mix",
    "samples.mix_rule": "train.mix_rule",
    "samples.tokens": "tokenize.max_length",
    "samples.max_length": "tokenize.max_length",
    "samples.shards": "tokenize.shards",
    "samples.pack": "tokenize.packing",
    "samples.packing": "tokenize.packing",
    "train.batch_size": "train.global_batch_size",
    "train.accumulation": "train.gradient_accumulation_steps",
    "train.warmup": "train.warmup_ratio",
    "train.clip": "train.max_grad_norm",
    "train.patience": "train.early_stopping_patience",
    "train.checkpoint_steps": "train.save_steps",
    "train.log_steps": "train.logging_steps",
    "train.evaluate_batch": "train.eval_batch_size",
    "evaluate.new_tokens": "evaluate.max_new_tokens",
}


def with_values(run: Run, **values: Any) -> Run:
    """The run with other values, its own or of its sections behind `base`, which share no name."""
    changed = {}
    for part in ("select", "tokenize", "train", "evaluate"):
        old = getattr(run, part)
        changed[part] = replace(old, **{name: values.pop(name) for name in vars(old) if name in values})
    return replace(run, **changed, **values)


def _check_template(name: str, template: str) -> None:
    try:
        named = templates.fields(template)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    for column in named:
        _check_column(name, column, {"facts", "numbers"})


def _check_column(name: str, named: str, maps: set[str]) -> None:
    """ValueError unless `named` is a column of texts, or an entry of one of `maps`."""
    column, dot, key = named.partition(".")
    there = bool(key) if column in maps else not dot and column in conditions.TEXTS
    known = ", ".join((*conditions.TEXTS, *(f"{column}.NAME" for column in sorted(maps))))
    _refuse(not there, f"{name} names {named}, which is not a text of split.records; write one of {known}")


def _positive(owner: Any, *names: str) -> None:
    for name in names:
        _refuse(getattr(owner, name) <= 0, f"{name} is {getattr(owner, name)}; it must be above 0")


def _refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise ValueError(message)


def run_entries(content: Mapping[str, Any]) -> dict[str, Any]:
    """The section `runs`, by name. UserError for a name that could not be part of a path, a table and a command."""
    entries = section(content.get("runs"), "runs")
    check_names(entries, "runs", "run")
    return entries


def parse_run(content: Mapping[str, Any], name: str) -> Run:
    """The entry of `runs:` called `name`. UserError when there is none or when it does not fit."""
    entries = run_entries(content)
    unknown_key({name: None}, entries, "runs")
    if name.lower() == "quality":
        raise UserError(f"params.yaml: runs.{name} would write the report of the stage quality; choose another name")
    where = f"runs.{name}"
    entry = section(entries[name], where)
    _refuse_old_names(entry, where)
    # dvc.yaml names each of them, so each has to be there: a change of, say, the learning rate reruns train and
    # evaluate and nothing before them.
    keys = [one.name for one in fields(Run)]
    unknown_key(entry, keys, where)
    for key in keys:
        if key not in entry:
            raise UserError(
                f"params.yaml: {where}.{key} is missing; add it (an empty section, {{}}, takes the defaults)"
            )
    run = parse(Run, entry, where)
    conditions.check(run.select.where, f"{where}.select.where")
    for condition in run.select.mix:
        conditions.check(condition, f"{where}.select.mix")
    return run


def _refuse_old_names(entry: Mapping[str, Any], where: str) -> None:
    for old, new in RENAMED.items():
        part, _, key = old.rpartition(".")
        if key in (section(entry.get(part), f"{where}.{part}") if part else entry):
            raise UserError(f"params.yaml: {where}.{old} is called {where}.{new} now; rename it")
