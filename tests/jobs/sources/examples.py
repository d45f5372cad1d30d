"""A source of each kind as params.yaml has it, and what the tests of all kinds do with one."""

import sqlite3
from contextlib import closing

from finelake.jobs.sources.columns import names_to_read
from finelake.jobs.sources.kinds import parse_sources
from finelake.jobs.sources.readers import describe, read

COMMON = {"key": "id", "occurred_at": "at", "text": "body"}
DATABASE = {"kind": "database", "url": "jdbc:sqlite:bank.db", "table": "tickets"} | COMMON
FILES = {"kind": "files", "path": "data/*.csv", "format": "csv"} | COMMON
API = {"kind": "api", "url": "${BANK_API}/complaints", "landing": "landing"} | COMMON
JUDGED = {"kind": "files", "path": "j.csv", "format": "csv", "role": "annotations"}
JUDGED["columns"] = {"record_key": "k", "record_source_value": "x", "layer_value": "scene", "annotator": "who"}
JUDGED["columns"] |= {"role": "role", "label": "label"}
DOCUMENTS = {"kind": "documents", "path": "documents", "business_value": "documents"}


def parsed(fields: dict):
    return parse_sources({"x": fields})["x"]


def raw(spark, root, fields: dict):
    source = parsed(fields)
    return read(spark, root, "x", source, names_to_read(source.mapping, describe(spark, root, "x", source)))


def rows(frame) -> list[tuple]:
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def database(path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
