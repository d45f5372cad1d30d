"""The environment: limits, locales, zones, rights, missing folders, odd settings, forms of Git, each with four
commands.

Each command, a process of its own, answers as in a usual environment or ends in one sentence; no data file is lost.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests import small
from tests.faults.outcomes import Around, Ended, Ledger, call, data_files, lost, run
from tests.faults.sizes import chosen, sizes

MB = 1 << 20
NOBODY = 65534
NOWHERE = Path(tempfile.gettempdir()) / f"finelake-nowhere-{os.getpid()}"  # root may create it, and does
COMMANDS: dict[str, tuple[str, ...]] = {
    "verify": ("verify",),
    "sql": ("sql", "--format", "csv", "select count(*), max(text) from split.records"),
    "quality": ("quality", "parts_have_rows", "texts_are_tidy"),
    "repro": ("repro", "split"),
}


@pytest.fixture(autouse=True, scope="module")
def removed() -> Iterator[None]:
    yield
    shutil.rmtree(NOWHERE, ignore_errors=True)


def limit(which: int, value: int) -> Around:
    return Around(limits={which: value})


def variables(**values: str | None) -> Around:
    return Around(variables=values)


def prepared(prepare: Callable[[Path], None], **more) -> Around:
    return Around(prepare=prepare, **more)


def git(*arguments: str) -> Callable[[Path], None]:
    return lambda project: small.git(project, *arguments) and None


def shallow(project: Path) -> None:
    bare = project.parent / "origin.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", project, bare], check=True, capture_output=True)
    copy = project.parent / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{bare}", copy], check=True, capture_output=True)
    shutil.rmtree(project / ".git")
    shutil.move(copy / ".git", project / ".git")


def bare(project: Path) -> None:
    small.git(project, "config", "core.bare", "true")


def no_git(project: Path) -> None:
    shutil.rmtree(project / ".git")


def owned_by_another(project: Path) -> None:
    for path in [project, *project.rglob("*")]:
        os.lchown(path, NOBODY, NOBODY)


def written(name: str, content: str) -> Callable[[Path], None]:
    return lambda project: (project / name).write_text(content) and None


def modes(mode: int, *names: str) -> Callable[[Path], None]:
    """The named files and folders have another mode."""

    def prepare(project: Path) -> None:
        for name in names:
            (project / name).chmod(mode)

    return prepare


def read_only(project: Path) -> None:
    """A project in which nobody may write."""
    for path in [*project.rglob("*"), project]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def times(seconds: float) -> Callable[[Path], None]:
    """The clock was set back, as far as a process can see it: every file is from the future, or from long ago."""

    def prepare(project: Path) -> None:
        for path in project.rglob("*"):
            if ".git" not in path.parts and not path.is_symlink():
                at = path.stat().st_mtime + seconds
                os.utime(path, (max(at, 0), max(at, 0)))

    return prepare


YEAR = 365 * 24 * 3600.0
NO_UTF8 = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
AROUND: dict[str, Around] = {
    **{f"{files} open files": limit(resource.RLIMIT_NOFILE, files) for files in (16, 64, 256)},
    **{f"{size} MB of addresses": limit(resource.RLIMIT_AS, size * MB) for size in (300, 800, 1500)},
    **{f"files of {size} bytes": limit(resource.RLIMIT_FSIZE, size) for size in (0, 100_000)},
    **{f"a stack of {size} kB": limit(resource.RLIMIT_STACK, size << 10) for size in (256,)},
    **{f"LC_ALL={name}": variables(LC_ALL=name) for name in ("C", "POSIX", "zh_CN.UTF-8", "zh_CN.GB18030", "none")},
    "without UTF-8": Around(variables=NO_UTF8),
    "PYTHONIOENCODING=ascii": variables(PYTHONIOENCODING="ascii"),
    "PYTHONIOENCODING=utf-16": variables(PYTHONIOENCODING="utf-16"),
    **{f"TZ={zone}": variables(TZ=zone) for zone in ("Asia/Shanghai", "America/St_Johns", "nonsense", "")},
    **{f"PYTHONHASHSEED={seed}": variables(PYTHONHASHSEED=seed) for seed in ("0", "1", "4294967295")},
    **{f"umask {mask:03o}": Around(umask=mask) for mask in (0o000, 0o077, 0o777)},
    "files from the future": prepared(times(10 * YEAR)),
    "files from long ago": prepared(times(-100 * YEAR)),
    "HOME not set": variables(HOME=None),
    "HOME nowhere": variables(HOME=str(NOWHERE)),
    "HOME a file": variables(HOME="/etc/hostname"),
    "HOME not writable": Around(variables={"HOME": "/proc"}),
    "TMPDIR nowhere": variables(TMPDIR=str(NOWHERE)),
    "TMPDIR not writable": variables(TMPDIR="/proc"),
    "stdout closed": Around(closed=(1,)),
    "stderr closed": Around(closed=(2,)),
    "both closed": Around(closed=(1, 2)),
    "stdout full": Around(stdout=Path("/dev/full")),
    "a read-only project": prepared(read_only, bound=True),
    **{
        f"{name} not readable": prepared(modes(0o000, name), bound=True)
        for name in ("lakehouse", "snapshots", "snapshots/mask.json", "params.yaml", "dvc.lock", ".dvc", "quality")
    },
    **{
        f"{name} not writable": prepared(modes(0o555, name), bound=True)
        for name in ("lakehouse", ".finelake", "snapshots", ".")
    },
    "FINELAKE_LAKE empty": variables(FINELAKE_LAKE=""),
    "FINELAKE_LAKE of spaces": variables(FINELAKE_LAKE="  "),
    "FINELAKE_LAKE a file": variables(FINELAKE_LAKE="params.yaml"),
    "FINELAKE_LAKE nowhere": variables(FINELAKE_LAKE="/nowhere/lake"),
    "FINELAKE_LAKE s3a://": variables(FINELAKE_LAKE="s3a://"),
    "FINELAKE_LAKE http": variables(FINELAKE_LAKE="http://127.0.0.1:9/lake"),
    "FINELAKE_LAKE at home": variables(FINELAKE_LAKE="~/no-lake"),
    **{f"FINELAKE_MASTER={value}": variables(FINELAKE_MASTER=value) for value in ("", "local[0]", "nonsense")},
    **{f"FINELAKE_MEMORY={value}": variables(FINELAKE_MEMORY=value) for value in ("", "0", "much")},
    **{f"FINELAKE_RANKS={value}": variables(FINELAKE_RANKS=value) for value in ("", "-1", "²", "9" * 30)},
    "FINELAKE_METRICS a folder": variables(FINELAKE_METRICS="data"),
    "COLUMNS=0": variables(COLUMNS="0"),
    "COLUMNS=many": variables(COLUMNS="many"),
    "PATH empty": variables(PATH=""),
    "PATH not set": variables(PATH=None),
    "no Git program": variables(PATH=str(Path(sys.prefix) / "bin")),
    "no Git": prepared(no_git),
    "bare": prepared(bare),
    "shallow": prepared(shallow),
    "detached": prepared(git("checkout", "--quiet", "--detach")),
    "another's project": prepared(owned_by_another),
    "another's project, whose rights bind": prepared(owned_by_another, bound=True),
    "HEAD of nonsense": prepared(written(".git/HEAD", "nonsense\n")),
    "HEAD without a commit": prepared(written(".git/HEAD", "ref: refs/heads/other\n")),
    "Git's index damaged": prepared(written(".git/index", "nonsense")),
    "Git's index locked": prepared(written(".git/index.lock", "x")),
    "Git's configuration damaged": prepared(written(".git/config", "[")),
    "GIT_DIR nowhere": variables(GIT_DIR="/nowhere"),
    "DVC's configuration damaged": prepared(written(".dvc/config", "[")),
    "GIT_CONFIG_GLOBAL nowhere": variables(GIT_CONFIG_GLOBAL="/nowhere"),
}
# What is printed there is not what is printed elsewhere, or nothing.
ELSEWHERE = ("stdout closed", "both closed", "PYTHONIOENCODING=utf-16", "COLUMNS=")


@pytest.fixture(scope="module")
def answers(finished) -> dict[str, str]:
    ended = {name: run(finished, *command) for name, command in COMMANDS.items()}
    assert {name: found.code for name, found in ended.items()} == dict.fromkeys(COMMANDS, 0), ended
    return {name: found.out for name, found in ended.items()}


@sizes(few=40, many=1000)
def test_a_command_answers_or_ends_in_a_sentence(finished, answers, ledger, tmp_path, size):
    """In processes of their own, two at once."""
    cases = [(name, command) for name in AROUND for command in COMMANDS]
    if os.geteuid() != 0:
        cases = [(name, command) for name, command in cases if not name.startswith("another's")]

    def tried(place: int, name: str, command: str) -> tuple[str, str, Ended, list[str]]:
        project = shutil.copytree(finished, tmp_path / str(place) / "project", symlinks=True)
        before = data_files(project)
        around = AROUND[name]
        around.prepare(project)
        ended = run(project, *COMMANDS[command], around=around, seconds=120)
        open_again(project)
        gone = lost(project, before)
        shutil.rmtree(project.parent)
        return name, command, ended, gone

    listed = chosen(cases, size)
    with ThreadPoolExecutor(2) as pool:
        for name, command, ended, gone in pool.map(tried, range(len(listed)), *zip(*listed, strict=True)):
            judge(ledger, name, command, ended, answers[command], gone)
    ledger.check(min(size, 40))


def open_again(project: Path) -> None:
    """Give the owner all rights back, so that what is there can be compared and removed."""
    for folder, folders, files in os.walk(project):
        for name in [".", *folders, *files]:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o700)


def judge(ledger: Ledger, name: str, command: str, ended: Ended, answer: str, gone: list[str]) -> None:
    silent = "stderr closed" in name or "both" in name or "stdout" in name

    def right(ended: Ended) -> bool:
        # Where nothing can be said, the exit code is all that is left.
        if ended.code != 0:
            return silent and "closed" in name
        return any(part in name for part in ELSEWHERE) or ended.out == answer

    if silent and ended.code in (1, 2, 120) and not ended.error and "Traceback" not in ended.err:
        ended = replace(ended, code=2, err=ended.err or "finelake: (nothing can be said)\n")
    ledger.judge(f"{command}, {name}", ended, right, gone)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [-30 * YEAR, -3600.0, 3600.0, 30 * YEAR])
def test_another_time_loses_nothing(finished, ledger, monkeypatch, shift):
    """time.time of this process, not the machine's clock: what goes by age deletes nothing that is pinned."""
    import time

    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + shift)
    before = data_files(finished)
    for command in (("verify",), ("vacuum", "--delete"), ("vacuum", "--keep-days", "0", "--delete"), ("vacuum",)):
        ledger.judge(
            f"{' '.join(command)}, {shift / 3600:,.0f} hours away",
            call(finished, *command),
            gone=lost(finished, before),
        )
    ledger.check(4)


def test_the_table_holds_240_combinations():
    assert len(AROUND) * len(COMMANDS) >= 240
