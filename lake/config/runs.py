"""One training run: an entry of `runs:` in params.yaml. Read by tokenize, base, train and evaluate."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from finelake.lake.config import conditions
from finelake.lake.config.names import check_names
from finelake.lake.config.params import parse, section, unknown_key
from finelake.lake.errors import UserError

# Markers between the turns of an instruction; special tokens of a vocabulary that Finelake trains itself.
PROMPT = "<|prompt|>"
REPLY = "<|reply|>"
PAD = "<|pad|>"
END = "<|end|>"

_FIELD = re.compile(r"\{([a-z_]+)(?:\.([^{}.]+))?\}")
_PLACEHOLDERS = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class Base:
    """The model a run starts from: a Python package's folder, a folder, a hub snapshot, or trained from scratch."""

    kind: Literal["package", "folder", "hub", "scratch"]
    name: str | None = None  # package: its import name; folder: a path from the project root; hub: owner/model
    folder: str = "model"  # package: where the model lies inside it
    revision: str | None = None  # hub: the commit, 40 hexadecimal digits
    vocabulary: int = 6000  # scratch: tokens
    hidden: int = 192  # scratch: width
    layers: int = 4  # scratch
    heads: int = 4  # scratch: attention heads
    steps: int = 150  # scratch: optimiser steps of pre-training on the train split's text
    batch_size: int = 16  # scratch: sequences a step
    context: int = 128  # scratch: tokens a pre-training sequence
    learning_rate: float = 2e-3  # scratch: peak rate of pre-training

    def __post_init__(self) -> None:
        if self.kind == "scratch":
            _positive(self, "vocabulary", "hidden", "layers", "heads", "batch_size", "context", "learning_rate")
            _refuse(self.name is not None, "base kind scratch has no name; leave name out or choose another kind")
            _refuse(self.vocabulary < 300, "base.vocabulary must be at least 300: 256 bytes and the markers come first")
            _refuse(self.hidden % (2 * self.heads) != 0, "base.hidden must be a multiple of twice base.heads")
            return
        _refuse(self.name is None, f"base kind {self.kind} needs a name")
        if self.kind == "package":
            _refuse(not str(self.name).isidentifier(), f"base.name {self.name!r} is not the import name of a package")
        if self.kind == "hub":
            pinned = re.fullmatch("[0-9a-f]{40}", self.revision or "")
            _refuse(not pinned, "base kind hub needs revision, the commit as 40 hexadecimal digits: names move")


@dataclass(frozen=True)
class Run:
    """What to train, on which rows, from which base, and how."""

    task: Literal["classify", "instruct"]
    base: Base
    where: str = "true"  # condition on split.records, see lake/config/conditions.py
    label: str = "scene"  # classify: the class, a column or facts.NAME
    prompt: str = PROMPT + "{text}" + REPLY  # instruct: template of what the model reads
    target: str = "{facts.reply}"  # instruct: template of what it is to write; the end token is added
    tokens: int = 64  # sequence length; longer texts are cut (classify) or rejected (instruct)
    shards: int = 8  # files a part
    pack: bool = True  # instruct: put several training records into one sequence; attention never joins them
    mix: dict[str, int] = field(default_factory=dict)  # tasks of the train part: condition on split.records -> ratio
    mix_rule: Literal["repeat", "cut"] = "repeat"  # tasks that run out first start over, or the others are cut to them
    strategy: Literal["auto", "full", "lora", "prefix"] = "auto"  # auto, None below: see models/strategies.py
    lora_rank: int | None = None
    lora_alpha: int | None = None
    prefix_length: int | None = None  # vectors before each layer's keys and values
    merge: bool = True  # lora: save weights that hold the adapter; False: the base's and the adapter
    lora_dropout: float = 0.0  # share
    dropout: float | None = None  # share; None: as the base's configuration says
    scale: float = 20.0  # classify: what the cosine-like scores are multiplied with before the softmax
    epochs: int = 3  # passes over the train part
    batch_size: int = 32  # samples an optimiser step, over all ranks and accumulated micro-batches
    accumulation: int = 4  # micro-batches an optimiser step and rank
    group_by_length: bool = False  # samples of like length in a step: less padding, but steps are no random samples
    learning_rate: float | None = None  # peak
    head_learning_rate: float | None = None  # classify: peak rate of the new head; None: learning_rate
    warmup: float = 0.1  # share of all steps in which the rate rises linearly; then it falls linearly to 0
    weight_decay: float = 0.01
    clip: float = 1.0  # largest norm of the gradient; 0: not clipped
    label_smoothing: float = 0.0  # share
    class_weights: Literal["none", "balanced"] = "none"  # classify, balanced: a class counts by 1 / its frequency
    patience: int | None = None  # epochs without a better validation loss before stopping; None: never
    seed: int = 0
    zero_stage: Literal[0, 1, 2, 3] = 0  # spread over ranks: nothing, optimiser, gradients too, parameters too
    offload: bool = False  # zero_stage above 0: optimiser (stage 3: parameters too) in the CPU's memory
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # auto: bf16 on a GPU that has it, else fp32
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"  # auto: sdpa
    gradient_checkpointing: bool = False  # less memory, a forward pass more
    compile: Literal["auto", "always", "never"] = "auto"  # torch.compile; auto: on a GPU, below zero_stage 3
    checkpoint_steps: int = 100  # optimiser steps between checkpoints within an epoch
    log_steps: int = 10  # optimiser steps between rows of the curves; each epoch ends with one
    new_tokens: int = 64  # instruct: longest reply that evaluate generates
    evaluate_batch: int = 64  # samples evaluated at once
    bootstrap: int = 1000  # resamples behind each interval
    examples: int = 20  # rows shown in the report

    def __post_init__(self) -> None:
        _positive(self, "tokens", "shards", "scale", "epochs", "batch_size", "accumulation")
        given = ("lora_rank", "lora_alpha", "prefix_length", "learning_rate", "head_learning_rate")
        _positive(self, *(name for name in given if getattr(self, name) is not None))
        _positive(self, "checkpoint_steps", "log_steps", "new_tokens", "evaluate_batch", "bootstrap")
        for name in ("lora_dropout", "warmup", "label_smoothing"):
            _refuse(not 0 <= getattr(self, name) < 1, f"{name} is {getattr(self, name)}, not a share from 0 to below 1")
        _refuse(self.dropout is not None and not 0 <= self.dropout < 1, f"dropout is {self.dropout}, not a share")
        _refuse(self.batch_size % self.accumulation != 0, "batch_size must be a multiple of accumulation")
        _refuse(self.patience is not None and self.patience < 1, "patience must be at least 1; leave it out for never")
        _refuse(self.clip < 0 or self.weight_decay < 0, "clip and weight_decay cannot be negative")
        _refuse(len(self.mix) == 1, "mix names one task; name two or more conditions, or leave it out")
        _refuse(bool(self.mix) and self.group_by_length, "group_by_length would undo mix in each step; leave one out")
        _refuse(any(part < 1 for part in self.mix.values()), "mix: each ratio is a whole number of 1 or more")
        _refuse(self.offload and self.zero_stage == 0, "offload needs zero_stage 1, 2 or 3")
        _check_column("label", self.label, {"facts"})
        weighted = self.class_weights == "balanced"
        _refuse(weighted and self.task == "instruct", "class_weights are for task classify; leave them out")
        if self.task == "instruct":
            _refuse(self.new_tokens >= self.tokens, "new_tokens must be below tokens: the prompt needs room too")
            for name in ("prompt", "target"):
                _check_template(name, getattr(self, name))
        elif self.base.kind == "scratch":
            raise ValueError("base kind scratch makes a causal model for task instruct; classify needs an encoder")


