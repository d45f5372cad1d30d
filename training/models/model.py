"""Models: a body of transformers with the head of a task, LoRA and prefixes by PEFT, and folders to keep them in.

Weights are safetensors, no code is ever loaded with them. A model folder stands alone:
    config.json, model.safetensors   the body (transformers' own format), with merge: the LoRA adapter merged in
    tokenizer.json, …                its tokenizer
    head.safetensors                 the head, where the task has one
    adapter/                         lora, prefix: the adapter alone (PEFT's own format)
    finelake.json                    task, class names, scale, whether the body needs its adapter
"""

import errno
import json
import math
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, PeftModel, PrefixTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from finelake.lake.config.project import publish_folder, write_atomically
from finelake.lake.config.runs import Run
from finelake.lake.errors import UserError

FORMAT = 1
HEAD = "head.safetensors"


@dataclass(frozen=True)
class Description:
    """What finelake.json says about a model folder."""

    task: str
    labels: tuple[str, ...] = ()  # class names in the order of their indexes, where the task has classes
    scale: float = 1.0
    adapter: bool = False  # the body is to be read with adapter/ on it
    format: int = FORMAT


class Model(nn.Module):
    """A body of transformers and, where a task has one, a head. Takes a Batch and gives the task's scores."""

    def __init__(self, body: nn.Module, head: nn.Module | None = None):
        super().__init__()
        self.body = body
        self.head = head


def class_weights(counts: Sequence[int]) -> list[float]:
    """A weight for each class by its frequency; their mean over the samples is 1 (King and Zeng 2001; "balanced" of
    scikit-learn). A class without samples weighs 0."""
    total, classes = sum(counts), sum(count > 0 for count in counts)
    return [total / (classes * count) if count else 0.0 for count in counts]


def trainable_body(run: Run, base: Path, auto: type, adapter: str) -> tuple[nn.Module, int]:
    """The body that a run (all values chosen) trains, made of the base in folder `base`, and the width of its hidden
    states. `auto`: transformers' class of it; `adapter`: PEFT's kind of task."""
    attention = "sdpa" if run.train.attention == "auto" else run.train.attention
    body: nn.Module = load_body(base, auto, run.train.dropout, attention)
    width = int(body.config.hidden_size)  # type: ignore[union-attr, arg-type]
    if run.train.gradient_checkpointing:
        body.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
    if run.train.strategy != "full":
        body = get_peft_model(body, _adapter(run, adapter))  # type: ignore[arg-type]
        # The adapter's file would name this machine's folder; what it needs is the name of the base.
        body.peft_config["default"].base_model_name_or_path = run.base.name or run.base.kind
    return body, width


@contextmanager
def reading(folder: Path, stage: str) -> Iterator[None]:
    """Turns what a damaged file of a model folder makes a library raise into a UserError; lack of memory, of open files
    or of permission is not damage and passes."""
    try:
        with warnings.catch_warnings():
            # PEFT would leave weights that its file lacks as they were drawn, with a warning.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError | ImportError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise UserError(
            f"{folder} cannot be read as a model ({type(error).__name__}: {reason}); "
            f"run the stage `{stage}` of this run again"
        ) from None


def load_config(folder: Path, stage: str = "base") -> PretrainedConfig:
    """The configuration in a model folder, which the stage `stage` wrote.

    UserError when there is no model, only weights that can run code, or no transformer.
    """
    if not (folder / "config.json").exists():
        raise UserError(f"{folder} holds no model (no config.json); run the stage `{stage}` of this run again")
    if not list(folder.glob("*.safetensors")):
        raise UserError(f"{folder} has no weights in safetensors format; convert them, pickled weights can run code")
    with reading(folder, stage):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    for name in ("hidden_size", "num_hidden_layers"):
        if not isinstance(getattr(config, name, None), int):
            raise UserError(
                f"{folder}/config.json has no whole number {name}; base a run on an encoder or a causal model, "
                f"or run the stage `{stage}` of this run again"
            )
    return config


def load_body(
    folder: Path, auto: type, dropout: float | None = None, attention: str = "sdpa", stage: str = "base"
) -> PreTrainedModel:
    """The model of transformers' class `auto` in a folder, which the stage `stage` wrote. UserError when there is none,
    or only in a format that can run code."""
    config = load_config(folder, stage)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout"):
        if dropout is not None and hasattr(config, name):
            setattr(config, name, dropout)
    with reading(folder, stage):
        body, found = auto.from_pretrained(  # type: ignore[attr-defined]
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            attn_implementation=attention,
            output_loading_info=True,
        )
        _refuse_missing(found["missing_keys"])
    if getattr(body, "pooler", None) is not None:
        body.pooler = None  # the features are a mean over tokens; a pooler would be trained for nothing
    return body


def _refuse_missing(names: Iterable[str]) -> None:
    """ValueError for weights that a folder lacks: transformers would draw them at random without a word."""
    missing = sorted(name for name in names if not name.startswith("pooler."))
    if missing:
        raise ValueError(f"the weights {missing[0]} and {len(missing) - 1} more are missing")


