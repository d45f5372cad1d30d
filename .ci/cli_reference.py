"""Write docs/cli.md: every command with its arguments, as the parsers know them. `make docs` runs it."""

import argparse
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from finelake import cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
COLUMNS = "100"  # of a usage line: the same page whatever the terminal
HEAD = """# Commands

Written by `make docs` from the parsers of the command line; change those, not this page.

A command runs in a project, in its folder or any folder below; only {outside} need none. Exit code 0: done; 1:
`finelake quality` found warnings only; 2: one sentence on stderr names the mistake and the fix; 130: Ctrl-C. Settings
come from the environment ([operating Finelake](operate.md#settings)). `finelake --version` prints the version,
`finelake COMMAND --help` the section of a command below.

| command | |
|---|---|
"""


def commands() -> dict[str, cli.Command]:
    """The parser of each command, with its arguments."""
    [action] = [a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction)]
    parsers: dict[str, cli.Command] = dict(action.choices)
    for parser in parsers.values():
        parser.complete()
    return parsers


def page() -> str:
    """docs/cli.md."""
    parsers = commands()
    rows = [f"| [{name}](#{name}) | {_cell(parser.description or '')} |" for name, parser in parsers.items()]
    outside = ", ".join(f"`{name}`" for name, parser in parsers.items() if not _needs_project(parser))
    with mock.patch.dict(os.environ, COLUMNS=COLUMNS):
        sections = [line for name, parser in parsers.items() for line in section(name, parser)]
    return HEAD.format(outside=outside) + "\n".join([*rows, *sections]) + "\n"


def section(name: str, parser: cli.Command) -> Iterator[str]:
    """The lines on one command: what it does, its usage, its arguments, examples."""
    module = parser.get_default("module")
    yield from ("", f"## {name}", "", inspect.getdoc(module) or "", "")
    yield from (f"    {line[len('usage: ') :]}" for line in parser.format_usage().splitlines())
    arguments = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    if arguments:
        yield from ("", "| argument | |", "|---|---|")
        yield from (f"| {_names(action)} | {_cell(_help(action))} |" for action in arguments)
    yield from ("", "Examples:", "")
    yield from (f"    {line.strip()}" for line in module.EXAMPLE.splitlines())


def _needs_project(parser: cli.Command) -> bool:
    return bool(getattr(parser.get_default("module"), "NEEDS_PROJECT", True))


def _names(action: argparse.Action) -> str:
    """How an argument is written: `--format {text,json}`."""
    value = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else None)
    if not action.option_strings:
        return f"`{value or action.dest}`"
    taken = "" if action.nargs == 0 else f" {value or action.dest.upper()}"
    return ", ".join(f"`{option}{taken}`" for option in action.option_strings).replace("|", "\\|")


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")


def _cell(content: str) -> str:
    return content.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
