"""The shell of `finelake sql`: statements end with a semicolon; an error does not end the shell."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from finelake.lake.errors import UserError, sentence
from finelake.lake.query.duck import split

HISTORY = Path(".finelake/sql_history")
GREETING = "End a statement with a semicolon; .tables lists the tables, .quit leaves."
PROMPT, CONTINUED = "finelake> ", "     ...> "


def run(root: Path, answer: Callable[[str], None], tables: Callable[[], None]) -> int:
    """Answer statements from the terminal or a pipe. Returns the exit code: 2 where one from a pipe failed."""
    terminal = sys.stdin.isatty()
    failures = 0
    with _line_editing(root / HISTORY) if terminal else contextlib.nullcontext():
        for statement in statements(input if terminal else lambda _: input()):
            try:
                _run(statement, answer, tables)
            except BrokenPipeError:
                raise
            except Exception as error:
                text = sentence(error)
                if text is None:
                    raise
                failures += 1
                print(f"finelake: {text}", file=sys.stderr)
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr)
            sys.stdout.flush()
    return 2 if failures and not terminal else 0


def _run(statement: str, answer: Callable[[str], None], tables: Callable[[], None]) -> None:
    if statement == ".tables":
        tables()
    elif statement.startswith("."):
        raise UserError(f"{statement} is not a command; the commands are .tables and .quit")
    else:
        answer(statement)


def statements(read: Callable[[str], str]) -> Iterator[str]:
    """Complete statements and commands from `read(prompt)`, which returns a line or raises EOFError, until .quit."""
    rest = ""
    while True:
        try:
            line = read(CONTINUED if rest else PROMPT)
        except EOFError:
            break
        except KeyboardInterrupt:  # Ctrl-C discards the input
            rest = ""
            print()
            continue
        command = "" if rest else line.strip().rstrip(";")
        if command == ".quit":
            return
        if command.startswith("."):
            yield command
            continue
        finished, rest = split(f"{rest}{line}\n")
        yield from finished
    if rest:
        yield rest


@contextlib.contextmanager
def _line_editing(history: Path) -> Iterator[None]:
    """Line editing with a history that is kept between sessions."""
    import readline

    print(GREETING)
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    try:
        yield
    finally:
        history.parent.mkdir(mode=0o700, exist_ok=True)
        readline.set_history_length(1000)
        readline.write_history_file(history)
