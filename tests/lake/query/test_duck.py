"""DuckDB sees what is pinned, exactly."""

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from finelake.jobs.spark.commit import commit
from finelake.lake.errors import UserError
from finelake.lake.query import duck
from finelake.lake.query.duck import connect, run_query
from finelake.lake.tables import storage
from finelake.lake.tables.snapshots import Table, files, manifests, write_manifest


@pytest.fixture(scope="module")
def project(spark, tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    lake = str(root / "lake")
    frame = spark.createDataFrame([(1, "it's"), (2, "b")], "id int, name string")
    pinned = commit(frame, lake, "clean/records", frame.schema)
    commit(frame.limit(0), lake, "clean/records", frame.schema)  # a later version, not pinned
    nothing = commit(frame.limit(0), lake, "clean/rejects", frame.schema)
    write_manifest(root, "clean", {"records": pinned, "rejects": nothing})
    samples = spark.createDataFrame([("train", 10, "a"), ("train", 2, "b")], "part string, shard int, id string")
    samples = samples.repartition("part", "shard")
    write_manifest(
        root,
        "tokenize@my-run",
        {"samples": commit(samples, lake, "tokenize/my-run/samples", samples.schema, ("part", "shard"))},
    )
    return root, lake


def test_the_pinned_version_is_a_view(project):
    rows = run_query(connect(*project), "select * from clean.records order by id").fetchall()
    assert rows == [(1, "it's"), (2, "b")]


def test_a_table_without_rows_is_a_view_too(project):
    assert run_query(connect(*project), "select id, name from clean.rejects").fetchall() == []


def test_partition_columns_are_there(project):
    rows = run_query(connect(*project), 'select part, shard, id from "tokenize_my-run".samples order by id').fetchall()
    assert rows == [("train", 10, "a"), ("train", 2, "b")]


def test_a_wrong_query_reports_one_sentence(project):
    with pytest.raises(UserError, match=r'the query failed .*Did you mean "records"\?.* lists what there is$'):
        run_query(connect(*project), "select * from clean.recrods")


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("create table t (i int)", "create"),
        ("copy (select 1) to 'x.csv'", "copy"),
        ("insert into clean.records values (3, 'c')", "insert"),
        ("attach 'x.db'", "attach"),
        ("install httpfs", "load"),
        ("set threads = 1", "set"),
        ("call pragma_version()", "call"),
        ("explain analyze copy (select 1) to 'x.csv'", "copy"),
        ("explain (analyze, format json) delete from clean.records", "delete"),
        ("/* a */ explain /* b */ analyze -- c\n copy (select 1) to 'x.csv'", "copy"),
        ("explain analyse (select 1); drop schema clean", "explain"),
        ("import database 'there'", "import"),
    ],
)
def test_a_statement_that_does_not_read_is_refused(project, statement, kind):
    with pytest.raises(UserError, match=f"a statement of type {kind} is refused: a query only reads"):
        run_query(connect(*project), statement)


@pytest.mark.parametrize(
    "statement",
    [
        "export database 'made'",
        "/* select */ export database 'made'",
        "copy (select 1) to 'made'",
        "attach 'made'",
        "import database 'there'",
        "explain analyze copy (select 1) to 'made'",
        "prepare p as copy (select 1) to 'made'",
        "set temp_directory = 'made'",
        "select 1; export database 'made'",
        "from enable_profiling(save_location := 'made.json', format := 'json')",
        "from system.main.\"ENABLE_profiling\" /* x */ (save_location := 'made.json', format := 'json')",
        "summarize from enable_profiling(save_location := 'made.json', format := 'json')",
        "explain analyze from enable_profiling(save_location := 'made.json', format := 'json')",
        "pivot (from enable_logging(storage := 'file', storage_config := {'path': 'made'})) on 1",
        "from query('from ena' || 'ble_profiling(save_location := ''made.json'', format := ''json'')')",
        "from json_execute_serialized_sql(json_serialize_sql('select 1'))",
        "select * from clean.records where id = (select count(*) from enable_logging(storage := 'file'))",
    ],
)
def test_nothing_of_a_statement_is_run_before_it_is_refused(project, tmp_path, monkeypatch, statement):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "schema.sql").write_text("copy (select 1) to 'made';")
    (tmp_path / "there" / "load.sql").write_text("")
    with pytest.raises(UserError):
        connect(*project, query=statement, files=True)
    with pytest.raises(UserError):
        run_query(connect(*project, files=True), statement)
    assert os.listdir(tmp_path) == ["there"]


