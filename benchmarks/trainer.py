"""Tokens per second of training: Finelake padded and packed, Hugging Face's Trainer and TRL on the same texts.

    python benchmarks/trainer.py FOLDER [--peer PYTHON] [--records 1600] [--tokens 128 512] [--ranks 1 2] [--bf16]
        [--systems …]

Makes texts of 8 tokens up to the longest in each number of TOKENS, and a small Llama, in FOLDER and trains on all of
them once, all weights, in fp32 or bf16, one CPU thread per rank: Trainer with texts in random order and grouped by
length, TRL's SFTTrainer in random order and packed, Finelake with one text per sample in random order and grouped by
length, and with packs. PEER is the Python of an environment with trl, datasets and our packages; without it TRL is
left out. Each system runs in a separate process, one after the other, in the given order and in reverse.
All batches hold the same tokens on average. Prints tokens per second (without padding), seconds per step and the ratio
to Trainer of as many tokens and ranks.
"""

import argparse
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

BATCH = 32  # texts per step
ACCUMULATION = 2
SYSTEMS = ("trainer", "trainer grouped", "trl", "trl packed", "padded", "padded grouped", "packed")


def texts(count: int, tokens: int) -> list[list[int]]:
    """Token ids; many short texts and few long ones, as tickets are."""
    random = np.random.default_rng(0)
    lengths = 8 + (random.beta(1.2, 2.5, count) * (tokens - 16)).astype(int)
    return [random.integers(5, 2000, length).tolist() for length in lengths]


