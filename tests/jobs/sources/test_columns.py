"""Columns: what becomes of each, and what is refused by name before Spark starts."""

import pytest

from finelake.jobs.sources.columns import Column, names_to_read, remark
from finelake.lake.errors import UserError
from tests.jobs.sources.examples import API, DATABASE, FILES, parsed

FOUND = {"id": "integer", "at": "text", "body": "text"}


def refused(fields: dict, found: dict[str, str]) -> str:
    with pytest.raises(UserError) as raised:
        parsed(fields).assign("x", found)
    return str(raised.value)


def test_a_column_that_nothing_maps_is_refused_unless_it_is_named():
    found = FOUND | {"branch": "text", "tier": "integer"}
    assert refused(DATABASE, found) == (
        "source x has columns that nothing maps: branch, tier; map them, list them under sources.x.ignored, "
        "or set sources.x.other_columns to ignore or take"
    )
    assert "nothing maps: tier; " in refused(DATABASE | {"ignored": ["branch", "gone"]}, found)


def test_what_becomes_of_each_column():
    found = FOUND | {"branch": "text", "tier": "integer"}
    mapped = [Column("id", "integer", "key"), Column("at", "text", "time"), Column("body", "text", "text,fact")]
    named = {"ignored": ["branch"], "facts": ["body"]}
    for other, used_as, said in [
        ("ignore", "ignored", "source x: columns that nothing maps are left out: tier"),
        ("take", "taken", "source x: columns that nothing maps are taken into facts: tier"),
    ]:
        source = parsed(DATABASE | named | {"other_columns": other})
        columns = source.assign("x", found)
        assert columns == [*mapped, Column("branch", "text", "ignored"), Column("tier", "integer", used_as)]
        assert names_to_read(source, columns) == ["id", "at", "body"] + (["tier"] if other == "take" else [])
        assert remark("x", source, columns) == said
    assert remark("x", source, columns[:4]) is None


@pytest.mark.parametrize("kind", ["integer", "BIGINT", "int32|int64", "decimal(38,18)", "decimal128(9, 2)", "double"])
def test_a_widened_number_is_taken(kind):
    columns = parsed(DATABASE | {"numbers": ["n"]}).assign("x", FOUND | {"n": kind})
    assert columns[-1] == Column("n", kind, "number")


@pytest.mark.parametrize(
    "kind", ["text", "VARCHAR(9)", "date", "interval day", "blob", "boolean", "array<int>", "int|text"]
)
def test_a_number_that_became_something_else_is_refused(kind):
    assert refused(DATABASE | {"numbers": ["n"]}, FOUND | {"n": kind}) == (
        f"source x: n is mapped under numbers, but its type is {kind}; "
        "map it under facts, or make it a number in the source"
    )


def test_a_key_that_became_a_floating_number_is_refused():
    assert refused(FILES | {"format": "parquet"}, FOUND | {"id": "double|int64"}) == (
        "source x: id is a key, but its type is double|int64, which writes 1 as 1.0; "
        "make it text or a whole number in the source"
    )


def test_texts_of_untyped_sources_may_be_numbers_objects_not():
    for kind in ("text", "number|text", "null"):
        assert parsed(API | {"numbers": ["n"]}).assign("x", FOUND | {"n": kind})[-1] == Column("n", kind, "number")
    assert "its type is number|object; " in refused(API | {"numbers": ["n"]}, FOUND | {"n": "number|object"})


def test_a_mapped_column_that_vanished_is_refused():
    assert refused(API, {"id": "number", "at": "text", "bodi": "text"}) == (
        "source x: landing has no column body; did you mean bodi?"
    )


def test_names_that_would_be_mixed_up_are_refused():
    take = DATABASE | {"other_columns": "take"}
    assert refused(take, FOUND | {"_source": "text"}) == (
        "source x: Finelake has a column _source of its own; list it under sources.x.ignored or rename it in the source"
    )
    assert "a column split of its own" in refused(take | {"split": "part"}, FOUND | {"part": "text", "split": "text"})
    assert "body and Body differ in case alone" in refused(take, FOUND | {"Body": "text"})
    assert len(parsed(DATABASE | {"ignored": ["_source", "Body"]}).assign("x", FOUND | {"Body": "text"})) == 4
