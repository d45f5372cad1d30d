"""tokenize: the records of a training run as samples of constant length, in shards that follow from content only."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, StringType
from tokenizers import Tokenizer

from finelake.jobs.stage import REJECTS, Frames, Stage, rejects, struct
from finelake.lake.config.contract import NO_LOSS
from finelake.lake.config.runs import Run, parse_run
from finelake.lake.errors import UserError
from finelake.lake.tables.lockfile import check_output

SAMPLES = struct(
    part=StringType(),
    shard=IntegerType(),
    sample_id=StringType(),
    record_ids=ArrayType(StringType()),
    input_ids=ArrayType(IntegerType()),
    labels=ArrayType(IntegerType()),
    segments=ArrayType(IntegerType()),
    length=IntegerType(),
)
CLASSES = struct(index=IntegerType(), label=StringType())
ENCODED = struct(
    record_id=StringType(),
    source=StringType(),
    part=StringType(),
    task=IntegerType(),
    input_ids=ArrayType(IntegerType()),
    labels=ArrayType(IntegerType()),
    problem=StringType(),
)

BATCH = 1000  # samples that leave Python at once
OPEN = 16  # packed samples that are open at once; more fill them no better


@dataclass(frozen=True)
class Params:
    run: Run
    tokenizer: dict[str, bytes]  # its files by name, so that executors need no shared folder
    name: str = "NAME"  # of the run, for messages


def ready(root: Path, params: Params, run_name: str) -> Params:
    """`params` with the tokenizer of the run. UserError where it is missing or altered."""
    check_output(root, f"models/{run_name}/tokenizer")
    return replace(params, tokenizer=load_tokenizer(root / "models" / run_name))


def load_tokenizer(folder: Path) -> dict[str, bytes]:
    """The files of a run's tokenizer. UserError when the stage `base` has not made it."""
    files = {path.name: path.read_bytes() for path in sorted((folder / "tokenizer").glob("*")) if path.is_file()}
    if "tokenizer.json" not in files:
        raise UserError(f"models/{folder.name}/tokenizer holds no tokenizer.json; run `dvc repro base@{folder.name}`")
    return files


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    run = params.run
    selected = frames["select.records"]
    classes = _classes(selected, f"runs.{params.name}.select") if run.task == "classify" else []
    encoded = _encode(selected, run, params.tokenizer, classes)
    kept = encoded.where(F.col("problem").isNull())
    return {
        "samples": _samples(kept, run),
        "classes": selected.sparkSession.createDataFrame(list(enumerate(classes)), CLASSES),
        "rejects": rejects(encoded.where(F.col("problem").isNotNull()), "tokenize", F.col("problem"), F.col("part")),
    }


def balance(frames: Frames, outputs: Frames, params: Params) -> dict[str, tuple[int, int]]:
    """Every selected record is in exactly one sample or reject."""
    selected = frames["select.records"].count()
    used = outputs["samples"].select(F.explode("record_ids")).count()
    return {"selected records": (selected, used + outputs["rejects"].count())}


def _classes(selected: DataFrame, where: str) -> list[str]:
    """The class names of the train part, sorted: their positions are the class indices."""
    classes = sorted(row["label"] for row in selected.where("part = 'train'").select("label").distinct().collect())
    if len(classes) < 2:
        found = f"{len(classes)} class{'' if classes else 'es'}"
        raise UserError(
            f"found {found} in the training rows of the run; at least 2 are needed: change {where}.label or widen "
            f"{where}.where in params.yaml"
        )
    return classes


