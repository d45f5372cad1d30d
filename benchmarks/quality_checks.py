"""How long all quality checks take on a generated project, beside pandas asking seven of the same laws.

    python benchmarks/quality_checks.py [--records 200000] [--folder FOLDER]

Tables are written with pyarrow and delta-rs, without Spark: a record of some 120 characters, three numbers and three
facts in each of five stages, annotations of a tenth of them, samples of a third; all of it pinned by HEAD as well.
Each measurement is a separate process; its peak memory is the operating system's figure (ru_maxrss).
"""

import argparse
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from deltalake.transaction import CommitProperties

from finelake.lake.quality.checks import Params, load_checks, run_checks
from finelake.lake.tables.snapshots import Table, manifests, table_path, write_manifest

SEED = 7
WORDS = [
    *("card", "account", "transfer", "limit", "fee", "branch", "statement", "salary", "loan", "rate", "refund"),
    *("卡片", "转账", "额度", "手续费", "网点", "账单", "贷款"),
]
SHARED = (  # rules that both sides check
    *("record_ids_are_unique", "clean_keeps_or_rejects", "langs_are_known", "times_are_plausible"),
    *("numbers_are_finite", "texts_stay_in_one_part", "no_personal_data"),
)
MAPS = {"numbers": pa.map_(pa.string(), pa.float64()), "facts": pa.map_(pa.string(), pa.string())}


# --- a project -------------------------------------------------------------------------------------------------------


def records(rows: int) -> pa.Table:
    """Records as ingest writes them, in a random order of time."""
    random = np.random.default_rng(SEED)
    sources = np.array(["tickets", "complaints", "applications"])[random.choice(3, rows, p=[0.6, 0.2, 0.2])]
    keys = [f"{number:08d}" for number in range(rows)]
    ids = [hashlib.sha256(f"{s}\x1f{k}".encode()).hexdigest()[:32] for s, k in zip(sources, keys, strict=True)]
    words = np.array(WORDS)[random.integers(0, len(WORDS), (rows, 18))]
    codes = random.integers(10**6, 10**7, rows)
    names = {"numbers": ["amount", "age", "score"], "facts": ["channel", "reply", "state"]}
    values = {
        "numbers": random.lognormal(5, 1, 3 * rows),
        "facts": np.array(["web", "phone", "branch", "app"])[random.integers(0, 4, 3 * rows)],
    }
    ends = np.arange(0, 3 * rows + 1, 3, dtype=np.int32)
    maps = {name: pa.MapArray.from_arrays(ends, pa.array(names[name] * rows), pa.array(values[name])) for name in names}
    return pa.table(
        {
            "record_id": ids,
            "source": sources,
            "source_key": keys,
            "occurred_at": pa.array(
                random.integers(1_500_000_000, 1_750_000_000, rows) * 10**6, pa.timestamp("us", "UTC")
            ),
            "business": np.array(["cards", "loans", "savings"])[random.integers(0, 3, rows)],
            "lang": np.array(["zh", "en"])[random.integers(0, 2, rows)],
            "text": [" ".join(line) + f" order {code}" for line, code in zip(words, codes, strict=True)],
            **maps,
        }
    )


