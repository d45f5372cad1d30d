"""The child process that parses documents: what ends it, what it may say, and what it cannot reach."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finelake.jobs.sources.document import isolated
from finelake.jobs.sources.document.reading import document_rows, ocr_row
from finelake.jobs.sources.documents import Documents
from tests.jobs.sources.document import hostile

SOURCE = Documents(path="documents", max_memory_megabytes=100.0, max_seconds=1.0)
PROGRAM = isolated.PROGRAM.replace("isolated; isolated", "isolated, parse; exec(CODE); isolated")


@pytest.fixture(autouse=True)
def no_child_is_left():
    isolated.close()
    yield
    isolated.close()


@pytest.fixture
def parser(monkeypatch):
    """A function that replaces the parser in new children by other code."""

    def replace(body: str, name: str = "read_text") -> None:
        code = f"def read_as(path, page, source):\n{body}\nparse.{name} = read_as"
        monkeypatch.setattr(isolated, "PROGRAM", PROGRAM.replace("CODE", repr(code)))

    return replace


@pytest.fixture
def document(tmp_path):
    return hostile.docx(tmp_path / "a.docx")


def outcome(path: Path, source: Documents = SOURCE) -> list[tuple]:
    rows = document_rows(path.parent, path.name, source)
    return [(row["page"], row["text"], row["_reason"], row["_detail"]) for row in rows]


MEMORY = "more than 100 MB of memory (max_memory_megabytes)"
TIME = "more than 1 seconds of processor time (max_seconds)"


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        ("  yield [0] * 10**9", "too_large", MEMORY),
        ("  import mmap; held = []\n  while True: held.append(bytearray(10**6))", "too_large", MEMORY),
        ("  while True: pass\n  yield", "too_large", TIME),
        ("  yield ['pages', 1, None]\n  while True: pass", "too_large", TIME),
        ("  import os; os.abort()", "too_large", f"the parser gave up, as it does where it needs {MEMORY}"),
        ("  import os; os.kill(os.getpid(), 11)", "broken", "the parser ended by SIGSEGV"),
        ("  import os; os.kill(os.getpid(), 4)", "broken", "the parser ended by SIGILL"),
        ("  import os; os.kill(os.getpid(), 40)", "broken", "the parser ended by signal 40"),
        (
            "  import os; os.kill(os.getpid(), 9)",
            "too_large",
            "the parser was killed from outside, as by a machine that runs out of memory",
        ),
        ("  import os; os._exit(0)", "broken", "the parser ended by exit code 0"),
        ("  raise ValueError", "broken", "the parser ended by exit code 1"),
    ],
)
def test_an_end_of_the_child_is_a_reject_with_its_reason(parser, document, body, reason, detail):
    parser(body)
    page, place = ("1", "a.docx#p1") if "pages" in body else (None, "a.docx")
    assert outcome(document) == [(page, None, reason, f"{place}: {detail}")]


def test_a_child_that_sleeps_ends_by_the_clock(parser, document, monkeypatch):
    monkeypatch.setattr(isolated, "LEAST_WALL", 0)
    parser("  import time; time.sleep(1000); yield")
    source = Documents(path="x", max_seconds=0.01)
    detail = "no answer within 0.2 seconds by the clock"
    assert outcome(document, source) == [(None, None, "too_large", f"a.docx: {detail}")]


PAGE = ["page", 1, "text", "docx", None, None]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ["pages"],
        [{"text": "x"}],
        [["pages", 0, None]],
        [["pages", 10**9, None]],
        [["pages", "1", None], PAGE],
        [PAGE],
        [["pages", 1, None]],
        [["pages", 2, None], PAGE],
        [["pages", 1, None], [*PAGE[:1], 2, *PAGE[2:]]],
        [["pages", 1, None], [*PAGE[:3], "magic", None, None]],
        [["pages", 1, None], ["page", 1, 5, "docx", None, None]],
        [["pages", 1, None], ["page", 1, "text", "docx", "broken", None]],
        [["page"]],
        [["error"]],
        [["error", "2"]],
    ],
)
def test_what_the_child_says_is_not_trusted(document, messages, monkeypatch):
    code = f"isolated._answer = lambda answers, read, batch: isolated._send(answers, {[*messages, ['end']]!r})"
    monkeypatch.setattr(isolated, "PROGRAM", PROGRAM.replace("CODE", repr(code)))
    rows = outcome(document)
    assert rows[0][2] == "broken" or rows[1][2] == "broken"
    assert {row[2] for row in rows} <= {None, "broken"} and len(rows) <= 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("  yield ['pages', 1, 'x' * 10**7]", "too_large"),
        ("  yield ['pages', 1, None]; yield ['page', 1, 'x' * 10**7, 'docx', None, None]", "too_large"),
        ("  yield ['reject', 'harmless', None]", "broken"),
        ("  yield ['pages', 1, None]\n  while True: yield ['page', 1, 'x', 'docx', None, None]", None),
    ],
)
def test_what_the_child_says_is_bounded(parser, document, body, reason):
    parser(body)
    source = Documents(path="x", max_characters=1000)
    assert [row[2] for row in outcome(document, source)] == [reason]


def test_half_a_surrogate_pair_is_replaced(parser, document):
    parser(r"  yield ['pages', 1, None]; yield ['page', 1, 'a\ud800b', 'docx', None, None]")
    assert outcome(document)[0][1] == "a?b"


def test_trouble_of_the_machine_is_not_a_reject(parser, document, monkeypatch):
    for error, code in ((PermissionError, 13), (OSError, 24)):
        parser(f"  raise OSError({code}, 'x'); yield")
        isolated.close()
        with pytest.raises(error, match="a.docx") as raised:
            outcome(document)
        assert raised.value.errno == code
    isolated.close()
    monkeypatch.setattr(isolated, "PROGRAM", "raise SystemExit(1)")
    with pytest.raises(OSError, match="the process that reads documents cannot start"):
        outcome(document)


def test_ocr_is_tried_again_in_a_new_child(parser, document, tmp_path):
    row = {"key": "a.docx#p1", "file": "a.docx", "page": "1", "method": "ocr", "text": "", "_reason": None}
    # The first page that a child reads is read, the second ends it.
    once = "  global read; import os\n  if 'read' in globals(): os.abort()\n  read = True\n"
    parser(once + "  yield ['page', page, str(os.getpid()), 'ocr', None, None]", "read_picture")
    children = [ocr_row(tmp_path, row, SOURCE)["text"] for _ in range(3)]
    assert len(set(children)) == 3 and None not in children
    parser("  import os; os.abort()", "read_picture")
    isolated.close()
    lost = ocr_row(tmp_path, row, SOURCE)
    assert (lost["text"], lost["_reason"]) == (None, "too_large")
    assert lost["_detail"] == f"a.docx#p1: the parser gave up, as it does where it needs {MEMORY}"
    parser("  while True: pass\n  yield", "read_picture")
    isolated.close()
    assert ocr_row(tmp_path, row, SOURCE)["_detail"] == f"a.docx#p1: {TIME}"


# ---------------------------------------------------------------- the process itself


def test_a_child_is_used_again_and_replaced_when_it_grew_or_another_source_asks(parser, document):
    parser(
        "  global held; held = bytearray(2**26 if path.name == 'large.docx' else 1)\n"
        "  import os; yield ['pages', 1, None]; yield ['page', 1, str(os.getpid()), 'docx', None, None]"
    )
    large = hostile.docx(document.with_name("large.docx"))

    def child(path: Path, source: Documents = SOURCE) -> str:
        return outcome(path, source)[0][1]

    first = child(document)
    assert child(document) == first
    assert child(large) == first
    second = child(document)
    assert second != first and child(document) == second
    assert child(document, Documents(path="other")) != second


def test_the_child_has_no_secrets_writes_no_files_and_prints_nothing(parser, document, monkeypatch, capfd):
    monkeypatch.setenv("FINELAKE_MASK_KEY", "tell-nobody")
    written = document.with_name("written")
    parser(
        "  import os; print('printed'); os.write(2, b'printed')\n"
        "  import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"  try: os.write(os.open({str(written)!r}, os.O_WRONLY | os.O_CREAT), b'x')\n"
        "  except OSError as error: code = error.errno\n  else: code = None\n"
        "  yield ['pages', 1, None]\n"
        "  yield ['page', 1, repr((code, os.getcwd(), dict(os.environ))), 'docx', None, None]"
    )
    text = outcome(document)[0][1]
    assert text.startswith("(27, ") and "tell-nobody" not in text and "FINELAKE" not in text
    assert written.read_bytes() == b""
    assert capfd.readouterr() == ("", "")


def test_a_child_ends_with_the_process_that_started_it(tmp_path):
    """Killed while its child parses, which does not look at its pipes then."""
    hostile.docx(tmp_path / "a.docx")
    code = f"""if True:
        from finelake.jobs.sources.document import isolated
        from finelake.jobs.sources.document.reading import document_rows
        from finelake.jobs.sources.documents import Documents
        from pathlib import Path
        busy = "def read_as(path, page, source):\\n  import os, time\\n  yield ['pages', os.getpid(), None]\\n" \\
            "  while True: time.sleep(1)\\nparse.read_text = read_as"
        isolated.PROGRAM = {PROGRAM!r}.replace("CODE", repr(busy))
        source = Documents(path="x", max_pages=10**9)
        isolated.current()
        answers = isolated.ask("read_text", Path({str(tmp_path / "a.docx")!r}), 1, source, fresh=True)
        print(next(answers)[1], flush=True)
        next(answers)
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}/stat").exists()
        parent.kill()
    for _ in range(1000):
        if not Path(f"/proc/{child}").exists() or Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.01)
    os.kill(child, 9)
    pytest.fail("the child lives on")


def test_a_forked_process_has_a_child_of_its_own(document):
    assert outcome(document)[0][1] == "a"
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        try:
            texts = [outcome(document)[0][1], isolated.current().owner == os.getpid()]
            os.write(writer, json.dumps(texts).encode())
            isolated.close()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        assert json.loads(answers.read()) == ["a", True]
    os.waitpid(process, 0)
    assert outcome(document)[0][1] == "a"
