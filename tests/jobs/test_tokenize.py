"""tokenize: exact samples, deterministic shards, nothing lost."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from tokenizers import Tokenizer, models, pre_tokenizers

from finelake.jobs.tokenize import Params, balance, build, encode_pair, load_tokenizer, open_tokenizer, pack
from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError

WORDS = ["<pad>", "<end>", "<unk>", "Q", "A", "one", "two", "three", "four"]


@pytest.fixture(scope="module")
def tokenizer_files(tmp_path_factory):
    """A tokenizer of nine words, as a run's base stage leaves one behind."""
    folder = tmp_path_factory.mktemp("run") / "tokenizer"
    folder.mkdir()
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return load_tokenizer(folder.parent)


BASE = Base(kind="folder", name="x")


def run(**values) -> Run:
    return with_values(Run(task="classify", base=BASE), **values)


def instruct(**values) -> Run:
    return with_values(run(), task="instruct", max_new_tokens=1, **values)


def selected(spark, rows):
    """rows: (record_id, text, label, target, part), or with the number of a task of a mix behind"""
    columns = ["record_id", "text", "label", "target", "part", "task"]
    frame = spark.createDataFrame([(*row, 0)[:6] for row in rows], ", ".join(f"{name} string" for name in columns))
    whole = frame.withColumn("task", F.col("task").cast("int")).withColumn("source", F.lit("tickets"))
    return whole.withColumn("prompt", F.concat(F.lit("Q "), "text", F.lit(" A")))


ROWS = [
    ("00000000", "one", "lost", "two", "train"),
    ("00000001", "two two", "stolen", "three", "train"),
    ("00000002", "three", "lost", "four", "train"),
    ("00000003", "four", "unheard", "four", "test"),
    ("00000006", "one two three four one two", "lost", "one", "validation"),
]


def test_classes_are_those_of_train_and_the_rest_is_rejected_by_reason(spark, tokenizer_files):
    outputs = build({"select.records": selected(spark, ROWS)}, Params(run(max_length=4, shards=2), tokenizer_files))
    assert sorted(map(tuple, outputs["classes"].collect())) == [(0, "lost"), (1, "stolen")]
    assert sorted(map(tuple, outputs["rejects"].collect())) == [
        ("00000003", "tickets", "tokenize", "unseen_class", "test"),
    ]
    assert sorted(map(tuple, outputs["samples"].collect())) == [
        ("train", 0, "00000000", ["00000000"], [5, 0, 0, 0], [0], [1, 0, 0, 0], 1),
        ("train", 0, "00000002", ["00000002"], [7, 0, 0, 0], [0], [1, 0, 0, 0], 1),
        ("train", 1, "00000001", ["00000001"], [6, 6, 0, 0], [1], [1, 1, 0, 0], 2),
        ("validation", 0, "00000006", ["00000006"], [5, 6, 7, 8], [0], [1, 1, 1, 1], 4),
    ]


def test_each_task_of_a_mix_has_shards_of_its_own(spark, tokenizer_files):
    rows = [(*row, task) for row, task in zip(ROWS, (0, 1, 2, 0, 0), strict=True)]
    outputs = build({"select.records": selected(spark, rows)}, Params(run(max_length=4, shards=2), tokenizer_files))
    shards = {row["record_ids"][0]: (row["part"], row["shard"]) for row in outputs["samples"].collect()}
    assert shards == {
        "00000000": ("train", 0),
        "00000001": ("train", 3),
        "00000002": ("train", 4),
        "00000006": ("validation", 0),
    }


def test_a_run_needs_two_classes_in_train(spark, tokenizer_files):
    rows = [ROWS[0], ROWS[2], ROWS[3]]
    with pytest.raises(UserError, match="found 1 class in the training rows of the run; at least 2 are needed"):
        build({"select.records": selected(spark, rows)}, Params(run(), tokenizer_files))


def test_pairs_are_packed_in_train_alone_and_the_loss_is_on_the_reply(spark, tokenizer_files):
    rows = [*ROWS[:2], ROWS[3], ("00000008", "one two three four one", "x", "one two three four one", "train")]
    outputs = build(
        {"select.records": selected(spark, rows)}, Params(instruct(max_length=12, shards=1), tokenizer_files)
    )
    samples = {row["part"]: row for row in outputs["samples"].collect()}
    first = next(row for row in outputs["samples"].collect() if "00000000" in row["record_ids"])
    assert first["record_ids"] == ["00000000", "00000001"]
    assert first["input_ids"] == [3, 5, 4, 6, 1, 3, 6, 6, 4, 7, 1, 0]
    assert first["labels"] == [-100, -100, -100, 6, 1, -100, -100, -100, -100, 7, 1, -100]
    assert first["segments"] == [1] * 5 + [2] * 6 + [0]
    assert samples["test"]["record_ids"] == ["00000003"]
    assert list(map(tuple, outputs["rejects"].collect())) == [("00000008", "tickets", "tokenize", "too_long", "train")]


