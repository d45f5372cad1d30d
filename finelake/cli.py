"""`finelake`: finds the project, runs the module of a command, and turns errors the user can fix into sentences."""

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence
from importlib import resources
from types import ModuleType

from finelake import __version__
from finelake.lake import limits
from finelake.lake.config.project import current_folder, find_root, settings
from finelake.lake.errors import UserError, exit_code
from finelake.lake.private import keep_dvc_private

DESCRIPTION = "From a company's records to a fine-tuned model, reproducibly."
NAMES = (
    *("setup", "demo", "init", "pull", "repro", "run", "submit", "sql", "history", "diff", "trace", "quality"),
    *("verify", "repair", "vacuum"),
)
# The module of each command, imported when the command is given, so that errors of the import are caught as well.
COMMANDS = {name: f"finelake.commands.{name}" for name in NAMES}


class Command(argparse.ArgumentParser):
    """The parser of one command; its module adds the arguments when the command is given."""

    def complete(self) -> ModuleType:
        """Add the arguments of the command's module, and return the module.

        UserError for limits of the process under which the imported libraries would abort.
        """
        limits.check()
        module = importlib.import_module(COMMANDS[self.prog.rpartition(" ")[2]])
        self.epilog = f"example:\n{module.EXAMPLE}"
        self.set_defaults(module=module)
        module.arguments(self)
        return module

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def, override]
        self.complete()
        return super().parse_known_args(args, namespace)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    top = argparse.ArgumentParser(prog="finelake", description=DESCRIPTION)
    top.add_argument("--version", action="version", version=f"finelake {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Command)
    for name in COMMANDS:
        summary = _summary(name)
        commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
    return top


def _summary(name: str) -> str:
    """The first line of a command's module, read without importing it."""
    with (resources.files("finelake.commands") / f"{name}.py").open(encoding="utf-8") as lines:
        return next(lines).strip().strip('"')


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exit code 2 and one sentence for an error the user can fix; a traceback is a fault of Finelake."""
    sys.exit(exit_code(lambda: _run(sys.argv[1:] if arguments is None else arguments), _written))


def _run(arguments: Sequence[str]) -> int | None:
    try:
        return _command(arguments)
    except ModuleNotFoundError as error:
        from finelake.extras import missing  # imported here, because most runs do not need it

        raise missing(error) or error from None


def _command(arguments: Sequence[str]) -> int | None:
    options = parser().parse_args([_readable(argument) for argument in arguments])
    keep_dvc_private()
    module: ModuleType = options.module
    if getattr(module, "NEEDS_PROJECT", True):
        options.root = find_root(current_folder())
        os.chdir(options.root)
    return module.main(options)


def _readable(argument: str) -> str:
    """An argument as text. UserError for one that is not valid text: it could be neither searched for nor printed."""
    try:
        # In a locale without UTF-8, Python keeps the bytes of other characters as lone surrogates.
        text = os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        raise UserError(f"the argument {argument!a} is not valid UTF-8; correct it") from None
    if "\0" in text:
        raise UserError(f"the argument {argument!a} holds a NUL character; remove it")
    if re.fullmatch("--[a-z-]+=--", text):  # argparse would make an empty list of it
        raise UserError(f"{text.removesuffix('=--')} has no value; write one after the =")
    return text


def _written() -> list[str]:
    """The folders to which a command writes."""
    try:
        root = find_root(current_folder())
        return [settings(root).lake, str(root)]
    except (UserError, OSError):
        return []


if __name__ == "__main__":
    main()
