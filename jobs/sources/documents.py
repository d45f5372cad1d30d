"""A folder of documents: the text of PDF and DOCX files, page by page, by OCR where a page is a picture."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from finelake.jobs.sources.columns import Column
from finelake.jobs.sources.document.folder import document_files
from finelake.jobs.sources.document.headers import without_headers
from finelake.jobs.sources.document.reading import COLUMNS, Row, document_rows, ocr_row
from finelake.jobs.sources.mapping import ColumnMapping
from finelake.jobs.sources.readers import path_frame, text_schema
from finelake.jobs.sources.source import Source, expand
from finelake.lake.errors import UserError

LEAST_MEMORY = 100  # megabytes of a process that reads documents


@dataclass(frozen=True, kw_only=True)
class Documents(Source):
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

    @property
    def mapping(self) -> ColumnMapping:
        """The parser gives the columns, so they are not a choice of the user."""
        return ColumnMapping(
            key="key",
            occurred_at="occurred_at",
            text="text",
            facts=["file", "page", "part", "method", "header_lines"],
            business_value=self.business_value,
            lang_value=self.lang_value,
            max_characters=self.max_characters,
        )

    def check(self, root: Path, name: str) -> None:
        """UserError also where OCR is needed and not installed."""
        self.check_variables(name)
        document_files(self.folder(root, name), name)
        if self.ocr and find_spec("rapidocr") is None:
            raise UserError(
                f"source {name} reads pages that are pictures, and rapidocr is not installed; install it with "
                f"`pip install 'finelake[ocr]'`, or set sources.{name}.ocr: false"
            )

    def describe(self, spark: SparkSession, root: Path, name: str) -> list[Column]:
        return []

    def local_path(self, name: str) -> str | None:
        return expand(self.path, name)

    def read(self, spark: SparkSession, root: Path, name: str, columns: Sequence[str]) -> DataFrame:
        folder = self.folder(root, name)
        return _read_documents(path_frame(spark, document_files(folder, name)), folder, self)

    def folder(self, root: Path, name: str) -> Path:
        """The folder of the documents."""
        return root / expand(self.path, name)


def _read_documents(files: DataFrame, folder: Path, source: Documents) -> DataFrame:
    """The pages of the files (column `path`, relative to the folder), columns COLUMNS.

    Text layers by file, then OCR by page, so that those of one long scan spread over all cores, then by file what its
    pages share.
    """
    schema = text_schema(COLUMNS)

    def extract(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for file in batch["path"]:
                yield pd.DataFrame(document_rows(folder, file, source), columns=list(COLUMNS))

    def recognise(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            rows = [ocr_row(folder, row, source) for row in _rows(batch)]
            yield pd.DataFrame(rows, columns=list(COLUMNS))

    def compare(pages: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(without_headers(_rows(pages), source), columns=list(COLUMNS))

    pages = files.mapInPandas(extract, schema)  # type: ignore[arg-type]
    tasks = 4 * files.sparkSession.sparkContext.defaultParallelism
    recognised = pages.repartition(tasks, "key").mapInPandas(recognise, schema)  # type: ignore[arg-type]
    return recognised.groupBy("file").applyInPandas(compare, schema)


def _rows(frame: pd.DataFrame) -> list[Row]:
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
