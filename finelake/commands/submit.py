"""Run one data stage on a Spark cluster with spark-submit, wait for it and fetch its manifest.

In client mode the driver is a process of this machine and reads this project; in cluster mode it runs on the cluster
and receives params.yaml, and the manifests and the tokenizer that the stage reads.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from finelake import timings
from finelake.commands.run import check, check_stage
from finelake.jobs.spark.scratch import open_private, private, scratch
from finelake.lake.config import stages
from finelake.lake.config.project import MASK_KEY, PARAMS, Settings, settings, write_atomically
from finelake.lake.errors import UserError
from finelake.lake.tables import snapshots, storage

EXAMPLE = (
    "  finelake submit clean --master spark://head:7077\n  finelake submit clean --master yarn --deploy-mode cluster"
)
SUBMISSIONS = "_submissions"  # folder of the lake in which drivers store the outcome of a stage
WORKSPACE = "workspace.zip"
DRIVER_VARIABLE = {"yarn": "spark.yarn.appMasterEnv", "k8s": "spark.kubernetes.driverEnv"}  # prefix, by cluster manager
WAIT = ("spark.yarn.submit.waitAppCompletion", "spark.kubernetes.submission.waitAppCompletion")
STORE_PLACE = ("AWS_ENDPOINT_URL", "AWS_REGION")  # address of an object store; its keys follow
STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
SECRET_REFERENCE = "spark.kubernetes.driver.secretKeyRef"
KUBERNETES = {  # without these, Kubernetes cannot start a driver that this machine describes
    "spark.kubernetes.container.image": "the image of driver and executors",
    "spark.kubernetes.file.upload.path": "a folder such as s3a://BUCKET/upload through which the packages are sent",
}
STATE = re.compile(r"\((?:state|phase): (\w+)\)")  # in the reports of YARN and Kubernetes


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", help="ingest, clean, …, or a stage of a training run such as select@RUN")
    parser.add_argument("--master", help="spark://HOST:PORT, yarn or k8s://URL (default: FINELAKE_MASTER)")
    parser.add_argument("--deploy-mode", choices=("client", "cluster"), default="client", help="where the driver runs")


def main(options: argparse.Namespace) -> None:
    started = time.monotonic()
    if options.master:
        os.environ["FINELAKE_MASTER"] = options.master
    check_stage(options.stage)
    content = check(options.root)
    print(submit(options.root, options.stage, settings(options.root), options.deploy_mode, content), flush=True)
    timings.record(options.root, options.stage, time.monotonic() - started)


def submit(root: Path, stage: str, settings: Settings, deploy_mode: str, content: Mapping[str, Any]) -> str:
    """Run the stage on the cluster, write its manifest into the project and return the line that describes the run.

    UserError for what the cluster could not run, before anything is sent, and for the mistakes that the stage finds.
    """
    from finelake.jobs import runner

    refuse(stage, settings.master, deploy_mode, content)
    reads = runner.prepare(root, stage, settings.lake, content).declared.reads
    spark = properties(stage, settings, deploy_mode, content)
    folder = f"{SUBMISSIONS}/{uuid.uuid4().hex}"
    result = f"{folder}/{snapshots.manifest_path(root, stage).name}"
    # Only its owner can read the temporary folder: the properties may hold secrets, and a driver here writes rows.
    with scratch(root / runner.LOG.parent) as room:
        program = [stage, str(root) if deploy_mode == "client" else WORKSPACE, settings.lake, result]
        command = write(Path(os.path.relpath(room.folder)), root, stage, reads, spark) + program
        print(f"{stage}: submitted to {settings.master}, deploy mode {deploy_mode}", flush=True)
        code = watch(command, root / runner.LOG, stage, room.environment())
    try:
        return fetch(root, stage, settings.lake, result)
    except FileNotFoundError:
        raise UserError(
            f"{stage} left no result (exit code {code} of spark-submit); see {runner.LOG}, fix it and submit again"
        ) from None
    finally:
        storage.delete_folders(settings.lake, [folder])


def watch(command: list[str], log: Path, stage: str, variables: Mapping[str, str] | None = None) -> int:
    """Run spark-submit with `variables` until the stage has ended, with its console in `log`; prints each new state.

    Returns its exit code.
    """
    own = {"SPARK_HOME": str(spark_home()), **(variables or {})}
    private(log.parent)
    last = ""
    with (
        open_private(log) as console,
        subprocess.Popen(
            command, env=os.environ | own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        for line in process.stdout or ():
            console.write(line.encode())
            state = STATE.search(line)
            if state and state[1] != last:
                last = state[1]
                print(f"{stage}: {last}", flush=True)
    return process.returncode


def spark_home() -> Path:
    """The folder of the installed Spark."""
    import pyspark

    return Path(pyspark.__file__).parent


def fetch(root: Path, stage: str, lake: str, result: str) -> str:
    """Write the manifest that a driver left in the lake; returns its description. UserError when it failed with one."""
    outcome = json.loads(storage.read_bytes(lake, result))
    if "error" in outcome:
        raise UserError(outcome["error"])
    write_atomically(snapshots.manifest_path(root, stage), outcome["manifest"])
    return outcome["line"]


# --- what cannot run -------------------------------------------------------------------------------------------------


def refuse(stage: str, master: str, deploy_mode: str, content: Mapping[str, Any]) -> None:
    """UserError for a stage, master and deploy mode that cannot be combined, and without Java or spark-submit."""
    from finelake.jobs.spark.jars import java

    java()
    if not (spark_home() / "bin" / "spark-submit").is_file():
        raise UserError(f"{spark_home()} holds no bin/spark-submit; install pyspark again with pip")
    if stage.partition("@")[0] not in stages.SPARK:
        raise UserError(f"{stage} is not a Spark stage; run it with `finelake run {stage}`")
    if deploy_mode == "client":
        return
    if _manager(master) not in DRIVER_VARIABLE:
        raise UserError(
            f"Spark has no cluster mode for Python on {master}; use --deploy-mode client, or a yarn or k8s:// master"
        )
    if _manager(master) == "yarn" and MASK_KEY in stage_variables(stage, content):
        raise UserError(
            f"on YARN {MASK_KEY} would become a Spark property, which must not hold it; use --deploy-mode client"
        )
    for name, path in local_paths(content).items() if stage == "ingest" else ():
        if not Path(path).is_absolute():
            raise UserError(
                f"source {name} reads {path} of this project, which a driver on the cluster cannot reach; "
                "use --deploy-mode client, or a path that every machine mounts"
            )


def _manager(master: str) -> str:
    return master.partition(":")[0]


def local_paths(content: Mapping) -> dict[str, str]:
    """By source, the local file or folder that it reads."""
    from finelake.jobs.sources.kinds import parse_sources

    sources = parse_sources(content.get("sources"))
    return {name: path for name, source in sources.items() if (path := source.local_path(name))}


# --- what is sent ----------------------------------------------------------------------------------------------------


def properties(stage: str, settings: Settings, deploy_mode: str, content: Mapping[str, Any]) -> dict[str, str]:
    """The Spark properties of the submission. UserError for a property that Kubernetes needs and does not have."""
    from finelake.jobs.spark.cluster import FOLDER, PYTHON, is_cluster, worker_python
    from finelake.jobs.spark.session import settings as session_settings

    spark = session_settings(settings.master, settings.memory)
    spark |= {"spark.app.name": f"finelake {stage}", "spark.submit.deployMode": deploy_mode}
    spark[PYTHON] = worker_python() if is_cluster(settings.master) else sys.executable
    if deploy_mode == "client":
        return spark | {"spark.pyspark.driver.python": sys.executable}
    manager = _manager(settings.master)
    variable = DRIVER_VARIABLE[manager]
    spark |= {f"{variable}.PYTHONPATH": FOLDER} | dict.fromkeys(WAIT, "true")
    secret = stage_variables(stage, content)
    if not storage.is_local(settings.lake):
        secret |= {name for name in STORE_KEYS if name in os.environ}
        spark |= {f"{variable}.{name}": os.environ[name] for name in STORE_PLACE if name in os.environ}
    if manager == "k8s":
        _check_kubernetes(spark, secret)
        return spark
    return spark | yarn_secrets(secret)


def stage_variables(stage: str, content: Mapping[str, Any]) -> set[str]:
    """The secret environment variables that the driver of a stage needs."""
    from finelake.jobs.stage import load_stage

    return load_stage(stage.partition("@")[0]).secrets(content)


def yarn_secrets(names: set[str]) -> dict[str, str]:
    """Properties that set the variables for the driver on YARN; Spark's pages and logs do not show their values."""
    if not names:
        return {}
    given = {f"{DRIVER_VARIABLE['yarn']}.{name}": os.environ[name] for name in sorted(names)}
    hidden = "|".join(["secret", "password", "token", "access[.]?key", *sorted(names)])
    return given | {"spark.redaction.regex": f"(?i){hidden}"}


