"""What became of one fault or bad input: the classes of outcome, the two ways to run a command, what may not be lost.

A case does something to a copy of a project or to its input, runs a command and classifies what came of it. Every case
is recorded, and `python -m tests.faults.report` adds the records up: the figures of docs/security.md come from there.
"""

import contextlib
import ctypes
import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from finelake import cli
from tests import small

LONGEST = 4000  # characters of a clear error: a value of a million characters is not repeated in it
ADDRESSES = 16 << 30  # bytes of address space of a command that is not bounded otherwise; a JVM reserves much of it
DROP_FROM_BOUNDING_SET = 24  # prctl(2)
PASSING_OVER_RIGHTS = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of capabilities(7)
SHOWN = 40  # wrong cases that a failing test lists


class Outcome(StrEnum):
    HELD = "held"  # it worked, and the result is right
    REFUSED = "clear error"  # exit code 1 or 2 and one sentence
    TRACEBACK = "traceback"  # also a process that died by a signal of its own
    HUNG = "hung"
    WRONG = "wrong"  # it ended without an error and the result is not right, or its error is not one sentence
    LOST = "lost"  # a pinned data file is gone or altered
    LEAKED = "leaked"  # a raw value or a key stands where it may not


GOOD = (Outcome.HELD, Outcome.REFUSED)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int | None  # None: it did not end in time; below 0: by a signal
    out: str = ""
    err: str = ""
    error: str = ""  # in this process: the exception that no command may raise

    @property
    def said(self) -> str:
        """Its output in one short line, for a list of wrong cases."""
        text = self.error or self.err or self.out
        shown = text if len(text) < 400 else f"{text[:150]} … {text[-200:]}"
        return f"exit {self.code}: " + " ".join(ascii(shown)[1:-1].replace("\\n", " ").split())


def classify(ended: Ended, right: Callable[[Ended], bool] = lambda ended: ended.code == 0) -> Outcome:
    """The outcome of a command; `right` judges one that ended without an error (some find something and exit by 1)."""
    if ended.code is None:
        return Outcome.HUNG
    crashed = ended.code < 0 or ended.code > 127
    if ended.error or crashed or "Traceback (most recent call last)" in ended.out + ended.err:
        return Outcome.TRACEBACK
    if ended.code in (0, 1) and right(ended):
        return Outcome.HELD
    return Outcome.REFUSED if ended.code in (1, 2) and is_one_sentence(ended.err) else Outcome.WRONG


def is_one_sentence(text: str) -> bool:
    """Whether an error output ends in one line of Finelake's, or is argparse's usage and its one line."""
    if text.startswith("usage: "):
        return "\nfinelake" in text and ": error: " in text
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or len(lines[-1]) > LONGEST or any(ord(letter) < 32 for letter in lines[-1]):
        return False
    # `finelake repro` ends in a sentence of its own behind that of the stage that failed.
    most = 2 if "a stage failed" in lines[-1] else 1
    return lines[-1].startswith("finelake: ") and sum(line.startswith("finelake: ") for line in lines) <= most


# --- running a command -----------------------------------------------------------------------------------------------


class _Late(BaseException):
    """A command in this process did not end in time."""


