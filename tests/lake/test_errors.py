"""An error from outside is reported in one sentence that names the file; a fault of Finelake stays a traceback."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import duckdb
import pytest
import yaml
from dvc.exceptions import DvcException

from finelake.lake.errors import UserError, did_you_mean, exit_code, one_line, sentence

NESTED = "[" * 100_000


def raised(action) -> BaseException:
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("number", errno.errorcode)
def test_every_error_of_the_system_names_its_file_and_a_fix(number):
    text = sentence(OSError(number, os.strerror(number), "/a/b"))
    if number in (errno.ENOSPC, errno.EDQUOT):
        assert "the disk is full" in text
    else:
        assert text.startswith("/a/b: ") and "; " in text and text.endswith("run the same command again")


@pytest.fixture
def odd(tmp_path):
    """A folder with a file, a folder and a link that leads to itself."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    ("action", "named", "reason"),
    [
        (lambda folder: (folder / "gone").read_text(), "gone", "it does not exist"),
        (lambda folder: (folder / "folder").read_text(), "folder", "it is a folder, and"),
        (lambda folder: (folder / "file" / "a" / "b").read_text(), "file", "a file stands where a folder is needed"),
        (lambda folder: (folder / "file").mkdir(exist_ok=True), "file", "a file stands where a folder is needed"),
        (lambda folder: (folder / "loop").read_text(), "loop", "symbolic links form a loop"),
        (lambda folder: (folder / ("x" * 300)).read_text(), "x" * 300, "the name is too long"),
        (
            lambda folder: os.rename(folder / "file", folder / "folder"),
            "folder",
            "it is a folder, and a file is needed",
        ),
    ],
)
def test_the_file_that_is_in_the_way_is_named(odd, action, named, reason):
    assert sentence(raised(lambda: action(odd))).startswith(f"{odd / named}: {reason}")


def test_a_program_that_is_not_installed_is_named():
    text = sentence(raised(lambda: subprocess.run(["no-such-program"])))
    assert text.startswith("the program no-such-program cannot be started: it does not exist; install it")


def test_a_program_that_failed_is_named():
    text = sentence(raised(lambda: subprocess.run([sys.executable, "-c", "exit(3)"], check=True)))
    assert text == f"`{sys.executable} -c exit(3)` failed with exit code 3; fix what it reports and run the same " + (
        "command again"
    )


def test_text_that_is_not_utf_8_names_its_file_and_byte(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"ab\xff")
    text = sentence(raised(lambda: path.read_text(encoding="utf-8")))
    assert text.startswith(f"{path} is not valid utf-8 (byte 2); save it as UTF-8")


@pytest.mark.parametrize("parse", [json.loads, yaml.safe_load])
def test_nested_data_names_its_file(tmp_path, parse):
    path = tmp_path / "a"
    path.write_text(NESTED)
    text = sentence(raised(lambda: parse(path.read_text())))
    assert text.startswith(f"{path} is nested too deeply") or "an input is nested too deeply" in text


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("can't start new thread"), "no more processes or threads can be started"),
        (ImportError("x.so: cannot allocate memory in static TLS block"), "out of memory"),
        (ImportError("x.so: failed to map segment from shared object"), "out of memory"),
        (
            UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates not allowed"),
            r"'\udcff' cannot be written",
        ),
        (OSError(24, "[Errno 24] Failed to open local file '/x y'. Detail: …"), "/x y: too many open files; raise the"),
        (OSError("a library's own words"), "a library's own words: it failed; fix that"),
        (PermissionError("[Errno 13] Failed to open local file '/x'"), "/x: permission denied; give this user"),
        (duckdb.IOException("IO Error: cannot read"), "DuckDB reports: IO Error: cannot read; "),
        (DvcException("no lock"), "DVC reports: no lock; "),
        (sqlite3.DatabaseError("malformed"), "SQLite reports: malformed; "),
        (zipfile.BadZipFile("not a zip"), "not a zip"),
        (UserError("a\nb\x1b[0m"), "a b"),
    ],
)
def test_other_errors_of_the_outside_world(error, part):
    text = sentence(error)
    assert part in text and text.isprintable()


class Py4JJavaError(Exception):
    """As Spark's errors arrive, with Java's text."""

    __module__ = "py4j.protocol"


JAVA = "An error occurred while calling o1.save.\n: org.apache.spark.SparkException: Job aborted.\n\tat a.b(c:1)\n"


@pytest.mark.parametrize(
    ("cause", "part"),
    [
        (
            "Caused by: java.io.FileNotFoundException: /a/b (Permission denied)",
            "/a/b (Permission denied): permission den",
        ),
        (
            "Caused by: java.io.FileNotFoundException: /a/b (Too many open files)",
            "too many open files; raise the limit",
        ),
        ("Caused by: java.io.FileNotFoundException: File file:/a/b does not exist", "it does not exist; create it"),
        ("Caused by: java.nio.file.AccessDeniedException: /a/b", "/a/b: permission denied"),
        ("java.lang.OutOfMemoryError: Java heap space", "out of memory; free some memory"),
        (
            "DeltaIOException: [X] Cannot create file:/a/b/_delta_log",
            "Spark cannot read or write ([X] Cannot create file:/a",
        ),
        (
            "Caused by: java.io.IOException: Mkdirs failed to create file:/a",
            "write (Mkdirs failed to create file:/a); check",
        ),
        ("java.io.IOException: No space left on device", "the disk is full"),
        ("PythonException: FileNotFoundError: [Errno 2] No such file or directory: '/a'", "'/a': it does not exist"),
        ("Answer from Java side is empty", "Spark's Java process ended or did not start"),
        ("[JAVA_GATEWAY_EXITED] Java gateway process exited", "Spark's Java process ended or did not start"),
    ],
)
def test_reports_what_stops_spark_in_one_sentence(cause, part):
    text = sentence(Py4JJavaError(JAVA + cause + "\n\t... 19 more"))
    assert part in text and text.isprintable()