def _adapter(run: Run, task: str) -> PeftConfig:
    if run.train.strategy == "prefix":  # Li and Liang 2021
        return PrefixTuningConfig(task_type=task, num_virtual_tokens=int(run.train.prefix_length or 0))
    return LoraConfig(  # Hu et al. 2021
        task_type=task,
        r=int(run.train.lora_rank or 0),
        lora_alpha=int(run.train.lora_alpha or 0),
        lora_dropout=run.train.lora_dropout,
        target_modules="all-linear",
    )


def parameter_groups(model: nn.Module, run: Run) -> list[dict]:
    """Parameter groups for the optimiser, each with its `peak` rate; norms and biases do not decay."""
    rate = float(run.train.learning_rate or 0.0)  # chosen by now
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        peak = run.train.head_learning_rate or rate if name.startswith("head.") else rate
        decay = run.train.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((peak, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay}
        for (peak, decay), parameters in groups.items()
    ]


def trained_parameters(model: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def operations(model: nn.Module) -> int:
    """Floating-point operations of training on a token, without attention's products (Kaplan et al. 2020): 2 a weight
    forwards, 2 backwards, and 2 more for the gradient of a weight that is trained."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    weights = [parameter for parameter in model.parameters() if id(parameter) not in tables]
    return sum((6 if parameter.requires_grad else 4) * parameter.numel() for parameter in weights)


def trainable_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights that training changes, on the CPU, by name; every rank takes part where ZeRO spreads them."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    with _gathered(list(trained.values())):
        return {name: parameter.detach().cpu().float().contiguous().clone() for name, parameter in trained.items()}


def _gathered(parameters: list[nn.Parameter]) -> AbstractContextManager:
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(parameters)


def restore(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Put back what trainable_state() gave."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in state.items():
            parameters[name].copy_(tensor)


def save(model: Model, run: Run, labels: tuple[str, ...], tokenizer: Path, folder: Path) -> None:
    """Write a model folder; it appears whole or not at all. Merges adapters into `model`, which is spent after it."""
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    body = model.body
    merged = run.train.strategy == "lora" and run.train.merge
    if run.train.strategy != "full":
        body.save_pretrained(new / "adapter", save_embedding_layers=False)  # type: ignore[operator]
        (new / "adapter" / "README.md").unlink(missing_ok=True)  # an empty model card
        body = body.merge_and_unload() if merged else _bare(body)  # type: ignore[operator]
    body.save_pretrained(new)  # type: ignore[operator]
    if model.head is not None:
        save_file({name: tensor.contiguous() for name, tensor in model.head.state_dict().items()}, new / HEAD)
    for path in sorted(tokenizer.iterdir()):
        shutil.copyfile(path, new / path.name)
    write_description(new, Description(run.task, labels, run.train.scale, run.train.strategy != "full" and not merged))
    publish_folder(new, folder)


def _bare(body: nn.Module) -> nn.Module:
    """The body as the base had it, without its adapter."""
    # A prefix stands beside the body, LoRA within it.
    return body.unload() if hasattr(body.base_model, "unload") else body.base_model  # type: ignore[operator,return-value]


def write_description(folder: Path, description: Description) -> None:
    text = json.dumps(asdict(description), indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "finelake.json", text)


def load(
    folder: Path, description: Description, auto: type, model_of: Callable[[nn.Module, int, int, float], Model]
) -> Model:
    """A saved model, ready to evaluate; `model_of` makes it of its body, width, classes and scale. UserError when the
    folder does not hold it whole."""
    body: nn.Module = load_body(folder, auto, stage="train")
    width = int(body.config.hidden_size)  # type: ignore[union-attr, arg-type]
    with reading(folder, "train"):
        if description.adapter:
            body = PeftModel.from_pretrained(body, folder / "adapter", local_files_only=True)  # type: ignore[arg-type]
        model = model_of(body, width, len(description.labels), description.scale)
        if model.head is not None:
            model.head.load_state_dict(load_file(folder / HEAD))
    return model.eval()


def on_device(model: nn.Module) -> torch.device:
    """The device for an evaluation, onto which the model is moved."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    model.to(device)
    return device


def read_description(folder: Path) -> Description:
    """What finelake.json says. UserError where there is none, or one that Finelake did not write."""
    with reading(folder, "train"):
        content = json.loads((folder / "finelake.json").read_text(encoding="utf-8"))
        found = Description(**{**content, "labels": tuple(content["labels"])})
        fits = (
            isinstance(found.task, str)
            and isinstance(content["labels"], list)
            and all(isinstance(label, str) for label in found.labels)
            and isinstance(found.scale, int | float)
            and math.isfinite(found.scale)
            and isinstance(found.adapter, bool)
        )
        if not fits or found.format != FORMAT:
            raise ValueError("finelake.json holds values that Finelake does not write")
    return found
