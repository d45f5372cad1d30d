"""`finelake demo`: where its project is written, and where it is not."""

import os
from pathlib import Path

import pytest

from finelake import cli
from finelake.commands import demo
from finelake.commands.run import check
from finelake.lake.errors import UserError
from tests.layout import ROOT


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(demo.API_VARIABLE, "http://127.0.0.1:1")
    return Path(os.path.realpath(tmp_path))


def test_the_project_is_whole(folder):
    root = demo.project(None)
    assert root == folder / "finelake-demo"
    assert {path.name for path in root.iterdir()} >= {".dvc", ".git", ".gitignore", "dvc.yaml", "params.yaml"}
    checks = {path.name for path in (ROOT / "quality").glob("*.sql")}
    assert {path.name for path in (root / "quality").iterdir()} == checks
    check(root)  # every section of params.yaml parses


def test_an_earlier_demo_is_run_again(folder, monkeypatch):
    root = demo.project(Path("bank"))
    (root / "params.yaml").write_text("sources: {tickets: {url: 'jdbc:sqlite:data/bank/bank.db'}}\n")
    assert demo.project(Path("bank")) == root
    monkeypatch.chdir(root / "data")
    assert demo.project(None) == root
    assert demo.project(folder / "bank") == root


def test_the_demo_of_the_repository_is_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT / "docs")
    assert demo.project(None) == Path(os.path.realpath(ROOT))


def test_a_folder_that_holds_something_else_is_refused(folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").touch()
    with pytest.raises(UserError, match="mine is not empty and holds no demo; name a new or empty folder"):
        demo.project(Path("mine"))


@pytest.mark.parametrize("name", [None, "x", "."])
def test_no_demo_is_written_into_another_project(folder, name):
    (folder / "params.yaml").write_text("sources: {}\n")
    with pytest.raises(UserError, match=f"belongs to the project {folder}; name a folder outside it"):
        demo.project(name and Path(name))
    assert [path.name for path in folder.iterdir()] == ["params.yaml"]


def test_too_few_records_are_refused_before_anything_is_written(folder, capsys):
    with pytest.raises(SystemExit):
        cli.main(["demo", "--records", "999"])
    assert "--records 999 is too few to train and test on; use 1000 or more" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
