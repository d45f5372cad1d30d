"""ingest on plain DataFrames: expected rows, whole."""

import hashlib
from datetime import UTC, datetime

import pytest
from pyspark.sql import functions as F

from finelake.jobs.ingest import STAGE, Params, balance, build, instant, language
from finelake.jobs.sources.columns import COLUMNS
from finelake.jobs.sources.kinds import parse_sources
from finelake.lake.config.contract import REJECT_REASONS
from finelake.lake.keys import joined

TICKETS = {
    "kind": "database",
    "url": "jdbc:sqlite:bank.db",
    "table": "tickets",
    "key": "id",
    "occurred_at": "at",
    "text": ["title", "body"],
    "business": "line",
    "numbers": ["score"],
    "facts": ["channel"],
    "labels": {"scene": "scene"},
    "split": "part",
}
TICKET_COLUMNS = "_source string, id string, at string, title string, body string, line string, score string, "
TICKET_COLUMNS += "channel string, scene string, part string"
COMPLAINTS = {
    "kind": "api",
    "url": "http://127.0.0.1/complaints",
    "landing": "landing",
    "key": "id",
    "occurred_at": "at",
    "text": "body",
    "business_value": "complaints",
    "lang": "lang",
}
COMPLAINT_COLUMNS = "_source string, id string, at string, body string, lang string, "
COMPLAINT_COLUMNS += "_reason string, _detail string, _order string"
JUDGED = {
    "kind": "files",
    "path": "labels.csv",
    "format": "csv",
    "role": "annotations",
    "columns": {
        "record_source": "source",
        "record_key": "ticket",
        "layer": "layer",
        "annotator": "who",
        "role_value": "annotator",
        "label": "label",
        "quote": "quote",
        "start": "start",
    },
}
JUDGED_COLUMNS = "_source string, source string, ticket string, layer string, who string, label string, "
JUDGED_COLUMNS += "quote string, start string"


def id_of(source: str, key: str) -> str:
    return hashlib.sha256(f"{source}\x1f{key}".encode()).hexdigest()[:32]


def utc(*parts: int) -> datetime:
    return datetime(*parts)


def rows(frame) -> list[tuple]:
    return sorted((tuple(row) for row in frame.collect()), key=repr)


@pytest.fixture(scope="module")
def built(spark):
    tickets = [
        ("tickets", "1", "2020-03-10T08:00:00+08:00", "Card", " lost ", "cards", "4", "app", "lost_card", "train"),
        ("tickets", "2", "1583798400", None, "我的卡丢了", " ", "many", None, None, None),
        ("tickets", "3", "2020-03-10", None, "  ", "cards", "2.5", "web", None, "test"),
        ("tickets", " ", "2020-03-10", None, "no key", None, None, None, None, None),
        ("tickets", "5", "2020-03-10", None, " ", None, "NaN", "web", None, None),
        ("tickets", "6", None, None, "no time", None, None, None, None, None),
        ("tickets", "7", "yesterday", None, "bad time", None, None, None, None, None),
        ("tickets", "8", "1650-01-01", None, "too early", None, None, None, None, None),
        ("tickets", "9", "2020-03-10", None, "same", None, None, None, "a", None),
        ("tickets", "9", "2020-03-10", None, "same", None, None, None, "a", None),
        ("tickets", "9", "never", None, "same", None, None, None, None, None),
    ]
    complaints = [
        ("complaints", "1", "2021-01-01 00:00:00", "old", "EN", None, "00000000.json", "00000000#000000"),
        ("complaints", "1", "2021-01-01 00:00:00", "new", "zh-Hans", None, "00000002.json", "00000002#000000"),
        ("complaints", "2", "2021-01-01 00:00:00", "text", "fr", None, "00000001.json", "00000001#000000"),
        ("complaints", None, None, None, None, "corrupt_row", "00000001.json", "00000001#000001"),
    ]
    judged = [
        ("judged", "tickets", "1", "entity", "ann", "PRODUCT", " lost ", "5"),
        ("judged", "tickets", "1", "entity", "bob", None, None, None),
        ("judged", "tickets", "6", "scene", "ann", "a", None, None),
        ("judged", "tickets", "1", "mood", "ann", "a", None, None),
        ("judged", "tickets", None, "scene", "ann", "a", None, None),
        ("judged", "tickets", "1", "scene", "", "a", None, None),
    ]
    params = Params(sources=parse_sources({"tickets": TICKETS, "complaints": COMPLAINTS, "judged": JUDGED}))
    frames = {
        "source.tickets": spark.createDataFrame(tickets, TICKET_COLUMNS).repartition(3),
        "source.complaints": spark.createDataFrame(complaints, COMPLAINT_COLUMNS),
        "source.judged": spark.createDataFrame(judged, JUDGED_COLUMNS),
        "columns": spark.createDataFrame([("tickets", "id", "text", "key")], COLUMNS),
    }
    outputs = {name: frame.cache() for name, frame in build(frames, params).items()}
    return frames, outputs, params


