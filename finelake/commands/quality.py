"""Check the pinned tables: keys, completeness, allowed values, leakage between parts, personal data, drift.

Exit code 0: all passed; 1: warnings only; 2: an error.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finelake.lake.config.params import load, parse
from finelake.lake.config.project import PARAMS, Settings, settings, write_atomically
from finelake.lake.config.stages import DATA
from finelake.lake.errors import UserError, did_you_mean
from finelake.lake.output import replacing
from finelake.lake.quality import checks as quality
from finelake.lake.quality.checks import Check, Result
from finelake.lake.tables.lockfile import pinned_manifests, work_tree
from finelake.lake.tables.revisions import manifests_at
from finelake.lake.tables.snapshots import manifests
from finelake.output import quality_report as report

EXAMPLE = """  finelake quality
  finelake quality no_personal_data texts_stay_in_one_part
  finelake quality --rev main --format html --output quality.html"""
EXIT = {"error": 2, "warning": 1}
# The outputs of the stage. Training depends on the verdict, whose text is the same whenever training is allowed.
VERDICT = Path("reports/quality.txt")
METRICS = Path("metrics/quality.json")
PAGE = Path("reports/quality.html")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="checks to run (default: all)")
    parser.add_argument(
        "--format", choices=("text", "json", "junit", "html"), default="text", help="output format (text)"
    )
    parser.add_argument("--output", type=_here, metavar="FILE", help="write to this file instead of printing")
    parser.add_argument(
        "--rev", help="check the tables that a commit, branch, tag or experiment pinned, against its parent"
    )
    parser.add_argument("--list", action="store_true", help="print the checks as a Markdown table and run none")


def _here(path: str) -> Path:
    """A path relative to the folder in which the command was given; the command runs in the project's root."""
    return Path(path).absolute()


def main(options: argparse.Namespace) -> int:
    root = options.root
    checks = select(load_checks(root, load(root / PARAMS)), options.checks)
    if options.list:
        print(report.as_markdown(checks), end="")
        return 0
    pinned = manifests_at(root, options.rev) if options.rev else _manifests(root)
    results = list(quality.run_checks(root, settings(root).lake, checks, pinned, options.rev))
    written = _render(options.format, results, options.rev or "work tree", pinned)
    if options.output:
        with replacing(options.output) as part:
            part.write_text(written, encoding="utf-8")
        shown = options.output.relative_to(root) if options.output.is_relative_to(root) else options.output
        print(f"{shown}: {report.summary(results)}")
    else:
        print(written, end="")
    return max((EXIT.get(result.status, 0) for result in results), default=0)


def _manifests(root: Path) -> quality.Manifests:
    """The manifests of the work tree. UserError where one is missing: its tables would be skipped silently."""
    missing = [path for _, path, _ in pinned_manifests(work_tree(root)) if not (root / path).exists()]
    if missing:
        raise UserError(f"{', '.join(missing)} is missing, so tables cannot be checked; run `finelake repro`")
    return manifests(root)


def _render(form: str, results: list[Result], title: str, pinned: quality.Manifests) -> str:
    if form == "html":
        return report.as_html(results, title, pinned)
    return {"text": report.as_text, "json": report.as_json, "junit": report.as_junit}[form](results)


def load_checks(root: Path, content: Mapping[str, Any]) -> list[Check]:
    """The project's checks, configured by section `quality` of params.yaml. UserError for a mistake in either."""
    params = parse(quality.Params, content.get("quality"), "quality")
    return quality.load_checks(root, params)


def select(checks: list[Check], names: list[str]) -> list[Check]:
    """The checks with these names; all where none is given. UserError for an unknown name."""
    known = [check.name for check in checks]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, otherwise="`finelake quality --list` lists them")
            raise UserError(f"{name} is not a check; {hint}")
    return [check for check in checks if not names or check.name in names]


def run(root: Path, settings: Settings, content: Mapping[str, Any]) -> None:
    """The stage `quality`: check the tables of the data stages. UserError when a check reports an error.

    Tables of training runs are left out: they are written after this stage and may still be those of older data.
    """
    (root / VERDICT).unlink(missing_ok=True)
    pinned = {stage: tables for stage, tables in manifests(root).items() if stage in DATA}
    checks = load_checks(root, content)
    results = [result for result in quality.run_checks(root, settings.lake, checks, pinned) if "@" not in result.table]
    # What was pinned before is not a dependency of the stage, so its outputs leave comparisons with it out.
    reproducible = [result for result in results if not result.check.compares]
    write_atomically(root / PAGE, report.as_html(reproducible, "data stages, without comparisons", pinned))
    for line in report.lines([result for result in results if result.status in report.FOUND]):
        print(line)
    print(f"quality: {report.summary(results)}; see {PAGE}", flush=True)
    _refuse_errors(results)
    write_atomically(root / METRICS, json.dumps(metrics(reproducible), indent=2) + "\n")
    write_atomically(root / VERDICT, "no errors\n")


def _refuse_errors(results: list[Result]) -> None:
    failed = [f"{result.check.name} ({result.table})" for result in results if result.status == "error"]
    if failed:
        raise UserError(
            f"quality checks failed: {', '.join(failed)}; training is blocked. Fix what {PAGE} shows, or set "
            f"quality.severity or quality.skip in {PARAMS}"
        )


def metrics(results: list[Result]) -> dict:
    """The number of checks that were run, and the failing rows of each check with a warning."""
    completed = [result for result in results if result.status != "skipped"]
    warned: Counter[str] = Counter()
    for result in completed:
        if result.status == "warning":
            warned[result.check.name] += result.failing
    return {"checks": len(completed), "warnings": dict(sorted(warned.items()))}
