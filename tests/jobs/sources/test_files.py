"""Files: which a pattern finds, their columns, and their rows through Spark."""

import pyarrow as pa
import pyarrow.parquet
import pytest

from finelake.jobs.sources.files import matched_files
from finelake.lake.errors import UserError
from tests.jobs.sources.examples import FILES, parsed, raw, rows


def test_a_pattern_starts_at_the_project_and_reads_names_as_they_are(tmp_path):
    root = tmp_path / "p[1]"
    for folder in (root / "data" / "deep", tmp_path / "p1" / "data"):
        folder.mkdir(parents=True)
        (folder / "a.csv").touch()
    (root / "data" / "b.csv").touch()

    def found(path: str) -> list[str]:
        return [str(file.relative_to(root)) for file in matched_files(root, "x", parsed(FILES | {"path": path}))]

    assert found("data/*.csv") == ["data/b.csv"]
    assert found("data/**/*.csv") == ["data/b.csv", "data/deep/a.csv"]
    assert found(f"{root.parent}/p[[]1]/data/*.csv") == ["data/b.csv"]


def test_a_name_that_is_not_text_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a\udcff.csv").touch()
    with pytest.raises(UserError, match=r"a.udcff.* of source x is not valid UTF-8; rename it"):
        matched_files(tmp_path, "x", parsed(FILES))


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_a_folder_that_cannot_be_read_is_never_left_out(tmp_path, ordinary_rights, mode):
    """Its rows would be missing without a word."""
    for folder in (tmp_path / "data", tmp_path / "data" / "closed"):
        folder.mkdir()
        (folder / "a.csv").touch()
    folder.chmod(mode)
    with ordinary_rights():
        for pattern in ("data/**/*.csv", "data/*/*.csv", "data/closed/*.csv"):
            with pytest.raises(UserError, match="closed of source x cannot be read; give this user access to it"):
                matched_files(tmp_path, "x", parsed(FILES | {"path": pattern}))


