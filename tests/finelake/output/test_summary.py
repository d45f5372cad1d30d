"""What is printed at the end of the demo: counts of the pinned tables, whichever stages there are."""

from datetime import datetime

import pyarrow as pa

from finelake.output.summary import print_summary
from tests.finelake.commands.test_quality import pin

REJECTS = ("stage", "reason", "detail")
TABLES = {
    "ingest": {"records": pa.table({"id": ["a", "b", "c"]}), "rejects": [("ingest", "no_key", None)]},
    "mask": {
        "records": pa.table({"id": ["a", "b"]}),
        "rejects": [
            ("mask", "personal_data", "phone"),
            ("mask", "personal_data", "label: phone"),  # an annotation's
            ("mask", "record_gone", None),
        ],
        "counts": pa.table({"kind": ["phone"], "count": [1234]}),
    },
    "annotate": {
        "rejects": [("annotate", "repeated", None)] * 2,
        "agreement": pa.table({"layer": ["scene"], "units": [9], "kappa": [0.9], "gate": [0.8], "passed": [True]}),
        "gold": pa.table({"layer": ["scene"], "decided_by": ["agreed"]}),
    },
    "split": {
        "records": pa.table({"split": ["train"], "occurred_at": [datetime(2024, 1, 31)]}),
        "rejects": [("split", "no_time", None)],
    },
}


def test_each_stage_has_its_records_and_each_reason_its_rows(tmp_path, capsys):
    for stage, tables in TABLES.items():
        pin(tmp_path, stage, **{name: _table(rows) for name, rows in tables.items()})
    print_summary(tmp_path)
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert _below(shown, "Records by stage") == ["ingest 3 1", "mask 2 1", "split 1 1"]
    assert _below(shown, "Rejected, by reason") == [
        "annotate: repeated 2",
        "mask: personal_data 2",
        "ingest: no_key 1",
        "mask: record_gone 1",
        "split: no_time 1",
    ]
    assert _below(shown, "Masked personal data") == ["phone 1,234"]
    assert _below(shown, "Split") == ["train 1 2024-01-31 2024-01-31"]
    assert f"Where to look, in {tmp_path}" in shown


def _table(rows) -> pa.Table:
    return rows if isinstance(rows, pa.Table) else pa.table(dict(zip(REJECTS, zip(*rows, strict=True), strict=True)))


def _below(shown: list[str], title: str) -> list[str]:
    """The lines between a title and the next empty one."""
    start = next(number for number, line in enumerate(shown) if line.startswith(title))
    return shown[start + 1 : shown.index("", start)]
