"""The command line: every command and argument given odd values in a finished project.

Whatever the arguments say, the command answers or refuses in one sentence; no pinned file is lost, nothing beside the
project is written, and what is no regular file (a pipe, a socket, a link) is not replaced.
"""

import argparse
import importlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from finelake import cli
from tests.faults.outcomes import Ended, Outcome, call, classify, data_files, lost, run
from tests.faults.sizes import chosen, sizes

NO_JAVA = {"JAVA_HOME": "/nowhere"}  # whatever would start Spark ends in a sentence
# A call of each command that works, or ends in a sentence; one argument of it at a time is replaced.
CALLS: dict[str, tuple[str, ...]] = {
    "setup": (),
    "demo": (),
    "init": ("new",),
    "pull": ("notes",),
    "repro": ("split",),
    "run": ("clean",),
    "submit": ("clean",),
    "sql": ("select count(*) from clean.records",),
    "history": ("clean.records",),
    "diff": ("HEAD", ".", "mask.records"),
    "trace": ("notes/1",),
    "quality": ("parts_have_rows",),
    "verify": (),
    "repair": (),
    "vacuum": (),
}
# These start DVC, some seconds each; the others end in some milliseconds.
SLOW = ("repro", "init", "run", "submit")
SLOW_SHARE = 20
VALUES = [
    *("", " ", "\0", "a\0b", "\ud800", "\udcff\udcfe", "a" * 100_000, "\n", "a\nb", "\x1b[31m", "\u202e", "中文", "😀"),
    *("-1", "0", "1", "1e9", "1e400", "nan", "-inf", "9" * 400, "0x10", "1_0", "٣", "1.5"),
    *("-", "--", "-x", "--help", "--no-such-option", "--rev", "--output", "@", "@file", "%s%n", "{}", "{0.__class__}"),
    *(
        "/",
        ".",
        "..",
        "~",
        "*",
        "folder",
        "pipe",
        "socket",
        "dangling",
        "link",
        "file",
        "data",
        "lakehouse",
        "snapshots",
    ),
    *("nowhere/at/all", "file/below", "params.yaml/", "s3a://bucket/x", "file:///x", "http://127.0.0.1:9/"),
    *(
        "HEAD",
        "HEAD~99",
        "HEAD@{u}",
        "@{-1}",
        ":/first",
        "^HEAD",
        "main..HEAD",
        "--all",
        "stash@{0}",
        "refs/heads/main",
    ),
    *("clean", "clean.records", "clean.records.x", "*.*", "clean@x", "train@", "@x", "a@b@c", "train@../x", "base@x;y"),
    *("select 1", "select 1; select 2", "select", "'", '"', ";", "select '", "/*", "from x", "copy (select 1) to 'c'"),
    *("$(touch planted)", "; touch planted", "`touch planted`", "| touch planted"),
    *(
        "notes/1",
        "notes/",
        "/1",
        "notes/'; drop table x",
        "0" * 32,
        "f",
        "csv",
        "json",
        "parquet",
        "table",
        "0GB",
        "1kB",
    ),
]


@pytest.fixture(scope="module")
def project(finished) -> Path:
    """The finished project, with things in it that are no regular files, and a neighbour."""
    (finished / "folder").mkdir()
    (finished / "file").write_text("x")
    for name in ("pipe", "socket", "dangling", "link"):
        make_irregular(finished, name)
    neighbour = finished.parent / "neighbour"
    neighbour.mkdir()
    (neighbour / "file").write_text("x")
    return finished


def make_irregular(project: Path, name: str) -> None:
    """A named pipe, a socket, a link that leads nowhere, a link to a file."""
    if name == "pipe":
        os.mkfifo(project / name)
    elif name == "socket":
        os.mknod(project / name, stat.S_IFSOCK | 0o600)
    else:
        (project / name).symlink_to({"dangling": "nowhere", "link": "file"}[name])