@pytest.mark.parametrize(
    "space", ["", " ", "\n", "/* ( */", "-- (\n", "\u00a0", "\u2003", "\u200b", "\u3000", "\ufeff"]
)
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from enable_logging{}(level = 'trace', storage = 'file', storage_path = 'made')", "enable_logging"),
        ("select write_log{}('text', level := 'error')", "write_log"),
        ("select \"WRITE_log\"{}('text')", "write_log"),
        ("from system{0}.{0}main{0}.{0}query{0}('select 1')", "query"),
        ("select * from (select 1) order by (select count(*) from checkpoint{}())", "checkpoint"),
        ("with recursive a as (from json_execute_serialized_sql{}('{{}}')) from a", "json_execute_serialized_sql"),
        ("explain analyze from enable_profiling{}()", "enable_profiling"),
        ("/* a */ explain (analyze, format json) (from enable_profiling{}())", "enable_profiling"),
        ("pivot (from enable_profiling{}()) on a", "enable_profiling"),
        ("from (pivot (select 1 as a, '\u3000' as b) on a) join write_log{}('text') on true", "write_log"),
    ],
)
def test_a_function_that_acts_is_refused_however_it_is_written(query, name, space):
    with pytest.raises(
        UserError, match=rf"the function {name} is refused|the query holds the space U\+[0-9A-F]+ outside"
    ):
        duck.check_reads(query.format(space))


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("select 'enable_profiling(' as query, count(*) from clean.records group by query order by (query)", 2),
        ("with query(checkpoint) as (select 5) select checkpoint, 6 from query", 6),
        ("with a (write_log) as (select 7) select write_log, (write_log) from a", 7),
        ("select\u00a01,\u30002", 2),
        ('pivot (select \'a\u3000\' as "x\u3000", 3 as b) -- \u3000\n on "x\u3000" using sum(b), sum(b)', 3),
        ("select 0, " + " || ".join(["'a'"] * 500), "a" * 500),
    ],
)
def test_words_that_only_look_like_such_functions_are_fine(project, query, answer):
    assert run_query(connect(*project, query=query), query).fetchall()[0][1] == answer


@pytest.mark.parametrize(
    "query",
    [
        "explain select 1",
        "-- a\nexplain select 1",
        "explain analyze select 1",
        "/* a */ explain /* b */ analyse (select 1)",
        "explain (select 1) limit 1",
        "explain (format json) select 1",
        "explain (analyze, format json) (((select 1)))",
        "explain pivot clean.records on name in ('a', 'b')",
        "describe clean.records",
        "summarize clean.records",
        "show all tables",
    ],
)
def test_statements_about_a_query_only_read(project, query):
    assert run_query(connect(*project, query=query), query).fetchall()


def test_an_explain_of_a_pivot_without_its_values_is_named():
    with pytest.raises(UserError, match="an explain of a pivot without its values is refused; write its values, as in"):
        duck.check_reads("explain pivot clean.records on name")


@pytest.mark.parametrize(
    "query",
    [
        "from read_text('/etc/hostname')",
        "from read_blob('/proc/self/environ')",
        "from read_csv('/etc/passwd')",
        "from '/etc/passwd.csv'",
        "from glob('/*')",
        "from glob('*')",
        "from sniff_csv('/etc/passwd')",
        "from read_parquet('{lake}/clean/*/*.parquet')",
        "from read_text('{lake}/../snapshots/clean.json')",
        "from read_csv('http://127.0.0.1:1/a.csv')",
        "from read_parquet('s3://bucket/a.parquet')",
        "select getenv('HOME')",
        "select * from clean.records where name = (select content from read_text('/etc/hostname'))",
        "pivot (from read_text('/etc/hostname')) on filename",
        "describe from read_csv('/etc/passwd')",
        "summarize from read_csv('/etc/passwd')",
        "explain analyze from read_csv('/etc/passwd')",
        "from query_table('/etc/passwd.csv')",
        "from root",  # a variable of this very function
    ],
)
def test_without_files_only_the_pinned_tables_can_be_read(project, query):
    root, lake = project
    query = query.format(lake=lake)
    for connection in (connect(root, lake, query=query), connect(root, lake)):
        with pytest.raises((UserError, duckdb.PermissionException)):
            run_query(connection, query).fetchall()


