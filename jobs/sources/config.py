"""Sources: what the section `sources` of params.yaml may say, and where the data of each lie."""

import glob
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from finelake.lake.config.names import check_names
from finelake.lake.config.params import parse
from finelake.lake.errors import UserError, did_you_mean
from finelake.lake.quoting import quoted

ROW = "_row"  # as a key: the row's place in its file
_PAGE = re.compile(r"[0-9]{8}\.json")
LEAST_MEMORY = 100  # megabytes of a process that reads documents
VARIABLE = re.compile(r"\$\{(\w+)\}")


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
            _one_of(self, name, f"{name}_value", required=True)


@dataclass(frozen=True, kw_only=True)
class Mapped:
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
        twice = [column for column in self.ignored if column in uses(self)]
        if twice:
            raise ValueError(f"{twice[0]} is both mapped and ignored; keep one of them")
        if self.role == "annotations":
            if self.columns is None:
                raise ValueError("role annotations needs `columns`; name those of record_key, annotator, label, ...")
            if self.other_columns == "take":
                raise ValueError("other_columns: take belongs to role records; choose refuse or ignore")
            return
        if self.columns is not None:
            raise ValueError("`columns` belongs to role annotations; remove it or add role: annotations")
        if not self.key:
            raise ValueError("names no key; add key: the column that identifies a row")
        if not self.text and not self.numbers:
            raise ValueError("maps neither text nor numbers; add text: the column that holds the text")
        _one_of(self, "occurred_at", "occurred_at_value", required=True)
        _one_of(self, "business", "business_value")
        _one_of(self, "lang", "lang_value")
        if set(self.units) - set(self.numbers):
            raise ValueError(f"units names {min(set(self.units) - set(self.numbers))}, which is not under numbers")
        if self.units:
            _check_units(self.units)
        if set(self.labels) - {"scene"}:
            raise ValueError("labels may name the layer scene alone; bring spans by a source with role: annotations")


@dataclass(frozen=True, kw_only=True)
class Database(Mapped):
    """A table or a query, read by JDBC."""

    url: str  # jdbc:sqlite:PATH (relative to the project) or jdbc:postgresql://HOST/NAME
    table: str | None = None
    query: str | None = None
    user: str | None = None
    password: str | None = None  # "${NAME}": from the environment
    partition_column: str | None = None  # a column of whole numbers
    partitions: int = 1
    fetch_size: int = 1000  # rows a round trip

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of(self, "table", "query", required=True)
        if not self.url.startswith(("jdbc:sqlite:", "jdbc:postgresql:", "${")):
            raise ValueError("url must begin with jdbc:sqlite: or jdbc:postgresql:")
        if self.partitions > 1 and not self.partition_column:
            raise ValueError("partitions needs partition_column: a column of whole numbers")


@dataclass(frozen=True, kw_only=True)
class Files(Mapped):
    """CSV, JSON lines or Parquet files."""

    path: str  # may hold * and ?
    format: Literal["csv", "jsonl", "parquet"]
    encoding: str = "UTF-8"
    delimiter: str = ","  # csv

    def __post_init__(self) -> None:
        super().__post_init__()
        if ROW in listed(self.key) and self.format != "csv":
            raise ValueError(f"key {ROW} (the row's place in its file) is for csv alone; name a column")
        if len(self.delimiter) != 1 or not self.delimiter.isprintable() and self.delimiter != "\t":
            raise ValueError(f"delimiter is {self.delimiter!r}; write one character, such as ';' or \"\\t\"")


@dataclass(frozen=True, kw_only=True)
class Api(Mapped):
    """Pages of an HTTP API, landed by `finelake pull`; columns may be paths such as customer.id."""

    url: str
    landing: str  # folder of landed pages
    items: str = "items"  # where a page holds its list
    cursor: str = "next_cursor"  # where a page holds the next cursor
    cursor_parameter: str = "cursor"  # how a request says it
    parameters: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # Authorization: "Bearer ${NAME}"
    item_schema: dict[str, Any] = field(default_factory=dict)  # JSON schema of an item
    requests_per_second: float = 10.0
    timeout: float = 30.0  # seconds without a byte
    max_page_seconds: float = 300.0  # for one page in all
    max_page_megabytes: float = 100.0  # of one page, as sent and unpacked
    attempts: int = 6  # for one page
    backoff: float = 0.5  # seconds before the second attempt, then doubled
    longest_wait: float = 300.0  # seconds, Retry-After included
    max_pages: int = 100_000  # in one pull

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.requests_per_second <= 0 or self.timeout <= 0 or self.attempts < 1 or self.max_pages < 1:
            raise ValueError("requests_per_second and timeout must be above 0, attempts and max_pages at least 1")
        if not (self.max_page_seconds > 0 and self.max_page_megabytes > 0):
            raise ValueError("max_page_seconds and max_page_megabytes must be above 0")


