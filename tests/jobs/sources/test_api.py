"""Landed pages: which there are, and the rows and types of their items."""

import json

import pytest

from finelake.jobs.sources.api import as_text, dig, item_types, landed_pages, page_rows
from finelake.jobs.sources.pull import canonical
from finelake.lake.errors import UserError
from tests.jobs.sources.examples import API, parsed, raw, rows


def test_dig():
    assert dig({"a": {"b": 1}, "a.c": 2}, "a.b") == 1
    assert dig({"a": {"b": 1}, "a.c": 2}, "a.c") == 2
    assert dig({"a": [1]}, "a.b") is None


def test_pages_are_the_numbered_files_in_their_order(tmp_path):
    source = parsed(API)
    with pytest.raises(UserError, match="no page of source x has landed in landing; run `finelake pull x`"):
        landed_pages(tmp_path, "x", source)
    (tmp_path / "landing").mkdir()
    for name in ("00000010.json", "00000002.json", "_cursor.json", ".00000003.json.part", "1.json", "000000020.json"):
        (tmp_path / "landing" / name).touch()
    assert [page.name for page in landed_pages(tmp_path, "x", source)] == ["00000002.json", "00000010.json"]


def test_landed_pages_with_their_order(spark, tmp_path):
    landing = tmp_path / "landing"
    landing.mkdir()
    first = {"items": [{"id": 1, "at": "2020-01-01", "customer": {"name": "n"}, "body": "a"}, {"id": 2}]}
    (landing / "00000000.json").write_text(json.dumps(first))
    (landing / "00000001.json").write_text(json.dumps({"items": [{"id": 1, "body": True}]}))
    (landing / "00000002.json").write_text("{")
    (landing / "_cursor.json").write_text("{}")
    frame = raw(spark, tmp_path, API | {"facts": ["customer.name"]})
    assert rows(frame) == [
        ("x", "1", "2020-01-01", "a", "n", None, "00000000.json", "00000000#000000"),
        ("x", "1", None, "true", None, None, "00000001.json", "00000001#000000"),
        ("x", "2", None, None, None, None, "00000000.json", "00000000#000001"),
        ("x", None, None, None, None, "corrupt_row", "00000002.json", "00000002#000000"),
    ]


NESTED = "[" * 900 + "]" * 900


@pytest.mark.parametrize(
    ("page", "reasons"),
    [
        (b"", ["corrupt_row"]),
        (b"{", ["corrupt_row"]),
        (b"\xff", ["corrupt_row"]),
        (b"[]", ["corrupt_row"]),
        (b'{"items": 5}', ["corrupt_row"]),
        (b'{"items": "abc"}', ["corrupt_row"]),
        (b'{"items": {"a": 1}}', ["corrupt_row"]),
        (b'{"items": ' + b"[" * 100_000, ["corrupt_row"]),
        (b'{"items": [{"id": ' + b"9" * 5000 + b"}]}", ["corrupt_row"]),
        (b'{"items": [5, null, "a", [], {"id": 1}]}', ["corrupt_row"] * 4 + [None]),
        (b'{"items": [{"id": "\\ud800"}, {"id": 1, "\\udfff": 2}, {"id": 2}]}', [None] * 3),
        (b'{"items": []}', []),
    ],
)
def test_what_a_page_holds_is_a_row_or_a_reject(tmp_path, page, reasons):
    """One row per item, whatever it is; a page that cannot be read is one reject."""
    path = tmp_path / "00000007.json"
    path.write_bytes(page)
    found = page_rows(path, ["id"])
    assert [row[1] for row in found] == reasons
    assert [row[2:] for row in found] == [[path.name, f"00000007#{place:06d}"] for place in range(len(reasons))]


def test_an_item_nested_too_deeply_is_a_reject_of_its_own(tmp_path):
    path = tmp_path / "00000000.json"
    path.write_text(f'{{"items": [{{"id": 1}}, {{"id": {NESTED}}}, {{"id": 2, "other": {NESTED}}}]}}')

    def rows_at(depth: int) -> list:
        return rows_at(depth - 1) if depth else page_rows(path, ["id"])

    found = rows_at(60)  # as deep as a worker's stack
    reasons = [row[1] for row in found]
    assert reasons in (["corrupt_row"], [None, "corrupt_row", None], [None, None, None])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"null",
        b'{"items": 5}',
        b'{"items": {"a": 1}}',
        b'{"items": "ab"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ]
    + [b'{"items": [{"id": ' + b"9" * 5000 + b"}]}"]
    + [b'{"items": [{"id": ' + b"[" * levels + b"]" * levels + b"}]}" for levels in (990, 5000)],
)
def test_a_damaged_or_deep_landed_page_is_one_corrupt_row(tmp_path, content):
    path = tmp_path / "00000007.json"
    path.write_bytes(content)
    assert page_rows(path, ["id"]) == [[None, "corrupt_row", "00000007.json", "00000007#000000"]]


def test_half_a_surrogate_pair_in_a_landed_page_is_replaced(tmp_path):
    path = tmp_path / "00000000.json"
    path.write_bytes(canonical({"items": [{"id": "1", "a\ud800": "cut \ud83d"}]}))
    assert page_rows(path, ["id", "a\ufffd"]) == [["1", "cut \ufffd", None, "00000000.json", "00000000#000000"]]
    path.write_text(r'{"items": [{"id": "C:\\ud8", "a": "\ud83d\ude00 half \ud83d end"}]}')
    assert page_rows(path, ["id", "a"])[0][:2] == [r"C:\ud8", "😀 half \ufffd end"]


def test_item_types():
    item = {"id": 1, "x": 0.5, "t": "a", "b": True, "o": {}, "l": [], "n": None, "customer": {"name": "n", "age": 3}}
    assert item_types(item, ["id", "customer.name", "customer.city", "absent"]) == {
        **{"id": "number", "x": "number", "t": "text", "b": "boolean", "o": "object", "l": "array", "n": "null"},
        "customer.name": "text",
    }
    assert item_types([1], ["id"]) == {}


def test_values_as_text():
    assert [as_text(value) for value in (None, "é", 1.5, True, {"b": 1, "a": "é"})] == [
        *(None, "é", "1.5", "true", '{"a": "é", "b": 1}')
    ]
