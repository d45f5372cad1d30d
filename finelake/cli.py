"""`finelake`: one small module a command; this one finds the project and turns mistakes into sentences."""

import argparse
import os
import sys
from pathlib import Path

from finelake import (
    __version__,
    demo,
    diff,
    history,
    init,
    pull,
    quality,
    repair,
    repro,
    run,
    sql,
    submit,
    trace,
    vacuum,
    verify,
)
from lake.errors import UserError, disk_is_full, full_disk
from lake.private import keep_dvc_private
from lake.project import find_root, settings

DESCRIPTION = "From a company's records to a fine-tuned model, reproducibly."
COMMANDS = {
    "demo": demo,
    "init": init,
    "pull": pull,
    "repro": repro,
    "run": run,
    "submit": submit,
    "sql": sql,
    "history": history,
    "diff": diff,
    "trace": trace,
    "quality": quality,
    "verify": verify,
    "repair": repair,
    "vacuum": vacuum,
}


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="finelake", description=DESCRIPTION)
    top.add_argument("--version", action="version", version=f"finelake {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = str(module.__doc__).strip().split("\n")[0]
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(command)
    return top


def main(arguments: list[str] | None = None) -> None:
    """Run a command. Exit code 2 for a user's mistake, with one sentence; a traceback is our own fault."""
    options = parser().parse_args(arguments)
    module = COMMANDS[options.command]
    keep_dvc_private()
    try:
        if getattr(module, "NEEDS_PROJECT", True):
            options.root = find_root(Path.cwd())
            os.chdir(options.root)
        code = module.main(options)
    except BrokenPipeError:
        code = 0
    except UserError as error:
        print(f"finelake: {error}", file=sys.stderr)
        code = 2
    except Exception as error:
        if not disk_is_full(error):
            raise
        print(f"finelake: {full_disk(_written(options))}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.stdout.flush()
    sys.exit(code or 0)


def _written(options: argparse.Namespace) -> list[str]:
    """The folders that a command writes to."""
    root: Path = getattr(options, "root", Path.cwd())
    return [settings(root).lake, str(root)]


if __name__ == "__main__":
    main()
