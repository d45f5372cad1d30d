"""Tokens per second from the lake's files to torch: Finelake's loader and three others; and a corpus above memory.

    python benchmarks/loader.py FOLDER [ROWS] [--peer PYTHON]
    python benchmarks/loader.py FOLDER --corpus GB

Makes ROWS (200,000) samples of 128 tokens in FOLDER, one file per shard as tokenize writes them, and reads all of them
once in batches of 32 as int64 tensors (ids, labels, segments). Each system runs in a separate process, one after the
other, in the given order and in reverse. Each shuffles over eight shards as Finelake's loader does; the others also
read in the order of the files, which is less work. PYTHON is an environment with `datasets` and torch; without it
Hugging Face's loader is left out.

--corpus makes that many gigabytes of token ids (int32, before compression) in shards of 10,000 samples, reads one whole
epoch through Finelake's loader, prints speed and the highest resident memory, and deletes the corpus.
"""

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import torch

ROWS = 200_000
TOKENS = 128
BATCH = 32
SHARDS = 32
CORPUS_SHARD = 10_000  # rows
DIFFERENT = 32  # shards of the corpus that differ
VOCABULARY = 30_000
WINDOW = 8  # shards shuffled together
CLOCKS = ("processor", "seconds")
COLUMNS = ["input_ids", "labels", "segments"]

Tensors = Iterable[list[torch.Tensor]]  # int64 [samples, tokens] for each of COLUMNS

# ---------------------------------------------------------------------------------------------------------------------
# Samples


def samples(rows: int, seed: int) -> pa.Table:
    """Whole samples of one text each; frequent tokens and rare ones, as texts have them."""
    from shards import SCHEMA

    ids = (VOCABULARY * np.random.default_rng(seed).random(rows * TOKENS) ** 3).astype(np.int32)
    names = pa.array([f"{seed:08x}{number:08x}" for number in range(rows)])
    columns = {
        "part": pa.array(["train"] * rows),
        "shard": pa.array(np.zeros(rows, np.int32)),
        "sample_id": names,
        "record_ids": pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32), names),
        "input_ids": _lists(ids),
        "labels": _lists(ids),
        "segments": _lists(np.ones(rows * TOKENS, np.int32)),
        "length": pa.array(np.full(rows, TOKENS, np.int32)),
    }
    return pa.table(columns).cast(SCHEMA)


def _lists(values: np.ndarray) -> pa.ListArray:
    return pa.ListArray.from_arrays(np.arange(0, len(values) + 1, TOKENS, dtype=np.int32), values)


