"""The shell: lines become statements, and an error does not end it."""

import io

from finelake import shell
from finelake.lake.errors import UserError


def reader(*lines: str):
    """A replacement for input() that gives the lines, raises those that are exceptions, and ends."""
    rest = list(lines)

    def read(prompt: str) -> str:
        if not rest:
            raise EOFError
        line = rest.pop(0)
        if isinstance(line, type):
            raise line
        return line

    return read


def test_statements_end_with_semicolons_and_with_the_input():
    read = reader("select 1", "as a;", ".tables", "select 2; select 3;", "from t -- ;")
    assert [statement.strip() for statement in shell.statements(read)] == [
        "select 1\nas a",
        ".tables",
        "select 2",
        "select 3",
        "from t -- ;",
    ]


def test_nothing_is_read_after_quit():
    assert list(shell.statements(reader("select 1;", ".quit", "select 2;"))) == ["select 1"]


def test_an_interrupt_discards_the_input(capsys):
    assert list(shell.statements(reader("selec", KeyboardInterrupt, "select 1;"))) == ["select 1"]


def test_an_error_does_not_end_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("select 1;\nbad;\nclosed;\n.tabels\n.tables\nselect 2;\n"))
    answered = []

    def answer(query: str) -> None:
        if query.strip() == "bad":
            raise UserError("no such thing;\nwrite \x1banother")
        if query.strip() == "closed":
            raise PermissionError(13, "Permission denied", "/a")
        answered.append(query.strip())

    assert shell.run(tmp_path, answer, lambda: answered.append("tables")) == 2
    assert answered == ["select 1", "tables", "select 2"]
    assert capsys.readouterr().err.splitlines() == [
        r"finelake: no such thing; write \x1banother",
        "finelake: /a: permission denied; give this user access to it and run the same command again",
        "finelake: .tabels is not a command; the commands are .tables and .quit",
    ]
