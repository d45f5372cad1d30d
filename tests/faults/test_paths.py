"""Odd places for a project: folders named with every printable ASCII character, Chinese, a line break, other bytes.

Every command works there or refuses by name, and none deletes a data file.
"""

import os
import shutil
import string
from pathlib import Path

import pytest

from tests import small
from tests.faults.outcomes import Around, Ended, Outcome, call, classify, data_files, lost, run
from tests.faults.sizes import chosen, sizes

# What has misled a parser of URLs, globs, shells or properties somewhere.
RISKY = [
    *(
        "c#-project",
        "what?",
        "%20",
        "a%2Fb",
        "100%",
        "back\\slash",
        "two\nlines",
        "tab\there",
        'quo"te',
        "quo'te",
        "中文",
    ),
    *(
        "a b",
        " a ",
        "${HOME}",
        "$(x)",
        "`x`",
        "a;b",
        "a&b",
        "a|b",
        "[a]",
        "{a}",
        "*",
        "~",
        "-x",
        "a:b",
        "a=b",
        "a@b",
        "é",
    ),
    *(
        "file:",
        "s3a:",
        "a,b",
        "e\u0301",
        "\u202e",
        "😀",
        "..a",
        ".hidden",
        "a" * 200,
        "data",
        "_delta_log",
        "a+b",
        "<a>",
    ),
]
BYTES = [b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80"]  # no UTF-8
NAMES = [*RISKY, *map(os.fsdecode, BYTES), *(f"a{sign}b" for sign in string.punctuation if sign not in "/")]
COMMANDS: list[tuple[str, ...]] = [
    ("verify",),
    ("verify", "--deep"),
    ("sql", "--format", "csv", "select count(*) from split.records"),
    ("quality", "parts_have_rows"),
    ("history", "mask.records"),
    ("diff", "HEAD", ".", "clean.records"),
    ("trace", "notes/1"),
    ("pull", "notes"),
    ("vacuum", "--keep-days", "0"),
    ("vacuum", "--keep-days", "0", "--delete"),
    ("repair",),
]
NO_JAVA = {"JAVA_HOME": "/nowhere"}


@pytest.fixture(scope="module")
def answers(finished) -> dict[tuple[str, ...], str]:
    """What the commands answer at a usual place."""
    return {command: call(finished, *command).out.replace(str(finished), "") for command in COMMANDS}


@sizes(few=24, many=1000)
def test_every_command_works_or_refuses_at_an_odd_place(finished, answers, ledger, tmp_path, size):
    """In one process; the place of the project is all that differs."""
    for name in [*RISKY[:8], *chosen(NAMES[8:], max(size - 8, 0))]:
        project = shutil.copytree(finished, tmp_path / name / "project")
        before = data_files(project)
        assert before
        for command in COMMANDS:
            ended = call(project, *command, **NO_JAVA)

            def right(ended: Ended, expected: str = answers[command], here: str = str(project)) -> bool:
                return ended.code == 0 and ended.out.replace(here, "") == expected

            ledger.judge(f"{' '.join(command)} in {name!a}", ended, right, lost(project, before))
        shutil.rmtree(tmp_path / name)
    ledger.check(min(size, len(NAMES)) * len(COMMANDS))


@sizes(few=3, many=1000)
def test_repro_has_nothing_to_do_at_an_odd_place(finished, ledger, tmp_path, size):
    for name in chosen(["c#-pro ject%20?", *NAMES], size, seed=4):
        project = shutil.copytree(finished, tmp_path / name / "project")
        before = data_files(project)
        ended = run(project, "repro", "split", around=Around(variables=NO_JAVA))
        outcome = classify(ended, lambda ended: ended.code == 0 and "Nothing to do" in ended.out)
        ledger.add(f"repro in {name!a}", Outcome.LOST if lost(project, before) else outcome, ended.said)
        shutil.rmtree(tmp_path / name)
    ledger.check(min(size, 3))


@sizes(few=1, many=6)
def test_a_chain_from_nothing_works_or_is_refused(small_project, ledger, tmp_path, size):
    """`init`, then `repro`; the manifests of a usual place, or a sentence before anything is written."""
    for place, name in enumerate(
        ["c#-pro ject%20?", "%20", "back\\slash", "two\nlines", "中文 'a' {b} [c]", "caf\udce9"][:size]
    ):
        folder = tmp_path / f"{place} {name}" / "project"
        try:
            project = small.make(folder)
        except AssertionError as refused:  # by `init`, which small.make expects to work
            said = str(refused).splitlines()[0]
            outcome = Outcome.REFUSED if said.startswith("finelake: ") else Outcome.TRACEBACK
            ledger.add(f"init in {name!a}", outcome, said)
            continue
        ended = run(project, "repro", "split", seconds=900)

        def right(ended: Ended, project: Path = project) -> bool:
            return ended.code == 0 and small.manifests(project) == small.manifests(small_project)

        ledger.judge(f"repro split from nothing in {name!a}", ended, right)
    ledger.check(size)
