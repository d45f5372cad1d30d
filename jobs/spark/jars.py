"""The Java libraries of a session, fetched once at installation by `finelake setup`.

Ivy's command line inside pyspark fetches them, so only Java is needed, and sessions start without a network. Each file
is compared with its SHA-256 when it is fetched and before each session: 20 ms for all of them.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pyspark

from finelake.lake.errors import UserError


class Jar(NamedTuple):
    """Maven coordinates of a library, and the SHA-256 of its file: no other file is ever loaded."""

    group: str
    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.jar"


# The parts of the AWS SDK that hadoop-aws needs: 9 MB. Its default, the bundle of all services, has 600 MB.
AWS_VERSION = "2.29.52"
AWS = {
    "annotations": "8cd8bd8afd7eca5a367f69fd87427f6d9f3e7d359962122da24d71f1963f00cd",
    "apache-client": "c96494be30ecac6f0ab7a35fdd91a4c77ca8a5daf62f3d9d84644ef0f0524dc6",
    "arns": "f5a4d1d9b4e4fc63c9bda49bcf1c59d23fd876b276c6b43aaca12969337303a6",
    "auth": "4d8143b6198dc7a530c2ccdd813129c132b96736086c0d4fea85480b9bdbc5fe",
    "aws-core": "eb560c064fbaac7e2e7f4a77ac343d3083bea0d7f6e2c69ba022d3f3e859be90",
    "aws-query-protocol": "1b117672963ee5059c45f2aadb110f191b578d108d8f08d7c7a59e6c0b098a8e",
    "aws-xml-protocol": "daf87b429373ad586d165003b5b1d4fe498c6472eb65ec9a9e2aa7d56f3917dd",
    "checksums": "bca99ff25c9b917d6be03e5dce78ad5328e7dca485e96024fa8476e4192a800a",
    "checksums-spi": "21193b9b648843dcaff493f0dd80abab9ee6871b203b9218120554698d8f7b8a",
    "crt-core": "4e1f33de21b688695fec91b977ddfa99e9d376edcbad06a62b0c138c60b37de4",
    "endpoints-spi": "e54f246c668d70b55cffe0c8fad18d4465e74e22db75139918bd30610093d1e6",
    "http-auth": "d8aa3bd376aaec7196396e65fe8755f1fdd169e51357f8128ecdc7d23a687450",
    "http-auth-aws": "7ae124e81ac0c2860bb61fdde34a388dbe823fef8509dd46a6bec805ada90308",
    "http-auth-aws-eventstream": "565a4aacce955c5ffaed551f6faaaa958e9e92b2f8514c8482f664edb2bab576",
    "http-auth-spi": "7a2168c5a7baa856d7ae9f9c4f7522d2db9f1361108c38f5b6ece66f249e6a2d",
    "http-client-spi": "8ea61ce3b527779fbfe119e0775c4b7cfdf274a979b1e50596a634685a5b6542",
    "identity-spi": "85104635abf9e5c044aaf7f8951b63efc2ef82051b5ee303571ee2e1fd8b46d0",
    "json-utils": "2652cdb3668311bcff6e643c8612b9fea266423ae1ce33743c84dd7f77904311",
    "metrics-spi": "1db2e3da338148ee40a716e1733c9a5b99e9e6daa4db3aa8bd7e718adafa2510",
    "netty-nio-client": "07238668c9cf54531ee269fd6e2a1e2650fb75d6774d401f406c2a14f26af654",
    "profiles": "fef84619d101838ba45f48d0caddb09a85d9ed8bf869095bd7d2064796856cf7",
    "protocol-core": "7b32e41a3743b422d2edec1670f60b4c1e512fcd5ab7a53fef20742d6b9104d1",
    "regions": "5ee0e26277c679ffa70d83923b0d5f77a53066ecde8610f28be1856947d60eaf",
    "retries": "ca3752ba31399721980c6398992921ff5aa164e084b4c14484333df58c76a353",
    "retries-spi": "a4218ea742fc9e07a620629d7a258bfd92b8ea3ef75f1b99193d0898ca3efe99",
    "s3": "abaedea7e68063e9c4ab090f80d14b9884c57b50953bfe6e5acaa23025609efa",
    "s3-transfer-manager": "0c9e654637247187a7e2494eb7a8799477a772a7d554cd3ae787cd3e3bae3c55",
    "sdk-core": "ea8e9856569f85075a8a806d0481c4bd848c98b24fd6d706fc0b5883fc4604dc",
    "sts": "6495d0457f4e4c3724d8c9c5fe4f6f98c9530a22f92449c4cca5fd03622e4edb",
    "third-party-jackson-core": "eaece3eb60beb8ec09d8a4f48d5bff4110010b03cc23688bdcf2af2eb075cac6",
    "utils": "f150a38f2fec14ced2de6459bfe804f647c88baa573b218646ef89b436a29d42",
}
JARS = (
    Jar("io.delta", "delta-spark_2.13", "4.0.1", "a1e76860b19fe1e6b205a4ea7a9099a2f9575d39bb71d49b3e679b299d0efb91"),
    Jar("io.delta", "delta-storage", "4.0.1", "ecc42c5aaa51c423312d9e4e48aa4a12b34740bf2c37de0e8f279277ec3d12e4"),
    Jar("org.xerial", "sqlite-jdbc", "3.50.3.0", "a3f53a2aa15ae9425a9e793bbe9c8e5288febeb4b65ef5c1a4e80d4c2045cf08"),
    Jar("org.postgresql", "postgresql", "42.7.14", "73914527305a40cce504b0d3d90b23caf565136912d607ae8ae7c5895512332c"),
    # the version of the hadoop-client in pyspark
    Jar("org.apache.hadoop", "hadoop-aws", "3.4.1", "01334a07e179cae2b7e251f24857f11e3759108c9d6a79dcbe362a4295227da2"),
    *(Jar("software.amazon.awssdk", name, AWS_VERSION, sha256) for name, sha256 in AWS.items()),
    Jar(
        "software.amazon.eventstream",
        "eventstream",
        "1.0.1",
        "0c37d8e696117f02c302191b8110b0d0eb20fa412fce34c3a269ec73c16ce822",
    ),
    Jar(
        "org.reactivestreams",
        "reactive-streams",
        "1.0.4",
        "f75ca597789b3dac58f61857b9ac2e1034a68fa672db35055a8fb4509e325f28",
    ),
)
FOLDER = Path(sys.prefix) / "share" / "finelake" / "jars"

SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true" usepoms="true"/></resolvers>
</ivysettings>"""


