"""The program that spark-submit runs: one stage. It stores the outcome in the lake, where `finelake submit` fetches it.

    driver.py STAGE WORKSPACE LAKE RESULT

WORKSPACE is the project's folder or, on a machine without it, a zip of params.yaml and what the stage reads.
"""

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pyspark.sql import SparkSession

from finelake.jobs import runner
from finelake.lake.config.params import load
from finelake.lake.config.project import PARAMS
from finelake.lake.errors import exit_code, sentence
from finelake.lake.tables import storage
from finelake.lake.tables.snapshots import manifest_path


def main(stage: str, workspace: str, lake: str, result: str) -> None:
    """Run the stage and write `result`, a JSON file of the lake: manifest and line, or an error the user can fix."""
    spark = SparkSession.builder.getOrCreate()
    try:
        with opened(Path(workspace)) as root:
            outcome = run(spark, root, stage, lake)
        storage.write_bytes(lake, result, json.dumps(outcome).encode())
    finally:
        spark.stop()


def run(spark: SparkSession, root: Path, stage: str, lake: str) -> dict[str, str]:
    """{"manifest": its text, "line": the description of the run}, or {"error": one sentence}."""
    started = time.monotonic()
    try:
        tables, rejected = runner.publish(spark, runner.prepare(root, stage, lake, load(root / PARAMS)))
    except Exception as error:
        text = sentence(error, [lake])
        if text is None:
            raise
        return {"error": text}
    line = runner.describe(runner.result(stage, started, tables, rejected))
    return {"manifest": manifest_path(root, stage).read_text(encoding="utf-8"), "line": line}


@contextlib.contextmanager
def opened(workspace: Path) -> Iterator[Path]:
    """The folder itself, or a temporary one with the content of a zip."""
    if workspace.is_dir():
        yield workspace
        return
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(workspace, folder)
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(*sys.argv[1:])))
