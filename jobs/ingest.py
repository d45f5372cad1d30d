"""ingest: raw rows of every source become records, annotations and rejects.

A mapped number or fact that is missing (or no number) is a key with a null value, so that `clean` can impute it;
a missing text, business or split is null. A row is kept or rejected for one reason, the first that fits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from finelake.jobs.sources.columns import COLUMNS, DETAIL, ORDER, REASON, SOURCE
from finelake.jobs.sources.kinds import parse_sources
from finelake.jobs.sources.mapping import AnnotationColumns, ColumnMapping, listed
from finelake.jobs.sources.readers import union
from finelake.jobs.sources.source import Source
from finelake.jobs.stage import ANNOTATIONS, RECORDS, REJECTS, Frames, Stage, named, struct
from finelake.lake.config.contract import HUMAN_ROLES, LAYERS
from finelake.lake.keys import BETWEEN, SEPARATOR
from finelake.text.language import HAN_SHARE, KANA_SHARE, LETTERS, UNKNOWN, guess
from finelake.text.values import amount, written_date


@dataclass(frozen=True)
class Params:
    """The parsed section `sources` of params.yaml; ingest has no other parameters."""

    sources: dict[str, Source] = field(default_factory=dict)


UNPARSABLE = struct(record_id=StringType(), source=StringType(), column=StringType())
WHITE_SPACE = " \t\n\v\f\r"


def build(frames: Frames, params: Params) -> dict[str, DataFrame]:
    """Records, annotations and rejects of the raw frames, keyed "source.NAME", and the columns.

    Rows of a source = its records + its annotations whose role is not `source` + its rejects.
    """
    raw = {
        name: bounded(with_reader_columns(frames[f"source.{name}"]), source.mapping.max_characters)
        for name, source in params.sources.items()
    }
    sources = params.sources.items()
    rows = [shaped(raw[name], name, source) for name, source in sources if not source.mapping.columns]
    # Records, labels and rejects are taken from the same rows: judge them once.
    judged = [judged_records(union(rows)).persist()] if rows else []
    kept = [frame.where("reason is null") for frame in judged]
    given = [annotated(raw[name], name, columns) for name, source in sources if (columns := source.mapping.columns)]
    brought = [judged_annotations(union(given), kept).persist()] if given else []
    empty = next(iter(raw.values())).limit(0)
    records = union([select_records(frame) for frame in kept] or [_empty(empty, RECORDS)])
    labels = [source_labels(frame) for frame in kept] + [select_annotations(f.where("reason is null")) for f in brought]
    return {
        "records": records,
        "annotations": union(labels),
        "columns": frames["columns"],
        "unparsable": union([select_unparsable(frame) for frame in kept] or [_empty(empty, UNPARSABLE)]),
        "rejects": union([select_rejects(frame) for frame in judged + brought]),
    }


def balance(frames: Frames, outputs: Frames, params: Params) -> dict[str, tuple[int, int]]:
    """By source: its raw rows, and the records, annotations of its own rows and rejects that became of them."""
    rows = [
        frames[f"source.{name}"].select(F.col(SOURCE).alias("source"), F.lit(1).alias("before"))
        for name in params.sources
    ]
    out = [outputs["records"], outputs["annotations"].where("role <> 'source'"), outputs["rejects"]]
    parts = [*rows, *[frame.select("source", F.lit(0).alias("before")) for frame in out]]
    sums = union(parts).groupBy("source").agg(F.sum("before").alias("before"), F.count("*").alias("rows")).collect()
    return {row["source"]: (row["before"], row["rows"] - row["before"]) for row in sums}


def _empty(frame: DataFrame, schema) -> DataFrame:
    return frame.select([F.lit(None).cast(item.dataType).alias(item.name) for item in schema])


def with_reader_columns(raw: DataFrame) -> DataFrame:
    """`raw` with `_reason`, `_detail` and `_order`, null where its reader gave none."""
    missing = [name for name in (REASON, DETAIL, ORDER) if name not in raw.columns]
    return raw.select("*", *[F.lit(None).cast("string").alias(name) for name in missing])


def bounded(raw: DataFrame, max_characters: int) -> DataFrame:
    """`raw` without values above `max_characters`; a row that had one has the reason too_large, the columns as detail.

    So no later expression meets a value that a batch or an executor could not hold.
    """
    values = value_columns(raw)
    large = {name: F.length(named(name)) > max_characters for name in values}
    found = F.concat_ws(",", *[F.when(large[name], F.lit(name)) for name in values])
    return raw.select(
        SOURCE,
        *[F.when(~large[name], named(name)).alias(name) for name in values],
        F.coalesce(REASON, F.when(found != "", "too_large")).alias(REASON),
        F.coalesce(DETAIL, F.when(found != "", found)).alias(DETAIL),
        ORDER,
    )


def value_columns(raw: DataFrame) -> list[str]:
    """The source's own columns."""
    return [name for name in raw.columns if name not in (SOURCE, REASON, DETAIL, ORDER)]