@dataclass(frozen=True, kw_only=True)
class Documents:
    """A folder of PDF and DOCX files; one record a page."""

    path: str
    occurred_at_pattern: str | None = None  # regular expression on the file name: groups year, month, day
    business_value: str | None = None
    lang_value: str | None = None
    max_megabytes: float = 100.0  # larger files are rejects; also of a part of a package, unpacked, and of all text
    max_pages: int = 5000  # documents with more are rejects
    max_memory_megabytes: float = 2000.0  # of the process that reads a page; OCR needs up to 1200
    max_seconds: float = 60.0  # of processor time for a page, ten times that for a file's text layer; OCR needs up to 7
    ocr: bool = True
    ocr_below: int = 16  # letters and digits on a page, under which its pictures are read
    dpi: int = 200  # of the picture given to OCR
    keep_headers: bool = False  # headers and footers stay in the text of a PDF's pages
    max_characters: int = 1_000_000  # of one page's text

    # The parser gives these columns, so they are no choice of the user.
    role = "records"
    columns = None
    key = "key"
    occurred_at = "occurred_at"
    occurred_at_value = None
    text = "text"
    business = None
    day_first = None
    lang = None
    numbers = ()
    facts = ("file", "page", "part", "method", "header_lines")
    labels: Any = field(default_factory=dict, init=False)
    split = None

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.occurred_at_pattern or "").groupindex
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"occurred_at_pattern is not a regular expression ({error})") from None
        if self.occurred_at_pattern and set(groups) != {"year", "month", "day"}:
            raise ValueError("occurred_at_pattern needs the named groups year, month and day: (?P<year>[0-9]{4})...")
        if not self.max_memory_megabytes >= LEAST_MEMORY:
            raise ValueError(
                f"max_memory_megabytes must be at least {LEAST_MEMORY}: the libraries need that themselves"
            )
        if not 0 < self.max_seconds <= 86_400:
            raise ValueError("max_seconds must be above 0 and at most 86400, a day")


Source = Database | Files | Api | Documents
KINDS: dict[str, type] = {"database": Database, "documents": Documents, "api": Api, "files": Files}


def _check_units(units: Mapping[str, list[str] | str]) -> None:
    from finelake.text.values import is_unit  # libraries that read text: only where they are needed

    for column, unit in units.items():
        if isinstance(unit, str) and not is_unit(unit):
            raise ValueError(f"units.{column}: {unit!r} is no unit; write one such as kg, or a list of words: [{unit}]")


def _one_of(section: Any, first: str, second: str, required: bool = False) -> None:
    given = [name for name in (first, second) if getattr(section, name) is not None]
    if len(given) == 2:
        raise ValueError(f"{first} and {second} contradict each other; keep one of them")
    if required and not given:
        raise ValueError(f"names no {first}; add {first} or {second}")


# ---------------------------------------------------------------- parsing


def parse_sources(mapping: Any) -> dict[str, Source]:
    """The section `sources`, each source as the dataclass of its kind. UserError for what does not fit.

    ${NAME} stays in the values until they are used, so that a printed source shows no secret.
    """
    if not isinstance(mapping, dict) or not mapping:
        raise UserError("params.yaml: sources is empty; add a source with its kind: database, documents, api or files")
    check_names(mapping, "sources", "source")
    return {name: _parse_source(name, value) for name, value in mapping.items()}


def _parse_source(name: str, value: Any) -> Source:
    where = f"sources.{name}"
    if not isinstance(value, dict):
        raise UserError(f"params.yaml: {where} must be a mapping; write kind, key, occurred_at, text, ... under it")
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(kind, KINDS)
        raise UserError(f"params.yaml: {where}.kind: {kind!r} is not a kind of source; {hint}")
    return parse(KINDS[kind], {key: item for key, item in value.items() if key != "kind"}, where)


