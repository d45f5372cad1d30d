"""The planted facts, written next to the data: one JSONL file per kind, streamed, so that its size does not matter."""

import json
from pathlib import Path
from types import TracebackType

KINDS = ("near_duplicates", "personal_data", "traps", "outliers", "missing", "wrong_labels", "scenes")


class Truth:
    """Appends facts to `folder/<kind>.jsonl` and counts them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.counts = dict.fromkeys(KINDS, 0)
        self._files = {kind: (folder / f"{kind}.jsonl").open("w", encoding="utf-8", newline="\n") for kind in KINDS}

    def add(self, kind: str, /, **fact: object) -> None:
        self._files[kind].write(json.dumps(fact, ensure_ascii=False) + "\n")
        self.counts[kind] += 1

    def __enter__(self) -> "Truth":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