def make_base(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    size = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
    words = {"vocab_size": 2000, "max_position_embeddings": 4096, "tie_word_embeddings": True, "pad_token_id": 0}
    config = LlamaConfig(**size, **words)
    LlamaForCausalLM(config).save_pretrained(folder / "base")


# ---------------------------------------------------------------------------------------------------------------------
# Hugging Face


def theirs(folder: Path, ranks: int, bf16: bool) -> dict[str, Any]:
    """The arguments that Trainer and SFTTrainer share."""
    return {
        "output_dir": str(folder / "theirs"),
        "per_device_train_batch_size": BATCH // ACCUMULATION // ranks,
        "gradient_accumulation_steps": ACCUMULATION,
        "num_train_epochs": 1,
        "learning_rate": 5e-5,
        "use_cpu": True,
        "bf16": bf16,
        "report_to": [],
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
    }


def base(folder: Path) -> Any:
    import torch
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(folder / "base", dtype=torch.float32, attn_implementation="sdpa")


def train_trainer(folder: Path, rows: list[list[int]], grouped: bool, options: dict[str, Any]) -> tuple[float, int]:
    """Seconds of the loop and steps."""
    import torch
    from transformers import Trainer, TrainingArguments

    def collate(batch: list[dict]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in batch)
        padded = {"input_ids": 0, "labels": -100, "attention_mask": 0}
        columns = {
            name: [row[name] + [pad] * (width - len(row[name])) for row in batch] for name, pad in padded.items()
        }
        return {name: torch.tensor(column) for name, column in columns.items()}

    order = "group_by_length" if grouped else "random"
    arguments = TrainingArguments(train_sampling_strategy=order, **options)
    data = [{"input_ids": ids, "labels": ids, "attention_mask": [1] * len(ids)} for ids in rows]
    result = Trainer(base(folder), arguments, data_collator=collate, train_dataset=data).train()
    return result.metrics["train_runtime"], result.global_step


def train_trl(
    folder: Path, rows: list[list[int]], tokens: int, packed: bool, options: dict[str, Any], ranks: int
) -> tuple[float, int]:
    """Seconds of the loop and steps.

    Packing comes before the loop, as ours does. SFTTrainer's packs are cut out of the texts one behind the other
    (`wrapped`): the other way needs flash attention.
    """
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    words = WordLevel({"<pad>": 0, "<end>": 1, **{str(n): n for n in range(2, 2000)}}, unk_token="<pad>")
    names = {"pad_token": "<pad>", "eos_token": "<end>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), **names)
    if packed:
        batch = batch_of_packs(rows, sum(map(len, rows)) / tokens)
        options = {**options, "per_device_train_batch_size": batch // ACCUMULATION // ranks}
    arguments = SFTConfig(packing=packed, packing_strategy="wrapped", max_length=tokens, **options)
    data = Dataset.from_list([{"input_ids": ids} for ids in rows])
    trainer = SFTTrainer(base(folder), args=arguments, train_dataset=data, processing_class=tokenizer)
    result = trainer.train()
    return result.metrics["train_runtime"], result.global_step


def batch_of_packs(rows: list[list[int]], samples: float) -> int:
    """Samples a step that hold as many tokens as BATCH texts do on average, for two ranks at most."""
    return max(round(BATCH * samples / len(rows) / ACCUMULATION / 2), 1) * ACCUMULATION * 2


# ---------------------------------------------------------------------------------------------------------------------
# Finelake


def samples(rows: list[list[int]], tokens: int, packed: bool) -> list[dict]:
    from finelake.jobs.tokenize import pack

    records = [
        SimpleNamespace(part="train", shard=0, record_id=str(number), input_ids=ids, labels=ids)
        for number, ids in enumerate(rows)
    ]
    return list(pack(records, tokens, ("train",) if packed else ()))


def make_samples(folder: Path, rows: list[list[int]], tokens: int) -> None:
    """What each rank reads: the rows one a sample and packed."""
    from shards import write_samples

    for system in ("padded", "packed"):
        write_samples(samples(rows, tokens, system == "packed"), folder / system)
        (folder / system / "tokenizer").mkdir(exist_ok=True)


def train_ours(folder: Path, rows: list[list[int]], tokens: int, system: str, bf16: bool) -> tuple[float, int]:
    """Seconds of the loop and steps."""
    from finelake.lake.config.runs import Base, Run, Tokenize, with_values
    from finelake.training.data.samples import split_parts
    from finelake.training.loop.progress import read_csv
    from finelake.training.models import strategies
    from finelake.training.train import Job, fit

    packed = system == "packed"
    place = folder / ("packed" if packed else "padded")
    parts = split_parts(sorted(map(str, place.glob("part=*/shard=*/*.parquet"))))
    count = parts["train"].samples
    batch = batch_of_packs(rows, count) if packed else BATCH
    size = {"global_batch_size": batch, "gradient_accumulation_steps": ACCUMULATION, "epochs": 1}
    size["logging_steps"] = count
    how: dict[str, Any] = {
        **{"strategy": "full", "learning_rate": 5e-5, "precision": "bf16" if bf16 else "fp32"},
        "group_by_length": system.endswith("grouped"),
    }
    run = with_values(
        Run(task="instruct", base=Base(kind="folder", name="base"), tokenize=Tokenize(max_length=tokens)), **how, **size
    )
    run, _ = strategies.choose(run, len(rows), 4, strategies.hardware())
    names = {"base": folder / "base", "tokenizer": place / "tokenizer", "model": place / "model"}
    files = {"metrics": place / "train.json", "curves": place / "train.csv", "checkpoints": place / "checkpoints"}
    fit(Job("benchmark", run, parts["train"], parts["validation"], (), **names, **files))
    speed = float(read_csv(files["curves"])[0]["tokens_per_second"])
    return sum(map(len, rows)) / speed, count // batch


# ---------------------------------------------------------------------------------------------------------------------


def measure(folder: Path, system: str, count: int, tokens: int, ranks: int, bf16: int) -> dict[str, float]:
    import torch

    torch.set_num_threads(1)
    rows, options = texts(count, tokens), theirs(folder, ranks, bool(bf16))
    if system.startswith("trl"):
        seconds, steps = train_trl(folder, rows, tokens, system.endswith("packed"), options, ranks)
    elif system.startswith("trainer"):
        seconds, steps = train_trainer(folder, rows, system.endswith("grouped"), options)
    else:
        seconds, steps = train_ours(folder, rows, tokens, system, bool(bf16))
    return {"tokens_per_second": sum(map(len, rows)) / seconds, "step": seconds / steps}


def launch(folder: Path, system: str, peer: str | None, options: list[int]) -> dict[str, float]:
    """Measure a system in processes of its own, as many as ranks."""
    python = str(peer) if system.startswith("trl") else sys.executable
    ranks = options[2]
    several = ["-m", "torch.distributed.run", f"--nproc_per_node={ranks}"] if ranks > 1 else []
    command = [python, *several, __file__, str(folder), "--measure", system, *map(str, options)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{system} failed:\n{done.stderr[-4000:]}")
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"')))


def compare(folder: Path, systems: list[str], peer: str | None, options: list[int]) -> None:
    """Print a table of the systems."""
    found: dict[str, list[dict]] = {system: [] for system in systems}
    for system in (*systems, *reversed(systems)):
        found[system].append(launch(folder, system, peer, options))
    means = {system: {key: np.mean([run[key] for run in runs]) for key in runs[0]} for system, runs in found.items()}
    for system, mean in means.items():
        ratio = mean["tokens_per_second"] / means["trainer"]["tokens_per_second"]
        print(f"{system:<16} {mean['tokens_per_second']:8.0f} tokens/s  {mean['step']:6.3f} s a step  {ratio:5.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer")
    parser.add_argument("--records", type=int, default=1600, help="with 128 tokens; with more, fewer by as much")
    parser.add_argument("--tokens", type=int, nargs="+", default=[128])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS, help="trainer and others")
    parser.add_argument("--bf16", action="store_true", help="instead of fp32")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        import torch

        system, *numbers = options.measure
        figures = measure(options.folder, system, *map(int, numbers))
        if os.environ.get("RANK", "0") == "0":
            print(json.dumps(figures), flush=True)
        if "RANK" in os.environ:
            torch.distributed.destroy_process_group()
        return
    systems = [system for system in options.systems if options.peer or not system.startswith("trl")]
    for tokens, ranks in product(options.tokens, options.ranks):
        place, count = options.folder / str(tokens), options.records * 128 // tokens
        make_base(place)
        make_samples(place, texts(count, tokens), tokens)
        print(f"\n{count} texts of up to {tokens} tokens, {ranks} rank{'s' * (ranks > 1)}", flush=True)
        compare(place, systems, options.peer, [count, tokens, ranks, int(options.bf16)])


if __name__ == "__main__":
    main()
