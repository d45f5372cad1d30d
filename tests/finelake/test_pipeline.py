"""dvc.yaml: what a stage declares is what it reads."""

import ast
import dataclasses
import importlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml

from finelake.commands.quality import METRICS, PAGE, VERDICT
from finelake.lake.config.params import parse
from finelake.lake.config.runs import Run, parse_run
from finelake.lake.config.stages import DATA
from finelake.lake.config.stages import PER_RUN as RUN_STAGES
from finelake.lake.quality.checks import OWN
from tests import small

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "finelake" / "templates"
TASKS = get_args(get_type_hints(Run)["task"])


def stages(path: Path) -> dict[str, dict]:
    """The stages of a dvc.yaml; those of a run as their template, which depends on the files of all tasks."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    templates = {name: stage.get("do", stage) for name, stage in found.items()}
    return {name: stage | {"deps": list(_of_each_task(stage["deps"]))} for name, stage in templates.items()}


def _of_each_task(deps: list[str]) -> Iterator[str]:
    for path in deps:
        yield from [path.replace("${item.task}", task) for task in TASKS] if "${item.task}" in path else [path]


STAGES = stages(ROOT / "dvc.yaml")


@pytest.mark.parametrize("stage", RUN_STAGES)
def test_a_stage_of_a_run_declares_the_parameters_that_its_code_reads(stage):
    entry = STAGES[stage]
    sources = [
        ROOT / path for path in entry["deps"] if path.startswith(("jobs/", "training/")) and path.endswith(".py")
    ]
    own = next(path for path in sources if path.stem == stage)
    read = set(re.findall(r"\brun\.([a-z_]+)\b", own.read_text(encoding="utf-8")))
    needed = read & {field.name for field in dataclasses.fields(Run)}
    declared = {key.removeprefix("runs.${key}.") for key in entry["params"]}
    assert needed <= declared


@pytest.mark.parametrize("stage", DATA)
def test_a_data_stage_declares_its_own_section_and_module(stage):
    assert STAGES[stage]["params"] == ["sources" if stage == "ingest" else stage]
    assert f"jobs/{stage}.py" in STAGES[stage]["deps"]
    assert STAGES[stage]["cmd"] == f"finelake run {stage}"


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    "name", ["x;touch made;", "x`touch made`", "x' ;touch made; '", 'x" ;touch made; "', "$(touch made)"]
)
def test_no_value_of_the_parameters_reaches_a_shell(tmp_path, name, shell):
    """As plain `dvc repro` runs a training stage, without any check of ours before it."""
    (tmp_path / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {"base": {"foreach": "${runs}", "do": {"cmd": STAGES["base"]["cmd"]}}}})
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"runs": {name: {}}}))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "finelake"
    program.write_text('#!/bin/sh\nprintf "%s" "$*" > got\n')
    program.chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    small.run_dvc(tmp_path, "init", "--no-scm", "--quiet")
    small.run_dvc(tmp_path, "repro", PATH=path, SHELL=shutil.which(shell))
    assert (tmp_path / "got").read_text() == f"run base@{name}"
    assert not (tmp_path / "made").exists()


def test_a_run_with_such_a_name_is_refused(tmp_path):
    project = small.make(tmp_path / "project")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("runs: {}", 'runs: {"x;touch made;": {}}'))
    assert "params.yaml: runs.x;touch made;: a run's name begins with a letter" in small.run(project, "repro", code=2)
    assert not (project / "made").exists()


def test_quality_checks_every_data_stage_and_nothing_is_trained_without_its_verdict():
    entry = STAGES["quality"]
    assert {f"snapshots/{stage}.json" for stage in DATA} | {
        "lake/quality/sql",
        "lake/config/contract.py",
        str(OWN),
    } == set(entry["deps"])
    assert entry["params"] == ["quality"]
    assert entry["outs"] == [str(VERDICT), str(PAGE)] and entry["metrics"] == [str(METRICS)]
    # All others of a run read what select wrote.
    assert str(VERDICT) in STAGES["select"]["deps"]
    assert all("snapshots/select-${key}.json" in STAGES[stage]["deps"] for stage in ("base", "tokenize", "evaluate"))


def test_every_module_a_stage_imports_from_its_own_package_or_text_is_a_dependency():
    """The frame around the stages aside: it writes no row of a table. What a task imports where it needs it (scores,
    baselines, panels) is needed by an evaluation only."""
    frame = {"lake/errors.py", "jobs/stage.py", "jobs/spark/session.py"}
    frame |= {f"training/{name}.py" for name in ("libraries", "loop/memory", "loop/progress")}
    for stage, entry in STAGES.items():
        for path in [path for path in entry["deps"] if path.endswith(".py")]:
            imported = {
                name
                for name in own_imports(ROOT / path, everywhere=stage == "evaluate")
                if name.split("/")[0] in (path.split("/")[0], "text") or name == "lake/config/contract.py"
            }
            assert imported - frame <= set(entry["deps"]), (stage, path)


def own_imports(path: Path, everywhere: bool = False) -> set[str]:
    """The files of this repository that a file imports at its top, or anywhere."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("finelake."):
            folder = (node.module or "").removeprefix("finelake.").replace(".", "/")
            names = [f"{folder}/{alias.name}.py" for alias in node.names]
            found |= {name if (ROOT / name).is_file() else f"{folder}.py" for name in names}
    return {name for name in found if (ROOT / name).is_file()}


def test_a_new_project_has_the_same_stages_with_the_version_instead_of_the_code():
    template = stages(TEMPLATES / "dvc.yaml.in")
    assert {name: stage["cmd"] for name, stage in template.items()} == {
        name: stage["cmd"] for name, stage in STAGES.items()
    }
    for name, stage in template.items():
        assert stage["params"] == ["finelake", *STAGES[name]["params"]]
        code = ("text/", "jobs/", "training/", "lake/", "data/")
        outside = [path for path in STAGES[name]["deps"] if not path.startswith(code)]
        assert [path for path in stage["deps"] if path != "data"] == outside


@pytest.mark.parametrize("path", [ROOT / "params.yaml", TEMPLATES / "params.yaml.in"])
def test_the_parameters_that_are_shipped_parse(path):
    from finelake.jobs.sources.kinds import parse_sources

    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    parse_sources(content["sources"])
    for name in content["runs"]:
        parse_run(content, name)


@pytest.mark.parametrize(("stage", "example"), [("clean", "boilerplate"), ("dedup", None)])
def test_a_new_project_shows_every_parameter_of_a_stage_with_its_default(stage, example):
    lines = (TEMPLATES / "params.yaml.in").read_text(encoding="utf-8").split(f"\n{stage}: {{}}")[1].split("\n\n")[0]
    shown = yaml.safe_load("\n".join(line.replace("  # ", "", 1) for line in lines.split("\n")[1:]))
    params = importlib.import_module(f"finelake.jobs.{stage}").Params
    defaults = dataclasses.asdict(params())
    assert parse(params, shown, stage)
    assert keys(shown) == keys(defaults)
    shown.pop(example, None)
    assert dataclasses.asdict(parse(params, shown, stage)) == defaults


def keys(section: dict) -> dict:
    return {name: keys(value) if isinstance(value, dict) else None for name, value in section.items()}
