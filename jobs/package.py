"""What a cluster's Python processes need: a zip of jobs and lake, an archive of the packages: `python -m jobs.package`.

The machines of the cluster need a Python of the same version and kind of machine (3.11, Linux x86_64), Java and Spark,
and nothing else: no package has to be installed there.
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
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import BinaryIO

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from jobs import STAGES
from lake.errors import UserError

CODE = Path(__file__).parents[1]
FOLDER = Path(sys.prefix) / "share" / "finelake" / "packages"
OWN = ("jobs", "lake")
SPARKS = ("pyspark", "py4j")  # Spark brings them
UNSEEN = ("onnxruntime",)  # the OCR engine picks it by name
PROGRAMS = ("jobs.driver", "jobs.tokenize", *[f"jobs.{stage}" for stage in STAGES])


def code_zip() -> Path:
    """The zip of the packages jobs and lake, in FOLDER. Its name and bytes follow from their sources alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for own in OWN for path in (CODE / own).glob("*.py")):
            archive.writestr(zipfile.ZipInfo(path.relative_to(CODE).as_posix()), path.read_bytes())
    content = buffer.getvalue()
    target = FOLDER / f"finelake-{_short(content)}.zip"
    if not target.exists():
        with _published(target) as file:
            file.write(content)
    return target


def packages_archive() -> Path:
    """The .tar.gz of the Python packages that the stages import, in FOLDER; made where these versions have none."""
    found = distributions(imported(PROGRAMS))
    listed = "\n".join(f"{one.name}=={one.version}" for one in found)
    platform = f"py{sys.version_info.major}{sys.version_info.minor}-{sysconfig.get_platform()}"
    target = FOLDER / f"packages-{platform}-{_short(listed.encode())}.tar.gz"
    if not target.exists():
        print(f"Packing {len(found)} Python packages for the cluster into {target}", file=sys.stderr, flush=True)
        _pack(found, target)
    return target


def imported(modules: Iterable[str]) -> set[str]:
    """The top-level names of all that the modules, and those of jobs and lake that they import, may import."""
    waiting, seen = list(modules), set()
    while waiting:
        module = waiting.pop()
        path = CODE / f"{module.replace('.', '/')}.py"
        if module not in seen and path.is_file():
            waiting += _imports(path)
        seen.add(module)
    names = {module.partition(".")[0] for module in seen} | {*UNSEEN}
    return names - sys.stdlib_module_names - {*OWN, *SPARKS}


def _imports(path: Path) -> set[str]:
    """Every name that a file imports, also inside functions; `from lake import commit` gives lake and lake.commit."""
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
    found: dict[str, Distribution] = {}
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or name in SPARKS:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except PackageNotFoundError:
            continue  # what this installation does without, a cluster can do without
        waiting += _required(found[name])
    return [found[name] for name in sorted(found)]


def _required(distribution: Distribution) -> list[str]:
    wanted = [Requirement(line) for line in distribution.requires or ()]
    return [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]


def _pack(found: list[Distribution], target: Path) -> None:
    """Write the distributions' files as they lie in site-packages; the bytes follow from the files alone."""
    with (
        _published(target) as file,
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=1) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for distribution in found:
            for name in _files(distribution):
                archive.add(str(distribution.locate_file(name)), name, recursive=False, filter=_anonymous)


def _files(distribution: Distribution) -> list[str]:
    """The paths of its files in site-packages, sorted; no scripts (../../bin), no compiled copies."""
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
    """A file that becomes `target` when it is whole: several runs may make the same one at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        path = Path(scratch) / target.name
        with path.open("wb") as file:
            yield file
        os.replace(path, target)


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


if __name__ == "__main__":
    print(code_zip(), packages_archive(), sep="\n")