def expand(value: str, name: str, environment: Mapping[str, str] = os.environ) -> str:
    """`value` with each ${NAME} replaced. UserError naming a variable that is not set."""

    def replace(found: re.Match) -> str:
        if found[1] not in environment:
            raise UserError(
                f"sources.{name} needs the environment variable {found[1]}, which is not set; export {found[1]}=..."
            )
        return environment[found[1]]

    return VARIABLE.sub(replace, value)


# field of a source -> what its columns are used as
USES = {"key": "key", "occurred_at": "time", "text": "text", "business": "business", "lang": "lang"}
USES |= {"numbers": "number", "facts": "fact", "labels": "label", "split": "split"}


def uses(source: Mapped | Documents) -> dict[str, list[str]]:
    """What each mapped column is used as, in the order of params.yaml's fields; annotations: the role's own names."""
    if source.columns is not None:
        chosen = {name: name for name in vars(source.columns) if not name.endswith("_value")}
        holder: Any = source.columns
    else:
        chosen, holder = USES, source
    found: dict[str, list[str]] = {}
    for name, use in chosen.items():
        for column in listed(getattr(holder, name)):
            found.setdefault(column, []).append(use)
    return found


def mapped_columns(source: Mapped | Documents) -> list[str]:
    """The columns a source maps, each once, in the order of params.yaml's fields."""
    return list(uses(source))


def listed(value: str | list[str] | dict[str, str] | None) -> list[str]:
    """The columns that a field of a source names."""
    if isinstance(value, dict):
        return list(value.values())
    return [value] if isinstance(value, str) else list(value or [])


# ---------------------------------------------------------------- where the data lie


def is_sqlite(url: str) -> bool:
    return url.startswith("jdbc:sqlite:")


def sqlite_path(root: Path, url: str) -> Path:
    """The file in a jdbc:sqlite: url; relative paths are relative to the project's root."""
    return root / url.removeprefix("jdbc:sqlite:")


def relation(source: Database) -> str:
    """The table or query in SQL, called t; schema.table becomes "schema"."table"."""
    if source.table:
        return f"{'.'.join(map(quoted, source.table.split('.')))} as t"
    return f"({cast(str, source.query).strip().rstrip(';')}) as t"


def _refuse_bytes(name: str, files: Iterable[str]) -> None:
    """UserError for the first name that is not text: Spark could not open the file."""
    for file in files:
        try:
            file.encode("utf-8")
        except UnicodeError:
            raise UserError(f"the name of the file {file!a} of source {name} is not valid UTF-8; rename it") from None


def landed_pages(root: Path, name: str, source: Api) -> list[Path]:
    """The landed pages in their order. UserError when there is none."""
    folder = root / source.landing
    pages = [folder / page for page in sorted(os.listdir(folder)) if _PAGE.fullmatch(page)] if folder.is_dir() else []
    if not pages:
        raise UserError(f"no page of source {name} has landed in {source.landing}; run `finelake pull {name}`")
    return pages


def matched_files(root: Path, name: str, source: Files) -> list[Path]:
    """The files that the path matches, sorted. UserError when there is none."""
    pattern = expand(source.path, name)
    _refuse_unreadable(root, name, pattern)
    # Below the root, whose own name may hold [ or *.
    found = sorted(root / path for path in glob.glob(pattern, root_dir=root, recursive=True))
    _refuse_bytes(name, map(str, found))
    if not found:
        raise UserError(f"no file matches {source.path} of source {name}; correct sources.{name}.path")
    folders = [path for path in found if path.is_dir()]
    if folders:
        raise UserError(f"{folders[0]} of source {name} is a folder; write sources.{name}.path: {source.path}/*")
    return found


def _refuse_unreadable(root: Path, name: str, pattern: str) -> None:
    """UserError for a folder that a pattern leads through and that cannot be listed: glob would leave it out."""
    for parent in Path(pattern).parents:
        for folder in [root / path for path in glob.glob(str(parent), root_dir=root, recursive=True)]:
            if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
                raise UserError(f"the folder {folder} of source {name} cannot be read; give this user access to it")


def dig(item: Any, path: str) -> Any:
    """The value at a path such as customer.id, or None."""
    if isinstance(item, dict) and path in item:
        return item[path]
    for part in path.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return item