def test_records(built):
    def ticket(key, at, business, lang, text, score, **facts):
        numbers, facts = {"score": score}, {"channel": None, "split": None} | facts
        return (id_of("tickets", key), "tickets", key, at, business, lang, text, numbers, facts)

    def complaint(key, lang, text):
        at = utc(2021, 1, 1)
        return (id_of("complaints", key), "complaints", key, at, "complaints", lang, text, {}, {})

    expected = [
        ticket("1", utc(2020, 3, 10), "cards", "en", "Card\nlost", 4.0, channel="app", split="train"),
        ticket("2", utc(2020, 3, 10), None, "zh", "我的卡丢了", None),
        ticket("3", utc(2020, 3, 10), "cards", "und", None, 2.5, channel="web", split="test"),
        ticket("9", utc(2020, 3, 10), None, "en", "same", None),
        complaint("1", "zh", "new"),
        complaint("2", "fr", "text"),
    ]
    assert rows(built[1]["records"]) == sorted(expected, key=repr)


def test_rejects(built):
    expected = [
        (None, "tickets", "ingest", "no_key", None),
        (id_of("tickets", "5"), "tickets", "ingest", "empty", None),
        (id_of("tickets", "6"), "tickets", "ingest", "no_time", "at"),
        (id_of("tickets", "7"), "tickets", "ingest", "bad_time", "at"),
        (id_of("tickets", "8"), "tickets", "ingest", "bad_time", "at"),
        (id_of("tickets", "9"), "tickets", "ingest", "bad_time", "at"),
        (id_of("tickets", "9"), "tickets", "ingest", "duplicate_key", None),
        (id_of("complaints", "1"), "complaints", "ingest", "superseded", "00000000.json"),
        (None, "complaints", "ingest", "corrupt_row", "00000001.json"),
        (id_of("tickets", "6"), "judged", "ingest", "unknown_record", None),
        (id_of("tickets", "1"), "judged", "ingest", "bad_layer", None),
        (None, "judged", "ingest", "no_key", None),
        (id_of("tickets", "1"), "judged", "ingest", "no_annotator", None),
    ]
    assert rows(built[1]["rejects"]) == sorted(expected, key=repr)
    assert {row[3] for row in expected} <= set(REJECT_REASONS["ingest"])


def test_annotations(built):
    one = id_of("tickets", "1")
    expected = [
        (one, "tickets", "scene", "tickets", "source", "lost_card", None, None),
        (id_of("tickets", "9"), "tickets", "scene", "tickets", "source", "a", None, None),
        (one, "judged", "entity", "ann", "annotator", "PRODUCT", " lost ", 5),
        (one, "judged", "entity", "bob", "annotator", None, None, None),
    ]
    assert rows(built[1]["annotations"]) == sorted(expected, key=repr)


def test_columns_are_handed_on(built):
    assert rows(built[1]["columns"]) == [("tickets", "id", "text", "key")]


def test_every_raw_row_is_accounted_for(built):
    assert balance(*built) == {"tickets": (11, 11), "complaints": (4, 4), "judged": (6, 6)}


def test_outputs_have_the_declared_schemas(built):
    for name, schema in STAGE.writes.items():
        found = [(field.name, field.dataType.simpleString()) for field in built[1][name].schema]
        assert found == [(field.name, field.dataType.simpleString()) for field in schema]


def test_the_kept_duplicate_does_not_depend_on_order(spark):
    fields = {"kind": "files", "path": "x.csv", "format": "csv", "key": "id", "occurred_at_value": "2020-01-01"}
    params = Params(sources=parse_sources({"x": fields | {"text": "body"}}))
    raw = [("x", "1", f"text {number}") for number in range(9)]
    kept = set()
    for order in (raw, raw[::-1]):
        frame = spark.createDataFrame(order, "_source string, id string, body string").repartition(len(kept) + 1)
        kept.add(build({"source.x": frame, "columns": None}, params)["records"].collect()[0]["text"])
    assert len(kept) == 1


