"""Aggregates of high cardinality over a lake table: `finelake sql`'s DuckDB, delta-rs' DataFusion and pandas.

    python benchmarks/duckdb_aggregates.py FOLDER [ROWS] [MEMORY]

Makes a Delta table of ROWS rows (10 million) in FOLDER, or uses the one that is there, runs each query with each
system in a separate process, checks that the answers are equal, and prints seconds (by the clock, and of all cores
together) and peak memory, each also as a ratio to DuckDB under MEMORY (1GiB). The peers have no limit: delta-rs offers
none, pandas holds the columns that the query names.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from finelake.lake.query import duck
from finelake.lake.tables.snapshots import Table

ROWS = 10_000_000
BATCH = 1_000_000  # rows a Delta commit
# Pseudo-random by a hash of the row's number: the same table on every machine.
GENERATED = """
    select md5(i::varchar) as record_id, 'C' || (hash(i) % {customers})::varchar as customer,
           ['cards', 'loans', 'accounts', 'payments', 'insurance'][(1 + hash(i + 1) % 5)::bigint] as business,
           (hash(i + 2) % 1000000)::double as cents,
           timestamp '2020-01-01' + to_seconds((hash(i + 3) % 150000000)::bigint) as occurred_at
    from (select range as i from range({start}, {end}))"""
# Cents are whole numbers, so that sums do not depend on their order.
QUESTIONS = {
    "by customer": """
        select count(*) as groups, max(total) as most from (
            select customer, count(*) as rows, sum(cents) as total, max(occurred_at) as latest
            from clean.records group by customer)""",
    "by customer, business and month": """
        select count(*) as groups, max(total) as most from (
            select customer, business, date_trunc('month', occurred_at) as month, sum(cents) as total
            from clean.records group by customer, business, date_trunc('month', occurred_at))""",
    "distinct ids": "select count(distinct record_id) as groups, 0 as most from clean.records",
}
FIGURES = ("seconds", "cpu", "peak")
Answer = tuple[int, float]


def ask_duckdb(folder: Path, question: str, memory: str) -> Answer:
    table = DeltaTable(str(folder / "clean" / "records"))
    paths = [str(folder / "clean" / "records" / path) for path in pa.table(table.get_add_actions())["path"].to_pylist()]
    with duck.open_database(folder, memory) as connection:
        connection.execute("create schema clean")
        pinned = Table(path="clean/records", rows=0, schema="", content="")
        duck.create_view(connection, ("clean", "records"), str(folder), "clean", pinned, paths)
        return duck.run_query(connection, QUESTIONS[question]).fetchall()[0]


def ask_datafusion(folder: Path, question: str, memory: str) -> Answer:
    builder = QueryBuilder().register("records", DeltaTable(str(folder / "clean" / "records")))
    answer = pa.table(builder.execute(QUESTIONS[question].replace("clean.records", "records")))
    return tuple(answer.to_pylist()[0].values())  # type: ignore[return-value]


def ask_pandas(folder: Path, question: str, memory: str) -> Answer:
    def read(*columns: str) -> pd.DataFrame:
        return pd.read_parquet(DeltaTable(str(folder / "clean" / "records")).file_uris(), columns=list(columns))

    if question == "by customer":
        grouped = read("customer", "cents", "occurred_at").groupby("customer", sort=False)
        found = grouped.agg(rows=("cents", "size"), total=("cents", "sum"), latest=("occurred_at", "max"))
        return len(found), found["total"].max()
    if question == "distinct ids":
        return read("record_id")["record_id"].nunique(), 0
    frame = read("customer", "business", "cents", "occurred_at")
    month = frame["occurred_at"].dt.to_period("M")
    found = frame.groupby(["customer", "business", month], sort=False)["cents"].sum()
    return len(found), found.max()


SYSTEMS = {"DuckDB": ask_duckdb, "DataFusion": ask_datafusion, "pandas": ask_pandas}


def generate(folder: Path, rows: int) -> None:
    """Write the table, a commit every BATCH rows."""
    with duck.open_database(folder) as connection:
        for start in range(0, rows, BATCH):
            query = GENERATED.format(customers=rows // 3, start=start, end=min(start + BATCH, rows))
            batches = connection.execute(query).to_arrow_reader(100_000)
            write_deltalake(str(folder / "clean" / "records"), batches, mode="append")


def count(folder: Path) -> int:
    """Rows of the table."""
    actions = DeltaTable(str(folder / "clean" / "records")).get_add_actions(flatten=True)
    return sum(pa.table(actions)["num_records"].to_pylist())


def measure(folder: Path, system: str, question: str, memory: str) -> dict:
    """Ask in a new process: its answer, seconds by the clock and of all cores (imports left out), peak MiB."""
    command = [sys.executable, __file__, "--one", str(folder), system, question, memory]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def ask_once(folder: str, system: str, question: str, memory: str) -> None:
    """What a process of `measure` does: print the answer and what it took."""
    started, worked = time.monotonic(), time.process_time()
    groups, most = SYSTEMS[system](Path(folder), question, memory)
    seconds, cpu = time.monotonic() - started, time.process_time() - worked
    # Not getrusage's ru_maxrss, which begins with the memory of the process that started this one.
    status = Path("/proc/self/status").read_text().splitlines()
    (peak,) = [int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:")]
    print(json.dumps({"answer": [int(groups), float(most)], "seconds": seconds, "cpu": cpu, "peak": peak}))


def main(folder: Path, rows: int, memory: str) -> None:
    if not (folder / "clean").exists():
        folder.mkdir(parents=True, exist_ok=True)
        generate(folder, rows)
    print(f"{count(folder):,} rows, DuckDB limited to {memory}")
    header = " ".join(f"{figure:>8} {'ratio':>6}" for figure in ("seconds", "CPU s", "peak MiB"))
    print(f"{'question':<32} {'system':<11} {header}")
    for question in QUESTIONS:
        found = {system: measure(folder, system, question, memory) for system in SYSTEMS}
        ours = found["DuckDB"]
        for system, result in found.items():
            assert result["answer"] == ours["answer"], (question, found)
            figures = [f"{result[figure]:>8,.1f} {result[figure] / ours[figure]:>6.2f}" for figure in FIGURES]
            print(f"{question:<32} {system:<11} {' '.join(figures)}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        ask_once(*sys.argv[2:])
    else:
        chosen = [*sys.argv[2:], *[str(ROWS), duck.MEMORY][len(sys.argv) - 2 :]]
        main(Path(sys.argv[1]), int(chosen[0]), chosen[1])
