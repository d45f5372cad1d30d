"""Stages on a Spark cluster of this machine: the same bytes, whatever happens to a worker (marked slow)."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyspark
import pytest

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[1]
SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
DAEMON = "org.apache.spark.deploy"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cluster:
    """A standalone master and two workers of one core each, whose executors have a Python without packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.master = f"spark://127.0.0.1:{self.port}"
        self.workers: dict[str, subprocess.Popen] = {}
        self.head = self._start("master.Master", "--host", "127.0.0.1", "--port", str(self.port), "--webui-port", "0")
        deadline = time.monotonic() + 120
        while not _listens(self.port):
            assert self.head.poll() is None and time.monotonic() < deadline, (folder / "master.Master.log").read_text()
            time.sleep(0.2)

    def start_worker(self, name: str) -> None:
        options = ("--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g")
        work = ("--work-dir", str(self.folder / name))
        self.workers[name] = self._start("worker.Worker", *options, *work, self.master, log=name)

    def kill_worker(self, name: str) -> None:
        """SIGKILL a worker with its executor and its Python processes."""
        process = self.workers.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for name in list(self.workers):
            self.kill_worker(name)
        self.head.kill()
        self.head.wait()

    def _start(self, name: str, *arguments: str, log: str = "") -> subprocess.Popen:
        cleanup = ("enabled=true", "interval=10", "appDataTtl=1")  # each application unpacks 700 MB
        variables = {
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_WORKER_OPTS": " ".join(f"-Dspark.worker.cleanup.{option}" for option in cleanup),
        }
        with (self.folder / f"{log or name}.log").open("ab") as file:
            command = [str(SPARK_CLASS), f"{DAEMON}.{name}", *arguments]
            return subprocess.Popen(
                command, env=os.environ | variables, stdout=file, stderr=file, start_new_session=True
            )


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