def test_a_taken_column_is_a_fact(spark):
    fields = {"kind": "files", "path": "x.csv", "format": "csv", "key": "id", "occurred_at_value": "2020-01-01"}
    params = Params(sources=parse_sources({"x": fields | {"text": "body", "facts": ["f"], "other_columns": "take"}}))
    frame = spark.createDataFrame(
        [("x", "1", "text", "a", " b ")], "_source string, id string, body string, f string, `a.b` string"
    )
    records = build({"source.x": frame, "columns": None}, params)["records"]
    assert records.collect()[0]["facts"] == {"f": "a", "a.b": "b"}


def test_amounts_are_read_and_what_is_no_number_is_recorded(spark):
    fields = {"kind": "files", "path": "x.csv", "format": "csv", "key": "id", "occurred_at": "at", "text": "t"}
    fields |= {"numbers": ["n", "months", "km"], "units": {"months": ["个月"], "km": "km"}, "day_first": True}
    given = [
        ("s", "1", "03/04/2023", "x", "¥1,200.50", "3 个月", "5 miles"),
        ("s", "2", "2023年5月1日", "x", "1.2万", "soon", "5 kg"),
        ("s", "3", "31.12.2023 10:00:00", "x", "1,20", None, "5"),
        ("s", "4", "12/31/2023", "x", "7", "4", None),
    ]
    columns = ["_source", "id", "at", "t", "n", "months", "km"]
    frame = spark.createDataFrame(given, ", ".join(f"{name} string" for name in columns))
    outputs = build(
        {"source.s": frame, "columns": spark.createDataFrame([], COLUMNS)}, Params(parse_sources({"s": fields}))
    )
    found = {row["source_key"]: (row["occurred_at"], row["numbers"]) for row in outputs["records"].collect()}
    assert found == {
        "1": (utc(2023, 4, 3), {"n": 1200.5, "months": 3.0, "km": 8.04672}),
        "2": (utc(2023, 5, 1), {"n": 12_000.0, "months": None, "km": None}),
        "3": (utc(2023, 12, 31, 10), {"n": None, "months": None, "km": 5.0}),
    }
    lost = [("2", "months"), ("2", "km"), ("3", "n")]
    assert rows(outputs["unparsable"]) == sorted((id_of("s", key), "s", column) for key, column in lost)
    assert [(row["reason"], row["detail"]) for row in outputs["rejects"].collect()] == [("bad_time", "at")]


def test_a_number_that_no_double_equals_and_a_value_too_large_are_rejects(spark):
    fields = {"kind": "files", "path": "x.csv", "format": "csv", "key": "id", "occurred_at_value": "2020-01-01"}
    fields |= {"text": "body", "numbers": ["n", "m"], "facts": ["f"], "max_characters": 30}
    params = Params(sources=parse_sources({"x": fields}))
    numbers = {
        "9007199254740992": 9007199254740992.0,
        "9007199254740993": None,
        "-9007199254740994.00": -9007199254740994.0,
        "12345678901234567890": None,
        "12345678901234568": 12345678901234568.0,
        "1.2345678901234567e19": 1.2345678901234567e19,
        "0.1000000000000000055": 0.1000000000000000055,
    }
    raw = [("x", number, "text", number, "1", None) for number in numbers]
    raw += [("x", "both", "text", "9007199254740993", "9007199254740993", None)]
    raw += [("x", "long", "t" * 31, "1", "1", "f" * 31), ("x", "full", "t" * 30, "1", "1", None)]
    columns = "_source string, id string, body string, n string, m string, f string"
    outputs = build({"source.x": spark.createDataFrame(raw, columns), "columns": None}, params)
    kept = {row["source_key"]: row["numbers"]["n"] for row in outputs["records"].collect()}
    assert kept == {key: value for key, value in numbers.items() if value is not None} | {"full": 1.0}
    assert rows(outputs["rejects"].select("record_id", "reason", "detail")) == sorted(
        [
            (id_of("x", "9007199254740993"), "inexact_number", "n"),
            (id_of("x", "12345678901234567890"), "inexact_number", "n"),
            (id_of("x", "both"), "inexact_number", "n,m"),
            (id_of("x", "long"), "too_large", "body,f"),
        ],
        key=repr,
    )


PAIRS = [("x|y", "z"), ("x", "y|z"), ("x\\", "|z"), ("x\\|", "z"), ("x", "z"), ("x\\", "z"), (" x ", "\\\\z")]


