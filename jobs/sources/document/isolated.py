"""A child process with limits of memory and time in which documents are parsed (parse.py).

Requests and answers are lines of JSON over two pipes: nothing of a child that parsed a hostile file is unpickled. The
child is used again for the next file, and replaced when it has ended or grown.

Memory is limited by RLIMIT_DATA: what the process writes, not the libraries it maps. Time is the child's processor
time (RLIMIT_CPU), so that a file has the same outcome on a busy machine; a deadline by the clock, WALL_SHARE times as
long, ends only what waits for ever. Both limits are the kernel's: they hold for an orphan as well, and PR_SET_PDEATHSIG
ends the child with the process that started it.
"""

import ctypes
import dataclasses
import errno
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finelake.jobs.sources.documents import Documents

WALL_SHARE = 20  # the deadline by the clock, in max_seconds, and at least
LEAST_WALL = 60  # seconds
REQUEST_SHARE = 10  # the processor time for all pages of one request, in max_seconds
START_SECONDS = 120  # by the clock, until a child is ready
LOOK = 50  # milliseconds between two looks at the memory of a child that does not answer
BATCH = 1 << 16  # bytes of answers that the child sends together
NO_MEMORY = 3  # exit code of a child that was refused memory
PR_SET_PDEATHSIG = 1
PAGE = os.sysconf("SC_PAGE_SIZE")
# Neither keys nor tokens reach the child. With the settings of glibc OCR takes a sixth less processor time.
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONHOME")
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_MMAP_THRESHOLD_": "33554432"}
PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from finelake.jobs.sources.document import isolated; isolated.serve()"
)


class Ended(Exception):
    """The child ended before its answer was whole: reason and detail of the reject; final: so would another child."""

    def __init__(self, reason: str, detail: str, final: bool = False):
        super().__init__(detail)
        self.reason, self.detail, self.final = reason, detail, final


# ---------------------------------------------------------------- the parent process

_own = threading.local()  # a child belongs to the thread that started it, and dies with it


def ask(task: str, path: Path, page: int, source: "Documents", fresh: bool = False) -> Iterator[list[Any]]:
    """The messages of `task` (read_text or read_picture of parse.py) on one file, from a page on.

    Raises Ended; OSError when the child cannot open the file, or no child can be started. `fresh`: in a new child that
    sends each message at once, so that the first one missing is the one it ended on.
    """
    child = _child(source, fresh)
    finished = False
    try:
        child.send({"task": task, "path": str(path), "page": page, "batch": 0 if fresh else BATCH})
        while (message := child.receive()) != ["end"]:
            match message:
                case ["error", int(code)]:
                    raise OSError(code, os.strerror(code), str(path))
            yield message
        finished = child.is_small()
    finally:
        if not finished:
            close()


def _child(source: "Documents", fresh: bool) -> "Child":
    child = current()
    if child and (fresh or child.source != source):
        close()
        child = None
    if child is None:
        child = _own.child = Child(source)
    return child


def current() -> "Child | None":
    """This thread's child. One that a fork of this process inherited is its parent's."""
    child = getattr(_own, "child", None)
    return child if child and child.owner == os.getpid() else None


def close() -> None:
    """End this thread's child; the next request starts a new one."""
    child, _own.child = current(), None
    if child:
        child.end()