def _check_kubernetes(spark: Mapping[str, str], names: set[str]) -> None:
    """UserError unless each variable refers to a secret: its value would be visible in the pod's description."""
    needed = KUBERNETES | {f"{SECRET_REFERENCE}.{name}": f"SECRET:KEY that holds {name}" for name in sorted(names)}
    for key, meaning in needed.items():
        if key not in spark:
            raise UserError(
                f"cluster mode on Kubernetes needs {key}, {meaning}; write it into FINELAKE_SPARK_PROPERTIES"
            )


def write(scratch: Path, root: Path, stage: str, reads: tuple[str, ...], spark: dict[str, str]) -> list[str]:
    """Write driver, properties and, for cluster mode, workspace into `scratch`; returns the command so far."""
    driver, listed = scratch / "finelake_driver.py", scratch / "spark.properties"
    # In a separate folder, which Python puts first on its path: next to the session's modules it would hide others.
    driver.write_bytes((resources.files("finelake.jobs.spark") / "driver.py").read_bytes())
    if spark["spark.submit.deployMode"] == "cluster":
        pack(scratch / WORKSPACE, root, stage, reads)
        spark["spark.files"] = ",".join(filter(None, (spark.get("spark.files"), str(scratch / WORKSPACE))))
    listed.write_text("".join(f"{key} {_escaped(value)}\n" for key, value in spark.items()), encoding="utf-8")
    return [str(spark_home() / "bin" / "spark-submit"), "--properties-file", str(listed), str(driver)]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def pack(target: Path, root: Path, stage: str, reads: tuple[str, ...]) -> None:
    """Zip what a driver without the project needs: params.yaml, the pinned inputs, the tokenizer of a training run."""
    _, _, run_name = stage.partition("@")
    read = {stages.of_run(name, run_name) for name in {key.partition(".")[0] for key in reads} - {"sources"}}
    paths = [root / PARAMS, *sorted(snapshots.manifest_path(root, source) for source in read)]
    if run_name:
        paths += sorted(path for path in (root / "models" / run_name / "tokenizer").glob("*") if path.is_file())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, path.relative_to(root))
