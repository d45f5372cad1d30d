"""Errors the user can fix, and one sentence for each error that the outside world causes.

Every entry point passes what it catches to `sentence`; an error for which that returns None is a fault of Finelake and
stays a traceback.
"""

import difflib
import errno
import io
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType

FULL = ("No space left on device", "Disk quota exceeded")
LITTLE = 16 << 20  # bytes; a disk with less free space counts as full
LONGEST = 2000  # characters of a library's message that are shown
LONGEST_LINE = 3000  # characters of a line: a value of a million characters is not repeated in it
AGAIN = "run the same command again"

# errno -> what is wrong with the file, and the fix. None of them claims that anything is damaged.
REASONS = {
    errno.EACCES: ("permission denied", "give this user access to it"),
    errno.EPERM: ("the operation is not permitted", "give this user the right to do it, or run as the owner"),
    errno.ENOENT: ("it does not exist", "create it or correct the path"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "move that file away or correct the path"),
    errno.EEXIST: ("it exists already", "move it away or choose another name"),
    errno.EISDIR: ("it is a folder, and a file is needed", "move it away or name a file"),
    errno.ENOTEMPTY: ("the folder is not empty", "another program may be writing there; wait for it to end"),
    errno.EMFILE: ("too many open files", "raise the limit (`ulimit -n 4096`)"),
    errno.ENFILE: ("too many open files on this machine", "end other programs or raise fs.file-max"),
    errno.ENOMEM: ("out of memory", "free some memory or raise the limit (`ulimit -v`)"),
    errno.EAGAIN: ("no more processes or threads can be started", "raise the limit (`ulimit -u`) or free some memory"),
    errno.EROFS: ("the file system is read-only", "mount it writable, or work in a copy that is"),
    errno.ELOOP: ("symbolic links form a loop", "correct the links"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.ESTALE: ("the network file system lost the file", "mount it again"),
    errno.EIO: ("the device reports an input/output error", "check the disk or the mount"),
    errno.ENXIO: ("the device or pipe has no other end", "name a regular file"),
    errno.ETXTBSY: ("the file is in use", "end the program that uses it"),
    errno.EBUSY: ("the file or device is in use", "end the program that uses it"),
    errno.EFBIG: ("the file would be larger than allowed", "raise the limit (`ulimit -f`)"),
    errno.EADDRNOTAVAIL: ("the address does not belong to this machine", "correct it"),
    errno.ECONNREFUSED: ("the connection was refused", "start the server or correct the address"),
}
# How the JVM, and libraries whose errors carry no number, report the same.
TEXTS = {
    "Permission denied": errno.EACCES,
    "AccessDeniedException": errno.EACCES,
    "Too many open files": errno.EMFILE,
    "Read-only file system": errno.EROFS,
    "Stale file handle": errno.ESTALE,
    "Input/output error": errno.EIO,
    "Not a directory": errno.ENOTDIR,
    "Is a directory": errno.EISDIR,
    "File name too long": errno.ENAMETOOLONG,
    "can't start new thread": errno.EAGAIN,
    "unable to create native thread": errno.EAGAIN,
    "Resource temporarily unavailable": errno.EAGAIN,
    "Cannot allocate memory": errno.ENOMEM,
    "cannot allocate memory": errno.ENOMEM,
    "can't allocate memory": errno.ENOMEM,
    "failed to map segment": errno.ENOMEM,
    "OutOfMemoryError": errno.ENOMEM,
    # Last, because Java also raises FileNotFoundException for a file without permission.
    "FileNotFoundException": errno.ENOENT,
    "NoSuchFileException": errno.ENOENT,
    "No such file or directory": errno.ENOENT,
    "FAILED_READ_FILE.FILE_NOT_EXIST": errno.ENOENT,
}
KINDS: dict[type, int] = {
    PermissionError: errno.EACCES,
    FileNotFoundError: errno.ENOENT,
    NotADirectoryError: errno.ENOTDIR,
    IsADirectoryError: errno.EISDIR,
}
# Packages whose errors come from the files, queries and services given to them: their message is the reason.
LIBRARIES = {
    "deltalake": ("delta-rs", "`finelake verify` names tables that are missing or altered"),
    "duckdb": ("DuckDB", "`finelake verify` names tables that are missing or altered"),
    "_duckdb": ("DuckDB", "`finelake verify` names tables that are missing or altered"),
    "dvc": ("DVC", "correct what it names"),
    "dvc_data": ("DVC", "correct what it names"),
    "dvc_objects": ("DVC", "correct what it names"),
    "scmrepo": ("Git", "correct what it names"),
    "sqlite3": ("SQLite", "correct what it names"),
    "zipfile": ("an archive", "copy or create it again"),
}
SAFE_TO_SHOW = {f"{kind}Exception" for kind in ("IO", "HTTP", "Parser", "Binder", "Catalog", "OutOfMemory")}
JVM = ("py4j", "pyspark")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PATH = re.compile(r"'([^']*/[^']*)'")
IO = re.compile(r"\w*IOException: (.+)")
ENDED = ("Answer from Java side is empty", "JAVA_GATEWAY_EXITED")
NO_JVM = (
    "Spark's Java process ended or did not start, as when the system kills it because memory runs out; see "
    f".finelake/spark.log, change FINELAKE_MEMORY or free some memory, and {AGAIN}"
)
# An error of these types that is raised while another one is handled is a fault in the handler.
FAULTS = (AssertionError, AttributeError, LookupError, NameError, NotImplementedError, TypeError)


class UserError(Exception):
    """A mistake in files, parameters or environment: one sentence naming the thing, the reason and the fix.

    The command line prints it without a traceback and exits with code 2.
    """


def did_you_mean(name: object, known: Iterable[object], prefix: str = "", otherwise: str = "") -> str:
    """The hint for an unknown name: the nearest known one, or all of them in their order.

    `otherwise`: what to write where none is near and the list would be long.
    """
    names = [str(one) for one in known]
    by_lower = {one.lower(): one for one in names}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    if near:
        return f"did you mean {prefix}{by_lower[near[0]]}?"
    return otherwise or f"expected one of: {', '.join(names) or 'none yet'}"


def exit_code(command: Callable[[], int | None], folders: Callable[[], Iterable[str]] = tuple) -> int:
    """Run the command of an entry point: its exit code, 2 with one sentence on stderr, 130 after Ctrl-C.

    A reader of the output that ends early (`| head`) is not an error. A fault of Finelake is raised.
    """
    try:
        _open_streams()
        code = command() or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_left():
            _drop_output()
            return 0
        text = sentence(error, folders())
        if text is None:
            raise
        if isinstance(error, OSError):
            _drop_output()
        print(f"finelake: {text}", file=sys.stderr)
        return 2


def _open_streams() -> None:
    """Write characters that the locale's encoding lacks as escapes; replace a closed stream by /dev/null."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _reader_left() -> bool:
    """Whether the reader of standard output is gone; any other broken pipe is an ordinary error."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return False


def _drop_output() -> None:
    """Keep Python's last flush from failing again where the output cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())


def sentence(error: BaseException, folders: Iterable[str] = ()) -> str | None:
    """What to print for an error, on one line; None for a fault of Finelake, which stays a traceback.

    `folders`: the folders that were written to; a full disk is looked for among them.
    """
    if isinstance(error, UserError):
        return one_line(str(error))
    if disk_is_full(error):
        return one_line(full_disk(folders))
    text = next((text for link in _chain(error) if (text := _sentence(link))), None)
    return None if text is None else one_line(text)


def one_line(text: str) -> str:
    """A text as one line that a terminal can show: white space becomes a space, other control characters are escaped.

    The colours that some libraries give their messages are removed.
    """
    words = " ".join(COLOUR.sub("", text).split())
    if len(words) > LONGEST_LINE:
        words = f"{words[: LONGEST_LINE // 2]} … {words[-LONGEST_LINE // 2 :]}"
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in words)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised from."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and not any(current is one for one in seen):
        seen.append(current)
        yield current
        hidden = current.__suppress_context__ or isinstance(current, FAULTS)
        current = current.__cause__ or (None if hidden else current.__context__)


def _sentence(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        return _system(error)
    if isinstance(error, MemoryError):
        return _reason(errno.ENOMEM, _file(error) or "the command")
    if isinstance(error, UnicodeError):
        return _unicode(error)
    if isinstance(error, RecursionError):
        return _recursion(error)
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return f"a name or a text holds a NUL character, which no file name may hold; remove it and {AGAIN}"
    if isinstance(error, subprocess.CalledProcessError):
        command = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
        return f"`{command}` failed with exit code {error.returncode}; fix what it reports and {AGAIN}"
    package = type(error).__module__.partition(".")[0]
    if package in LIBRARIES:
        return _library(error, *LIBRARIES[package])
    if package in JVM:
        return _jvm(error)
    if isinstance(error, ImportError | RuntimeError):
        number = _number(str(error))
        return None if number is None else _reason(number, "the command")
    return None


def _library(error: BaseException, name: str, hint: str) -> str:
    """What a library reports; of DuckDB's errors that may show the values of a row, only the type."""
    text = str(error).split("\n\nLINE")[0][:LONGEST]  # DuckDB repeats the query below
    number = _number(text)
    if number is not None:
        return _reason(number, f"{name} reports {text}")
    if name == "DuckDB" and type(error).__name__ not in SAFE_TO_SHOW and "parquet" not in text.lower():
        text = type(error).__name__
    return f"{name} reports: {text}; {hint}"


def _system(error: OSError) -> str:
    """An error of the operating system, or of a library that reports it as one."""
    frames = list(_frames(error))
    if isinstance(error, ConnectionError) and any(_package(frame) == "py4j" for frame in frames):
        return NO_JVM
    number = error.errno if error.errno in REASONS else _number(str(error)) or KINDS.get(type(error))
    file = _name(error.filename2 if error.filename2 is not None else error.filename)
    if error.errno == errno.ENOENT and any(frame.f_code.co_filename == subprocess.__file__ for frame in frames):
        return f"the program {file} cannot be started: it does not exist; install it and {AGAIN}"
    plain = error.errno is not None and error.strerror == os.strerror(error.errno)
    if not file and not plain and (quoted := PATH.search(str(error))):  # Arrow names the file in its message
        file = quoted[1]
    what = file or ("the command" if plain else str(error)[:LONGEST] or type(error).__name__)
    if number is None:
        return f"{what}: {error.strerror if plain or file else 'it failed'}; fix that and {AGAIN}"
    if number == errno.EEXIST and any(frame.f_code.co_name in ("mkdir", "makedirs") for frame in frames):
        number = errno.ENOTDIR
    if number == errno.ENOTDIR and file:
        # The system names the requested path, not the file on the way there.
        what = str(next((one for one in (Path(file), *Path(file).parents) if _is_file(one)), file))
    return _reason(number, what)


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False


def _reason(number: int, what: str) -> str:
    reason, hint = REASONS[number]
    return f"{what}: {reason}; {hint} and {AGAIN}"


def _number(text: str) -> int | None:
    """The error number that a text stands for."""
    return next((number for part, number in TEXTS.items() if part in text), None)


def _unicode(error: UnicodeError) -> str:
    if isinstance(error, UnicodeEncodeError):
        return (
            f"{error.object[error.start : error.end][:20]!r} cannot be written in {error.encoding}; correct that text, "
            f"or set LC_ALL=C.UTF-8 where it is the name of a file, and {AGAIN}"
        )
    offset = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
    encoding = error.encoding if isinstance(error, UnicodeDecodeError) else "text"
    return f"{_file(error) or 'an input'} is not valid {encoding}{offset}; save it as UTF-8 and {AGAIN}"


def _recursion(error: RecursionError) -> str | None:
    """Data that is nested too deeply for a parser; endless recursion in Finelake itself is a fault."""
    innermost = next(_frames(error), None)
    if innermost is None or _package(innermost) == "finelake":
        return None
    return f"{_file(error) or 'an input'} is nested too deeply to be read; flatten it and {AGAIN}"


def _jvm(error: BaseException) -> str | None:
    """What stopped Spark, where the machine is the cause; Spark's other errors are faults."""
    text = str(error)
    if type(error).__name__ == "Py4JNetworkError" or any(part in text for part in ENDED):
        return NO_JVM
    number = _number(text)
    if number is None:
        reason = IO.search(text)
        hint = "check that the folder exists and that this user may write there"
        return f"Spark cannot read or write ({reason[1].strip()[:300]}); {hint}, and {AGAIN}" if reason else None
    line = next(line for line in text.splitlines() if _number(line) == number)
    hint = "; more memory: FINELAKE_MEMORY" if number == errno.ENOMEM else ""
    return _reason(number, f"Spark reports {line.strip()[:300]}") + hint


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames that an error went through, the innermost first."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    return reversed(frames)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _file(error: BaseException) -> str | None:
    """The file in use when an error without a file name was raised: the innermost one among the variables."""
    for frame in _frames(error):
        for value in frame.f_locals.values():
            if isinstance(value, Path) and _is_file(value):
                return str(value)
            if hasattr(value, "fileno") and isinstance(getattr(value, "name", None), str):
                return str(value.name)
    return None


def _name(file: object) -> str | None:
    if isinstance(file, int) or not file:
        return None
    return os.fsdecode(file) if isinstance(file, str | bytes | os.PathLike) else str(file)


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, reports a full disk; Java's come as text."""
    if error is None:
        return False
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or any(text in str(error) for text in FULL) or disk_is_full(error.__cause__ or error.__context__)


def full_disk(folders: Iterable[str]) -> str:
    """The sentence for a full disk; `folders`: the folders that a command writes to, without the temporary one."""
    present = [Path(folder) for folder in (*folders, tempfile.gettempdir()) if Path(folder).exists()]
    full = [str(folder) for folder in present if shutil.disk_usage(folder).free < LITTLE]
    where = f" ({', '.join(full)})" if full else ""
    return (
        f"the disk is full{where}; free some space there (`finelake vacuum` shows unreferenced data of the lake) "
        "and run the same command again: partly written data are not used"
    )
