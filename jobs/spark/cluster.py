"""A cluster's settings: what Spark needs to run stages on other machines, and the user's Spark properties."""

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from finelake.jobs.spark.package import code_zip, packages_archive
from finelake.lake.config.project import expanded, variable
from finelake.lake.errors import UserError

PROPERTIES = "FINELAKE_SPARK_PROPERTIES"  # the variable that names the file of further Spark properties
PYTHON = "spark.pyspark.python"
FOLDER = "packages"  # where executors unpack the archive, below their working folder
_PROPERTY = re.compile(r"(spark\.[^\s=:]+)(?:\s*[=:]\s*|\s+(?![=:]))(\S.*)")


def is_cluster(master: str) -> bool:
    """Whether executors run in separate processes, perhaps on other machines."""
    return not master.startswith("local")


def cluster_settings() -> dict[str, str]:
    """Settings that send the stages' code and packages to executors whose Python has none of them."""
    return {
        "spark.submit.pyFiles": str(code_zip()),
        "spark.archives": f"{packages_archive()}#{FOLDER}",
        "spark.executorEnv.PYTHONPATH": FOLDER,
    }


def properties(reserved: Iterable[str] = ()) -> dict[str, str]:
    """The user's Spark properties: lines `name value` or `name=value`, # begins a comment; none where no file is named.

    UserError for a file that cannot be read, a line without a value, and a name in `reserved`.
    """
    given = variable(PROPERTIES)
    if not given:
        return {}
    name = expanded(PROPERTIES, given)
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{PROPERTIES} names {name}, which cannot be read ({error}); correct or unset it") from None
    values = dict(_property(line.strip(), name) for line in lines if line.strip() and not line.strip().startswith("#"))
    for key in reserved:
        if key in values:
            raise UserError(f"{name} sets {key}, which Finelake sets itself; remove that line")
    return values


def _property(line: str, name: str) -> tuple[str, str]:
    entry = _PROPERTY.fullmatch(line)
    if not entry:
        raise UserError(f"{name}: {line.split()[0]!r} does not begin a Spark property; write `spark.name value`")
    return entry[1], entry[2]


def worker_python() -> str:
    """The Python of the executors: spark.pyspark.python or PYSPARK_PYTHON, else this version's name on their PATH."""
    default = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return properties().get(PYTHON) or os.environ.get("PYSPARK_PYTHON") or default