def test_a_key_of_several_columns_keeps_different_rows_apart(spark):
    records = {"kind": "files", "path": "a.csv", "format": "csv", "key": ["a", "b"], "occurred_at_value": "2024-01-01"}
    columns = {"record_source_value": "x", "record_key": ["k", "l"], "layer_value": "scene", "annotator": "who"}
    columns |= {"role_value": "annotator", "label": "label"}
    judged = {"kind": "files", "path": "b.csv", "format": "csv", "role": "annotations", "columns": columns}
    params = Params(parse_sources({"x": records | {"text": "body"}, "y": judged}))
    raw = [("x", *pair, "text") for pair in [*PAIRS, PAIRS[0], ("x", None), (None, "|"), (" ", "z")]]
    frames = {
        "source.x": spark.createDataFrame(raw, "_source string, a string, b string, body string"),
        "source.y": spark.createDataFrame(
            [("y", *pair, "w", f"l{place}") for place, pair in enumerate([*PAIRS, ("x", None)])],
            "_source string, k string, l string, who string, label string",
        ),
        "columns": None,
    }
    outputs = build(frames, params)
    expected = [joined(value.strip() for value in pair) for pair in PAIRS]
    assert rows(outputs["records"].select("source_key", "record_id")) == sorted(
        [(key, id_of("x", key)) for key in expected], key=repr
    )
    assert rows(outputs["annotations"].select("record_id", "label")) == sorted(
        [(id_of("x", key), f"l{place}") for place, key in enumerate(expected)], key=repr
    )
    assert sorted(row["reason"] for row in outputs["rejects"].collect()) == ["duplicate_key"] + ["no_key"] * 4


TIMES = {
    "2020-03-10": utc(2020, 3, 10),
    "2020/3/9 08:05": utc(2020, 3, 9, 8, 5),
    "2020年3月9日": utc(2020, 3, 9),
    "2020-03-10T08:00:00Z": utc(2020, 3, 10, 8),
    "2020-03-10T08:00:00.5+08:00": utc(2020, 3, 10, 0, 0, 0, 500000),
    "2020-03-10 08:00:00+00": utc(2020, 3, 10, 8),
    "2020-03-10T08:00:00-0500": utc(2020, 3, 10, 13),
    "20200310": utc(2020, 3, 10),
    "20200310120000": utc(2020, 3, 10, 12),
    "1583798400": utc(2020, 3, 10),
    "1583798400.25": utc(2020, 3, 10, 0, 0, 0, 250000),
    "1583798400000": utc(2020, 3, 10),
    "1583798400123": utc(2020, 3, 10, 0, 0, 0, 123000),
    "2020": None,
    "2020-13-01": None,
    "20201301": None,
    "10/03/2020": None,
    "2020年3月10日8时5分": utc(2020, 3, 10, 8, 5),
    "2020年3月10日 08:05:09": utc(2020, 3, 10, 8, 5, 9),
    "2020年3月10日8点5分9秒": utc(2020, 3, 10, 8, 5, 9),
    "2020年3月10日8时": None,
    "Mar 10, 2020": utc(2020, 3, 10),
    "10 March 2020 8:05 pm +0800": utc(2020, 3, 10, 12, 5),
    "March 2020": None,
    "soon": None,
    "99999999999999999999": None,
}


def test_instant(spark):
    frame = spark.createDataFrame([(text,) for text in TIMES], "text string")
    found = {row["text"]: row["at"] for row in frame.select("text", instant(F.col("text")).alias("at")).collect()}
    assert found == TIMES
    assert utc(1970, 1, 1).replace(tzinfo=UTC).timestamp() == 0


def test_language(spark):
    cases = [
        ("en-GB", "我", "en"),
        ("ZH", "text", "zh"),
        ("de", "text", "de"),
        ("French", "text", "und"),
        (None, "My card 我的", "zh"),
        (None, "My card is lost 我", "en"),
        (None, "Моя карта", "ru"),
        (None, "Ich habe meine Karte verloren und brauche eine neue", "de"),
        (None, "roll dice", "en"),
        (None, "$AAPL http://t.co/x", "en"),
        (None, "カードを失くした、再発行希望", "ja"),
        (None, "x" * 100_000 + "我" * 100_000, "en"),
        (None, "12345", "und"),
        (None, None, "und"),
    ]
    frame = spark.createDataFrame(cases, "lang string, text string, expected string")
    found = frame.select("lang", "text", language(F.col("lang"), F.col("text")).alias("found"))
    assert [tuple(row) for row in found.collect()] == cases