def call(folder: Path, *arguments: str, seconds: int = 60, **variables: str) -> Ended:
    """Run `finelake` in this process, in `folder`: some milliseconds, where a process of its own costs a second."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors=how) for how in ("strict", "backslashreplace"))

    def ended(code: int | None, error: str = "") -> Ended:
        texts = [stream.buffer.getvalue().decode("utf-8", "replace") for stream in (out, err) if not stream.flush()]
        return Ended(code, *texts, error)

    with _as_a_command(folder, variables, seconds), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(list(arguments))
        except SystemExit as error:
            return ended(int(error.code or 0))
        except _Late:
            return ended(None)
        except (Exception, KeyboardInterrupt) as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return ended(1, f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"[:500])
    raise AssertionError("the command line always exits")


@contextlib.contextmanager
def _as_a_command(folder: Path, variables: Mapping[str, str], seconds: int) -> Iterator[None]:
    """The current folder, the environment, an empty standard input and the time of a command; undone behind it."""

    def late(*_) -> None:
        raise _Late

    before, here, standard_input = dict(os.environ), os.getcwd(), sys.stdin
    alarm = signal.signal(signal.SIGALRM, late)
    os.chdir(folder)
    os.environ.update(variables)
    sys.stdin = io.StringIO()
    signal.alarm(seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as outside of tests, where none is an error
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
        sys.stdin = standard_input
        os.environ.clear()
        os.environ.update(before)
        os.chdir(here)


@dataclass(frozen=True)
class Around:
    """What a process of its own is started with; nothing of it outlives the process."""

    variables: Mapping[str, str | None] = field(default_factory=dict)  # None: not set
    limits: Mapping[int, int] = field(default_factory=dict)  # resource.RLIMIT_… -> bytes or files
    umask: int | None = None
    bound: bool = False  # by the rights of files, even where it is root's process
    stdout: Path | None = None  # instead of a pipe
    closed: tuple[int, ...] = ()  # descriptors that are not open
    prepare: Callable[[Path], None] = lambda project: None  # what is done to the project first


def run(folder: Path, *arguments: str, around: Around | None = None, seconds: int = 300) -> Ended:
    """Run `finelake` in a process of its own, the leader of a group that is killed when the time is over."""
    around, libc = around or Around(), ctypes.CDLL(None)
    variables = {name: value for name, value in (small.environment() | around.variables).items() if value is not None}

    def before_it_starts() -> None:
        for limit, value in {resource.RLIMIT_AS: ADDRESSES, **around.limits}.items():
            resource.setrlimit(limit, (value, value))
        if around.umask is not None:
            os.umask(around.umask)
        if around.bound and os.geteuid() == 0:
            for capability in PASSING_OVER_RIGHTS:
                libc.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
        for descriptor in around.closed:
            os.close(descriptor)

    with contextlib.ExitStack() as stack:
        out = subprocess.PIPE if around.stdout is None else stack.enter_context(around.stdout.open("w"))
        process = subprocess.Popen(
            [sys.executable, "-m", "finelake.cli", *arguments],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            preexec_fn=before_it_starts,
            start_new_session=True,
        )
        try:
            texts = process.communicate(timeout=seconds)
        except BaseException as error:  # too late, or the tests are stopped
            os.killpg(process.pid, signal.SIGKILL)
            texts = process.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return Ended(None, *map(_text, texts))
        return Ended(process.returncode, *map(_text, texts))


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")


# --- what may not be lost --------------------------------------------------------------------------------------------


def data_files(project: Path) -> dict[str, str]:
    """SHA-256 of every data file of the project's lake, by its path. In a project of one run each of them is pinned."""
    lake = project / "lakehouse"
    return {str(path.relative_to(lake)): _sha256(path) for path in lake.rglob("*.parquet") if "data" in path.parts}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "not a file"


def lost(project: Path, before: Mapping[str, str]) -> list[str]:
    """The data files of `before` that are gone or altered."""
    now = data_files(project)
    return sorted(path for path in before if now.get(path) != before[path])


# --- the record of all cases -----------------------------------------------------------------------------------------


class Ledger:
    """The outcomes of one family of cases, a JSON line each in a file."""

    def __init__(self, path: Path, family: str, size: str) -> None:
        self.path, self.family, self.size = path, family, size
        self.rows: list[dict[str, str]] = []

    def add(self, case: str, outcome: Outcome, said: str = "") -> None:
        self.rows.append({"family": self.family, "set": self.size, "case": case, "outcome": outcome, "said": said})

    def judge(
        self, case: str, ended: Ended, right: Callable[[Ended], bool] | None = None, gone: Iterable[str] = ()
    ) -> Outcome:
        """Record what came of a command; `gone` names data files that were lost meanwhile."""
        outcome = classify(ended, right) if right else classify(ended)
        missing = list(gone)
        if missing:
            outcome = Outcome.LOST
        self.add(case, outcome, f"{', '.join(missing[:3])} {ended.said}" if missing else ended.said)
        return outcome

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")

    def check(self, least: int = 1) -> None:
        """AssertionError that lists the cases that neither held nor ended in a clear error, or when too few ran."""
        bad = [f"{row['case']}: {row['outcome']}: {row['said']}" for row in self.rows if row["outcome"] not in GOOD]
        more = [f"and {len(bad) - SHOWN} more, see {self.path}"] if len(bad) > SHOWN else []
        assert not bad, "\n".join([f"{len(bad)} of {len(self.rows)} cases", *bad[:SHOWN], *more])
        assert len(self.rows) >= least
