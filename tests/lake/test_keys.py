"""Keys: what the lake says of them is what the stages make."""

import importlib

from jobs import STAGES
from jobs.ingest import record_id
from lake import keys


def test_a_record_is_named_as_ingest_names_it(spark):
    row = spark.createDataFrame([("tickets", "T1|中")], "source string, key string")
    assert row.select(record_id("source", "key")).first()[0] == keys.record_id("tickets", "T1|中")


def test_the_keys_are_columns_of_the_stages_tables():
    tables = {}
    for stage in (*STAGES, "tokenize"):
        for table, schema in importlib.import_module(f"jobs.{stage}").STAGE.writes.items():
            tables.setdefault(table, []).append(set(schema.fieldNames()))
    assert set(keys.KEYS) <= set(tables)
    for table, key in keys.KEYS.items():
        assert all(set(key) <= columns for columns in tables[table])