class Child:
    """One child and its pipes."""

    def __init__(self, source: "Documents"):
        self.source, self.owner, self.peak = source, os.getpid(), 0
        self.buffer = bytearray()
        settings = {field.name: getattr(source, field.name) for field in dataclasses.fields(source)}
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ} | MALLOC
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path), json.dumps(settings), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
        )
        self.output = self.process.stdout.fileno()  # type: ignore[union-attr]
        self.poll = select.poll()
        self.poll.register(self.output, select.POLLIN)
        try:
            self.receive(START_SECONDS)
        except Ended as ended:
            self.end()
            raise OSError(f"the process that reads documents cannot start: {ended.detail}") from None

    def send(self, request: dict[str, Any]) -> None:
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
        except BrokenPipeError:
            raise self.ended() from None

    def receive(self, seconds: float | None = None) -> list[Any]:
        """The next message. Raises Ended, also for a line that is too long or not a message."""
        longest = 6 * self.source.max_characters + BATCH  # a character of a text is at most six bytes of JSON
        searched = 0
        while (end := self.buffer.find(b"\n", searched)) < 0:
            searched = len(self.buffer)
            if searched > longest:
                raise Ended("too_large", f"an answer of more than {longest:,} bytes")
            self.wait(seconds or max(WALL_SHARE * self.source.max_seconds, LEAST_WALL))
            piece = os.read(self.output, BATCH)
            if not piece:
                raise self.ended()
            self.buffer += piece
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 1]
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, list):
            raise Ended("broken", "an answer that is not a message")
        return message

    def wait(self, seconds: float) -> None:
        """Return when there is something to read; keep the most memory seen until then. Raises Ended after that."""
        deadline = time.monotonic() + seconds
        while not self.poll.poll(LOOK):
            self.peak = max(self.peak, self.memory())
            if time.monotonic() > deadline:
                raise Ended("too_large", f"no answer within {seconds:g} seconds by the clock", final=True)

    def memory(self) -> int:
        """Bytes of data and stack of the child; 0 once it has ended."""
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_bytes().split()[5]) * PAGE
        except (OSError, IndexError):
            return 0

    def is_small(self) -> bool:
        """Whether the child has come back to less than half of its memory."""
        return 2 * self.memory() < self.source.max_memory_megabytes * 1e6

    def ended(self) -> Ended:
        """Why the child ended by itself."""
        code = self.process.wait()
        limit = f"more than {self.source.max_memory_megabytes:g} MB of memory (max_memory_megabytes)"
        if code == -signal.SIGXCPU:
            limit = f"more than {self.source.max_seconds:g} seconds of processor time (max_seconds)"
            return Ended("too_large", limit, final=True)
        # A library in C ends by a signal when it is refused memory: by abort, or by a fault where it does not notice.
        if code == NO_MEMORY or 2 * self.peak > self.source.max_memory_megabytes * 1e6:
            return Ended("too_large", limit)
        if code == -signal.SIGABRT:
            return Ended("too_large", f"the parser gave up, as it does where it needs {limit}")
        if code == -signal.SIGKILL:
            return Ended("too_large", "the parser was killed from outside, as by a machine that runs out of memory")
        return Ended("broken", f"the parser ended by {_signal(-code) if code < 0 else f'exit code {code}'}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()  # type: ignore[union-attr]


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# ---------------------------------------------------------------- the child


def serve() -> None:
    """Answer requests on standard input until it ends."""
    from finelake.jobs.sources.document import parse

    source = SimpleNamespace(**json.loads(sys.argv[2]))
    requests, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    confine(source.max_memory_megabytes, int(sys.argv[3]))
    _send(answers, [["ready"]])
    for line in requests:
        request = json.loads(line)
        read = getattr(parse, request["task"])
        try:
            messages = limited(read(Path(request["path"]), request["page"], source), source.max_seconds)
            _answer(answers, messages, request["batch"])
        except MemoryError:
            os._exit(NO_MEMORY)


def confine(megabytes: float, parent: int) -> None:
    """Limit this process: memory, no core dumps, no files written, no console, no life without its parent."""
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(silence, stream)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started this one has ended")
    for limit, value in (
        (resource.RLIMIT_DATA, megabytes * 1e6),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        bound = int(value) if hard < 0 else min(int(value), hard)
        resource.setrlimit(limit, (bound, bound))
    os.dup2(silence, 2)  # last: an error until here goes to the console


def limited(messages: Iterator[list[Any]], seconds: float) -> Iterator[list[Any]]:
    """The messages, each within its processor time: the kernel ends this process otherwise."""
    started = time.process_time()
    allow(seconds)
    for message in messages:
        yield message
        allow(min(seconds, REQUEST_SHARE * seconds - (time.process_time() - started)))


def allow(seconds: float) -> None:
    """Let this process use so much processor time from now on; it ends up to a second after that."""
    until = int(time.process_time() + max(seconds, 0)) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (until if hard < 0 else min(until, hard), hard))


def _answer(answers: int, messages: Iterator[list[Any]], batch: int) -> None:
    waiting: list[list[Any]] = []
    size = 0
    sent = time.monotonic()
    try:
        for message in messages:
            waiting.append(message)
            size += len(message[2] or "") if message[0] == "page" else 0
            if size >= batch or time.monotonic() - sent > 1:
                _send(answers, waiting)
                waiting, size, sent = [], 0, time.monotonic()
    except OSError as error:
        waiting.append(["error", error.errno or errno.EIO])
    _send(answers, [*waiting, ["end"]])


def _send(answers: int, messages: list[list[Any]]) -> None:
    lines = [json.dumps(message, ensure_ascii=False) + "\n" for message in messages]
    content = memoryview("".join(lines).encode("utf-8", "replace"))
    while content:
        content = content[os.write(answers, content) :]
