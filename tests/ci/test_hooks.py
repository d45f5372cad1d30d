"""The hooks before a commit are what `make lint` runs, from .venv, without a network; make help lists each target."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
TOOLS = ("ruff check", "ruff format", "tree.py", "mypy", "lint-imports", "advisories.py")


def test_hooks_are_local():
    assert [repo["repo"] for repo in HOOKS] == ["local"]
    for hook in HOOKS[0]["hooks"]:
        assert hook["language"] == "system" and ".venv/bin/" in hook["entry"], hook["id"]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_of_make_lint_is_in_a_hook(tool):
    recipe = MAKEFILE.split("\nlint:")[1].split("\n\n")[0]
    assert tool in recipe
    assert any(tool in hook["entry"] for hook in HOOKS[0]["hooks"])


def test_make_lint_has_no_other_tool():
    recipe = MAKEFILE.split("\nlint:")[1].split("\n\n")[0].splitlines()[1:]
    assert [line for line in recipe if not any(tool in line for tool in TOOLS)] == []


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_help_lists_every_target():
    shown = subprocess.run(["make", "--silent", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [targets] = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert [line.split()[1] for line in shown.splitlines()] == targets.split()
    assert all(len(line.split()) > 2 for line in shown.splitlines())
