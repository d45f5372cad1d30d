"""Keys: those of the lake are those that the stages make."""

from hypothesis import given
from hypothesis import strategies as st

from finelake.jobs.ingest import record_id
from finelake.jobs.stage import load_stage
from finelake.lake import keys
from finelake.lake.config.stages import SPARK


def test_a_record_has_the_id_that_ingest_gives_it(spark):
    row = spark.createDataFrame([("tickets", "T1|中")], "source string, key string")
    assert row.select(record_id("source", "key")).first()[0] == keys.record_id("tickets", "T1|中")


def test_the_keys_are_columns_of_the_stages_tables():
    tables = {}
    for stage in SPARK:
        for table, schema in load_stage(stage).writes.items():
            tables.setdefault(table, []).append(set(schema.fieldNames()))
    assert set(keys.KEYS) <= set(tables)
    for table, key in keys.KEYS.items():
        assert all(set(key) <= columns for columns in tables[table])


VALUES = st.lists(st.text(alphabet="ab|\\", min_size=1, max_size=6), max_size=4)


@given(VALUES, VALUES)
def test_two_lists_of_values_never_give_the_same_key(one, other):
    assert (keys.joined(one) == keys.joined(other)) is (one == other)


def test_values_without_the_separator_are_joined_by_it():
    assert keys.joined(["x", "中 文", "1"]) == "x|中 文|1"
    assert keys.joined(["x|y", "z"]) == r"x\|y|z"
    assert keys.joined(["x", "y|z\\"]) == "x|y\\|z" + "\\" * 2
