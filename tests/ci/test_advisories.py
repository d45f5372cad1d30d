"""An advisory that affects a pinned version fails, unless it is accepted."""

import datetime
import importlib.util
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
TODAY = datetime.date(2026, 12, 1)


@pytest.fixture(scope="module")
def advisories():
    spec = importlib.util.spec_from_file_location("advisories", ROOT / ".ci" / "advisories.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(**changes) -> dict:
    return {
        "id": "CVE-1",
        "package": "thing",
        "affected": [">=1,<1.4", ">=2,<2.1"],
        "what": "it breaks",
        "source": "a thread",
        **changes,
    }


@pytest.mark.parametrize(
    ("version", "affected"),
    [("0.9", False), ("1.0", True), ("1.3.9.post1", True), ("1.4", False), ("2.0rc1", False), ("2.0", True)],
)
def test_any_of_the_ranges_affects(advisories, version, affected):
    found = list(advisories.findings([entry()], {"thing": {version}}, TODAY))
    assert [finding.accepted for finding in found] == ([False] if affected else [])


def test_each_pinned_version_of_a_name_is_compared(advisories):
    found = list(advisories.findings([entry()], {"thing": {"1.2", "1.4", "2.0"}}, TODAY))
    assert [finding.text for finding in found] == [
        "thing 1.2, CVE-1: it breaks (a thread)",
        "thing 2.0, CVE-1: it breaks (a thread)",
    ]


def test_an_acceptance_is_a_warning_until_its_review(advisories):
    known = entry(accepted="never called", review=TODAY)
    (standing,) = advisories.findings([known], {"thing": {"1.2"}}, TODAY)
    assert standing.accepted
    assert standing.text.endswith("; accepted until 2026-12-01: never called")
    (due,) = advisories.findings([known], {"thing": {"1.2"}}, TODAY + datetime.timedelta(days=1))
    assert not due.accepted
    assert due.text.endswith("; the review of its acceptance was due on 2026-12-01")


def test_the_shipped_list_accepts_all_that_is_pinned(advisories):
    listed = advisories.listed()
    checked = max(one["checked"] for one in listed)
    assert [one.text for one in advisories.findings(listed, advisories.pinned(), checked) if not one.accepted] == []


def test_the_shipped_list_names_what_is_pinned_with_ranges_and_sources(advisories):
    listed, pins = advisories.listed(), advisories.pinned()
    assert len({(one["id"], one["package"]) for one in listed}) == len(listed)
    for one in listed:
        assert one["package"] in pins, f"{one['id']} is of {one['package']}, which is not pinned; remove it"
        assert one["affected"] and all(SpecifierSet(text) for text in one["affected"])
        assert one["id"].startswith(("CVE-", "GHSA-", "PYSEC-")) and one["source"] and one["what"]
        assert isinstance(one["checked"], datetime.date)
        assert ("accepted" in one) == ("review" in one)


def test_jars_of_jobs_and_of_pyspark_are_pins(advisories):
    pins = advisories.pinned()
    assert pins["pyarrow"] == {"14.0.2"}
    assert pins["jar:postgresql"] == {"42.7.14"}
    assert pins["jar:delta-spark_2.13"] == {"4.0.1"}
    assert pins["jar:netty-handler"] == {"4.1.118"}
    assert pins["jar:log4j-1.2-api"] == {"2.24.3"}


@pytest.mark.parametrize(("changes", "code"), [({}, 1), ({"affected": ["<1"]}, 0)])
def test_a_fault_that_is_not_accepted_fails_and_is_named(advisories, monkeypatch, capsys, changes, code):
    monkeypatch.setattr(advisories, "listed", lambda: [entry(**changes)])
    monkeypatch.setattr(advisories, "pinned", lambda: {"thing": {"1.2"}})
    assert advisories.main() == code
    assert ("error: thing 1.2, CVE-1: it breaks (a thread)\n" in capsys.readouterr().err) == bool(code)