# ---------------------------------------------------------------- records


def shaped(raw: DataFrame, name: str, source: Source) -> DataFrame:
    """The columns in the records' shape, not yet judged: `time` is still text. Those that nothing maps are facts."""
    mapping = source.mapping
    text = joined(mapping.text, "\n")
    mapped = mapping.mapped_columns()
    taken = [name for name in value_columns(raw) if name not in mapped]
    numbers = {column: number(column, mapping, source.declares_types) for column in mapping.numbers}
    lost = [F.when(present(column).isNotNull() & value.isNull(), F.lit(column)) for column, value in numbers.items()]
    inexact = F.concat_ws(",", *[F.when(is_inexact(name), F.lit(name)) for name in mapping.numbers])
    return raw.select(
        F.lit(name).alias("source"),
        joined_key(mapping.key).alias("source_key"),
        day_first(chosen(mapping.occurred_at, mapping.occurred_at_value), mapping.day_first).alias("time"),
        F.lit(mapping.occurred_at).alias("time_column"),
        chosen(mapping.business, mapping.business_value).alias("business"),
        language(chosen(mapping.lang, mapping.lang_value), text).alias("lang"),
        text.alias("text"),
        keyed([*mapping.numbers], numbers.__getitem__, "map<string,double>").alias("numbers"),
        F.array_compact(F.array(*lost)).cast("array<string>").alias("unparsable"),
        keyed([*mapping.facts, *taken], present, "map<string,string>", split=mapping.split).alias("facts"),
        keyed(list(mapping.labels), lambda layer: present(mapping.labels[layer]), "map<string,string>").alias("labels"),
        inexact.alias("inexact"),
        F.col(REASON).alias("reason"),
        F.col(DETAIL).alias("detail"),
        F.col(ORDER).alias("order"),
    )


def present(column: str) -> Column:
    """A column as trimmed text, null where that is empty."""
    value = F.btrim(named(column).cast("string"), F.lit(WHITE_SPACE))
    return F.when(value != "", value)


def number(column: str, mapping: ColumnMapping, declares_types: bool) -> Column:
    """A column as a finite double, null where it is none; in a source without types also 1,200.50 (text/values.py)."""
    text = F.trim(named(column).cast("string"))
    plain = _finite(text.try_cast("double"))
    if declares_types:
        return plain
    if mapping.decimal == ",":
        plain = F.when(~text.contains("."), plain)
    return F.coalesce(plain, _amount(F.when(plain.isNull() & (text != ""), text), mapping, column))


def _finite(value: Column) -> Column:
    return F.when(~F.isnan(value) & (F.abs(value) != float("inf")), value)


def _amount(text: Column, mapping: ColumnMapping, column: str) -> Column:
    read = partial(amount, decimal=mapping.decimal, units=mapping.units.get(column, ()))

    @F.pandas_udf("double")  # type: ignore[call-overload]
    def amounts(texts: pd.Series) -> pd.Series:
        return texts.map(read, na_action="ignore").astype(float)

    return amounts(text)


