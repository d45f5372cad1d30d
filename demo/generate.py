"""Generate the demo bank: `python -m finelake.demo.generate data/bank --records 6000 --seed 7`.

    data/bank/bank.db            customers, applications, tickets, annotations, codes
    data/bank/documents/         PDF, scanned PDF, DOCX, one broken and one encrypted PDF
    data/bank/complaints/        what the API of `finelake.demo.api` serves, by day
    data/bank/truth/             planted facts, by kind
    data/bank/generated.json     seed, size and counts; written last

The same seed and size give the same bytes of every file.
"""

import argparse
import json
import os
import shutil
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from finelake.demo import annotators, applications, complaints, documents, people, tickets
from finelake.demo.scenes import CODES
from finelake.demo.truth import Truth

VERSION = 1  # increase it whenever the same seed gives other bytes
STAMP = "generated.json"
SHARES = (0.25, 0.63)  # of the records: applications, tickets; complaints are the rest
BATCH = 2_000  # rows
SQLITE_WRITER = 3_040_001  # the library version in the header, whichever version wrote the file

CUSTOMERS = (
    "customer_id text primary key",
    "name text",
    "gender text",
    "birth_date text",
    "resident_id text",
    "phone text",
    "email text",
    "card_number text",
    "city text",
    "segment text",
    "opened_at text",
    "lang text",
)
TABLES = {
    "customers": CUSTOMERS,
    "applications": applications.COLUMNS,
    "tickets": tickets.COLUMNS,
    "annotations": annotators.COLUMNS,
    "codes": ("code text primary key", "name_en text", "name_zh text"),
}


def sizes(records: int) -> dict[str, int]:
    """Rows of each source. Applications, tickets and complaints add up to `records`; customers are extra."""
    loans, messages = round(records * SHARES[0]), round(records * SHARES[1])
    return {
        "customers": max(10, records // 3),
        "applications": loans,
        "tickets": messages,
        "complaints": records - loans - messages,
    }


def generate(folder: Path, records: int = 6000, seed: int = 7) -> dict[str, int]:
    """Write the bank into `folder` and return its counts; a folder that already holds this bank is left unchanged.

    ValueError where `folder` holds other files than a generated bank, or `records` is too small.
    """
    folder = Path(folder)
    if records < 100:
        raise ValueError(f"records = {records} is too small for a bank; use 100 or more")
    identity = {"version": VERSION, "seed": seed, "records": records}
    present = stamp(folder)
    if present and {key: present[key] for key in identity} == identity:
        return present["counts"]
    if not present and folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds files which are not a generated bank; name an empty or new folder")
    draft = folder.parent / f".{folder.name}.{os.getpid()}.part"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        counts = build(draft, records, seed)
        (draft / STAMP).write_text(json.dumps({**identity, "counts": counts}, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return counts


def stamp(folder: Path) -> dict:
    """Version, seed, records and counts of the bank in `folder`; empty where there is none."""
    try:
        return json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}


def build(folder: Path, records: int, seed: int) -> dict[str, int]:
    counts = sizes(records)
    folder.mkdir(parents=True)
    with Truth(folder / "truth") as truth:
        counts |= write_database(folder / "bank.db", counts, seed, truth)
        counts["complaints_day2"] = complaints.write(
            folder / "complaints", seed, counts["complaints"], counts["customers"], truth
        )
        counts["documents"] = documents.write(folder / "documents", seed, truth)
        return counts | {f"truth_{kind}": count for kind, count in truth.counts.items()}


def write_database(path: Path, counts: dict[str, int], seed: int, truth: Truth) -> dict[str, int]:
    """All tables in one transaction; returns the number of annotations."""
    customers = counts["customers"]
    con = sqlite3.connect(path, isolation_level=None)
    try:
        for setting in ("page_size=4096", "journal_mode=off", "synchronous=off", "cache_size=-32000"):
            con.execute(f"pragma {setting}")
        con.execute("begin")
        for table, columns in TABLES.items():
            con.execute(f"create table {table} ({', '.join(columns)})")
        insert(con, "customers", (people.customer(seed, i, customers) for i in range(customers)))
        insert(con, "codes", CODES.values())
        loans = counts["applications"]
        insert(con, "applications", (applications.row(seed, i, loans, customers, truth) for i in range(loans)))
        written = insert_tickets(con, counts["tickets"], customers, seed, truth)
        con.execute("commit")
    finally:
        con.close()
    normalise_header(path)
    return {"annotations": written}


def insert(con: sqlite3.Connection, table: str, rows: Iterable[tuple]) -> None:
    marks = ", ".join("?" * len(TABLES[table]))
    con.executemany(f"insert into {table} values ({marks})", rows)


def insert_tickets(con: sqlite3.Connection, rows: int, customers: int, seed: int, truth: Truth) -> int:
    """Tickets and their annotations, a batch of each in turn."""
    written = 0
    for some in chunks(range(rows)):
        batch = [tickets.ticket(seed, i, rows, customers) for i in some]
        insert(con, "tickets", (tickets.row(t, seed, truth) for t in batch))
        marks = [mark for t in batch for mark in annotators.annotations(t, seed)]
        insert(con, "annotations", ((f"A{written + i + 1:08d}", *mark) for i, mark in enumerate(marks)))
        written += len(marks)
    return written


def chunks(items: range) -> Iterator[range]:
    return (items[at : at + BATCH] for at in range(0, len(items), BATCH))


def normalise_header(path: Path) -> None:
    """Overwrite bytes 96 to 99 of an SQLite file, the version of the library that wrote it, with a fixed one."""
    with path.open("r+b") as file:
        file.seek(96)
        file.write(struct.pack(">I", SQLITE_WRITER))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m finelake.demo.generate",
        description="Generate the demo bank.",
        epilog="example: python -m finelake.demo.generate data/bank --records 6000 --seed 7",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=6000, help="applications, tickets and complaints together")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args(argv)
    try:
        counts = generate(args.folder, args.records, args.seed)
    except ValueError as error:
        parser.error(str(error))
    print(", ".join(f"{count:,} {name}" for name, count in counts.items() if not name.startswith("truth_")))


if __name__ == "__main__":
    main()
