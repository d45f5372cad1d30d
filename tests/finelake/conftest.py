"""A project of two revisions, for the commands that read revisions."""

import subprocess
import sys

import pytest

from finelake import cli
from finelake.jobs.spark.commit import commit
from finelake.lake.tables import snapshots

SCHEMA = "record_id string, lang string, text string"
OLD = [("a", "en", "one"), ("b", "en", "two"), ("c", "zh", "three"), ("d", "zh", "four")]
NEW = [("a", "en", "one"), ("c", "zh", "3"), ("d", "zh", "four"), ("e", "en", "five"), ("f", None, "six")]


def git(root, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True)


@pytest.fixture(scope="session")
def revised(spark, tmp_path_factory):
    """clean.records as OLD at the tag `old`, as NEW in the work tree; a table `stray` that no manifest names."""
    root = tmp_path_factory.mktemp("project")
    lake = str(root / "lakehouse")
    tables = [commit(spark.createDataFrame(rows, SCHEMA), lake, "clean/records", _schema(spark)) for rows in (OLD, NEW)]
    commit(spark.createDataFrame(OLD, SCHEMA), lake, "clean/stray", _schema(spark))
    (root / "params.yaml").write_text("{}\n")
    (root / "dvc.yaml").write_text("stages:\n  clean:\n    cmd: run\n    outs: [snapshots/clean.json]\n")
    git(root, "init", "--quiet", "--initial-branch", "main")
    for command in (["init", "--quiet"], ["commit", "--quiet", "--force"]):
        snapshots.write_manifest(root, "clean", {"records": tables[0]})
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=root, check=True)
    git(root, "add", "dvc.lock", ".dvc", "dvc.yaml")
    git(root, "commit", "--quiet", "--message", "old")
    git(root, "tag", "old")
    git(root, "update-ref", "refs/exps/01/23/brave-name", "HEAD")
    snapshots.write_manifest(root, "clean", {"records": tables[1]})
    return root


def _schema(spark):
    return spark.createDataFrame([], SCHEMA).schema


@pytest.fixture
def finelake(revised, monkeypatch, capsys):
    """Run a command in the project `revised`: (exit code, standard output, standard error)."""
    monkeypatch.chdir(revised)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit:
            cli.main(list(arguments))
        captured = capsys.readouterr()
        return exit.value.code, captured.out, captured.err

    return run
