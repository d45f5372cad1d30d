"""One JVM serves many stage processes, even after one of them was killed."""

import io
import logging
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pyspark
import pytest

from finelake.jobs.spark import session
from finelake.jobs.spark.jars import jar_paths
from finelake.jobs.spark.session import JVM, _request, settings, shared_jvm
from finelake.lake.errors import UserError

STAGE = """
import os, signal, sys
from finelake.jobs.spark.session import open_session
spark = open_session("local[2]", "512m")
print("rows", spark.range(5).count(), flush=True)
in_worker = spark.sparkContext.parallelize([0], 1).map(lambda _: os.environ.get("FINELAKE_MASK_KEY")).collect()
print("key", in_worker, os.environ["FINELAKE_MASK_KEY"], flush=True)
if sys.argv[1] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
spark.stop()
"""


def stage(variables: dict[str, str], how: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", STAGE, how], env=os.environ | variables, capture_output=True, text=True, timeout=240
    )


@pytest.mark.slow
def test_stages_share_a_jvm_and_outlive_a_killed_one(tmp_path, monkeypatch):
    monkeypatch.setenv("FINELAKE_MASK_KEY", "hidden")
    with shared_jvm("local[2]", "512m", tmp_path / "spark.log") as variables:
        done = [stage(variables, how) for how in ("live", "die", "live")]
    # A worker's environment, which lasts as long as the JVM, lacks the key.
    assert [process.stdout for process in done] == ["rows 5\nkey [None] hidden\n"] * 3
    assert [process.returncode for process in done] == [0, -9, 0]
    # The console of the JVM is in the log, not in the stages' output.
    assert [process.stderr for process in done] == [""] * 3


@pytest.mark.parametrize("name", ["p", "deep/" * 40, "a,b:c d\"e'f", "中文" * 30])
def test_the_socket_of_a_shared_jvm_is_reached_in_any_project(tmp_path, name):
    log = tmp_path / name / ".finelake" / "spark.log"
    with shared_jvm("local[2]", "512m", log) as variables:
        address = Path(variables[JVM])
        assert address.is_socket() and address.is_relative_to(log.parent / "tmp")
        assert stat.S_IMODE(address.parent.stat().st_mode) == 0o700
        assert _request(str(address), "anything") == {}  # and no JVM was started
    assert [path.name for path in (log.parent / "tmp").iterdir()] == [".lock"]


def test_the_folder_of_a_local_run_is_not_the_user_s_to_set(monkeypatch, tmp_path):
    (tmp_path / "spark.conf").write_text("spark.local.dir /scratch\n")
    monkeypatch.setenv("FINELAKE_SPARK_PROPERTIES", str(tmp_path / "spark.conf"))
    with pytest.raises(UserError, match=r"spark.conf sets spark.local.dir, which Finelake sets itself"):
        settings("local[2]", "1g")


def test_a_missing_java_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    from finelake.jobs.spark.jars import java

    with pytest.raises(UserError, match=f"Spark needs Java 17 and JAVA_HOME={tmp_path} holds no bin/java"):
        java()


def test_hadoops_module_for_object_stores_has_the_version_of_sparks_hadoop():
    (client,) = Path(pyspark.__file__).parent.glob("jars/hadoop-client-api-*.jar")
    assert f"hadoop-aws-{client.stem.rpartition('-')[2]}.jar" in [Path(path).name for path in jar_paths()]


def test_keys_are_in_no_setting_of_spark(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    chosen = settings("local[2]", "1g")
    assert "hidden" not in str(chosen)
    assert chosen["spark.hadoop.fs.s3a.path.style.access"] == "true"
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert "spark.hadoop.fs.s3a.path.style.access" not in settings("local[2]", "1g")


def test_one_process_may_share_a_jvm_again_and_again(tmp_path, monkeypatch):
    """As `finelake repair` does, one stage at a time; a start that fails is reported to the stage."""
    made = []

    def launch(conf, options):
        made.append(tempfile.mkdtemp())
        if len(made) == 3:
            raise PermissionError(13, "Permission denied", "java")
        process = SimpleNamespace(stdin=io.BytesIO(), wait=lambda timeout: 0)
        parameters = SimpleNamespace(port=len(made), auth_token="x")
        return SimpleNamespace(gateway_parameters=parameters, proc=process, shutdown=lambda: None)

    monkeypatch.setattr(session, "launch_gateway", launch)
    for number in (1, 2):
        with session.shared_jvm("local[1]", "1g", tmp_path / ".finelake" / "spark.log") as variables:
            assert session._request(variables[session.JVM], session.ADDRESS)[session.PORT] == str(number)
            assert Path(made[-1]).is_relative_to(tmp_path / ".finelake" / "tmp")
    assert not Path(tempfile.gettempdir()).is_relative_to(tmp_path / ".finelake")
    with (
        session.shared_jvm("local[1]", "1g", tmp_path / ".finelake" / "spark.log") as variables,
        pytest.raises(UserError, match="java: permission denied"),
    ):
        session._request(variables[session.JVM], session.ADDRESS)


def test_what_py4j_logs_by_the_root_logger_is_left_out_and_nothing_else():
    def record(path: str) -> logging.LogRecord:
        return logging.LogRecord("root", logging.ERROR, path, 1, "said", None, None)

    assert not session._not_of_py4j(record("/venv/site-packages/py4j/java_gateway.py"))
    assert session._not_of_py4j(record("/venv/site-packages/own_model/ner.py"))


@pytest.mark.parametrize(
    ("error", "reported"), [(ConnectionResetError(), False), (EOFError(), False), (KeyError(), True)]
)
def test_a_connection_that_ended_with_the_jvm_is_not_reported(capfd, error, reported):
    try:
        raise error
    except Exception:
        session._handle_error(SimpleNamespace(), None, ("127.0.0.1", 1))
    assert ("Traceback" in capfd.readouterr().err) is reported
