"""What names a row of each table, and what names a record."""

import hashlib

SEPARATOR = "\x1f"

# By table, whatever its stage. A table that is not here (rejects, annotations) may hold equal rows.
KEYS = {
    "records": ("record_id",),
    "duplicates": ("removed",),
    "counts": ("source", "lang", "kind"),
    "gold": ("record_id", "layer", "label", "start", "end"),
    "agreement": ("layer",),
    "todo": ("record_id", "layer"),
    "units": ("record_id", "layer"),
    "report": ("promise",),
    "samples": ("sample_id",),
    "classes": ("index",),
}


def record_id(source: str, key: str) -> str:
    """The id of a record, as the stage `ingest` makes it: 32 hexadecimal digits of its source and its key there."""
    return hashlib.sha256(f"{source}{SEPARATOR}{key}".encode()).hexdigest()[:32]
