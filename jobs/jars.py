"""The Java libraries of a session, fetched once at install: `python -m jobs.jars`.

Ivy's own command line inside pyspark does the work, so nothing but Java is needed and sessions start without a network.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyspark

from lake.errors import UserError, exit_code

# The parts of the AWS SDK that hadoop-aws needs: 9 MB; its own choice, the bundle of all services, has 600 MB.
AWS_VERSION = "2.29.52"
AWS = (
    "annotations apache-client arns auth aws-core aws-query-protocol aws-xml-protocol checksums checksums-spi crt-core "
    "endpoints-spi http-auth http-auth-aws http-auth-aws-eventstream http-auth-spi http-client-spi identity-spi "
    "json-utils metrics-spi netty-nio-client profiles protocol-core regions retries retries-spi s3 s3-transfer-manager "
    "sdk-core sts third-party-jackson-core utils"
)
JARS = (
    ("io.delta", "delta-spark_2.13", "4.0.1"),
    ("io.delta", "delta-storage", "4.0.1"),
    ("org.xerial", "sqlite-jdbc", "3.50.3.0"),
    ("org.postgresql", "postgresql", "42.7.14"),
    ("org.apache.hadoop", "hadoop-aws", "3.4.1"),  # the version of pyspark's own hadoop-client
    *(("software.amazon.awssdk", name, AWS_VERSION) for name in AWS.split()),
    ("software.amazon.eventstream", "eventstream", "1.0.1"),
    ("org.reactivestreams", "reactive-streams", "1.0.4"),
)
FOLDER = Path(sys.prefix) / "share" / "finelake" / "jars"

SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true" usepoms="true"/></resolvers>
</ivysettings>"""


def jar_paths() -> list[str]:
    """The jars' paths. UserError when they were not fetched."""
    paths = [FOLDER / f"{name}-{version}.jar" for _, name, version in JARS]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise UserError(f"the Java library {missing[0]} is not installed; run `python -m jobs.jars` (needs a network)")
    return [str(path) for path in paths]


def java() -> str:
    """The java executable. UserError when there is none."""
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not found or not Path(found).exists():
        where = f"JAVA_HOME={home} holds no bin/java" if home else "no `java` was found on the PATH"
        raise UserError(f"Spark needs Java 17 and {where}; install a Java 17 runtime or set JAVA_HOME")
    return found


def fetch() -> None:
    """Download what is missing into FOLDER."""
    if all((FOLDER / f"{name}-{version}.jar").exists() for _, name, version in JARS):
        return
    ivy = next(Path(pyspark.__file__).parent.glob("jars/ivy-*.jar"))
    wanted = "\n".join(
        f'<dependency org="{group}" name="{name}" rev="{version}" transitive="false" conf="*->master"/>'
        for group, name, version in JARS
    )
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "settings.xml").write_text(SETTINGS)
        (work / "ivy.xml").write_text(
            '<ivy-module version="2.0"><info organisation="finelake" module="jars"/>'
            f"<dependencies>{wanted}</dependencies></ivy-module>"
        )
        command = [java(), "-jar", str(ivy), "-settings", "settings.xml", "-ivy", "ivy.xml", "-cache", "cache"]
        command += ["-retrieve", "jars/[artifact]-[revision].[ext]"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)
        FOLDER.mkdir(parents=True, exist_ok=True)
        for jar in (work / "jars").glob("*.jar"):
            shutil.copyfile(jar, FOLDER / (jar.name + ".part"))
            os.replace(FOLDER / (jar.name + ".part"), FOLDER / jar.name)
        if done.returncode:
            raise UserError(f"the Java libraries could not be fetched ({done.stdout.strip()[-300:]}); try again")
    jar_paths()


if __name__ == "__main__":
    sys.exit(exit_code(fetch))