def test_a_pair_that_does_not_fit_is_rejected_whole(tokenizer_files):
    words = open_tokenizer(tokenizer_files, cut=None)
    assert encode_pair(words, "Q one", "two", 4) == ([3, 5, 6, 1], [-100, -100, 6, 1], None)
    assert encode_pair(words, "Q one", "two two", 4) == (None, None, "too_long")


def test_packing_loses_nothing_and_fits():
    lengths = [3, 9, 1, 4, 4, 8, 2]
    rows = [
        {"part": "train", "shard": 0, "record_id": f"{i:02}", "input_ids": [1] * n, "labels": [1] * n}
        for i, n in enumerate(lengths)
    ]
    rows += [rows[-1] | {"shard": 1, "record_id": "07"}, rows[-1] | {"part": "validation", "record_id": "08"}]
    rows += [rows[-1] | {"part": "validation", "record_id": "09"}]

    def packs(packed: tuple[str, ...]) -> list[dict]:
        return list(pack(pd.DataFrame(rows).itertuples(), tokens=10, packed=packed))

    samples = packs(("train",))
    together = [["00", "03"], ["01", "02"], ["04"], ["05", "06"], ["07"], ["08"], ["09"]]
    assert [sample["record_ids"] for sample in samples] == together
    assert [sample["length"] for sample in samples] == [7, 10, 4, 10, 2, 2, 2]
    assert [(sample["part"], sample["shard"]) for sample in samples[3:6]] == [
        ("train", 0),
        ("train", 1),
        ("validation", 0),
    ]
    assert {len(sample["input_ids"]) for sample in samples} == {10}
    assert [sample["record_ids"] for sample in packs(())] == [[row["record_id"]] for row in rows]


def test_packing_holds_few_samples_open_and_fills_them(monkeypatch):
    lengths = [int(length) for length in np.random.default_rng(0).integers(1, 60, 1000)]
    rows = [SimpleNamespace(part="train", shard=0, record_id=f"{i:04}", input_ids=[1] * n, labels=[1] * n)
            for i, n in enumerate(lengths)]  # fmt: skip
    samples = list(pack(iter(rows), tokens=100, packed=("train",)))
    assert sorted(record for sample in samples for record in sample["record_ids"]) == [row.record_id for row in rows]
    assert sum(lengths) / len(samples) > 97
    monkeypatch.setattr("finelake.jobs.tokenize.OPEN", 1)
    read = 0

    def counted():
        nonlocal read
        for row in rows:
            read += 1
            yield row

    first = next(pack(counted(), tokens=100, packed=("train",)))
    assert read == len(first["record_ids"]) + 1


@pytest.mark.parametrize("task", ["classify", "instruct"])
def test_the_result_depends_on_content_alone_and_every_record_is_accounted_for(spark, tokenizer_files, task):
    rows = [
        (f"{i * 2654435761 % 2**32:08x}", "one two", ["lost", "stolen"][i % 2], "three", "train") for i in range(60)
    ]
    frame = selected(spark, rows)
    params = Params(
        run(max_length=8, shards=4) if task == "classify" else instruct(max_length=16, shards=4), tokenizer_files
    )
    results = []
    for partitions in (1, 5):
        frames = {"select.records": frame.repartition(partitions).orderBy(F.rand(partitions))}
        outputs = build(frames, params)
        assert balance(frames, outputs, params) == {"selected records": (60, 60)}
        results.append(sorted(map(str, outputs["samples"].collect())))
    assert results[0] == results[1]


def test_rows_lie_sorted_in_one_file_a_shard(spark, tokenizer_files, tmp_path):
    import pyarrow.parquet as pq

    from finelake.jobs.spark.commit import commit
    from finelake.jobs.tokenize import STAGE
    from finelake.lake.tables.snapshots import files

    rows = [
        (f"{i * 2654435761 % 2**32:08x}", "one two", ["lost", "stolen"][i % 2], "x", ["train", "test"][i % 3 == 0])
        for i in range(90)
    ]
    outputs = build(
        {"select.records": selected(spark, rows).repartition(7)}, Params(run(max_length=8, shards=4), tokenizer_files)
    )
    table = commit(
        outputs["samples"], str(tmp_path), "tokenize/t/samples", STAGE.writes["samples"], STAGE.partitions["samples"]
    )
    paths = files(str(tmp_path), "tokenize@t", table)
    assert [path.split("/")[-3:-1] for path in paths] == [
        [f"part={part}", f"shard={shard}"] for part in ("test", "train") for shard in range(4)
    ]
    for path in paths:
        file = pq.ParquetFile(path)
        ids = file.read(columns=["sample_id"])["sample_id"].to_pylist()
        assert ids == sorted(ids)
        assert file.num_row_groups == 1


def test_a_missing_tokenizer_names_the_stage_that_makes_it(tmp_path):
    with pytest.raises(UserError, match="run `dvc repro base@x`"):
        load_tokenizer(tmp_path / "x")
