"""How the columns of a source become records or annotations, as params.yaml says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ROW = "_row"  # as a key: the row's place in its file


@dataclass(frozen=True, kw_only=True)
class AnnotationColumns:
    """Which columns of an annotations source hold what; `..._value` is a constant instead of a column."""

    record_key: str | list[str]  # what the key of the records' source names, in the same order
    record_source: str | None = None
    record_source_value: str | None = None
    layer: str | None = None
    layer_value: str | None = None  # entity | term | scene
    annotator: str
    role: str | None = None
    role_value: str | None = None  # annotator | arbitrator | committee
    label: str
    quote: str | None = None
    start: str | None = None

    def __post_init__(self) -> None:
        if not self.record_key:
            raise ValueError("record_key names no column; name the column that holds the record's key")
        for name in ("record_source", "layer", "role"):
            one_of(self, name, f"{name}_value", required=True)


@dataclass(frozen=True, kw_only=True)
class ColumnMapping:
    """How the columns of a source become records. Lists of columns are joined: text by a line break, keys by |."""

    role: Literal["records", "annotations"] = "records"
    columns: AnnotationColumns | None = None  # for role annotations
    key: str | list[str] | None = None
    occurred_at: str | None = None  # column: ISO 8601, date, epoch seconds or milliseconds
    occurred_at_value: str | None = None
    text: str | list[str] | None = None
    business: str | None = None
    business_value: str | None = None
    lang: str | None = None
    lang_value: str | None = None  # ISO 639: zh, en, ...; und: not known
    numbers: list[str] = field(default_factory=list)
    decimal: Literal[".", ","] = "."  # of numbers and amounts in text columns
    # number -> the unit to which it is converted, such as kg, or a list of words that may follow it
    units: dict[str, list[str] | str] = field(default_factory=dict)
    day_first: bool | None = None  # 03/04/2023 is the 3rd of April; false: March 4th; null: no time
    facts: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)  # layer -> column
    split: str | None = None
    ignored: list[str] = field(default_factory=list)  # columns that are left out knowingly
    other_columns: Literal["refuse", "ignore", "take"] = "refuse"  # those that nothing names; take: into facts
    max_characters: int = 1_000_000  # of one value; rows with a larger one are rejects

    def __post_init__(self) -> None:
        mapped = self.uses()
        twice = [column for column in self.ignored if column in mapped]
        if twice:
            raise ValueError(f"{twice[0]} is both mapped and ignored; keep one of them")
        if self.role == "annotations":
            if self.columns is None:
                raise ValueError("role annotations needs `columns`; name those of record_key, annotator, label, ...")
            if self.other_columns == "take":
                raise ValueError("other_columns: take belongs to role records; choose refuse or ignore")
            given = next((name for name in OF_RECORDS if getattr(self, name)), None)
            if given:
                raise ValueError(f"{given} belongs to role records; remove it, or name its column under `columns`")
            return
        if self.columns is not None:
            raise ValueError("`columns` belongs to role annotations; remove it or add role: annotations")
        if not self.key:
            raise ValueError("names no key; add key: the column that identifies a row")
        if not self.text and not self.numbers:
            raise ValueError("maps neither text nor numbers; add text: the column that holds the text")
        one_of(self, "occurred_at", "occurred_at_value", required=True)
        one_of(self, "business", "business_value")
        one_of(self, "lang", "lang_value")
        if set(self.units) - set(self.numbers):
            raise ValueError(f"units names {min(set(self.units) - set(self.numbers))}, which is not under numbers")
        if self.units:
            _check_units(self.units)
        if set(self.labels) - {"scene"}:
            raise ValueError("labels may name the layer scene alone; bring spans by a source with role: annotations")

    def uses(self) -> dict[str, list[str]]:
        """What each mapped column is used as, in the order of the fields; for annotations, under their own names."""
        if self.columns is not None:
            values = {name: value for name, value in vars(self.columns).items() if not name.endswith("_value")}
        else:
            values = {use: getattr(self, name) for name, use in USES.items()}
        found: dict[str, list[str]] = {}
        for use, value in values.items():
            for column in listed(value):
                found.setdefault(column, []).append(use)
        return found

    def mapped_columns(self) -> list[str]:
        """The columns that are mapped, each once, in the order of the fields."""
        return list(self.uses())


# field of a source -> what its columns are used as
USES = {"key": "key", "occurred_at": "time", "text": "text", "business": "business", "lang": "lang"}
USES |= {"numbers": "number", "facts": "fact", "labels": "label", "split": "split"}
OF_RECORDS = (*USES, "occurred_at_value", "business_value", "lang_value", "units")


def listed(value: str | list[str] | dict[str, str] | None) -> list[str]:
    """The columns that a field of a source names."""
    if isinstance(value, dict):
        return list(value.values())
    return [value] if isinstance(value, str) else list(value or [])


def one_of(section: Any, first: str, second: str, required: bool = False) -> None:
    """ValueError where both fields of a section are given, or neither although one is required."""
    given = [name for name in (first, second) if getattr(section, name) is not None]
    if len(given) == 2:
        raise ValueError(f"{first} and {second} contradict each other; keep one of them")
    if required and not given:
        raise ValueError(f"names no {first}; add {first} or {second}")


def _check_units(units: Mapping[str, list[str] | str]) -> None:
    from finelake.text.values import is_unit  # libraries that read text: only where they are needed

    for column, unit in units.items():
        if isinstance(unit, str) and not is_unit(unit):
            raise ValueError(f"units.{column}: {unit!r} is no unit; write one such as kg, or a list of words: [{unit}]")
