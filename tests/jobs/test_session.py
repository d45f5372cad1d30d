"""One JVM serves many stage processes, also after one of them was killed."""

import os
import subprocess
import sys

import pytest

from jobs.session import shared_jvm
from lake.errors import UserError

STAGE = """
import os, signal, sys
from jobs.session import open_session
spark = open_session("local[2]", "512m")
print("rows", spark.range(5).count(), flush=True)
if sys.argv[1] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
spark.stop()
"""


def stage(variables: dict[str, str], how: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", STAGE, how], env=os.environ | variables, capture_output=True, text=True, timeout=240
    )


@pytest.mark.slow
def test_stages_share_a_jvm_and_outlive_a_killed_one(tmp_path):
    with shared_jvm("local[2]", "512m", tmp_path / "spark.log") as variables:
        done = [stage(variables, how) for how in ("live", "die", "live")]
    assert [process.stdout for process in done] == ["rows 5\n"] * 3
    assert [process.returncode for process in done] == [0, -9, 0]
    # The console of the JVM is in the log, not in the stages' output.
    assert [process.stderr for process in done] == [""] * 3


def test_a_missing_java_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    from jobs.jars import java

    with pytest.raises(UserError, match=f"Spark needs Java 17 and JAVA_HOME={tmp_path} holds no bin/java"):
        java()
