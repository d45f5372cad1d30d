"""The pinned versions compared with the advisories of advisories.toml: `python .ci/advisories.py`, without a network.

An advisory that affects a pinned version fails, unless its entry says why the fault is not reached and until when that
holds; then it is a warning. `make lint` runs it.
"""

import datetime
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyspark
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

CODE = Path(__file__).parents[1]
LIST = Path(__file__).with_name("advisories.toml")
PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)
JAR = re.compile(r"(.+)-(\d+(?:\.\d+)+)")


class Finding(NamedTuple):
    """A pinned version that an advisory affects; `accepted`: it is known and not reached, so it does not fail."""

    text: str
    accepted: bool


def main() -> int:
    found = list(findings(listed(), pinned(), datetime.date.today()))
    for finding in found:
        print(f"{'warning' if finding.accepted else 'error'}: {finding.text}", file=sys.stderr)
    wrong = sum(not finding.accepted for finding in found)
    if wrong:
        print(f"{wrong} pinned versions have known faults: raise them, or accept them in {LIST}", file=sys.stderr)
    return 1 if wrong else 0


def listed() -> list[dict[str, Any]]:
    advisories: list[dict[str, Any]] = tomllib.loads(LIST.read_text(encoding="utf-8"))["advisory"]
    return advisories


def pinned() -> dict[str, set[str]]:
    """Name -> versions: of constraints.txt, and as jar:NAME of our own JARS and of the jars inside pyspark."""
    from finelake.jobs.spark.jars import JARS

    text = (CODE / "constraints.txt").read_text(encoding="utf-8")
    pins: dict[str, set[str]] = {canonicalize_name(name): {version} for name, version in PIN.findall(text)}
    inside = (Path(pyspark.__file__).parent / "jars").glob("*.jar")
    for match in map(JAR.match, [*(jar.file for jar in JARS), *(path.name for path in inside)]):
        if match:
            pins.setdefault(f"jar:{match[1]}", set()).add(match[2])
    return pins


def findings(
    advisories: Iterable[Mapping[str, Any]], pins: Mapping[str, set[str]], today: datetime.date
) -> Iterator[Finding]:
    """What the advisories say of the pinned versions; an acceptance ends with the day of its review."""
    for advisory in advisories:
        for version in sorted(pins.get(advisory["package"], ())):
            if any(SpecifierSet(one, prereleases=True).contains(Version(version)) for one in advisory["affected"]):
                yield _finding(advisory, version, today)


def _finding(advisory: Mapping[str, Any], version: str, today: datetime.date) -> Finding:
    text = f"{advisory['package']} {version}, {advisory['id']}: {advisory['what']} ({advisory['source']})"
    if "accepted" not in advisory:
        return Finding(text, False)
    if advisory["review"] < today:
        return Finding(f"{text}; the review of its acceptance was due on {advisory['review']}", False)
    return Finding(f"{text}; accepted until {advisory['review']}: {advisory['accepted']}", True)


if __name__ == "__main__":
    sys.exit(main())
