"""The key of each table's rows, and the id of a record."""

import hashlib
from collections.abc import Iterable

SEPARATOR = "\x1f"
BETWEEN = "|"  # separates the values of a key of several columns

# By table name, for any stage. A table that is not listed (rejects, annotations) may hold equal rows.
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


def joined(values: Iterable[str]) -> str:
    """Several values, none of them empty, as one text; different lists of values give different texts.

    In a value, | is written as \\| and \\ as \\\\: (x|y, z) is x\\|y|z and (x, y|z) is x|y\\|z.
    """
    return BETWEEN.join(value.replace("\\", "\\\\").replace(BETWEEN, f"\\{BETWEEN}") for value in values)


def record_id(source: str, key: str) -> str:
    """The id of a record: 32 hexadecimal digits, hashed from its source and its key there."""
    return hashlib.sha256(f"{source}{SEPARATOR}{key}".encode()).hexdigest()[:32]