def is_inexact(column: str) -> Column:
    """Whether a column holds a whole number, written in digits, that no double equals: one above 2**53."""
    whole = F.regexp_extract(F.trim(named(column).cast("string")), r"^([+-]?\d{16,})(\.0*)?$", 1)
    return (whole != "") & ~F.coalesce(
        whole.try_cast("double").try_cast("bigint") == whole.try_cast("bigint"), F.lit(False)
    )


def chosen(column: str | None, constant: str | None) -> Column:
    """The column, else the constant, else null."""
    return present(column) if column else F.lit(constant).cast("string")


def joined(columns: str | list[str] | None, separator: str) -> Column:
    """The columns' values with the separator between; missing ones are left out."""
    values = [present(name) for name in listed(columns)]
    line = F.concat_ws(separator, *values)
    return F.when(F.coalesce(*values).isNotNull(), line) if values else F.lit(None).cast("string")


def joined_key(columns: str | list[str] | None) -> Column:
    """The columns' values as one key, null where one is missing; several columns are joined as by `keys.joined`."""
    values = [present(name) for name in listed(columns)]
    if len(values) == 1:
        return values[0]
    escaped = [F.regexp_replace(value, r"([\\|])", r"\\$1") for value in values]
    whole = reduce(lambda a, b: a & b, [value.isNotNull() for value in values], F.lit(bool(values)))
    return F.when(whole, F.concat_ws(BETWEEN, *escaped))


def keyed(names: list[str], value, kind: str, split: str | None = None) -> Column:
    """A map from each name to its value (null where missing); a given split stands under the name `split`."""
    pairs = {name: value(name) for name in names} | ({"split": present(split)} if split else {})
    entries = [part for name, item in pairs.items() for part in (F.lit(name), item)]
    return (F.create_map(*entries) if entries else F.create_map()).cast(kind)


def language(mapped: Column, text: Column) -> Column:
    """ISO 639: the mapped value (zh-CN counts as zh) where there is one, else told from the first LETTERS characters.

    Chinese where more than HAN_SHARE of the letters are Han, Japanese where there are kana among them, `und` without
    letters, all else as text/language.py guesses.
    """
    told = F.lower(F.regexp_extract(mapped, r"^([A-Za-z]{2,3})(?:$|[-_])", 1))
    start = F.substring(text, 1, LETTERS)
    letters, han, kana = (F.length(F.regexp_replace(start, f"[^{kind}]", "")) for kind in SCRIPTS)
    script = F.when(letters == 0, UNKNOWN).when(kana > KANA_SHARE * letters, "ja").when(han > HAN_SHARE * letters, "zh")
    guessed = _guessed(F.when(mapped.isNull() & script.isNull(), start))
    return F.when(mapped.isNull(), F.coalesce(script, guessed, F.lit(UNKNOWN))).otherwise(
        F.when(told != "", told).otherwise(UNKNOWN)
    )


def _guessed(text: Column) -> Column:
    @F.pandas_udf("string")  # type: ignore[call-overload]
    def guesses(texts: pd.Series) -> pd.Series:
        return texts.map(guess, na_action="ignore").astype(object)

    return guesses(text)


SCRIPTS = (r"\p{L}", r"\p{IsHan}", r"\p{IsHiragana}\p{IsKatakana}")


def day_first(text: Column, first: bool | None) -> Column:
    """A time with a date such as 03/04/2023, the year in front; as it is where the source names no order."""
    if first is None:
        return text
    order = "$3-$2-$1" if first else "$3-$1-$2"
    return F.regexp_replace(text, r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?!\d)", order)