def _encode(selected: DataFrame, run: Run, files: dict[str, bytes], classes: list[str]) -> DataFrame:
    """The tokens and labels of each record, not padded; `problem` says why a record has none."""
    index = {label: number for number, label in enumerate(classes)}

    def batches(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        vocabulary = open_tokenizer(files, cut=run.tokenize.max_length if run.task == "classify" else None)
        for frame in frames:
            encoded = [_encode_row(vocabulary, row, run, index) for row in frame.to_dict("records")]
            inputs, labels, problems = zip(*encoded, strict=True)
            named = frame[["record_id", "source", "part", "task"]]
            yield named.assign(input_ids=list(inputs), labels=list(labels), problem=list(problems))

    return selected.mapInPandas(batches, ENCODED)  # type: ignore[arg-type]


def _encode_row(vocabulary: "Vocabulary", row: dict[str, Any], run: Run, index: dict[str, int]):
    if run.task == "classify":
        return encode_class(vocabulary, row["text"], row["label"], index)
    return encode_pair(vocabulary, row["prompt"], row["target"], run.tokenize.max_length)


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer and what a run needs of it (the tokenizers library: workers would import transformers for 10 s)."""

    tokenizer: Tokenizer
    end: int  # token behind a reply


def open_tokenizer(files: dict[str, bytes], cut: int | None) -> Vocabulary:
    """The tokenizer made of `files`; texts longer than `cut` tokens, special ones included, lose their end."""
    tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode("utf-8"))
    tokenizer.no_padding()
    if cut:
        tokenizer.enable_truncation(cut)
    else:
        tokenizer.no_truncation()
    settings = json.loads(files.get("tokenizer_config.json", b"{}"))
    named = settings.get("eos_token") or settings.get("sep_token")
    content = named["content"] if isinstance(named, dict) else named
    end = tokenizer.token_to_id(content) if content else None
    if end is None:
        raise UserError("the tokenizer's tokenizer_config.json names no eos_token; add the token that ends a reply")
    return Vocabulary(tokenizer, end)


def encode_class(
    vocabulary: Vocabulary, text: str, label: str, index: dict[str, int]
) -> tuple[list[int] | None, list[int] | None, str | None]:
    """(input ids, [class index], None), or (None, None, why not). A longer text is cut."""
    if label not in index:
        return None, None, "unseen_class"
    return vocabulary.tokenizer.encode(text).ids, [index[label]], None


def encode_pair(
    vocabulary: Vocabulary, prompt: str, target: str, tokens: int
) -> tuple[list[int] | None, list[int] | None, str | None]:
    """(input ids, labels, None), or (None, None, why not): the loss is on the target and the end token only."""
    asked, reply = (vocabulary.tokenizer.encode(text, add_special_tokens=False).ids for text in (prompt, target))
    reply = [*reply, vocabulary.end]
    if len(asked) + len(reply) > tokens:
        return None, None, "too_long"
    return asked + reply, [NO_LOSS] * len(asked) + reply, None


def _samples(encoded: DataFrame, run: Run) -> DataFrame:
    """Samples of constant length: packs of several records in train where the run packs, else one record each."""
    shard = F.pmod(F.conv(F.substring("record_id", 1, 8), 16, 10).cast("long"), F.lit(run.tokenize.shards)).cast("int")
    # Each task of a mix has shards of its own, so that the trainer reads one without the others.
    own = (F.col("task") * run.tokenize.shards + shard).alias("shard")
    rows = encoded.select("part", own, "record_id", "input_ids", "labels")
    packed = ("train",) if run.task == "instruct" and run.tokenize.packing else ()

    def packs(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for samples in _batched(pack(_each_row(frames), run.tokenize.max_length, packed)):
            yield pd.DataFrame(samples, columns=SAMPLES.names)

    # Not grouped: a group would come to Python in one piece, and a shard may be of any size.
    shards = rows.repartition("part", "shard").sortWithinPartitions("part", "shard", "record_id")
    samples = shards.mapInPandas(packs, SAMPLES)  # type: ignore[arg-type]
    return samples.sortWithinPartitions("part", "shard", "sample_id").select(*SAMPLES.names)


def _each_row(frames: Iterable[pd.DataFrame]) -> Iterator[Any]:
    for frame in frames:
        yield from frame.itertuples(index=False)


def _batched(samples: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(samples, BATCH)):
        yield batch


def pack(rows: Iterable[Any], tokens: int, packed: Collection[str]) -> Iterator[dict[str, Any]]:
    """The samples of rows that come sorted by part, shard and record_id.

    Each record of the parts `packed` joins the open sample that it fills best (best fit, Johnson 1974), the others have
    a sample each; so the result depends on the shard's content alone.
    """
    for (part, shard), members in groupby(rows, key=attrgetter("part", "shard")):
        fit = _best_fit if part in packed else _one_each
        yield from (_sample(part, shard, together, tokens) for together in fit(members, tokens))


def _one_each(rows: Iterable[Any], tokens: int) -> Iterator[list[Any]]:
    return ([row] for row in rows)


def _best_fit(rows: Iterable[Any], tokens: int) -> Iterator[list[Any]]:
    """Rows that fit together into `tokens`, at most OPEN groups at a time; the fullest is closed for a new one."""
    groups: list[list[Any]] = []
    room: list[int] = []
    for row in rows:
        size = len(row.input_ids)
        fitting = [index for index, left in enumerate(room) if left >= size]
        best = min(fitting, key=room.__getitem__, default=None)
        if best is None:
            if len(groups) == OPEN:
                fullest = room.index(min(room))
                del room[fullest]
                yield groups.pop(fullest)
            best = len(groups)
            groups.append([])
            room.append(tokens)
        groups[best].append(row)
        room[best] -= size
    yield from groups


def _sample(part: str, shard: int, rows: list[Any], tokens: int) -> dict[str, Any]:
    ids = [row.record_id for row in rows]
    inputs = [int(token) for row in rows for token in row.input_ids]
    labels = [int(label) for row in rows for label in row.labels]
    segments = [number for number, row in enumerate(rows, start=1) for _ in row.input_ids]
    padding = tokens - len(inputs)
    return {
        "part": part,
        "shard": shard,
        "sample_id": ids[0] if len(ids) == 1 else hashlib.sha256("".join(ids).encode()).hexdigest()[:32],
        "record_ids": ids,
        "input_ids": inputs + [0] * padding,
        "labels": labels if len(labels) == 1 else labels + [NO_LOSS] * padding,
        "segments": segments + [0] * padding,
        "length": len(inputs),
    }


STAGE = Stage(
    reads=("select.records",),
    writes={"samples": SAMPLES, "classes": CLASSES, "rejects": REJECTS},
    params=Params,
    build=build,
    balance=balance,
    parse=lambda content, run_name: Params(parse_run(content, run_name), {}, run_name),
    ready=ready,
    partitions={"samples": ("part", "shard")},
)
