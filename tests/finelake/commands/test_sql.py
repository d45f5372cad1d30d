"""`finelake sql`: which tables it reads and where the answer goes."""

import io
import os
import stat

import pytest


def test_a_revision_is_queried(finelake):
    query = "select count(*) as rows from clean.records"
    assert finelake("sql", query)[1].split() == ["rows", "----", "5"]
    assert finelake("sql", "--rev", "old", query)[1].split() == ["rows", "----", "4"]


def test_a_file_is_written_where_the_command_was_given(finelake, revised, monkeypatch):
    below = revised / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert finelake("sql", "--format", "json", "--output", "a.json", "select 1 as a") == (0, "", "")
    assert (below / "a.json").read_text() == '{"a":1}\n'


def test_a_query_that_fails_leaves_the_old_file(finelake, revised):
    (revised / "old.csv").write_text("kept")
    query = "select (case when range = 90000 then 'x' else '1' end)::int from range(100000)"
    assert finelake("sql", "--format", "csv", "--output", "old.csv", query)[0] == 2
    assert (revised / "old.csv").read_text() == "kept"
    assert not list(revised.glob("*.part")) and not list(revised.glob(".*.part"))


def test_a_pipe_is_not_replaced(finelake, revised):
    os.mkfifo(revised / "pipe")
    code, out, err = finelake("sql", "--format", "csv", "--output", "pipe", "select 1")
    assert (code, out, err.count("\n")) == (2, "", 1) and "pipe is not a regular file" in err
    assert stat.S_ISFIFO((revised / "pipe").stat().st_mode)
    (revised / "pipe").unlink()


def test_the_owner_reads_files_and_another_program_only_the_tables(finelake, revised):
    (revised / "own.csv").write_text("a\n7\n")
    assert finelake("sql", "from 'own.csv'")[1].split() == ["a", "-", "7"]
    code, out, err = finelake("sql", "--tables-only", "from 'own.csv'")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "reads more than the pinned tables" in err
    query = "select count(*) as rows from clean.records"
    assert finelake("sql", "--tables-only", query)[1].split() == ["rows", "----", "5"]
    assert finelake("sql", "--tables-only", "--rev", "old", query)[1].split() == ["rows", "----", "4"]
    assert finelake("sql", "--tables-only", "--format", "csv", "--output", "a.csv", query) == (0, "", "")
    assert (revised / "a.csv").read_text() == "rows\n5\n"


@pytest.mark.parametrize("space", ["", "\u00a0", "\u3000", "/**/"])
@pytest.mark.parametrize("options", [(), ("--tables-only",)])
def test_a_query_that_logs_into_a_file_is_refused(finelake, revised, options, space):
    logging = f"enable_logging{space}(level='trace', storage='file', storage_path='logged', storage_buffer_size=0)"
    query = f"from {logging}, clean.records, (select write_log{space}('any text', level := 'error')) x"
    code, out, err = finelake("sql", *options, query)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the function" in err and "is refused: it does more than read" in err
    assert not (revised / "logged").exists()


def test_an_output_keeps_its_mode_or_is_read_only(finelake, revised):
    path = revised / "kept.csv"
    path.touch()
    path.chmod(0o600)
    assert finelake("sql", "--format", "csv", "--output", "kept.csv", "select 1 as a") == (0, "", "")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("a\n1\n", 0o600)
    path.chmod(0o444)
    code, out, err = finelake("sql", "--format", "csv", "--output", "kept.csv", "select 2 as a")
    assert (code, out, err.count("\n")) == (2, "", 1) and "kept.csv is read-only; make it writable" in err
    assert path.read_text() == "a\n1\n"


def test_an_import_is_a_statement_that_does_not_read(finelake):
    for options in ((), ("--tables-only",)):
        err = finelake("sql", *options, "import database 'x'")[2]
        assert "a statement of type import is refused: a query only reads" in err


def test_a_table_shows_its_first_rows(finelake):
    _, out, _ = finelake("sql", "--limit", "2", "from range(3)")
    assert out.splitlines() == [
        "range",
        "-----",
        "    0",
        "    1",
        "the first 2 rows; --limit N shows more, --format csv all",
    ]


def test_a_plan_is_shown_unchanged(finelake):
    assert "READ_PARQUET" in finelake("sql", "explain from clean.records")[1]


def test_the_shell_lists_tables_and_answers(finelake, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(".tables\nselect 7 as seven;\n.quit\nselect 8;\n"))
    code, out, _ = finelake("sql")
    assert code == 0
    assert out.split() == ["table", "rows", "-------------", "----", "clean.records", "5", "seven", "-----", "7"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--output", "x", "select 1"), "--output needs a file format"),
        (("--output", "x", "--format", "csv"), "--output needs a query"),
        (("--rev", "older", "select 1"), "Git knows no revision older"),
        (("--memory", "much", "select 1"), "the memory limit 'much' is not a size"),
        (("drop view clean.records",), "a statement of type drop is refused"),
    ],
)
def test_a_mistake_reports_one_sentence(finelake, arguments, message):
    code, out, err = finelake("sql", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_parquet_is_refused_on_a_terminal(finelake, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "parquet cannot be shown on a terminal" in finelake("sql", "--format", "parquet", "select 1")[2]