def instant(text: Column) -> Column:
    """A time as a UTC timestamp, null where it is none.

    ISO 8601 (also with / or 年月日时分秒) with or without a time and a zone, yyyymmdd, yyyymmddHHMMSS, epoch seconds (9
    to 11 digits), milliseconds (12 or 13), dates with English names of months (text/values.py). No zone = the
    session's, which jobs/spark/session.py sets to UTC.
    """
    chinese = F.regexp_replace(text, r"日 ?(\d{1,2})[时時点點:](\d{1,2})(?:[分:](\d{1,2}))?[分秒]?$", "日 $1:$2:$3")
    dated = F.regexp_replace(chinese, r"^(\d{4})[年/.-](\d{1,2})[月/.-](\d{1,2})日?", "$1-$2-$3")
    dated = F.regexp_replace(dated, r":$", "")
    compact = F.regexp_replace(text, r"^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d))?$", "$1-$2-$3 $4:$5:$6")
    compact = F.regexp_replace(compact, r" ::$", "")
    epoch = text.try_cast("decimal(24,6)")
    seconds = F.when(text.rlike(r"^\d{9,11}(\.\d+)?$"), epoch).when(text.rlike(r"^\d{12,13}(\.0*)?$"), epoch / 1000)
    return (
        F.when(seconds.isNotNull(), F.timestamp_micros((seconds * 1_000_000).cast("bigint")))
        .when(text.rlike(r"^(\d{8}|\d{14})$"), compact.try_cast("timestamp"))
        .when(dated.rlike(r"^\d{4}-\d{1,2}-\d{1,2}([T ].*)?$"), dated.try_cast("timestamp"))
        .otherwise(_written(F.when(text.rlike("[A-Za-zＡ-Ｚａ-ｚ]{3}"), text)).try_cast("timestamp"))
    )


def _written(text: Column) -> Column:
    @F.pandas_udf("string")  # type: ignore[call-overload]
    def dates(texts: pd.Series) -> pd.Series:
        return texts.map(written_date, na_action="ignore").astype(object)

    return dates(text)


def judged_records(rows: DataFrame) -> DataFrame:
    """`rows` with record_id, occurred_at and the reason (null = kept) with its detail.

    Of good rows with the same key one is kept: of landed pages the latest, else the one with the smallest content hash.
    """
    dated = rows.select("*", record_id("source", "source_key"), instant(F.col("time")).alias("occurred_at"))
    single = dated.withColumn("reason", first_reason(ROW_RULES))
    same_key = Window.partitionBy("source", "source_key", F.col("reason").isNull())
    order = same_key.orderBy(F.col("order").desc_nulls_last(), content_hash())
    again = F.col("reason").isNull() & (F.row_number().over(order) > 1)
    twice = F.when(F.col("order").isNotNull(), "superseded").otherwise("duplicate_key")
    detail = (
        F.when(F.col("reason").isin("no_time", "bad_time"), F.col("time_column"))
        .when(F.col("reason") == "inexact_number", F.col("inexact"))
        .otherwise(F.col("detail"))
    )
    return single.withColumns({"reason": F.when(again, twice).otherwise(F.col("reason")), "detail": detail})


ROW_RULES = {
    "no_key": "source_key is null",
    "empty": "text is null and not exists(map_values(numbers), value -> value is not null)",
    "no_time": "time is null",
    "bad_time": "occurred_at is null or occurred_at < timestamp'1900-01-01 00:00:00Z'"
    " or occurred_at >= timestamp'2101-01-01 00:00:00Z'",
    "inexact_number": "inexact <> ''",
}


def first_reason(rules: dict[str, str]) -> Column:
    """The reader's reason, else the name of the first rule that fits, else null."""
    return F.coalesce("reason", *[F.when(F.expr(rule), name) for name, rule in rules.items()])


def content_hash() -> Column:
    """sha256 of all that a row says."""
    names = ("time", "business", "lang", "text", "numbers", "facts", "labels")
    return F.sha2(F.to_json(F.struct(*names)), 256)


def record_id(source: str, key: str) -> Column:
    """First 32 hexadecimal digits of sha256(source, unit separator, key); null without a key."""
    return F.substring(F.sha2(F.concat(F.col(source), F.lit(SEPARATOR), F.col(key)), 256), 1, 32).alias("record_id")