def arguments(command: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name of the argument, the command line with {} in its place) of each argument of a command."""
    grammar = argparse.ArgumentParser()
    importlib.import_module(f"finelake.commands.{command}").arguments(grammar)
    usual = CALLS[command]
    for action in grammar._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        if not action.option_strings:
            places = [place for place in range(max(len(usual), 1))]
            yield from ((f"{action.dest} {place}", (*usual[:place], "{}", *usual[place + 1 :])) for place in places)
        elif action.nargs == 0:
            yield action.dest, (*usual, action.option_strings[0], "{}")
        else:
            yield action.dest, (*usual, f"{action.option_strings[0]}={{}}")
            yield f"{action.dest} apart", (action.option_strings[0], "{}", *usual)


def cases() -> list[tuple[str, str, tuple[str, ...]]]:
    """(command, argument, its command line) of every argument with every value."""
    found = []
    for command in cli.COMMANDS:
        listed = [
            (command, name, tuple(part.replace("{}", value, 1) if "{}" in part else part for part in line))
            for name, line in arguments(command)
            for value in VALUES
            if not (name.startswith("output") and value in ("pipe", "socket"))
            # The machine's own folders are not a project's: `init /` would put one around all others.
            and not (name.startswith(("folder", "output")) and value.startswith("/"))
        ]
        found += chosen(listed, SLOW_SHARE) if command in SLOW else listed
    return found


@sizes(few=500, many=100_000)
def test_every_argument_takes_or_refuses_every_value(project, ledger, size):
    before, beside, odd = data_files(project), neighbours(project), irregular(project)
    for command, name, line in chosen(cases(), size):
        case = f"{command} {name}: {' '.join(line)!a:.80}"
        ended = call(project, command, *line, seconds=60, **NO_JAVA)
        gone = lost(project, before)
        outcome = classify(ended, right)
        if gone or irregular(project) != odd:
            outcome = Outcome.LOST
        elif beyond(command, name, project, beside) or list(project.rglob("planted")):
            outcome = Outcome.WRONG
        ledger.add(case, outcome, ended.said)
        assert not gone, case
        clear(project, odd)
    ledger.check(min(size, 400))


def right(ended: Ended) -> bool:
    """An answer, or the findings of `quality`, which ends in how many checks passed."""
    return ended.code == 0 or " passed, " in ended.out


def neighbours(project: Path) -> set[str]:
    return {str(path) for path in project.parent.rglob("*") if project not in (path, *path.parents)}


def beyond(command: str, name: str, project: Path, before: set[str]) -> set[str]:
    """What was written beside the project, unless the user named the place."""
    return set() if name.partition(" ")[0] in ("output", "folder") else neighbours(project) - before


def irregular(project: Path) -> dict[str, int]:
    """What is no regular file and no folder at the project's top, by its kind."""
    kinds = {path.name: stat.S_IFMT(path.lstat().st_mode) for path in project.iterdir()}
    return {name: kind for name, kind in kinds.items() if kind not in (stat.S_IFREG, stat.S_IFDIR)}


KNOWN = {".git", ".dvc", ".dvcignore", ".gitignore", ".finelake", "data", "lakehouse", "snapshots", "quality", "folder"}
KNOWN |= {"params.yaml", "dvc.yaml", "dvc.lock", "file", "reports", "metrics"}


def clear(project: Path, odd: dict[str, int]) -> None:
    """Remove what a case has written at the project's top."""
    for path in project.iterdir():
        if path.name not in KNOWN and path.name not in odd:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (project / "file").write_text("x")


OUTPUTS = ("pipe", "socket", "dangling", "link", "folder", "file", "nowhere/x", "params.yaml/x", "new")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sql", "quality"])
def test_output_replaces_regular_files_only(project, ledger, command):
    """In processes of their own: who waits for the other end of a pipe cannot be called back."""
    line = {"sql": ("sql", "--format=csv", "select 1 as x"), "quality": ("quality", "parts_have_rows")}[command]
    before, odd = data_files(project), irregular(project)
    reader = os.open(project / "pipe", os.O_RDWR | os.O_NONBLOCK)  # whoever writes into a pipe waits for a reader
    for name in OUTPUTS:
        ended = run(project, *line, f"--output={name}", seconds=60)
        gone = lost(project, before)
        gone += [name for name, kind in odd.items() if irregular(project).get(name) != kind]
        ledger.judge(f"{command} --output={name}", ended, gone=gone)
        repair_irregular(project, odd)
        clear(project, odd)
    os.close(reader)
    ledger.check(len(OUTPUTS))


def repair_irregular(project: Path, odd: dict[str, int]) -> None:
    for name in odd.keys() - irregular(project).keys():
        (project / name).unlink()
        make_irregular(project, name)


def test_every_command_has_a_call_that_is_varied():
    assert set(CALLS) == set(cli.COMMANDS)
