"""Step time and useful tokens a second of training: Finelake padded and packed beside Hugging Face's Trainer.

    python benchmarks/trainer.py FOLDER [RECORDS]

Makes RECORDS (1,600) texts of 8 to 120 tokens and a small Llama in FOLDER and trains on all of them once, all weights,
fp32, on one CPU thread: Trainer with texts in random order and grouped by length, Finelake with one text a sample and
with packs of 128 tokens. Each system runs in a process of its own, one after the other, in the given order and back
again. Both batches hold the same tokens on average. Prints tokens a second (padding not counted), seconds a step and
the ratio to Trainer.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

RECORDS = 1600
TOKENS = 128
BATCH = 16  # texts a step
ACCUMULATION = 2
SYSTEMS = ("trainer", "trainer grouped", "padded", "packed")


def texts(count: int) -> list[list[int]]:
    """Token ids; many short texts and few long ones, as tickets are."""
    random = np.random.default_rng(0)
    lengths = 8 + (random.beta(1.2, 2.5, count) * 112).astype(int)
    return [random.integers(5, 2000, length).tolist() for length in lengths]


def make_base(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    size = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=2000, max_position_embeddings=256, tie_word_embeddings=True, pad_token_id=0, **size)
    LlamaForCausalLM(config).save_pretrained(folder / "base")


# ---------------------------------------------------------------------------------------------------------------------
# Hugging Face


def train_theirs(folder: Path, rows: list[list[int]], grouped: bool) -> tuple[float, int]:
    """Seconds of the loop and steps."""
    from transformers import LlamaForCausalLM, Trainer, TrainingArguments

    def collate(batch: list[dict]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in batch)
        padded = {"input_ids": 0, "labels": -100, "attention_mask": 0}
        columns = {
            name: [row[name] + [pad] * (width - len(row[name])) for row in batch] for name, pad in padded.items()
        }
        return {name: torch.tensor(column) for name, column in columns.items()}

    arguments = TrainingArguments(
        output_dir=str(folder / "theirs"),
        per_device_train_batch_size=BATCH // ACCUMULATION,
        gradient_accumulation_steps=ACCUMULATION,
        num_train_epochs=1,
        learning_rate=5e-5,
        train_sampling_strategy="group_by_length" if grouped else "random",
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    data = [{"input_ids": ids, "labels": ids, "attention_mask": [1] * len(ids)} for ids in rows]
    model = LlamaForCausalLM.from_pretrained(folder / "base", dtype=torch.float32, attn_implementation="sdpa")
    result = Trainer(model, arguments, data_collator=collate, train_dataset=data).train()
    return result.metrics["train_runtime"], result.global_step


# ---------------------------------------------------------------------------------------------------------------------
# Finelake


def samples(rows: list[list[int]], packed: bool) -> list[dict]:
    from types import SimpleNamespace

    from jobs.tokenize import pack

    records = [
        SimpleNamespace(part="train", shard=0, record_id=str(number), input_ids=ids, labels=ids)
        for number, ids in enumerate(rows)
    ]
    return list(pack(records, TOKENS, ("train",) if packed else ()))


def train_ours(folder: Path, rows: list[list[int]], packed: bool) -> tuple[float, int]:
    """Seconds of the loop and steps."""
    from shards import write_samples

    from lake.runs import Base, Run
    from training import strategies
    from training.progress import read_csv
    from training.samples import split_parts
    from training.train import Job, fit

    place = folder / ("packed" if packed else "padded")
    chosen = samples(rows, packed)
    parts = split_parts(write_samples(chosen, place))
    per_sample = len(rows) / len(chosen)
    batch = max(round(BATCH / per_sample / ACCUMULATION), 1) * ACCUMULATION
    steps = len(chosen) // batch
    size = {"batch_size": batch, "accumulation": ACCUMULATION, "epochs": 1, "log_steps": steps, "tokens": TOKENS}
    run = Run(task="instruct", base=Base(kind="folder", name="base"), strategy="full", learning_rate=5e-5, **size)
    run, _ = strategies.choose(run, len(rows), 4, strategies.hardware())
    (place / "tokenizer").mkdir(exist_ok=True)
    names = {"base": folder / "base", "tokenizer": place / "tokenizer", "model": place / "model"}
    files = {"metrics": place / "train.json", "curves": place / "train.csv", "checkpoints": place / "checkpoints"}
    fit(Job("benchmark", run, parts["train"], parts["validation"], (), **names, **files))
    speed = float(read_csv(files["curves"])[0]["tokens_per_second"])
    return sum(map(len, rows)) / speed, steps


def measure(folder: Path, system: str, count: int) -> dict[str, float]:
    torch.set_num_threads(1)
    rows = texts(count)
    if system.startswith("trainer"):
        seconds, steps = train_theirs(folder, rows, system.endswith("grouped"))
    else:
        seconds, steps = train_ours(folder, rows, system == "packed")
    return {"tokens_per_second": sum(map(len, rows)) / seconds, "step": seconds / steps}


def main() -> None:
    folder, *rest = sys.argv[1:]
    if len(rest) == 2:
        print(json.dumps(measure(Path(folder), rest[1], int(rest[0]))))
        return
    count = int(rest[0]) if rest else RECORDS
    make_base(Path(folder))
    found: dict[str, list[dict]] = {system: [] for system in SYSTEMS}
    for system in (*SYSTEMS, *reversed(SYSTEMS)):
        command = [sys.executable, __file__, folder, str(count), system]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        found[system].append(json.loads(lines[-1]))
    means = {system: {key: np.mean([run[key] for run in runs]) for key in runs[0]} for system, runs in found.items()}
    for system, mean in means.items():
        ratio = mean["tokens_per_second"] / means["trainer"]["tokens_per_second"]
        print(f"{system:<16} {mean['tokens_per_second']:8.0f} tokens/s  {mean['step']:6.3f} s a step  {ratio:5.2f} x")


if __name__ == "__main__":
    main()
