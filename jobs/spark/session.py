"""The Spark session: one place for its settings, and one JVM that several stages can share."""

import atexit
import contextlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from multiprocessing.connection import Client, Listener
from pathlib import Path
from socketserver import BaseServer
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.accumulators import AccumulatorServer
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from finelake.jobs.spark.cluster import cluster_settings, is_cluster, properties, worker_python
from finelake.jobs.spark.jars import jar_paths, java
from finelake.jobs.spark.scratch import UMASK, Scratch, open_private, private, scratch
from finelake.lake.config.project import MASK_KEY
from finelake.lake.errors import UserError, sentence
from finelake.lake.tables.storage import REGION

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Rows may hold a million characters: batches are bounded by bytes, or to a few rows.
    "spark.sql.execution.arrow.maxBytesPerBatch": "16m",
    "spark.sql.parquet.enableVectorizedReader": "false",
    # Spark prints each plan with the plans of all persisted frames in it: gigabytes for long chains.
    "spark.sql.maxPlanStringLength": "100000",
    "spark.hadoop.parquet.page.size.row.check.min": "10",
    "spark.hadoop.parquet.page.size.row.check.max": "20",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "1",
    # Delta writes the data files, see jobs/spark/commit.py: plain Parquet, and no values of the rows in any log.
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
    "spark.databricks.delta.properties.defaults.columnMapping.mode": "none",
    "spark.databricks.delta.properties.defaults.dataSkippingNumIndexedCols": "0",
}
# What the user's properties may change; the others decide what is computed.
OPEN = ("spark.ui.enabled", "spark.ui.showConsoleProgress", "spark.log.level")
LOCAL = {
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
PORT, SECRET = "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"
ADDRESS, STOP = "address", "stop"  # requests at the socket
JVM = "FINELAKE_JVM"  # the socket at which a surrounding `shared_jvm` gives the address of its JVM


def settings(master: str, memory: str) -> dict[str, str]:
    """Spark's settings for a master such as local[2] and a driver memory such as 2g, with the user's properties."""
    fixed = {"spark.master": master, "spark.driver.memory": memory, "spark.jars": ",".join(jar_paths())}
    fixed |= {key: value for key, value in SETTINGS.items() if key not in OPEN}
    if is_cluster(master):
        fixed |= cluster_settings()
    defaults = SETTINGS | _object_store() | ({} if is_cluster(master) else LOCAL)
    # A local run writes to its session's folder, see jobs/spark/scratch.py; on a cluster the executors have their own.
    reserved = fixed if is_cluster(master) else [*fixed, "spark.local.dir"]
    return defaults | fixed | properties(reserved=reserved)


def _object_store() -> dict[str, str]:
    """How s3a:// is reached. Spark reads the endpoint and the keys from the environment.

    So the keys are in no setting, and Spark keeps them out of its event log.
    """
    style = {"spark.hadoop.fs.s3a.path.style.access": "true"} if os.environ.get("AWS_ENDPOINT_URL") else {}
    return style | {"spark.hadoop.fs.s3a.endpoint.region": os.environ.get("AWS_REGION") or REGION}


def open_session(master: str, memory: str, log: Path | None = None) -> SparkSession:
    """A session on the JVM of a surrounding `shared_jvm`, else on a JVM of this process whose console goes to `log`.

    A JVM of this process ends with it; its folder next to `log` is then removed.
    """
    _prepare_environment(master)
    # py4j logs tracebacks when the JVM ends before Python's last references to it, through its own logger and the root.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_not_of_py4j)
    AccumulatorServer.handle_error = _handle_error  # type: ignore[assignment, method-assign]
    spark_settings = settings(master, memory)
    if os.environ.get(JVM):
        os.environ.update(_request(os.environ[JVM], ADDRESS))
        _stop_abandoned_context()
    elif SparkContext._gateway is None and PORT not in os.environ:
        own = contextlib.ExitStack()
        atexit.register(own.close)
        room = own.enter_context(scratch(log.parent if log else None))
        gateway = _launch(master, memory, log, room)
        own.callback(_end, gateway)
        SparkContext._ensure_initialized(gateway=gateway)
    builder = SparkSession.builder.appName("finelake")
    for key, value in spark_settings.items():
        builder = builder.config(key, value)
    with _stderr_to(log):
        return builder.getOrCreate()


def _handle_error(server: BaseServer, request: Any, client_address: Any) -> None:
    """The connection of Spark's accumulators breaks when the JVM ends; the error of the stage reports that."""
    if not isinstance(sys.exception(), OSError | EOFError):
        BaseServer.handle_error(server, request, client_address)


def _not_of_py4j(record: logging.LogRecord) -> bool:
    return "py4j" not in Path(record.pathname).parts


@contextlib.contextmanager
def shared_jvm(master: str, memory: str, log: Path) -> Iterator[dict[str, str]]:
    """A JVM for many stage processes in sequence; yields the environment variables by which they find it.

    It saves each stage the start of a JVM and the loading of its classes, some 20 seconds. It starts when the first
    stage requests it, so that no JVM starts where no stage has to run.
    """
    gateways: list[Any] = []
    with scratch(log.parent) as room:
        address = str(room.folder.resolve() / "jvm")  # in a folder that only this user can enter
        with _reachable(address) as short, Listener(short, family="AF_UNIX") as listener:
            start = partial(_launch, master, memory, log, room)
            server = threading.Thread(target=_serve, args=(listener, gateways, start), daemon=True)
            server.start()
            try:
                yield {JVM: address}
            finally:
                _request(address, STOP)
                server.join()
                for gateway in gateways:
                    gateway.shutdown()
                    _end(gateway)


@contextlib.contextmanager
def _reachable(address: str) -> Iterator[str]:
    """A short name for a socket: the kernel accepts 107 bytes, and the path of a project may be longer."""
    folder, name = os.path.split(address)
    descriptor = os.open(folder, os.O_PATH)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def _serve(listener: Listener, gateways: list[Any], start: Callable[[], Any]) -> None:
    """Answer stages until stopped: with the address of the JVM, which the first request starts, or the error."""
    while True:
        with listener.accept() as connection:
            try:
                request = connection.recv()
                connection.send(_answer(gateways, start) if request == ADDRESS else {})
            except (EOFError, OSError):
                continue  # the stage was killed during its request
        if request == STOP:
            return


def _answer(gateways: list[Any], start: Callable[[], Any]) -> dict[str, str] | UserError:
    """The address of the JVM, which is started if there is none yet, or the error."""
    try:
        if not gateways:
            gateways.append(start())
    except (UserError, OSError) as error:
        return UserError(sentence(error))
    return _address(gateways[0])


def _launch(master: str, memory: str, log: Path | None, room: Scratch) -> Any:
    """A JVM that writes into `room`, readable only by its owner, and holds its lock as long as it lives.

    The key of the pseudonyms is not in its environment, nor in that of its workers: they get it with their function.
    """
    _prepare_environment(master)
    conf = SparkConf(loadDefaults=False)
    conf.setAll(list(settings(master, memory).items()))
    variables = {**room.environment(), MASK_KEY: None}
    with _variables(variables), _temporary_files_in(room.folder), _stderr_to(log):
        return launch_gateway(conf, {"umask": UMASK, "pass_fds": (room.lock,)})


def _end(gateway: Any) -> None:
    """End a JVM of this process and wait for its exit."""
    gateway.proc.stdin.close()
    gateway.proc.wait(timeout=30)


@contextlib.contextmanager
def _variables(changed: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables, or remove those that are None, for the duration of a call."""
    before = {name: os.environ.get(name) for name in changed}
    _set(changed)
    try:
        yield
    finally:
        _set(before)


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Make Python's tempfile use a folder for the duration of a call: it would keep TMPDIR for the whole process."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _address(gateway: Any) -> dict[str, str]:
    return {PORT: str(gateway.gateway_parameters.port), SECRET: gateway.gateway_parameters.auth_token}


def _request(socket: str, what: str) -> dict[str, str]:
    with _reachable(socket) as short, Client(short, family="AF_UNIX") as connection:
        connection.send(what)
        answer = connection.recv()
    if isinstance(answer, UserError):
        raise answer
    return answer


def _prepare_environment(master: str) -> None:
    java()
    # Without these, workers use the system's Python, and the driver looks up a host name that may not resolve.
    if is_cluster(master):
        os.environ |= {"PYSPARK_PYTHON": worker_python(), "PYSPARK_DRIVER_PYTHON": sys.executable}
        return
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def _stop_abandoned_context() -> None:
    """Stop the SparkContext that a killed stage left in the shared JVM: a JVM holds at most one."""
    SparkContext._ensure_initialized()
    companion = getattr(getattr(SparkContext._jvm, "org.apache.spark.SparkContext$"), "MODULE$")
    active = companion.getActive()
    if active.isDefined():
        active.get().stop()


@contextlib.contextmanager
def _stderr_to(log: Path | None) -> Iterator[None]:
    """Let child processes started here (the JVM, its Python workers) write their console to `log`."""
    if log is None:
        yield
        return
    private(log.parent)
    sys.stderr.flush()
    console = os.dup(2)
    with open_private(log) as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(console, 2)
            os.close(console)