def test_another_error_of_spark_is_a_fault():
    assert sentence(Py4JJavaError(JAVA + "java.lang.NullPointerException")) is None


def test_a_name_with_a_nul_character_is_named():
    assert "holds a NUL character" in sentence(raised(Path("a\0b").read_text))


def test_a_message_of_duckdb_about_a_value_is_not_shown():
    """It may be personal data."""
    error = raised(lambda: duckdb.sql("select '13812345678x'::integer").fetchall())
    assert "13812345678" not in (text := sentence(error)) and "DuckDB reports: ConversionException" in text


def test_the_cause_of_an_error_is_reported():
    def wrapped() -> None:
        try:
            Path("/no/such/file").read_text()
        except OSError as error:
            raise ValueError("a library's own words") from error

    assert sentence(raised(wrapped)).startswith("/no/such/file: it does not exist")


def _recursive_of_lake():
    content = {"__name__": "finelake.lake.module"}
    exec("def call(): return call()", content)
    return content["call"]


def _mistake_in_a_handler() -> None:
    try:
        Path("/no/such/file").read_text()
    except OSError:
        {}["a"]  # noqa: B018


@pytest.mark.parametrize(
    "action",
    [
        lambda: None + 1,
        lambda: {}["a"],
        lambda: int("x"),
        lambda: json.loads("{"),
        _recursive_of_lake(),
        _mistake_in_a_handler,
    ],
)
def test_a_fault_of_finelake_is_a_traceback(action):
    error = raised(action)
    assert sentence(error) is None
    with pytest.raises(type(error)):
        exit_code(action)


def test_one_line_leaves_printable_text_and_escapes_the_rest():
    assert one_line("\x1b[31mred\x1b[0;1m") == "red"
    assert one_line("中 文\n\ta\x1b]0;x\x07\u202e\udcff é") == "中 文 a\\x1b]0;x\\x07\\u202e\\udcff é"


@pytest.mark.parametrize(
    ("result", "code"),
    [(None, 0), (0, 0), (1, 1), (KeyboardInterrupt(), 130), (UserError("a"), 2), (PermissionError(13, "no", "f"), 2)],
)
def test_exit_codes(result, code):
    def command():
        if isinstance(result, BaseException):
            raise result
        return result

    assert exit_code(command) == code


def python(code: str, **options) -> subprocess.CompletedProcess:
    program = (
        "import os, sys\nfrom finelake.lake.errors import exit_code\n"
        f"def command():\n    {code}\nsys.exit(exit_code(command))"
    )
    return subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, **options)


def test_a_reader_that_ends_early_is_not_an_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = python("print('a' * 100_000)", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_another_broken_pipe_is_an_error():
    """A program that ended in the middle of a command must not pass for a reader of the output that had enough."""
    done = python("raise BrokenPipeError(32, 'Broken pipe')", stdout=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.startswith(b"finelake: the command: Broken pipe; ")


def test_reports_an_output_that_cannot_be_written_in_one_sentence():
    with open("/dev/full", "w") as full:
        done = python("print('a')", stdout=full)
    assert done.returncode == 2
    assert done.stderr.startswith(b"finelake: the disk is full") and done.stderr.count(b"\n") == 1


def test_a_closed_output_is_not_an_error():
    done = python("print('a')", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, b"")


def test_characters_that_the_locale_lacks_are_escaped():
    environment = os.environ | {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = python(r"print('\u4e2d')", stdout=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\u4e2d\n", b"")


def test_a_file_without_permission_is_named(tmp_path, ordinary_rights):
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0)
    with ordinary_rights():
        error = raised(secret.read_text)
    assert sentence(error).startswith(f"{secret}: permission denied; give this user access to it")


def test_a_value_of_any_size_leaves_a_line_that_can_be_read():
    line = one_line(f"params.yaml: x is {'a' * 10**6}; correct it")
    assert line.startswith("params.yaml: x is aaa") and line.endswith("; correct it") and len(line) < 4000


def test_an_unknown_name_gets_the_nearest_known_one_or_all_of_them():
    assert did_you_mean("claen", ("ingest", "clean")) == "did you mean clean?"
    assert did_you_mean("claen", ("ingest", "clean"), "stages.") == "did you mean stages.clean?"
    assert did_you_mean("xyz", ("b", 1)) == "expected one of: b, 1"
    assert did_you_mean("xyz", ()) == "expected one of: none yet"
    assert did_you_mean("xyz", ("b",), otherwise="see the list") == "see the list"