def test_without_files_the_tables_are_complete_and_access_stays_locked(project):
    connection = connect(*project)
    assert run_query(connection, "select count(*) from clean.records").fetchall() == [(2,)]
    assert run_query(connection, "select count(*) from clean.rejects").fetchall() == [(0,)]
    assert run_query(connection, 'select count(*) from "tokenize_my-run".samples').fetchall() == [(2,)]
    assert run_query(connection, "from duckdb_secrets()").fetchall() == []
    for change in ("set enable_external_access = true", "set allowed_directories = ['/']", "set allowed_paths = ['/']"):
        with pytest.raises(duckdb.Error):
            connection.execute(change)


def test_a_table_in_an_object_store_is_read_without_files(tmp_path, s3_lake):
    for name in ("pinned", "other"):
        filesystem, path = storage.filesystem(f"{s3_lake}/{name}.parquet")
        parquet.write_table(pa.table({"a": [name]}), path, filesystem=filesystem)
    connection = duck.open_database(tmp_path)
    duck._reach_object_store(connection)
    connection.execute("create schema clean")
    table = Table("clean/records", 1, "s" * 32, "c" * 32)
    duck.create_view(connection, ("clean", "records"), s3_lake, "clean", table, [f"{s3_lake}/pinned.parquet"])
    duck.confine(connection)
    assert run_query(connection, "select a from clean.records").fetchall() == [("pinned",)]
    for url in (f"{s3_lake}/other.parquet", f"{s3_lake}/*.parquet", f"{s3_lake}/other.parquet".replace("s3a", "s3")):
        with pytest.raises(UserError, match="reads more than the pinned tables"):
            run_query(connection, f"from read_parquet('{url}')").fetchall()
    secrets = run_query(connection, "select secret_string from duckdb_secrets()").fetchall()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(secrets)


def test_others_cannot_look_into_what_is_spilled(tmp_path):
    duck.open_database(tmp_path).close()
    assert stat.S_IMODE((tmp_path / duck.SCRATCH).stat().st_mode) == 0o700
    (tmp_path / duck.SCRATCH).chmod(0o775)
    duck.open_database(tmp_path).close()
    assert stat.S_IMODE((tmp_path / duck.SCRATCH).stat().st_mode) == 0o770


def test_only_one_statement_is_run_at_a_time(project):
    with pytest.raises(UserError, match="holds 2 statements; run one at a time"):
        run_query(connect(*project), "select 1; select 2")


def test_a_pivot_reads(project):
    assert run_query(connect(*project), "pivot clean.records on name using max(id)").fetchall() == [(2, 1)]


def test_statements_end_at_semicolons_outside_texts_and_comments():
    assert duck.split("select ';中'; -- a;b\nfrom t;; select") == (["select ';中'", " -- a;b\nfrom t"], " select")
    assert duck.split("select 1; -- the end") == (["select 1"], "")


@pytest.fixture
def broken(project):
    """The project while a data file of clean.records is away."""
    root, lake = project
    file = Path(files(lake, "clean", manifests(root)["clean"]["records"])[0])
    away = file.rename(file.with_name("away"))
    yield project
    away.rename(file)


def test_reports_a_damaged_file_in_one_sentence(project):
    root, lake = project
    file = Path(files(lake, "clean", manifests(root)["clean"]["records"])[0])
    whole = file.read_bytes()
    file.write_bytes(whole[:-8] + b"\xff" * 4 + whole[-4:])
    try:
        with pytest.raises(UserError, match="table clean/records.*(cannot be read|was altered)"):
            connect(root, lake)
    finally:
        file.write_bytes(whole)


def test_names_stages_that_differ_only_in_case(project, monkeypatch):
    root, lake = project
    found = manifests(root)["clean"]
    monkeypatch.setattr(duck, "manifests_at", lambda root, rev: {"tokenize@a": found, "tokenize@A": found})
    with pytest.raises(UserError, match="the stages of tokenize_a and tokenize_A differ only in case"):
        connect(root, lake, rev="old")


@pytest.mark.parametrize("query", ["select '\udcff'", "select 1\0"])
def test_a_query_that_is_not_text_reports_one_sentence(project, query):
    with pytest.raises(UserError, match="the query holds bytes that are not UTF-8 text"):
        connect(*project, query=query)


def test_a_query_needs_only_the_tables_that_it_names(broken):
    query = 'select count(*) from "TOKENIZE_my-run".samples s, clean.rejects as records'
    assert run_query(connect(*broken, query=query), query).fetchall() == [(0,)]
    with pytest.raises(UserError, match="rebuild it with `finelake repair clean`"):
        connect(*broken, query="from memory.clean.records")
    with pytest.raises(UserError, match="rebuild it with `finelake repair clean`"):
        connect(*broken)