def make(folder: Path, rows: int) -> list[str]:
    from shards import write_shard

    return [write_shard(samples(rows // SHARDS, shard), "train", shard, folder) for shard in range(SHARDS)]


def make_corpus(folder: Path, gigabytes: float) -> list[str]:
    """A few shards that differ, and copies of them up to the requested size."""
    from shards import write_shard

    count = math.ceil(gigabytes * 1e9 / (4 * TOKENS * CORPUS_SHARD))
    files = [
        write_shard(samples(CORPUS_SHARD, shard), "train", shard, folder) for shard in range(min(count, DIFFERENT))
    ]
    for shard in range(DIFFERENT, count):
        path = Path(files[shard % DIFFERENT].replace(f"shard={shard % DIFFERENT}/", f"shard={shard}/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[shard % DIFFERENT], path)
        files.append(str(path))
    return files


# ---------------------------------------------------------------------------------------------------------------------
# Systems


def finelake(files: list[str], shuffled: bool) -> Tensors:
    from finelake.training.data.loader import Loader
    from finelake.training.data.samples import split_parts
    from finelake.training.tasks.instruct import TASK

    loader = Loader(split_parts(files)["train"], TASK.labels, seed=0, global_batch=BATCH, accumulation=1)
    return ([batch.input_ids, batch.labels, batch.segments] for (batch,) in loader.epoch(0))


def petastorm(files: list[str], shuffled: bool) -> Tensors:
    import warnings

    warnings.simplefilter("ignore")
    from petastorm import make_batch_reader
    from petastorm.pytorch import BatchedDataLoader

    urls = [f"file://{file}" for file in files]
    fields = [f"^{name}$" for name in COLUMNS]
    reader = make_batch_reader(urls, schema_fields=fields, shuffle_row_groups=shuffled, num_epochs=1)
    capacity = window_rows(files) if shuffled else 0
    batches = BatchedDataLoader(reader, batch_size=BATCH, shuffling_queue_capacity=capacity)
    return ([batch[name].long() for name in COLUMNS] for batch in batches)


def pyarrow(files: list[str], shuffled: bool) -> Tensors:
    import pyarrow.dataset as dataset

    def tensor(column: pa.ListArray) -> torch.Tensor:
        return torch.from_numpy(column.flatten().to_numpy(zero_copy_only=False).reshape(-1, TOKENS).astype(np.int64))

    def in_order() -> Iterator[list[torch.Tensor]]:
        rows = dataset.dataset(files)
        for batch in rows.to_batches(columns=COLUMNS, batch_size=100 * BATCH):
            yield from zip(*(tensor(batch[name]).split(BATCH) for name in COLUMNS), strict=True)

    def mixed() -> Iterator[list[torch.Tensor]]:
        left = [torch.zeros(0, TOKENS, dtype=torch.int64) for _ in COLUMNS]
        order = [files[index] for index in torch.randperm(len(files))]
        for first in range(0, len(order), WINDOW):
            table = dataset.dataset(order[first : first + WINDOW]).to_table(columns=COLUMNS)
            order_here = torch.randperm(len(table))
            held = [tensor(table[name].combine_chunks())[order_here] for name in COLUMNS]
            held = [torch.cat(pair) for pair in zip(left, held, strict=True)]
            whole = len(held[0]) // BATCH * BATCH
            yield from zip(*(column[:whole].split(BATCH) for column in held), strict=True)
            left = [column[whole:] for column in held]

    return mixed() if shuffled else in_order()


def datasets(files: list[str], shuffled: bool) -> Tensors:
    from datasets import load_dataset

    rows = load_dataset("parquet", data_files=files, split="train", streaming=True).select_columns(COLUMNS)
    if shuffled:
        rows = rows.shuffle(seed=0, buffer_size=window_rows(files))
    batches = rows.with_format("torch").iter(batch_size=BATCH)
    return ([batch[name].long() for name in COLUMNS] for batch in batches)


def window_rows(files: list[str]) -> int:
    return WINDOW * parquet.read_metadata(files[0]).num_rows


LOADERS = {"finelake": finelake, "petastorm": petastorm, "pyarrow": pyarrow, "datasets": datasets}
SYSTEMS = (
    "finelake shuffled",
    *(f"{name} {order}" for name in list(LOADERS)[1:] for order in ("shuffled", "in order")),
)


def read(system: str, files: list[str]) -> dict[str, float]:
    """Tokens, seconds, seconds of the processor and highest resident memory (MiB) of one pass."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    name, _, order = system.partition(" ")
    batches = LOADERS[name](files, order == "shuffled")
    started, started_processor = time.perf_counter(), time.process_time()
    tokens = sum(ids.numel() for ids, _, _ in batches)
    seconds, processor = time.perf_counter() - started, time.process_time() - started_processor
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"tokens": tokens, "seconds": seconds, "processor": processor, "memory": memory}


def run(system: str, folder: Path, python: str = sys.executable) -> dict[str, float]:
    """read() in a separate process."""
    command = [python, __file__, str(folder), "--read", system]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return json.loads(lines[-1])


# ---------------------------------------------------------------------------------------------------------------------


def compare(folder: Path, rows: int, peer: str | None) -> None:
    make(folder, rows)
    systems = [name for name in SYSTEMS if peer or not name.startswith("datasets")]
    if not peer:
        print("datasets is left out: name a Python that has it with --peer")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
    for name in (*systems, *reversed(systems)):
        found[name].append(run(name, folder, peer if peer and name.startswith("datasets") else sys.executable))
    ours = found[systems[0]]
    print("| loader | tokens/s of the processor | Finelake's | tokens/s by the clock | Finelake's | MiB |")
    print("|---|---|---|---|---|---|")
    for name, runs in found.items():
        cells = [f"{speed(runs, clock):,.0f} | {speed(ours, clock) / speed(runs, clock):.2f} x" for clock in CLOCKS]
        print(f"| {name} | {' | '.join(cells)} | {max(one['memory'] for one in runs):.0f} |")


def speed(runs: list[dict[str, float]], clock: str) -> float:
    return sum(one["tokens"] for one in runs) / sum(one[clock] for one in runs)


def measure_corpus(folder: Path, gigabytes: float) -> None:
    try:
        files = make_corpus(folder, gigabytes)
        print(f"{sum(os.path.getsize(file) for file in files) / 1e9:.1f} GB of files")
        found = run(SYSTEMS[0], folder)
        print(
            f"{4 * found['tokens'] / 1e9:.1f} GB of tokens in {len(files):,} files: {found['seconds']:.0f} s, "
            f"{found['processor']:.0f} s of the processor, {speed([found], 'seconds'):,.0f} tokens/s, "
            f"at most {found['memory']:.0f} MiB"
        )
    finally:
        shutil.rmtree(folder / "part=train", ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS)
    parser.add_argument("--peer", help="a Python with the packages datasets and torch")
    parser.add_argument("--corpus", type=float, metavar="GB")
    parser.add_argument("--read", choices=SYSTEMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        files = sorted(map(str, arguments.folder.glob("part=*/shard=*/*.parquet")))
        print(json.dumps(read(arguments.read, files)))
    elif arguments.corpus:
        measure_corpus(arguments.folder, arguments.corpus)
    else:
        compare(arguments.folder, arguments.rows, arguments.peer)


if __name__ == "__main__":
    main()
