"""Small fixtures in the layout of tokenize/RUN/samples, written by pyarrow alone."""

import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as parquet  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from finelake.training.data.batch import Batch  # noqa: E402

torch.set_num_threads(1)

SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("record_ids", pa.list_(pa.string())),
        ("input_ids", pa.list_(pa.int32())),
        ("labels", pa.list_(pa.int32())),
        ("segments", pa.list_(pa.int32())),
        ("length", pa.int32()),
    ]
)


def sample(number: int, ids: Sequence[int], labels: Sequence[int], tokens: int, segments=None) -> dict:
    """One row; `ids` are padded to `tokens`, and so are labels that are not one class."""
    padding = tokens - len(ids)
    return {
        "sample_id": f"s{number:05d}",
        "record_ids": [f"r{number:05d}"],
        "input_ids": [*ids, *[0] * padding],
        "labels": list(labels) if len(labels) == 1 else [*labels, *[-100] * padding],
        "segments": [*(segments or [1] * len(ids)), *[0] * padding],
        "length": len(ids),
    }


def write_part(folder: Path, part: str, shards: Sequence[Sequence[dict]]) -> list[str]:
    """One file of one row group a shard, under folder/part=…/shard=…; the paths in shard order."""
    paths = []
    for shard, rows in enumerate(shards):
        path = folder / f"part={part}" / f"shard={shard}" / f"part-00000-{shard * 7919 % 97:04x}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), path)
        paths.append(str(path))
    return paths


def classified(count: int, tokens: int = 12, classes: int = 3, vocabulary: int = 50, first: int = 0) -> list[dict]:
    """Samples whose class can be learned: the token 5 + class stands somewhere in them."""
    rows = []
    for number in range(first, first + count):
        random = np.random.default_rng(number)
        label = int(random.integers(classes))
        ids = random.integers(10, vocabulary, int(random.integers(3, tokens + 1)))
        ids[random.integers(len(ids))] = 5 + label
        rows.append(sample(number, [int(i) for i in ids], [label], tokens))
    return rows


def sharded(rows: Sequence[dict], shards: int) -> list[list[dict]]:
    """Unequal shards, as a hash gives them."""
    cuts = sorted({round(len(rows) * ((i + 1) / shards) ** 1.3) for i in range(shards)})
    return [list(rows[a:b]) for a, b in zip([0, *cuts[:-1]], cuts, strict=True)]


def batch(ids, segments=None, labels=None) -> Batch:
    """A batch of rows of one length, 0 = padding; without labels every class is 0."""
    ids = torch.tensor(ids)
    segments = (ids > 0).long() if segments is None else torch.tensor(segments)
    labels = torch.zeros(len(ids), dtype=torch.int64) if labels is None else torch.tensor(labels)
    return Batch(ids, labels, segments, targets=len(ids), tokens=int((segments > 0).sum()))


def tokenizer_folder(parent: Path) -> Path:
    """A folder as base@RUN leaves one, with nothing in it that a tokenizer could be made of."""
    folder = parent / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> Path:
    """A tiny random BERT in a folder, as base@RUN leaves one."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    folder = tmp_path_factory.mktemp("encoder")
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def causal(tmp_path_factory) -> Path:
    """A tiny random Llama in a folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    folder = tmp_path_factory.mktemp("causal")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


# PEFT asks transformers for an older name.
# Petastorm 0.12.1 uses pyarrow's older interface and warns at each call.
KNOWN_WARNINGS = (
    "ignore:.is_gradient_checkpointing:FutureWarning",
    "ignore::FutureWarning:petastorm",
    "ignore::DeprecationWarning:petastorm",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for rule in KNOWN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(rule))
