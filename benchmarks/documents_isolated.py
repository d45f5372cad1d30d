"""Processor time of reading documents in a child process with limits, beside the same parsing in this process.

    python benchmarks/documents_isolated.py FOLDER [FOLDER ...] [--repeats 5] [--ocr]

Each way reads the same PDF and DOCX files, in turns; the first turn starts the child and warms both up, and is shown by
itself. Processor time of the child counts with that of its parent. With --ocr pages that are pictures are read as well.
"""

import argparse
import dataclasses
import gc
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from finelake.jobs.sources.document import isolated, parse
from finelake.jobs.sources.document.reading import SUFFIXES, document_rows, ocr_row
from finelake.jobs.sources.documents import Documents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ocr", action="store_true")
    options = parser.parse_args()
    source = Documents(path="", ocr=options.ocr)
    files = [
        path for folder in options.folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES
    ]
    ways: dict[str, Callable[[Path, Documents], int]] = {"here": here, "child": child}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    count = 0
    for _ in range(options.repeats + 1):
        for name, read in ways.items():
            gc.collect()
            before = used()
            count = sum(read(path, source) for path in files)
            taken[name].append(used() - before)
    print(
        f"{len(files)} files, {count} pages; first turn: {taken['here'][0]:.2f} s here, {taken['child'][0]:.2f} s child"
    )
    medians = {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}
    ratios = [ours / theirs for ours, theirs in zip(taken["child"][1:], taken["here"][1:], strict=True)]
    print(f"here {medians['here']:.3f} s, child {medians['child']:.3f} s of processor time")
    turns = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"ratio of the medians {medians['child'] / medians['here']:.3f}, by turn {turns}")


def used() -> float:
    """Seconds of processor time of this process and of its children, those that live on included."""
    living = isolated.current()
    threads = Path(f"/proc/{living.process.pid}/task").glob("*/schedstat") if living else ()
    nanoseconds = sum(int(thread.read_text().split()[0]) for thread in threads)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + nanoseconds / 1e9 + ended.ru_utime + ended.ru_stime


def here(path: Path, source: Documents) -> int:
    """Parse without a child and without limits: how many pages."""
    limits = dataclasses.replace(source, max_seconds=86_400)
    messages = list(parse.read_text(path, 1, limits))
    for message in messages:
        if message[0] == "page" and message[3] == "ocr":
            list(parse.read_picture(path, cast(int, message[1]), limits))
    return sum(message[0] == "page" for message in messages)


def child(path: Path, source: Documents) -> int:
    rows = [ocr_row(path.parent, row, source) for row in document_rows(path.parent, path.name, source)]
    return sum(row["page"] is not None for row in rows)


if __name__ == "__main__":
    main()
