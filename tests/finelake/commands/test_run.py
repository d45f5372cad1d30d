"""`finelake run`: what the name of a stage may be."""

import subprocess
import sys

import pytest

from finelake.commands.run import check_stage
from finelake.lake.errors import UserError


def test_a_stage_of_a_run_has_both_names():
    assert check_stage("train@my-run_2") == ("train", "my-run_2")
    assert check_stage("clean") == ("clean", "")


@pytest.mark.parametrize("name", ["../x", "a/b", "x;touch P", "a@b", "$(x)", " ", "1"])
def test_a_run_whose_name_could_be_a_path_or_a_command_is_refused(name):
    with pytest.raises(UserError, match="a run's name begins with a letter"):
        check_stage(f"train@{name}")


@pytest.mark.parametrize(
    "called", ["base@none", "dvc.yaml:base@none", "sub/dvc.yaml:base@none", "../dvc.yaml:base@none"]
)
def test_a_stage_is_resolved_by_its_dvc_name_from_any_folder(tmp_path, capsys, monkeypatch, called):
    from finelake import cli

    (tmp_path / "params.yaml").write_text(
        "sources:\n  notes: {kind: files, path: x.csv, format: csv, key: id, occurred_at: d, text: t}\nruns: {a: {}}\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["run", called])
    assert "runs.a" in capsys.readouterr().err  # the stage was known; the run is what is refused


def test_the_parameters_of_a_training_stage_are_checked_without_spark(tmp_path):
    (tmp_path / "params.yaml").write_text("sources: {}\nruns: {}\n")
    program = "import sys, pathlib; from finelake.commands.run import check; check(pathlib.Path('.'), data=False)"
    program += "; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path).returncode == 0
