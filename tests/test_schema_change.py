"""A source's schema changes under a running project: refused by name, then taken as the user decides (marked slow)."""

import csv
import json
from pathlib import Path

import pytest

from tests import small

pytestmark = pytest.mark.slow


def add_column(path: Path, name: str) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*header, name], *[[*row, f"{name} {row[0]}"] for row in rows]])


def test_a_new_column_is_refused_then_ignored_and_reruns_only_the_readers_of_ingest(tmp_path):
    project = small.make(tmp_path / "project")
    small.run(project, "repro", "split")
    before = small.manifests(project)
    add_column(project / "data" / "notes.csv", "branch")
    said = small.run(project, "repro", "split", code=2)
    assert "source notes has columns that nothing maps: branch; map them, list them under sources.notes.ignored" in said
    # DVC removes what a stage is about to write; all the others stand.
    assert small.manifests(project) == {name: text for name, text in before.items() if name != "ingest.json"}

    params = project / "params.yaml"
    params.write_text(
        params.read_text().replace("    facts: [channel]\n", "    facts: [channel]\n    ignored: [branch]\n")
    )
    said = small.run(project, "repro", "split")
    assert small.stages_run(said) == ["ingest", "clean", "mask"]
    after = small.manifests(project)
    assert {name for name in after if after[name] != before[name]} == {"ingest.json"}
    pins = [json.loads(manifests["ingest.json"])["tables"] for manifests in (before, after)]
    assert [table for table in pins[0] if pins[0][table] != pins[1][table]] == ["columns"]
    query = "select name, type, used_as from ingest.columns where name = 'branch'"
    assert small.run(project, "sql", "--format", "csv", query) == "name,type,used_as\nbranch,text,ignored\n"