def value(name: str, columns: Mapping[str, Any]) -> Any:
    """The column `name`, or for facts.NAME that entry of the map; None where the record lacks it."""
    column, _, key = name.partition(".")
    found = columns.get(column)
    if not key or found is None:
        return found
    return dict(found).get(key)


def render(template: str, columns: Mapping[str, Any]) -> str | None:
    """The template with {column} and {facts.name} filled in; None where the record lacks one of them."""
    values = {match[0]: value(match[0][1:-1], columns) for match in _FIELD.finditer(template)}
    if any(found is None for found in values.values()):
        return None
    return _FIELD.sub(lambda match: _plain(str(values[match[0]])), template)


def _plain(text: str) -> str:
    """`text` without markers: what a customer wrote must not end a turn or open another."""
    for marker in (PROMPT, REPLY, PAD, END):
        text = text.replace(marker, " ")
    return text


def _check_template(name: str, template: str) -> None:
    wrong = [part for part in _PLACEHOLDERS.findall(template) if not _FIELD.fullmatch(part)]
    _refuse(bool(wrong), f"{name} holds {wrong[0] if wrong else ''}; write {{column}} or {{facts.name}}")
    _refuse(not _FIELD.search(template), f"{name} names no column; write it as {{text}} or {{facts.reply}}")
    for match in _FIELD.finditer(template):
        _check_column(name, match[0][1:-1], {"facts", "numbers"})


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


# The sections of an entry of `runs:`: each names the keys that one stage alone reads, so that a change of, say, the
# learning rate reruns train and evaluate and nothing before them.
SHARED = ("task", "where", "seed", "base")
SECTIONS = {
    "samples": ("label", "prompt", "target", "tokens", "shards", "pack", "mix", "mix_rule"),
    "train": (
        *("strategy", "lora_rank", "lora_alpha", "lora_dropout", "prefix_length", "merge", "dropout", "scale"),
        *("epochs", "batch_size", "class_weights", "offload", "precision", "attention", "gradient_checkpointing"),
        *("accumulation", "learning_rate", "head_learning_rate", "warmup", "weight_decay", "clip", "label_smoothing"),
        *("group_by_length", "patience", "zero_stage", "compile", "checkpoint_steps", "log_steps", "evaluate_batch"),
    ),
    "evaluate": ("new_tokens", "bootstrap", "examples"),
}


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
    unknown_key(entry, (*SHARED, *SECTIONS), where)
    for key in (*SHARED, *SECTIONS):
        # dvc.yaml names each of them, so each has to be there.
        if key not in entry:
            raise UserError(
                f"params.yaml: {where}.{key} is missing; add it (an empty section, {{}}, takes the defaults)"
            )
    flat = {key: entry[key] for key in SHARED}
    for part, known in SECTIONS.items():
        values = section(entry[part], f"{where}.{part}")
        unknown_key(values, known, f"{where}.{part}")
        flat |= values
    run = parse(Run, flat, where)
    conditions.check(run.where, f"{where}.where")
    for condition in run.mix:
        conditions.check(condition, f"{where}.samples.mix")
    return run