def test_names_how_to_repair_a_table_of_another_revision(broken, monkeypatch):
    root, lake = broken
    monkeypatch.setattr(duck, "manifests_at", lambda root, rev: manifests(root))
    with pytest.raises(
        UserError, match="as old pins it; check old out, `dvc checkout` and run `finelake repair clean`"
    ):
        connect(root, lake, rev="old", query="from clean.records")


def test_a_query_that_names_no_table_sees_the_complete_ones(broken):
    tables = run_query(connect(*broken, query="show all tables"), "show all tables").project("schema, name").fetchall()
    assert sorted(tables) == [("clean", "rejects"), ("tokenize_my-run", "samples")]


def test_another_revision_is_queried(project, monkeypatch):
    root, lake = project
    monkeypatch.setattr(duck, "manifests_at", lambda root, rev: {rev: manifests(root)["clean"]})
    assert run_query(connect(root, lake, rev="old"), "select count(*) from old.records").fetchall() == [(2,)]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", "id,name,numbers\n1,it's,{a=1.5}\n2,b,{a=1.5}\n"),
        ("json", '{"id":1,"name":"it\'s","numbers":{"a":1.5}}\n{"id":2,"name":"b","numbers":{"a":1.5}}\n'),
    ],
)
def test_an_answer_is_streamed_as(project, form, text):
    connection = connect(*project)
    answer = run_query(connection, "select *, map {'a': 1.5::double} as numbers from clean.records order by id")
    out = io.BytesIO()
    duck.stream(connection, answer, form, out)
    assert out.getvalue().decode() == text


def test_a_parquet_file_round_trips(project, tmp_path):
    connection = connect(*project, files=True)
    duck.copy(run_query(connection, "from clean.records"), "parquet", str(tmp_path / "it's.parquet"))
    found = connection.read_parquet(str(tmp_path / "it's.parquet")).order("id").fetchall()
    assert found == [(1, "it's"), (2, "b")]


def test_a_reader_that_stops_stops_the_query(project):
    class Full(io.BytesIO):
        def write(self, _):
            raise BrokenPipeError

    connection = connect(*project)
    with pytest.raises(BrokenPipeError):
        duck.stream(connection, run_query(connection, "from range(1_000_000_000_000)"), "csv", Full())


def test_a_query_that_fails_midway_reports_one_sentence(project):
    connection = connect(*project)
    answer = run_query(connection, "select (case when range = 90000 then 'x' else '1' end)::int from range(100000)")
    with pytest.raises(UserError, match="Could not convert string 'x'"):
        duck.stream(connection, answer, "csv", io.BytesIO())


SPILLING = """
import os, sys
from pathlib import Path
from finelake.lake.query import duck
root = Path(sys.argv[1])
connection = duck.open_database(root, "60MB")
connection.execute("create table wide as select repeat(range::varchar, 10) from range(1000000)")
assert [path.name.rsplit("-", 2)[1] for path in (root / ".finelake").iterdir()] == [str(os.getpid())]
"""


def test_what_was_spilled_is_removed(tmp_path):
    abandoned = subprocess.Popen([sys.executable, "-c", ""])
    abandoned.wait()
    (tmp_path / ".finelake" / f"{duck.SPILLED}{abandoned.pid}-0a").mkdir(parents=True)
    subprocess.run([sys.executable, "-c", SPILLING, str(tmp_path)], check=True, env=os.environ)
    assert list((tmp_path / ".finelake").iterdir()) == []


def test_a_memory_limit_that_is_not_a_size_is_refused(tmp_path):
    with pytest.raises(UserError, match="the memory limit 'much' is not a size"):
        duck.open_database(tmp_path, "much")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda path: path.write_bytes(b"PAR1" + b"x" * 100),
            "table clean/records: DuckDB reports: .*; `finelake verify`",
        ),
        (lambda path: path.write_bytes(b""), "table clean/records: DuckDB reports: .*; `finelake verify`"),
        (lambda path: path.chmod(0), "table clean/records: .*: permission denied; give this user access to it"),
    ],
)
def test_a_file_that_cannot_be_read_names_its_table(tmp_path, ordinary_rights, damage, message):
    path = tmp_path / "a.parquet"
    damage((path.touch(), path)[1])
    connection = duck.open_database(tmp_path)
    connection.execute("create schema clean")
    table = Table("clean/records", 1, "0" * 32, "0" * 32)
    with ordinary_rights(), pytest.raises(UserError, match=message):
        duck.create_view(connection, ("clean", "records"), str(tmp_path), "clean", table, [str(path)])