def jar_paths() -> list[str]:
    """The jars' paths. UserError for one that was not fetched or is not the pinned file."""
    for jar in JARS:
        path = FOLDER / jar.file
        if not path.exists():
            raise UserError(f"the Java library {jar.file} is not installed; run `finelake setup` (needs a network)")
        if not _pinned(path, jar):
            raise UserError(
                f"the Java library {path} was altered: its SHA-256 is not the pinned one; "
                "run `finelake setup` to fetch it again (needs a network)"
            )
    return [str(FOLDER / jar.file) for jar in JARS]


def _pinned(path: Path, jar: Jar) -> bool:
    """Whether the file exists and is the one that JARS pins."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256


def java() -> str:
    """The java executable. UserError when there is none."""
    home = os.environ.get("JAVA_HOME")
    executable = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not executable or not Path(executable).exists():
        reason = f"JAVA_HOME={home} holds no bin/java" if home else "no `java` was found on the PATH"
        raise UserError(f"Spark needs Java 17 and {reason}; install a Java 17 runtime or set JAVA_HOME")
    return executable


def fetch() -> None:
    """Fetch missing and altered jars into FOLDER."""
    missing = [jar for jar in JARS if not _pinned(FOLDER / jar.file, jar)]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as scratch:
        failure = _download(missing, Path(scratch))
        _install(missing, Path(scratch) / "jars")
    if failure:
        raise UserError(f"the Java libraries could not be fetched ({failure}); try again")
    jar_paths()


def _download(missing: Iterable[Jar], work: Path) -> str:
    """Let Ivy fetch the jars into work/jars. Returns the end of its output where it failed, else nothing."""
    ivy = next(Path(pyspark.__file__).parent.glob("jars/ivy-*.jar"))
    dependencies = "\n".join(
        f'<dependency org="{jar.group}" name="{jar.name}" rev="{jar.version}" transitive="false" conf="*->master"/>'
        for jar in missing
    )
    (work / "settings.xml").write_text(SETTINGS)
    (work / "ivy.xml").write_text(
        '<ivy-module version="2.0"><info organisation="finelake" module="jars"/>'
        f"<dependencies>{dependencies}</dependencies></ivy-module>"
    )
    command = [java(), "-jar", str(ivy), "-settings", "settings.xml", "-ivy", "ivy.xml", "-cache", "cache"]
    command += ["-retrieve", "jars/[artifact]-[revision].[ext]"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    return done.stdout.strip()[-300:] or f"exit code {done.returncode}" if done.returncode else ""


def _install(missing: Iterable[Jar], fetched: Path) -> None:
    """Move the fetched jars into FOLDER. UserError for one that is not the pinned file; it is not installed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wrong = []
    for jar in missing:
        if not (fetched / jar.file).exists():
            continue
        part = FOLDER / f"{jar.file}.part"
        shutil.copyfile(fetched / jar.file, part)
        if _pinned(part, jar):
            os.replace(part, FOLDER / jar.file)
        else:
            part.unlink()
            wrong.append(jar.file)
    if wrong:
        raise UserError(
            f"the Maven repository serves another file for {', '.join(wrong)}: its SHA-256 is not the pinned one, "
            "so it was not installed; correct the mirror that Java uses and run `finelake setup` again"
        )
