"""The results of quality checks as text, JSON, JUnit XML and one HTML page. Each is a pure function of the results."""

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from finelake.lake.quality.checks import Check, Manifests, Result, Status
from finelake.output.table import printable

STATUSES: tuple[Status, ...] = ("error", "warning", "skipped", "passed")
FOUND = STATUSES[:2]  # the statuses whose failing rows are shown


def as_text(results: Sequence[Result]) -> str:
    """One line per check and table, the worst first, failing rows below; the last line is the summary."""
    return "\n".join([*lines(results), summary(results)]) + "\n"


def lines(results: Sequence[Result]) -> list[str]:
    """One line per check and table, failing rows below, the worst first."""
    names = max((len(result.check.name) for result in results), default=0)
    tables = max((len(result.table) for result in results), default=0)
    written = []
    for result in worst_first(results):
        line = f"{result.status:<7}  {result.check.name:<{names}}  {result.table:<{tables}}  {finding(result)}"
        written.append(printable(line.rstrip()))
        if result.status in FOUND:
            written += [printable(f"           {_pairs(example)}") for example in result.examples]
    return written


def worst_first(results: Sequence[Result]) -> list[Result]:
    return sorted(results, key=lambda result: (STATUSES.index(result.status), result.check.name, result.table))


def finding(result: Result) -> str:
    """The result of a check in a few words."""
    if result.status == "skipped":
        return result.reason
    why = f" ({result.reason})" if result.reason else ""
    return f"{result.failing:,} failing{why}, {result.rows:,} rows"


def _pairs(example: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={' '.join(str(value).split())}" for name, value in example.items())


def summary(results: Sequence[Result]) -> str:
    """1 error, 2 warnings, 90 passed, 3 skipped."""
    counts = Counter(result.status for result in results)
    errors, warnings = (f"{counts[name]} {name}{'' if counts[name] == 1 else 's'}" for name in FOUND)
    return f"{errors}, {warnings}, {counts['passed']} passed, {counts['skipped']} skipped"


def as_json(results: Sequence[Result]) -> str:
    """{"summary": {status: number}, "checks": [...]}, the worst first."""
    counts = Counter(result.status for result in results)
    checks = [
        {
            "check": result.check.name,
            "table": result.table,
            "law": result.check.rule,
            "severity": result.check.severity,
            "status": result.status,
            "reason": result.reason,
            "failing": result.failing,
            "rows": result.rows,
            "examples": _plain(result),
        }
        for result in worst_first(results)
    ]
    content = {"summary": {status: counts[status] for status in STATUSES}, "checks": checks}
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"


def _plain(result: Result) -> list[dict[str, Any]]:
    return [dict(example) for example in result.examples] if result.status in FOUND else []


def as_junit(results: Sequence[Result]) -> str:
    """JUnit's XML: one testcase per check and table; an error fails, a warning passes with a system-out."""
    counts = Counter(result.status for result in results)
    seconds = sum(result.seconds for result in results)
    numbers = {"tests": len(results), "failures": counts["error"], "errors": 0, "skipped": counts["skipped"]}
    suite = ET.Element("testsuite", {"name": "finelake quality"} | {name: str(n) for name, n in numbers.items()})
    suite.set("time", f"{seconds:.3f}")
    for result in worst_first(results):
        suite.append(_testcase(result))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _testcase(result: Result) -> ET.Element:
    named = {"classname": result.table, "name": result.check.name, "time": f"{result.seconds:.3f}"}
    case = ET.Element("testcase", named)
    details = "\n".join([result.check.rule, finding(result), *[_pairs(example) for example in result.examples]])
    if result.status == "error":
        ET.SubElement(case, "failure", {"type": "error", "message": _xml(finding(result))}).text = _xml(details)
    elif result.status == "warning":
        ET.SubElement(case, "system-out").text = _xml(f"warning: {details}")
    elif result.status == "skipped":
        ET.SubElement(case, "skipped", {"message": _xml(result.reason)})
    return case


def _xml(text: str) -> str:
    """`text` without the characters that XML 1.0 cannot hold."""
    return "".join(
        c for c in text if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
    )


def as_html(results: Sequence[Result], title: str, pinned: Manifests) -> str:
    """One self-contained page; every text in it is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["finding"] = finding
    template = (resources.files("finelake") / "templates" / "quality.html").read_text(encoding="utf-8")
    ordered = worst_first(results)
    tables = {f"{stage}.{name}": table for stage, tables in pinned.items() for name, table in tables.items()}
    return environment.from_string(template).render(
        title=title,
        summary=summary(results),
        worst=min((STATUSES.index(result.status) for result in results), default=len(STATUSES)),
        failing=[result for result in ordered if result.status in FOUND],
        others=[result for result in ordered if result.status not in FOUND],
        tables=tables,
    )


def as_markdown(checks: Sequence[Check]) -> str:
    """A table of each check's tables, severity, values that can be set, and rule."""
    lines = ["| check | tables | severity | values | rule |", "|---|---|---|---|---|"]
    for check in checks:
        cells = (check.name, ", ".join(check.tables), _severity(check), _values(check), check.rule)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _severity(check: Check) -> str:
    limit = check.error_if if check.severity == "error" else check.warn_if
    return check.severity if str(limit) == "> 0" else f"{check.severity} {limit}"


def _values(check: Check) -> str:
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in check.values.items()}
    return "; ".join(f"{name} = {value}" for name, value in shown.items())