def add(table: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def repeated(value, rows: int, kind: pa.DataType) -> pa.Array:
    return pa.array([value] * rows, kind)


def rejects(rows: pa.Table, stage: str, reason: str, detail: str | None = None) -> pa.Table:
    constants = {
        name: repeated(value, len(rows), pa.string()) for name, value in (("stage", stage), ("reason", reason))
    }
    return add(rows.select(["record_id", "source"]), **constants, detail=repeated(detail, len(rows), pa.string()))


def stages(rows: int) -> dict[str, dict[str, pa.Table]]:
    """Every table of a project, by stage and name."""
    ingested = records(rows)
    clean = add(ingested.slice(rows // 500), imputed=repeated([], rows - rows // 500, pa.list_(pa.string())))
    kept = clean.slice(rows // 50)
    mask = add(kept, cluster=kept["record_id"], masked=repeated({}, len(kept), pa.map_(pa.string(), pa.int32())))
    duplicates, wild = clean.slice(0, rows // 50), ingested.slice(0, rows // 500)
    marks = annotations(mask)
    labelled = mask.select(["record_id"]).slice(0, len(mask) // 10)
    return {
        "ingest": {
            "records": ingested,
            "annotations": marks,
            "columns": columns(),
            "unparsable": add(
                ingested.slice(0, rows // 100).select(["record_id", "source"]),
                column=repeated("weight", rows // 100, pa.string()),
            ),
            "rejects": rejects(ingested.slice(0, 0), "ingest", "empty"),
        },
        "clean": {
            "records": clean,
            "outliers": outliers(ingested, wild),
            "rejects": rejects(wild, "clean", "outlier", "amount"),
        },
        "dedup": {
            "records": mask.drop_columns(["masked"]),
            "duplicates": removed(duplicates, mask),
            "rejects": rejects(duplicates, "dedup", "duplicate"),
        },
        "mask": {
            "records": mask,
            "annotations": marks,
            "counts": counts(),
            "rejects": rejects(mask.slice(0, 0), "mask", "record_gone"),
        },
        "annotate": judged(labelled),
        "split": split(mask),
        "tokenize@intent": samples(split(mask)["records"].slice(0, rows // 3)),
    }


def outliers(ingested: pa.Table, wild: pa.Table) -> pa.Table:
    """What one method rejects of one number, by source and business."""
    groups = ["source", "business"]
    counts = [table.group_by(groups).aggregate([([], "count_all")]) for table in (ingested, wild)]
    joined = counts[0].join(counts[1], groups, right_suffix="_wild")
    rows, text, number = len(joined), pa.string(), pa.float64()
    return add(
        joined.select(groups),
        column=repeated("amount", rows, text),
        method=repeated("sigma", rows, text),
        chosen=repeated(True, rows, pa.bool_()),
        rows=joined["count_all"],
        centre=repeated(5.0, rows, number),
        low=repeated(0.0, rows, number),
        high=repeated(9.0, rows, number),
        rejected=joined["count_all_wild"].fill_null(0),
    )


def removed(duplicates: pa.Table, stayed: pa.Table) -> pa.Table:
    rows = len(duplicates)
    return pa.table(
        {
            "removed": duplicates["record_id"],
            "kept": stayed["record_id"].slice(0, rows),
            "distance": repeated(3, rows, pa.int32()),
            "similarity": repeated(0.9, rows, pa.float64()),
        }
    )


def annotations(mask: pa.Table) -> pa.Table:
    ids = mask["record_id"].slice(0, len(mask) // 10).to_pylist()
    rows = len(ids)
    return pa.table(
        {
            "record_id": ids * 2,
            "source": ["annotations"] * 2 * rows,
            "layer": ["scene"] * 2 * rows,
            "annotator": ["a"] * rows + ["b"] * rows,
            "role": ["annotator"] * 2 * rows,
            "label": [f"scene {number % 20}" for number in range(rows)] * 2,
            "quote": repeated(None, 2 * rows, pa.string()),
            "start": repeated(None, 2 * rows, pa.int32()),
        }
    )


def columns() -> pa.Table:
    named = {"source": ["tickets"], "name": ["body"], "type": ["text"], "used_as": ["text"]}
    return pa.table(named)


def counts() -> pa.Table:
    kinds = {name: pa.string() for name in ("source", "lang", "kind")} | {"count": pa.int64()}
    return pa.schema(kinds.items()).empty_table()


def judged(ids: pa.Table) -> dict[str, pa.Table]:
    rows = len(ids)
    named = add(ids, layer=repeated("scene", rows, pa.string()))
    gold = add(
        named,
        label=pa.array([f"scene {number % 20}" for number in range(rows)]),
        start=repeated(None, rows, pa.int32()),
        end=repeated(None, rows, pa.int32()),
        decided_by=repeated("agreed", rows, pa.string()),
    )
    units = add(
        named,
        outcome=repeated("agreed", rows, pa.string()),
        annotations=repeated(2, rows, pa.int32()),
        labels=repeated(1, rows, pa.int32()),
    )
    agreement = {
        "layer": ["scene"],
        "annotators": [2],
        "units": [rows],
        "kappa": [1.0],
        "gate": [0.85],
        "passed": [True],
    }
    nothing = add(ids.slice(0, 0), source=pa.array([], pa.string()))
    return {
        "gold": gold,
        "units": units,
        "agreement": pa.table(agreement),
        "todo": add(named.slice(0, 0), reason=pa.array([], pa.string())),
        "rejects": rejects(nothing, "annotate", "repeated"),
    }


def split(mask: pa.Table) -> dict[str, pa.Table]:
    """Parts by time; every tenth record has a scene."""
    rows = len(mask)
    order = np.argsort(mask["occurred_at"].to_numpy(), kind="stable")
    parts = np.empty(rows, dtype=object)
    for name, low, high in (("train", 0.0, 0.8), ("validation", 0.8, 0.9), ("test", 0.9, 1.0)):
        parts[order[int(low * rows) : int(high * rows)]] = name
    scenes = [f"scene {number % 20}" if number < rows // 10 else None for number in range(rows)]
    placed = add(mask, scene=pa.array(scenes), difficulty=repeated("easy", rows, pa.string()), split=pa.array(parts))
    report = {"promise": ["time_order"], "kept": [True], "expected": [0.0], "actual": [1.0], "detail": ["none"]}
    return {"records": placed, "report": pa.table(report), "rejects": rejects(mask.slice(0, 0), "split", "no_time")}


def samples(chosen: pa.Table) -> dict[str, pa.Table]:
    rows, width = len(chosen), 64
    tokens = np.random.default_rng(SEED).integers(0, 6000, rows * width, dtype=np.int32)
    ends = np.arange(0, rows * width + 1, width, dtype=np.int32)
    segments = np.tile((np.arange(width) < 48).astype(np.int32), rows)
    table = pa.table(
        {
            "part": chosen["split"],
            "shard": pa.array(np.arange(rows) % 8, pa.int32()),
            "sample_id": chosen["record_id"],
            "record_ids": pa.ListArray.from_arrays(
                np.arange(rows + 1, dtype=np.int32), chosen["record_id"].combine_chunks()
            ),
            "input_ids": pa.ListArray.from_arrays(ends, pa.array(tokens)),
            "labels": pa.array([[number % 20] for number in range(rows)], pa.list_(pa.int32())),
            "segments": pa.ListArray.from_arrays(ends, pa.array(segments)),
            "length": repeated(48, rows, pa.int32()),
        }
    )
    classes = {"index": pa.array(range(20), pa.int32()), "label": [f"scene {number}" for number in range(20)]}
    return {
        "samples": table,
        "classes": pa.table(classes),
        "rejects": rejects(chosen.slice(0, 0), "tokenize", "no_text"),
    }


def write_project(root: Path, rows: int) -> int:
    """Write, pin and commit a project of `rows` records; returns the rows of all its tables."""
    total = 0
    for stage, tables in stages(rows).items():
        pins = {}
        for name, table in tables.items():
            path = table_path(stage, name)
            digest = hashlib.sha256(f"{path} {rows}".encode()).hexdigest()[:32]
            pins[name] = Table(path=path, rows=len(table), schema=digest, content=digest)
            properties = CommitProperties(custom_metadata={"userMetadata": pins[name].metadata({})})
            write_deltalake(root / "lakehouse" / path, table, commit_properties=properties)
            total += len(table)
        write_manifest(root, stage, pins)
    (root / "params.yaml").write_text("quality: {}\n")
    _commit(root)
    return total


def _commit(root: Path) -> None:
    """HEAD pins what the work tree pins: manifests in Git, named by a dvc.lock."""
    paths = [str(path.relative_to(root)) for path in sorted((root / "snapshots").glob("*.json"))]
    lock = {
        "stages": {Path(path).stem.replace("-", "@"): {"outs": [{"path": path, "md5": "0" * 32}]} for path in paths}
    }
    (root / "dvc.lock").write_text(json.dumps(lock))
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").touch()
    who = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    for command in (["init", "--quiet"], ["add", "snapshots", "dvc.lock"], [*who, "commit", "--quiet", "-m", "pins"]):
        subprocess.run(["git", *command], cwd=root, check=True)


# --- measurements ----------------------------------------------------------------------------------------------------


def all_checks(root: Path) -> None:
    """Every shipped check on every table."""
    finelake(root, set())


def shared_laws(root: Path) -> None:
    """The laws of SHARED, by Finelake."""
    finelake(root, set(SHARED))


def finelake(root: Path, names: set[str]) -> None:
    checks = [check for check in load_checks(root, Params()) if not names or check.name in names]
    results = list(run_checks(root, str(root / "lakehouse"), checks, manifests(root)))
    slowest = sorted(results, key=lambda result: -result.seconds)[:5]
    for result in slowest:
        print(f"    {result.seconds:5.2f} s  {result.check.name} {result.table}", file=sys.stderr)
    broken = {result.check.name for result in results if result.status != "passed"}
    assert not broken, broken


def with_pandas(root: Path) -> None:
    """The laws of SHARED in pandas, on the same tables: one table in memory at a time, only the columns needed."""
    for stage in ("ingest", "clean", "dedup", "mask", "split"):
        assert read(root, stage, "records", ["record_id"])["record_id"].is_unique
    before = set(read(root, "ingest", "records", ["record_id"])["record_id"])
    kept = set(read(root, "clean", "records", ["record_id"])["record_id"])
    gone = set(read(root, "clean", "rejects", ["record_id"])["record_id"])
    assert kept | gone == before and not kept & gone
    for stage in ("ingest", "split"):
        frame = read(root, stage, "records", ["lang", "occurred_at"])
        assert frame["lang"].isin(["zh", "en", "und"]).all()
        assert frame["occurred_at"].between("1970-01-01", "2100-01-01").all()
    for stage in ("clean", "split"):
        numbers = read(root, stage, "records", ["numbers"])["numbers"].explode().str[1]
        assert np.isfinite(numbers.astype(float)).all()
    texts = read(root, "split", "records", ["text", "split"])
    assert (texts.groupby("text")["split"].nunique() <= 1).all()
    for stage, name, columns in MASKED:
        frame = read(root, stage, name, columns)
        bodies = frame.fillna("").astype(str).agg("\n".join, axis=1) if len(frame) else frame
        assert not len(bodies) or not bodies.map(personal).any()


MASKED = [
    ("mask", "records", ["text", "facts", "source_key"]),
    ("split", "records", ["text", "facts", "source_key"]),
    ("mask", "annotations", ["label", "quote"]),
    ("annotate", "gold", ["label"]),
]
NUMBER = re.compile(r"(?<!\d)\d(?:[ -]?\d){10,18}[Xx]?(?!\d)")
EMAIL = re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")


def personal(body: str) -> bool:
    """Whether a text holds an e-mail address, or a number that is a mobile number, a card or a resident id."""
    return bool(EMAIL.search(body)) or any(_is_personal(re.sub("[ -]", "", found)) for found in NUMBER.findall(body))


def _is_personal(number: str) -> bool:
    if re.fullmatch(r"(?:86)?1[3-9]\d{9}", number):
        return True
    if re.fullmatch(r"\d{17}[\dXx]", number):
        total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(number[:17]))
        return "10X98765432"[total % 11] == number[-1].upper()
    doubled = [int(d) * 2 // 10 + int(d) * 2 % 10 if place % 2 else int(d) for place, d in enumerate(number[::-1])]
    return len(number) >= 13 and sum(doubled) % 10 == 0


def read(root: Path, stage: str, name: str, columns: list[str]):
    import pyarrow.parquet as pq

    folder = root / "lakehouse" / table_path(stage, name)
    return pa.concat_tables(pq.read_table(path, columns=columns) for path in folder.glob("*.parquet")).to_pandas()


MEASURED: dict[str, Callable[[Path], None]] = {
    "all checks": all_checks,
    "seven laws": shared_laws,
    "seven laws in pandas": with_pandas,
}


def measure(root: Path, name: str) -> tuple[float, float, float]:
    """(seconds, seconds of all cores, peak MiB) of a measurement in a separate process, without its imports."""
    command = [sys.executable, __file__, "--worker", name, "--folder", str(root)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, busy, peak = map(float, done.stdout.split())
    return seconds, busy, peak


def work(root: Path, name: str) -> None:
    started, busy = time.monotonic(), time.process_time()
    MEASURED[name](root)
    seconds, busy = time.monotonic() - started, time.process_time() - busy
    print(seconds, busy, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--records", type=int, default=200_000, help="records in ingest; all tables hold some 5.9 times"
    )
    parser.add_argument("--folder", type=Path, help="keep the project there")
    parser.add_argument("--worker", choices=MEASURED, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.folder, options.worker)
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = options.folder or Path(scratch)
        root.mkdir(parents=True, exist_ok=True)
        total = write_project(root, options.records)
        print(f"{total:,} rows in all tables, {options.records:,} of them records of ingest, {os.cpu_count()} cores")
        figures = {name: measure(root, name) for name in MEASURED}
    for name, (seconds, busy, peak) in figures.items():
        print(f"{name:<22} {seconds:7.2f} s  {busy:7.2f} cpu-s  {peak:7.0f} MiB")
    ratios = [b / a for a, b in zip(figures["seven laws"], figures["seven laws in pandas"], strict=True)]
    print("pandas / finelake      {:7.2f}    {:7.2f}        {:7.2f}".format(*ratios))


if __name__ == "__main__":
    main()