def test_declared_types_of_files(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id,at,body\n")
    (tmp_path / "data" / "b.csv").write_text("id,at,body,extra\n")
    csv = {"id": "text", "at": "text", "body": "text", "extra": "text"}
    assert parsed(FILES).declared(tmp_path, "x") == csv
    for name, kind in (("a", pa.int32()), ("b", pa.int64())):
        table = pa.table({"id": pa.array([1], kind), "at": ["2020-01-01"], "body": ["b"]})
        pyarrow.parquet.write_table(table, tmp_path / "data" / f"{name}.parquet")
    parquet = parsed(FILES | {"path": "data/*.parquet", "format": "parquet"})
    assert parquet.declared(tmp_path, "x") == {"id": "int32|int64", "at": "string", "body": "string"}
    with pytest.raises(UserError, match="source x has columns that nothing maps: extra; "):
        parsed(FILES).check(tmp_path, "x")


def test_csv_with_quotes_line_breaks_and_corrupt_rows(spark, tmp_path):
    (tmp_path / "data").mkdir()
    lines = '\ufeffid,at,body\n1,2020-01-01,"a ""b"",\nc"\n2,2020-01-01\n3,x,y,z\n4,,é\n'
    (tmp_path / "data" / "a.csv").write_text(lines, encoding="utf-8")
    (tmp_path / "data" / "b.csv").write_text("body,extra,id,at\nlast,no,5,2020-01-02\n")
    frame = raw(spark, tmp_path, FILES | {"ignored": ["extra"]})
    assert rows(frame.drop("_detail", "_order")) == [
        ("x", "1", "2020-01-01", 'a "b",\nc', None),
        ("x", "2", "2020-01-01", None, "corrupt_row"),
        ("x", "3", "x", "y", "corrupt_row"),
        ("x", "4", None, "é", None),
        ("x", "5", "2020-01-02", "last", None),
    ]


def test_a_csv_without_a_key_counts_its_rows(spark, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train", "test"):
        (tmp_path / "data" / f"{name}.csv").write_text('text,category\n"a\nb",x\nc,y\n')
    fields = {"key": "_row", "occurred_at": None, "occurred_at_value": "2020-03-10", "text": "text"}
    frame = raw(spark, tmp_path, FILES | fields | {"labels": {"scene": "category"}})
    assert rows(frame.select("_row", "text", "category")) == [
        ("test.csv#1", "a\nb", "x"),
        ("test.csv#2", "c", "y"),
        ("train.csv#1", "a\nb", "x"),
        ("train.csv#2", "c", "y"),
    ]


def test_json_lines_and_parquet(spark, tmp_path):
    lines = ['{"id": 9007199254740993, "at": "2020-01-01", "body": "额"}', "{oops", '{"id": "2", "body": {"a": 1}}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    frame = raw(spark, tmp_path, FILES | {"path": "*.jsonl", "format": "jsonl"})
    assert rows(frame.drop("_detail", "_order")) == [
        ("x", "2", None, '{"a":1}', None),
        ("x", "9007199254740993", "2020-01-01", "额", None),
        ("x", None, None, None, "corrupt_row"),
    ]
    spark.sql("select 1L id, timestamp'2020-01-01' at, 'b' body").write.parquet(str(tmp_path / "p"))
    parquet = FILES | {"path": "p/*.parquet", "format": "parquet"}
    assert rows(raw(spark, tmp_path, parquet).select("id", "at", "body")) == [("1", "2020-01-01 00:00:00", "b")]
    with pytest.raises(UserError, match="has no column bodi; did you mean body"):
        raw(spark, tmp_path, parquet | {"text": "bodi"})


def test_files_are_read_under_their_own_names(spark, tmp_path):
    """In a name, [1] is no pattern, neither in the project's path nor in the file's."""
    for folder in ("p[1]", "p1"):
        (tmp_path / folder / "data").mkdir(parents=True)
    for place, name in enumerate(["a[1].csv", "a1.csv", "b{c,d}.csv", "bc.csv", "*.csv", "e?.csv", "中 文.csv"]):
        text = f"id,at,body\n{place},2020-01-01,x\0y\n"
        (tmp_path / "p[1]" / "data" / name).write_text(text, encoding="utf-8")
    (tmp_path / "p1" / "data" / "a.csv").write_text("id,at,body\n99,2020-01-01,other project\n")
    found = rows(raw(spark, tmp_path / "p[1]", FILES).select("id", "body", "_reason"))
    assert found == [(str(place), "x\0y", None) for place in range(7)]
    lines = tmp_path / "p[1]" / "data" / "a[1].jsonl"
    lines.write_text('{"id": 1, "at": "2020-01-01", "body": "a"}\n')
    (tmp_path / "p[1]" / "data" / "a1.jsonl").write_text('{"id": 2, "at": "2020-01-01", "body": "b"}\n')
    found = rows(
        raw(spark, tmp_path / "p[1]", FILES | {"format": "jsonl", "path": "data/*.jsonl"}).select("id", "body")
    )
    assert found == [("1", "a"), ("2", "b")]


def test_columns_that_came_later_are_null_before(spark, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id,at,body\n1,2020-01-01,a\n")
    (tmp_path / "data" / "b.csv").write_text("id,at,body,`new` column\n2,2020-01-02,b,x\n")
    frame = raw(spark, tmp_path, FILES | {"other_columns": "take"})
    assert rows(frame.drop("_reason", "_detail", "_order")) == [
        ("x", "1", "2020-01-01", "a", None),
        ("x", "2", "2020-01-02", "b", "x"),
    ]
    assert "`new` column" in frame.columns


def test_parquet_files_of_several_schemas_are_read_in_full(spark, tmp_path):
    spark.sql("select 1 id, '2020-01-01' at, 'a' body, 1.5f n").write.parquet(str(tmp_path / "p" / "a"))
    spark.sql("select 4294967296L id, '2020-01-02' at, 'b' body, 0.1d n, 'x' new").write.parquet(
        str(tmp_path / "p" / "b")
    )
    fields = FILES | {"path": "p/*/*.parquet", "format": "parquet", "numbers": ["n"], "other_columns": "take"}
    assert rows(raw(spark, tmp_path, fields).select("id", "n", "new")) == [
        ("1", "1.5", None),
        ("4294967296", "0.1", "x"),
    ]
