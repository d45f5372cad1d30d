"""The examples of CONTRIBUTING.md work: each fenced block names the file it belongs to."""

import importlib.util
import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import duckdb
import numpy as np
import pyarrow.orc
import pytest
import torch
import yaml

from finelake.jobs.sources.kinds import KINDS
from finelake.jobs.stage import CLEANED, Stage, load_stage
from finelake.lake.config.contract import REJECT_REASONS
from finelake.lake.config.params import parse
from finelake.lake.config.stages import BY_NAME, Entry
from finelake.lake.errors import UserError
from finelake.lake.quality.checks import parse_check, run_check
from finelake.training import tasks
from finelake.training.evaluation import metrics
from finelake.training.evaluation.answers import Answers
from finelake.training.evaluation.report import TITLES
from tests.lake.quality import test_sql as shipped
from tests.training.conftest import batch

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
# Files that the examples would add.
NEW = (
    "lake/quality/sql/texts_are_bounded.sql",
    "jobs/recent.py",
    "jobs/sources/orc.py",
    "training/tasks/grade.py",
)


def test_every_block_names_its_file_and_no_file_twice():
    assert TEXT.count("\n```") == 2 * len(BLOCKS)
    for name in BLOCKS:
        assert (ROOT / name).exists() != (name in NEW), name


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:\w+|\.ci)/[\w./]*)`", TEXT))))
def test_files_that_are_named_exist(path):
    if path not in ("tests/jobs/test_recent.py", "snapshots/recent.json", ".venv/tree"):
        assert (ROOT / path).exists() or list(ROOT.glob(f"*/{path}")), path


# --- the check -------------------------------------------------------------------------------------------------------


@pytest.fixture
def check():
    [file] = [name for name in BLOCKS if name.endswith(".sql")]
    return parse_check(BLOCKS[file], Path(file).stem, file)


def test_the_check_finds_what_breaks_its_rule(check):
    with duckdb.connect() as connection:
        connection.execute("create schema clean")
        connection.execute(
            "create table clean.records as select * from "
            "(values ('1', 'a', repeat('x', 100000)), ('2', 'a', repeat('x', 100001)), ('3', 'a', null)) "
            "as rows(record_id, source, text)"
        )
        result = run_check(connection, check, "clean.records")
    assert (result.status, result.rows, result.failing) == ("warning", 3, 1)
    assert result.examples == [{"record_id": "2", "source": "a"}]


def test_the_case_of_the_check_is_one_that_the_tests_of_checks_take(check):
    table, statement, shown = case = literal("tests/lake/quality/test_sql.py", vars(shipped))[check.name]
    assert [type(part) for part in case] == [type(part) for part in shipped.BROKEN["agreement_is_a_kappa"]]
    with duckdb.connect() as connection:
        connection.execute(shipped.PROJECT)
        assert run_check(connection, check, table).status == "passed"
        connection.execute(statement)
        assert run_check(connection, check, table).examples == shown


def literal(file: str, names: dict[str, Any]) -> dict[str, Any]:
    """Lines of a dictionary in a block as one."""
    return eval("{" + BLOCKS[file] + "}", dict(names))


# --- the stage -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """The stage of the example."""

    name: str
    module: ModuleType
    stage: Stage


@pytest.fixture
def example(tmp_path, monkeypatch):
    [file] = [name for name in BLOCKS if re.fullmatch(r"jobs/\w+\.py", name)]
    module = installed(file, tmp_path, monkeypatch)
    return Example(Path(file).stem, module, module.STAGE)


def installed(file: str, folder: Path, monkeypatch) -> ModuleType:
    """The module of a block, importable as if it were a file of Finelake's."""
    path = folder / Path(file).name
    path.write_text(BLOCKS[file], encoding="utf-8")
    name = f"finelake.{file.removesuffix('.py').replace('/', '.')}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_the_stage_declares_what_it_reads_and_writes(example):
    stage = example.stage
    assert isinstance(stage, Stage)
    assert (stage.params, stage.build) == (example.module.Params, example.module.build)
    for key in stage.reads:
        source, _, table = key.partition(".")
        assert table in load_stage(source).writes
    assert stage.conserves is not None
    assert stage.conserves[0] in stage.writes and stage.conserves[1] in stage.reads and "rejects" in stage.writes


def test_the_stage_keeps_recent_records_and_rejects_the_others(example, spark):
    times = {"a": None, "b": datetime(1999, 12, 31, 23, 59), "c": datetime(2000, 1, 1)}
    rows = [(key, "notes", key, time, None, "en", "text", {}, {}, []) for key, time in times.items()]
    frames = {"clean.records": spark.createDataFrame(rows, CLEANED)}
    tables = example.stage.build(frames, example.module.Params(since=2000))
    assert {name: table.dtypes for name, table in tables.items()} == {
        name: [(field.name, field.dataType.simpleString()) for field in schema.fields]
        for name, schema in example.stage.writes.items()
    }
    assert [row.record_id for row in tables["records"].collect()] == ["c"]
    assert sorted(map(tuple, tables["rejects"].collect())) == [
        ("a", "notes", "recent", "no_time", None),
        ("b", "notes", "recent", "too_old", "1999"),
    ]


def test_the_parameters_of_the_stage_are_checked(example):
    assert parse(example.module.Params, {}, example.name).since == 1970
    with pytest.raises(UserError, match="did you mean recent.since"):
        parse(example.module.Params, {"sinc": 2020}, example.name)
    with pytest.raises(UserError, match="since is 0; write a year"):
        parse(example.module.Params, {"since": 0}, example.name)


def test_the_line_of_the_stage_is_an_entry_that_is_new(example):
    entry = eval(BLOCKS["lake/config/stages.py"].strip().rstrip(","), {"Entry": Entry})
    assert (entry.name, entry.package, entry.private) == (example.name, "jobs", True)
    assert entry.name not in BY_NAME


def test_the_reject_reasons_are_those_of_the_code(example):
    reasons = literal("lake/config/contract.py", {})
    assert list(reasons) == [example.name] and example.name not in REJECT_REASONS
    code = BLOCKS[f"jobs/{example.name}.py"]
    assert set(re.findall(r'\.?when\([^"]*, "(\w+)"\)', code)) == set(reasons[example.name])


@pytest.mark.parametrize(("file", "before"), [("dvc.yaml", []), ("finelake/templates/dvc.yaml.in", ["finelake"])])
def test_the_entry_of_the_stage_names_what_it_reads_and_writes(example, file, before):
    entry = yaml.safe_load(BLOCKS[file])[example.name]
    code = [] if before else [f"jobs/{example.name}.py"]
    manifests = [f"snapshots/{key.partition('.')[0]}.json" for key in example.stage.reads]
    assert entry == {
        "cmd": f"finelake run {example.name}",
        "deps": [*code, *manifests],
        "params": [*before, example.name],
        "outs": [f"snapshots/{example.name}.json"],
    }


# --- the kind of source, the metric and the task ---------------------------------------------------------------------


def test_the_kind_of_source_is_parsed_and_checked(tmp_path):
    names: dict[str, Any] = {"__name__": "orc"}
    exec(BLOCKS["jobs/sources/orc.py"], names)
    assert literal("jobs/sources/kinds.py", names) == {"orc": names["Orc"]} and "orc" not in KINDS
    found = parse(names["Orc"], {"path": "a.orc", "key": "id", "occurred_at": "day", "text": "body"}, "sources.a")
    assert (found.path, found.mapped_columns()) == ("a.orc", ["id", "day", "body"])
    with pytest.raises(UserError, match="sources.a: names no key"):
        parse(names["Orc"], {"path": "a.orc"}, "sources.a")
    with pytest.raises(UserError, match="a.orc of source a cannot be read"):
        found.check(tmp_path, "a")
    pyarrow.orc.write_table(pyarrow.table({"id": [1], "day": ["2020-01-01"], "body": ["text"]}), tmp_path / "a.orc")
    assert found.declared(tmp_path, "a") == {"id": "int64", "day": "string", "body": "string"}
    found.check(tmp_path, "a")


def test_the_metric_scores_each_answer():
    names: dict[str, Any] = {"np": np, "Sequence": Sequence}
    exec(BLOCKS["training/evaluation/metrics.py"], names)
    contains = names["contains"]
    assert contains(["call us today", "no"], [" us ", "yes"]).tolist() == [1.0, 0.0]
    line = literal("training/tasks/instruct.py", {"metrics": NewMetrics(contains), "given": ["ab"], "wanted": ["a"]})
    assert [(name, score(np.arange(1))) for name, score in line.items()] == [("contains", 1.0)]
    assert "contains" not in TITLES


def test_the_task_is_found_and_judged_by_its_file_and_its_line(tmp_path, monkeypatch):
    module = installed("training/tasks/grade.py", tmp_path, monkeypatch)
    names = get_args(eval(BLOCKS["lake/config/runs.py"].partition(":")[2], {"Literal": Literal}))
    assert names == (*tasks.NAMES, "grade")
    monkeypatch.setattr(tasks, "NAMES", names)
    task = tasks.find("grade")
    assert task is module.TASK and not inspect.isabstract(type(task))
    answers = Answers([{}] * 4, ["1", "2", "3", "3"], {"model": ["2", "2", "3", "1"]}, selected=4)
    scores = {name: score(np.arange(4)) for name, score in task.scorers(answers, answers.given["model"]).items()}
    assert list(scores) == ["near", "accuracy", "macro_f1"] and scores["near"] == 0.75
    tally = task.tally(torch.tensor([[9.0, 0, 0], [0, 0, 9.0]]), batch([[5], [6]], labels=[2, 2]))
    assert list(tally) == list(task.figures) and tally["distance"] == 2
    assert task.rank({"loss": 1.0, "accuracy": 0.5, "distance": 1.5}) == [-1.5, -1.0]


class NewMetrics:
    """The module of metrics with one more function."""

    mean = staticmethod(metrics.mean)

    def __init__(self, contains: Any):
        self.contains = contains
