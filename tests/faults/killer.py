"""A `finelake` that dies, or loses something, at a point of a stage: before or after the nth call of a function.

The point comes in the environment: KILL holds the stage, the function, when (before, after, or milliseconds after) and
which call; KILL_HOW who dies: all (the process group, so DVC and the JVM too), alone (the stage), jvm, worker or dvc;
`gone:FOLDER`: nobody dies, and a folder is renamed away.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests import small

DYING = """#!{python}
import importlib, os, signal, sys, threading
from pathlib import Path
from finelake.cli import main

def family(pid):
    tasks = Path(f"/proc/{{pid}}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [one for child in children for one in (child, *family(child))]

def above(pid):
    while pid > 1:
        pid = int(Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid

def called(pid):
    try:
        return Path(f"/proc/{{pid}}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""

def die():
    how = os.environ["KILL_HOW"]
    Path(os.environ["KILL_MARK"]).touch()
    if how == "alone":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "all":
        os.killpg(os.getpgid(0), signal.SIGKILL)
    for pid in above(os.getpid()) if how == "dvc" else ():
        if "dvc" in called(pid) and os.getpgid(pid) == os.getpgid(0):
            os.kill(pid, signal.SIGKILL)
    if how.startswith("gone:"):
        folder = Path(how.removeprefix("gone:"))
        folder.rename(folder.with_name(folder.name + ".gone"))
    name = {{"jvm": "java", "worker": "pyspark.daemon"}}.get(how)
    for pid in family(os.getpid()) if name else ():
        if name in called(pid):
            os.kill(pid, signal.SIGKILL)

def arm(name, when, nth):
    module = importlib.import_module(name.rpartition(".")[0])
    function, calls = getattr(module, name.rpartition(".")[2]), []
    def dying(*arguments, **options):
        calls.append(None)
        if when == "before" and len(calls) == nth:
            die()
        if when.isdigit() and len(calls) == nth:
            timer = threading.Timer(int(when) / 1000, die)
            timer.daemon = True
            timer.start()
        result = function(*arguments, **options)
        if when == "after" and len(calls) == nth:
            die()
        return result
    setattr(module, name.rpartition(".")[2], dying)

stage, name, when, nth = os.environ["KILL"].split()
if sys.argv[2] == stage:
    arm(name, when, int(nth))
main()
"""


def make(folder: Path) -> Path:
    """The program, as `finelake` in a folder for the PATH."""
    program = folder / "finelake"
    folder.mkdir(parents=True)
    program.write_text(DYING.format(python=sys.executable))
    program.chmod(0o755)
    return program


def die(
    program: Path, project: Path, point: str, how: str, command: list[str], **variables: str
) -> tuple[int, str, bool]:
    """Run a command that comes to the point: (exit code, its whole output, whether the point was reached)."""
    mark, log = program.with_name("mark"), program.with_name("log")
    mark.unlink(missing_ok=True)
    environment = small.environment(KILL=point, KILL_HOW=how, KILL_MARK=str(mark), **variables)
    environment["PATH"] = f"{program.parent}{os.pathsep}{environment['PATH']}"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=project, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(timeout=600)
        finally:
            wait_for_the_end_of(process.pid)
    return code, log.read_text(encoding="utf-8", errors="replace"), mark.exists()


def wait_for_the_end_of(group: int, seconds: float = 120) -> None:
    """A JVM whose Python process died alone ends by itself, but goes on writing for a moment. What stays is killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    raise AssertionError("what a killed stage had started did not end")
