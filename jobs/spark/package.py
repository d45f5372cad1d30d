"""What a cluster's Python processes need: a zip of Finelake's modules and an archive of the packages.

The machines of the cluster need only Python of the same version and platform (3.11, Linux x86_64), Java and Spark: no
package has to be installed there.
"""

import ast
import contextlib
import gzip
import hashlib
import importlib.metadata
import io
import os
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from importlib import resources
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import BinaryIO

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from finelake.lake.config.stages import SPARK
from finelake.lake.errors import UserError

FOLDER = Path(sys.prefix) / "share" / "finelake" / "packages"
OWN = ("text", "lake", "jobs")  # the packages of finelake that a stage imports
SPARKS = ("pyspark", "py4j")  # part of Spark
UNSEEN = ("onnxruntime",)  # the OCR engine loads it by name
PROGRAMS = ("finelake.jobs.spark.driver", *[f"finelake.jobs.{stage}" for stage in SPARK])


def code_zip() -> Path:
    """The zip of finelake.text, .lake and .jobs, in FOLDER. Its name and bytes depend only on their sources."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(own_modules().items()):
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes())
    content = buffer.getvalue()
    target = FOLDER / f"finelake-{_short(content)}.zip"
    if not target.exists():
        with _published(target) as file:
            file.write(content)
    return target


def own_modules() -> dict[str, Path]:
    """The files of OWN by their path in the installed package, such as finelake/jobs/clean.py."""
    modules = {"finelake/__init__.py": _folder("finelake") / "__init__.py"}
    for own in OWN:
        folder = _folder(f"finelake.{own}")
        modules |= {f"finelake/{own}/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*.py")}
    return modules


def _folder(package: str) -> Path:
    return Path(str(resources.files(package)))


def packages_archive() -> Path:
    """The .tar.gz of the Python packages that the stages import, in FOLDER; packed once per set of versions."""
    packages = distributions(imported(PROGRAMS))
    listed = "\n".join(f"{one.name}=={one.version}" for one in packages)
    platform = f"py{sys.version_info.major}{sys.version_info.minor}-{sysconfig.get_platform()}"
    target = FOLDER / f"packages-{platform}-{_short(listed.encode())}.tar.gz"
    if not target.exists():
        print(f"Packing {len(packages)} Python packages for the cluster into {target}", file=sys.stderr, flush=True)
        _pack(packages, target)
    return target


def imported(modules: Iterable[str]) -> set[str]:
    """The top-level names of everything that the modules, and those of OWN that they import, may import."""
    waiting, seen, own = list(modules), set(), own_modules()
    while waiting:
        module = waiting.pop()
        path = own.get(f"{module.replace('.', '/')}.py")
        if module not in seen and path:
            waiting += _imports(path)
        seen.add(module)
    names = {module.partition(".")[0] for module in seen} | {*UNSEEN}
    return names - sys.stdlib_module_names - {"finelake", *SPARKS}


def _imports(path: Path) -> set[str]:
    """Every name that a file imports, including inside functions; `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def distributions(modules: Iterable[str]) -> list[Distribution]:
    """The installed distributions of the top-level modules and all that they require, sorted by name."""
    owners = importlib.metadata.packages_distributions()
    waiting = [owner for module in modules for owner in owners.get(module, ())]
    installed: dict[str, Distribution] = {}
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in installed or name in SPARKS:
            continue
        try:
            installed[name] = importlib.metadata.distribution(name)
        except PackageNotFoundError:
            continue  # not needed here, so not needed on a cluster
        waiting += _required(installed[name])
    return [installed[name] for name in sorted(installed)]


def _required(distribution: Distribution) -> list[str]:
    requirements = [Requirement(line) for line in distribution.requires or ()]
    return [one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]


def _pack(packages: list[Distribution], target: Path) -> None:
    """Archive the distributions' files by their paths in site-packages; the bytes depend only on the files."""
    with (
        _published(target) as file,
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=1) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for distribution in packages:
            for name in _files(distribution):
                archive.add(str(distribution.locate_file(name)), name, recursive=False, filter=_anonymous)


def _files(distribution: Distribution) -> list[str]:
    """The paths of a distribution's files in site-packages, sorted; without scripts (../../bin) and compiled files."""
    if distribution.files is None:
        raise UserError(f"the package {distribution.name} has no list of its files; install it again with pip")
    names = {file.as_posix() for file in distribution.files if file.parts[0] != ".." and file.suffix != ".pyc"}
    return sorted(name for name in names if Path(str(distribution.locate_file(name))).is_file())


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


@contextlib.contextmanager
def _published(target: Path) -> Iterator[BinaryIO]:
    """A file that becomes `target` when it is complete: several runs may write the same one at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        path = Path(scratch) / target.name
        with path.open("wb") as file:
            yield file
        os.replace(path, target)


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
