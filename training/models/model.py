"""Models: a base with a classification head or a causal one, LoRA and prefixes by PEFT, and folders to keep them in.

Weights are safetensors, no code is ever loaded with them. A model folder stands alone:
    config.json, model.safetensors   the body (transformers' own format), with merge: the LoRA adapter merged in
    tokenizer.json, …                its tokenizer
    head.safetensors                 classify: the head
    adapter/                         lora, prefix: the adapter alone (PEFT's own format)
    finelake.json                    task, class names, scale, whether the body needs its adapter
"""

import errno
import json
import math
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, PeftModel, PrefixTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from finelake.lake.config.project import publish_folder, write_atomically
from finelake.lake.config.runs import Run
from finelake.lake.errors import UserError
from finelake.training.data.batch import IGNORED, Batch

# PEFT 0.21 asks transformers 5 for an attribute by its older name.
warnings.filterwarnings("ignore", category=FutureWarning, message="`is_gradient_checkpointing`")

FORMAT = 1
HEAD = "head.safetensors"


@dataclass(frozen=True)
class Description:
    """What finelake.json says about a model folder."""

    task: str
    labels: tuple[str, ...] = ()  # classify: class names in the order of their indexes
    scale: float = 1.0
    adapter: bool = False  # the body is to be read with adapter/ on it
    format: int = FORMAT


class Classifier(nn.Module):
    """Encoder, mean over the real tokens, features of length one, linear head, scaled (as cosine softmax heads do)."""

    def __init__(self, body: nn.Module, width: int, classes: int, scale: float):
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, classes)
        self.scale = scale
        nn.init.zeros_(self.head.weight)  # every class equal at first; the features alone break the tie
        nn.init.zeros_(self.head.bias)

    def features(self, batch: Batch) -> torch.Tensor:
        """Unit vectors [samples, width]."""
        real = (batch.segments > 0).to(torch.int64)
        hidden = self.body(input_ids=batch.input_ids, attention_mask=real).last_hidden_state
        weights = real.unsqueeze(-1).to(hidden.dtype)
        return nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Scores [samples, classes]."""
        return self.scale * self.head(self.features(batch))


class Causal(nn.Module):
    """A causal language model in which packed texts never see each other."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, batch: Batch) -> torch.Tensor:
        """Scores of the next token [samples, tokens, vocabulary]."""
        if int(batch.segments.max()) <= 1:
            # One text a row, padded on the right: causal attention alone keeps real tokens from seeing padding.
            return self.body(input_ids=batch.input_ids, use_cache=False).logits
        # From positions that restart, transformers makes the mask of each layer's kernel, sliding windows included.
        positions = segment_positions(batch.segments)
        return self.body(input_ids=batch.input_ids, position_ids=positions, use_cache=False).logits


Model = Classifier | Causal


def segment_positions(segments: torch.Tensor) -> torch.Tensor:
    """Position of each token within its segment, [samples, tokens]."""
    index = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
    starts = torch.ones_like(segments, dtype=torch.bool)
    starts[:, 1:] = segments[:, 1:] != segments[:, :-1]
    return index - torch.where(starts, index, 0).cummax(dim=1).values


def loss_sum(
    scores: torch.Tensor, batch: Batch, smoothing: float = 0.0, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross entropy summed over the labels that count, each times its class's weight; divide by a step's targets."""
    labels = batch.labels
    if scores.dim() == 3:
        scores, labels = scores[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    return nn.functional.cross_entropy(
        scores.float(), labels, weights, ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing
    )


def class_weights(counts: Sequence[int]) -> list[float]:
    """A weight for each class by its frequency; their mean over the samples is 1 (King and Zeng 2001; "balanced" of
    scikit-learn). A class without samples weighs 0."""
    total, classes = sum(counts), sum(count > 0 for count in counts)
    return [total / (classes * count) if count else 0.0 for count in counts]


def build(run: Run, base: Path, classes: int) -> Model:
    """The trainable model of a run (all values chosen) on the base in folder `base`, seeded by the run."""
    torch.manual_seed(run.seed)
    attention = "sdpa" if run.train.attention == "auto" else run.train.attention
    body: nn.Module = load_body(base, run.task, run.train.dropout, attention)
    width = int(body.config.hidden_size)  # type: ignore[union-attr, arg-type]
    if run.train.gradient_checkpointing:
        body.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
    if run.train.strategy != "full":
        body = get_peft_model(body, _adapter(run))  # type: ignore[arg-type]
        # The adapter's file would name this machine's folder; what it needs is the name of the base.
        body.peft_config["default"].base_model_name_or_path = run.base.name or run.base.kind
    return Classifier(body, width, classes, run.train.scale) if run.task == "classify" else Causal(body)


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
    folder: Path, task: str, dropout: float | None = None, attention: str = "sdpa", stage: str = "base"
) -> PreTrainedModel:
    """The transformers model in a folder. UserError when there is none, or only in a format that can run code."""
    kind = AutoModel if task == "classify" else AutoModelForCausalLM
    config = load_config(folder, stage)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout"):
        if dropout is not None and hasattr(config, name):
            setattr(config, name, dropout)
    with reading(folder, stage):
        body, found = kind.from_pretrained(  # type: ignore[misc]
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


def _adapter(run: Run) -> PeftConfig:
    task = TaskType.FEATURE_EXTRACTION if run.task == "classify" else TaskType.CAUSAL_LM
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
    if isinstance(model, Classifier):
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


def load(folder: Path) -> tuple[Model, Description]:
    """A saved model, ready to evaluate. UserError when the folder holds none."""
    description = read_description(folder)
    body: nn.Module = load_body(folder, description.task, stage="train")
    width = int(body.config.hidden_size)  # type: ignore[union-attr, arg-type]
    with reading(folder, "train"):
        if description.adapter:
            body = PeftModel.from_pretrained(body, folder / "adapter", local_files_only=True)  # type: ignore[arg-type]
        model: Model = Causal(body)
        if description.task == "classify":
            model = Classifier(body, width, len(description.labels), description.scale)
            model.head.load_state_dict(load_file(folder / HEAD))
    return model.eval(), description


def read_description(folder: Path) -> Description:
    """What finelake.json says. UserError where there is none, or one that Finelake did not write."""
    with reading(folder, "train"):
        content = json.loads((folder / "finelake.json").read_text(encoding="utf-8"))
        found = Description(**{**content, "labels": tuple(content["labels"])})
        fits = (
            found.task in ("classify", "instruct")
            and isinstance(content["labels"], list)
            and all(isinstance(label, str) for label in found.labels)
            and (bool(found.labels) or found.task == "instruct")
            and isinstance(found.scale, int | float)
            and math.isfinite(found.scale)
            and isinstance(found.adapter, bool)
        )
        if not fits or found.format != FORMAT:
            raise ValueError("finelake.json holds values that Finelake does not write")
    return found
