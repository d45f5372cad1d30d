"""A module that is not installed is reported with the extra that provides it."""

import subprocess
import sys

import pytest

from finelake import extras

SQL = "from finelake import cli; cli.main(['sql', '--help'])"
ENGINES = ("pyspark", "torch", "transformers", "petastorm", "deepspeed", "httpx", "rapidocr", "reportlab", "matplotlib")


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        *[("pyspark", "spark"), ("py4j.protocol", "spark"), ("stdnum.cn", "spark"), ("torch.nn", "train")],
        *[("sklearn", "train"), ("cv2", "ocr"), ("docx", "demo"), ("PIL", "demo"), ("reportlab.lib", "demo")],
    ],
)
def test_each_module_names_its_extra(monkeypatch, module, extra):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    named = module.partition(".")[0]
    found = extras.missing(ModuleNotFoundError("gone", name=module))
    assert str(found) == f"{named} is not installed; install it with `pip install 'finelake[{extra}]'`"


@pytest.mark.parametrize("module", ["duckdb", "own_model", "", None, "finelake.jobs.typo", "torch.typo"])
def test_a_module_of_no_extra_stays_an_error(module):
    assert extras.missing(ModuleNotFoundError("gone", name=module)) is None


def without(*modules: str, program: str) -> subprocess.CompletedProcess:
    """Run a program in a Python that lacks modules."""
    gone = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    return subprocess.run([sys.executable, "-c", gone + program], capture_output=True, text=True)


def test_a_command_names_what_to_install(tmp_path):
    (tmp_path / "params.yaml").write_text("runs: {}\n")
    program = f"import os; os.chdir({str(tmp_path)!r})\nfrom finelake import cli; cli.main(['run', 'clean'])"
    ended = without("pyspark", program=program)
    assert ended.returncode == 2
    assert ended.stderr == "finelake: pyspark is not installed; install it with `pip install 'finelake[spark]'`\n"


def test_querying_a_lake_needs_none_of_the_extras():
    names = ("sql", "history", "diff", "trace", "verify", "vacuum", "quality")
    program = f"from finelake import cli\nimport importlib\n[importlib.import_module(cli.COMMANDS[n]) for n in {names}]"
    ended = without(*ENGINES, program=program)
    assert ended.returncode == 0, ended.stderr
