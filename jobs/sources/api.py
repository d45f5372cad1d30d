"""HTTP APIs: the pages that `finelake pull` (pull.py) has landed."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from finelake.jobs.sources.columns import DETAIL, ORDER, REASON
from finelake.jobs.sources.readers import path_frame, text_schema
from finelake.jobs.sources.source import Mapped
from finelake.lake.errors import UserError

if TYPE_CHECKING:
    from finelake.jobs.sources.pull import PullResult

PAGE = re.compile(r"[0-9]{8}\.json")
JSON_TYPES = {int: "number", float: "number", str: "text", bool: "boolean", dict: "object", list: "array"}
JSON_TYPES[type(None)] = "null"
HALF = re.compile("[\ud800-\udfff]")  # half a surrogate pair
ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")  # a pair, or half of one, as JSON may write it


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

    @property
    def holder(self) -> str:
        return self.landing

    def variables(self) -> list[str]:
        """None: its pages have landed, and only `pull` needs them."""
        return []

    def declared(self, root: Path, name: str) -> dict[str, str] | None:
        landed_pages(root, name, self)
        return None

    def inferred(self, spark: SparkSession, root: Path, name: str) -> dict[str, str]:
        mapped = self.mapped_columns()
        return _item_types(spark, landed_pages(root, name, self), mapped) or dict.fromkeys(mapped, "null")

    def local_path(self, name: str) -> str | None:
        return self.landing

    def read(self, spark: SparkSession, root: Path, name: str, columns: Sequence[str]) -> DataFrame:
        return _read_pages(spark, landed_pages(root, name, self), columns)

    def pull(self, root: Path, name: str) -> "PullResult":
        """Land the new pages. UserError as pull.pull."""
        from finelake.jobs.sources import pull  # the libraries of HTTP: only where they are needed

        return pull.pull(root, name, self)


# ---------------------------------------------------------------- landed pages


def landed_pages(root: Path, name: str, source: Api) -> list[Path]:
    """The landed pages in their order. UserError when there is none."""
    pages = pages_in(root / source.landing)
    if not pages:
        raise UserError(f"no page of source {name} has landed in {source.landing}; run `finelake pull {name}`")
    return pages


def pages_in(landing: Path) -> list[Path]:
    """The pages in a landing folder, in their order; none where there is no folder."""
    if not landing.is_dir():
        return []
    return [landing / page for page in sorted(os.listdir(landing)) if PAGE.fullmatch(page)]


def page_path(landing: Path, number: int) -> Path:
    """The file of a page: its number in eight digits."""
    return landing / f"{number:08d}.json"


def page_items(path: Path) -> list[Any]:
    """The items of a landed page; one that is None where the page cannot be read.

    Half a surrogate pair, which some APIs send where they cut a text, becomes U+FFFD: no table can hold it.
    """
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
        items = json.loads(text)["items"]
        if HALF.search(text) or ESCAPE.search(text):
            items = json.loads(HALF.sub("\ufffd", json.dumps(items, ensure_ascii=False)))
    except (ValueError, KeyError, TypeError, RecursionError):
        return [None]
    return items if isinstance(items, list) else [None]


def dig(item: Any, path: str) -> Any:
    """The value at a path such as customer.id, or None."""
    if isinstance(item, dict) and path in item:
        return item[path]
    for part in path.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return item


# ---------------------------------------------------------------- their rows and types


def _read_pages(spark: SparkSession, pages: Sequence[Path], columns: Sequence[str]) -> DataFrame:
    def parse_pages(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for path in batch["path"]:
                yield pd.DataFrame(page_rows(Path(path), columns), columns=[*columns, REASON, DETAIL, ORDER])

    schema = text_schema([*columns, REASON, DETAIL, ORDER])
    return path_frame(spark, map(str, pages)).mapInPandas(parse_pages, schema)  # type: ignore[arg-type]


def page_rows(path: Path, columns: Sequence[str]) -> list[list[str | None]]:
    """The items of a landed page, one row each: the columns as text, reason, detail, order."""
    return [_item_row(item, columns, path, place) for place, item in enumerate(page_items(path))]


def _item_row(item: Any, columns: Sequence[str], path: Path, place: int) -> list[str | None]:
    order = f"{path.stem}#{place:06d}"
    corrupt: list[str | None] = [None] * len(columns) + ["corrupt_row", path.name, order]
    if not isinstance(item, dict):
        return corrupt
    try:
        return [as_text(dig(item, column)) for column in columns] + [None, path.name, order]
    except RecursionError:  # values in one another that could just be read, not written
        return corrupt


def as_text(value: Any) -> str | None:
    """A JSON value as text: texts as they are, everything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _item_types(spark: SparkSession, pages: Sequence[Path], mapped: Sequence[str]) -> dict[str, str]:
    """The JSON types of the items' keys and of the mapped paths, sorted; of several types "number|text"."""

    def types(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for path in batch["path"]:
                found = {pair for item in page_items(Path(path)) for pair in item_types(item, mapped).items()}
                yield pd.DataFrame(list(found), columns=["column", "type"])

    paths = path_frame(spark, map(str, pages))
    seen = paths.mapInPandas(types, "column string, type string")  # type: ignore[arg-type]
    rows = sorted(tuple(row) for row in seen.distinct().collect())
    found: dict[str, list[str]] = {}
    for column, kind in rows:
        found.setdefault(column, []).append(kind)
    # A null says nothing of the type where other items tell it.
    return {column: "|".join([kind for kind in kinds if kind != "null"] or kinds) for column, kinds in found.items()}


def item_types(item: Any, mapped: Sequence[str]) -> dict[str, str]:
    """The JSON type of each key of an item; a key under which mapped paths lie gives way to these."""
    if not isinstance(item, dict):
        return {}
    paths = [column for column in mapped if column not in item]
    values = {key: item[key] for key in item if not any(path.startswith(f"{key}.") for path in paths)}
    values |= {path: value for path in paths if (value := dig(item, path)) is not None}
    return {key: JSON_TYPES[type(value)] for key, value in values.items()}
