"""base@RUN: bring the model that a run starts from, and its tokenizer, into the project.

A model comes from an installed package, a folder, a hub snapshot at a pinned commit, or is trained from scratch on the
run's own train rows: a byte-level BPE vocabulary (no character is unknown, Chinese phrases become single tokens) and a
small model of the Llama architecture.
"""

import importlib.util
import math
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from finelake.lake.config.project import Settings, publish_folder
from finelake.lake.config.runs import Base, Run
from finelake.lake.errors import UserError
from finelake.text.templates import END, PAD, PROMPT, REPLY
from finelake.training.data.records import read_records
from finelake.training.loop.progress import Progress

# What is copied of a model folder: weights and configuration as data; never pickles, never code.
WEIGHTS = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json")
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer.model",
    "*.jinja",
)


def run(root: Path, run_name: str, run: Run, settings: Settings) -> None:
    """Write models/RUN/base and models/RUN/tokenizer."""
    folder = root / "models" / run_name
    if run.base.kind == "scratch":
        # A conversation as the model is to see it, without the end token.
        texts = [row["prompt"] + row["target"] for row in read_records(root, settings.lake, run_name, "train")]
        if not texts:
            raise UserError(
                f"select@{run_name} has no train row with a prompt and a target; check `where`, `prompt` and `target` "
                f"of runs.{run_name}.select"
            )
        from_scratch(run.base, run.seed, texts, folder, f"base@{run_name}")
    else:
        copy(find(run.base, root), folder)


# ---------------------------------------------------------------------------------------------------------------------
# A model that exists


def find(base: Base, root: Path) -> Path:
    """The folder that holds a base. UserError when it cannot be had."""
    if base.kind == "package":
        return _in_package(str(base.name), base.folder)
    if base.kind == "hub":
        return _from_hub(str(base.name), str(base.revision))
    folder = (root / str(base.name)).resolve()
    if not folder.is_dir():
        raise UserError(f"base folder {base.name} does not exist; give a path from the project root to a model folder")
    return folder


def _in_package(name: str, folder: str) -> Path:
    found = importlib.util.find_spec(name)  # finds it without running the package's code
    if found is None or not found.submodule_search_locations:
        raise UserError(f"base package {name} is not installed; install it (`pip install {name.replace('_', '-')}`)")
    place = Path(found.submodule_search_locations[0]) / folder
    if not place.is_dir():
        raise UserError(f"base package {name} has no folder {folder!r}; set base.folder to where its model lies")
    return place


def _from_hub(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=[*WEIGHTS, *TOKENIZER]))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        reason = type(error).__name__
        hint = "download it where there is a network and use kind folder"
        raise UserError(f"base {name} at {revision[:12]} cannot be had from the hub ({reason}); {hint}") from None


def copy(source: Path, folder: Path) -> None:
    """Copy model and tokenizer as data. UserError when weights in safetensors or a tokenizer are missing."""
    if not list(source.glob("*.safetensors")):
        raise UserError(f"{source} has no weights in safetensors format; convert them, pickled weights can run code")
    if not (source / "config.json").exists():
        raise UserError(f"{source} has no config.json; it is no transformers model")
    if not (source / "tokenizer.json").exists():
        raise UserError(f"{source} has no tokenizer.json; save the model's fast tokenizer into it")
    _copy_files(source, WEIGHTS, folder / "base")
    _copy_files(source, TOKENIZER, folder / "tokenizer")


def _copy_files(source: Path, patterns: Iterable[str], target: Path) -> None:
    new = _fresh(target)
    for path in sorted({path for pattern in patterns for path in source.glob(pattern)}):
        shutil.copyfile(path, new / path.name)
    publish_folder(new, target)


def _fresh(target: Path) -> Path:
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    return new


# ---------------------------------------------------------------------------------------------------------------------
# A model from scratch


def from_scratch(base: Base, seed: int, texts: Sequence[str], folder: Path, name: str) -> None:
    """Train a tokenizer and a small causal model on `texts` and write both folders."""
    tokenizer = train_tokenizer(texts, base.vocab_size)
    _save_tokenizer(tokenizer, folder / "tokenizer")
    tokens = encode(tokenizer, texts)
    model = pretrain(base, seed, tokens, tokenizer.get_vocab_size(), Progress(name, base.max_steps))
    new = _fresh(folder / "base")
    model.save_pretrained(new)  # type: ignore[operator]
    publish_folder(new, folder / "base")


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE vocabulary; the same texts give the same file on every machine.

    Words are cut before learning: letters of one script, single digits (numbers are spelled, not memorised), runs of
    signs. Padding has id 0, the end of a text id 1.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, PROMPT, REPLY],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=24,  # bytes: eight Chinese characters
        show_progress=False,
    )
    # The markers stand in the texts as special tokens: they are no material for merges.
    markers = re.compile("|".join(map(re.escape, (PAD, END, PROMPT, REPLY))))
    tokenizer.train_from_iterator((piece for text in texts for piece in markers.split(text) if piece), trainer)
    return tokenizer


def _save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    new = _fresh(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, additional_special_tokens=[PROMPT, REPLY]
    ).save_pretrained(new)
    publish_folder(new, folder)


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """All texts, each closed by the end token, as one row of token ids."""
    end = tokenizer.token_to_id(END)
    return np.array([i for coded in tokenizer.encode_batch(list(texts)) for i in (*coded.ids, end)], dtype=np.int64)


def pretrain(base: Base, seed: int, tokens: np.ndarray, vocabulary: int, progress: Progress) -> torch.nn.Module:
    """A small Llama trained for base.max_steps steps to predict the next token, on random pieces of `tokens`."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    width = max(min(base.max_length, len(tokens) - 1), 1)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=base.hidden_size,
        num_hidden_layers=base.num_layers,
        num_attention_heads=base.num_heads,
        intermediate_size=_multiple(base.hidden_size * 8 / 3, 32),
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    model: torch.nn.Module = LlamaForCausalLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=base.learning_rate, weight_decay=0.01)
    random = np.random.default_rng(seed)
    for step in range(base.max_steps):
        for group in optimizer.param_groups:
            group["lr"] = base.learning_rate * _cosine(step, base.max_steps)
        starts = random.integers(0, max(len(tokens) - width, 1), base.batch_size)
        rows = torch.from_numpy(tokens[starts[:, None] + np.arange(min(width + 1, len(tokens)))])
        scores = model(input_ids=rows[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        progress.update(step + 1, loss=loss.item())
    progress.close()
    return model.eval()


def _multiple(value: float, of: int) -> int:
    return math.ceil(value / of) * of


def _cosine(step: int, steps: int) -> float:
    """Linear rise over the first tenth, then half a cosine down to a tenth of the peak."""
    rise = max(steps // 10, 1)
    if step < rise:
        return (step + 1) / rise
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))