# ---------------------------------------------------------------- annotations


def annotated(raw: DataFrame, name: str, columns: AnnotationColumns) -> DataFrame:
    """The rows of an annotations source in the annotations' shape, not yet judged."""
    start = present(columns.start).try_cast("int") if columns.start else F.lit(None).cast("int")
    # The quote is compared with the text letter by letter: not trimmed.
    quote = named(columns.quote).cast("string") if columns.quote else F.lit(None).cast("string")
    keyed_rows = raw.select(
        F.lit(name).alias("source"),
        chosen(columns.record_source, columns.record_source_value).alias("record_source"),
        joined_key(columns.record_key).alias("record_key"),
        chosen(columns.layer, columns.layer_value).alias("layer"),
        present(columns.annotator).alias("annotator"),
        chosen(columns.role, columns.role_value).alias("role"),
        present(columns.label).alias("label"),
        quote.alias("quote"),
        start.alias("start"),
        F.col(REASON).alias("reason"),
        F.col(DETAIL).alias("detail"),
    )
    return keyed_rows.select("*", record_id("record_source", "record_key"))


def judged_annotations(rows: DataFrame, kept: list[DataFrame]) -> DataFrame:
    """`rows` with the reason (null = kept); an annotation of a record that was not kept is an unknown_record."""
    known = union([frame.select("record_id") for frame in kept] or [rows.select("record_id").limit(0)])
    joined_rows = rows.join(known.withColumn("known", F.lit(True)), "record_id", how="left")
    return joined_rows.withColumn("reason", first_reason(ANNOTATION_RULES))


ANNOTATION_RULES = {
    "no_key": "record_id is null",
    "no_annotator": "annotator is null",
    "bad_layer": f"layer is null or layer not in {LAYERS}",
    "bad_role": f"role is null or role not in {HUMAN_ROLES}",
    "unknown_record": "known is null",
}


def source_labels(kept: DataFrame) -> DataFrame:
    """The labels that kept records carry themselves; a record without a label says nothing."""
    each = kept.select("record_id", "source", F.explode("labels").alias("layer", "label")).where("label is not null")
    null = F.lit(None).cast("string")
    return select_annotations(
        each.withColumns(
            {"annotator": F.col("source"), "role": F.lit("source"), "quote": null, "start": null.cast("int")}
        )
    )


# ---------------------------------------------------------------- the closing selects


def select_records(rows: DataFrame) -> DataFrame:
    return rows.select(*RECORDS.fieldNames())


def select_unparsable(rows: DataFrame) -> DataFrame:
    """The values under `numbers` that are there and no number; without the value, which may be personal."""
    return rows.select("record_id", "source", F.explode("unparsable").alias("column"))


def select_annotations(rows: DataFrame) -> DataFrame:
    return rows.select(*ANNOTATIONS.fieldNames())


def select_rejects(rows: DataFrame) -> DataFrame:
    return rows.where("reason is not null").withColumn("stage", F.lit("ingest")).select(*REJECTS.fieldNames())


def parse(content: Mapping[str, Any], run_name: str) -> Params:
    return Params(sources=parse_sources(content.get("sources")))


def ready(root: Path, params: Params, run_name: str) -> Params:
    """The same parameters. UserError where a source cannot be read, as far as one can see without Spark."""
    for name, source in params.sources.items():
        source.check(root, name)
    return params


def secrets(content: Mapping[str, Any]) -> set[str]:
    """The environment variables that reading the sources needs."""
    return {variable for source in parse(content, "").sources.values() for variable in source.variables()}


STAGE = Stage(
    reads=("sources",),
    writes={
        "records": RECORDS,
        "annotations": ANNOTATIONS,
        "columns": COLUMNS,
        "unparsable": UNPARSABLE,
        "rejects": REJECTS,
    },
    params=Params,
    build=build,
    balance=balance,
    parse=parse,
    ready=ready,
    secrets=secrets,
)
