"""`finelake diff` and `finelake history` over a project of two revisions, `old` (a tag) and the work tree."""

import json
import subprocess
import sys

import pytest

from finelake import cli
from lake import snapshots
from lake.commit import commit

SCHEMA = "record_id string, lang string, text string"
OLD = [("a", "en", "one"), ("b", "en", "two"), ("c", "zh", "three"), ("d", "zh", "four")]
NEW = [("a", "en", "one"), ("c", "zh", "3"), ("d", "zh", "four"), ("e", "en", "five"), ("f", None, "six")]


def git(root, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True)


@pytest.fixture(scope="module")
def project(spark, tmp_path_factory):
    """clean.records as OLD at the tag `old`, as NEW in the work tree; a table `stray` that no manifest names."""
    root = tmp_path_factory.mktemp("project")
    lake = str(root / "lakehouse")
    tables = [commit(spark.createDataFrame(rows, SCHEMA), lake, "clean/records", _schema(spark)) for rows in (OLD, NEW)]
    commit(spark.createDataFrame(OLD, SCHEMA), lake, "clean/stray", _schema(spark))
    (root / "params.yaml").write_text("{}\n")
    (root / "dvc.yaml").write_text("stages:\n  clean:\n    cmd: run\n    outs: [snapshots/clean.json]\n")
    git(root, "init", "--quiet")
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
def finelake(project, monkeypatch, capsys):
    """Run a command in the project: (exit code, standard output, standard error)."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit:
            cli.main(list(arguments))
        captured = capsys.readouterr()
        return exit.value.code, captured.out, captured.err

    return run


def test_diff_names_rows_and_how_values_moved(finelake):
    code, out, _ = finelake("diff", "old", "clean.records")
    assert code == 0
    assert out.splitlines()[:7] == [
        "clean.records: old (4 rows) to the work tree (5 rows)",
        "",
        "Rows, matched by record_id",
        "  added            2   such as e, f",
        "  removed          1   such as b",
        "  changed          1   such as c",
        "  changed in: text 1",
    ]
    assert "  lang: NULL 0.0% -> 20.0%, en 50.0% -> 40.0%, zh 50.0% -> 40.0%" in out.splitlines()


def test_diff_as_json(finelake):
    code, out, _ = finelake("diff", "old", ".", "clean.records", "--format", "json", "--examples", "1")
    answer = json.loads(out)
    assert code == 0
    assert answer["rows"]["counts"] == {"added": 2, "removed": 1, "changed": 1}
    assert answer["rows"]["examples"] == {"added": ["e"], "removed": ["b"], "changed": ["c"]}
    assert [(column["name"], column["kind"]) for column in answer["drift"]] == [("lang", "category"), ("text", "text")]


def test_equal_contents_are_not_read(finelake, monkeypatch):
    monkeypatch.setattr("finelake.diff._compare", None)
    assert finelake("diff", "old", "brave-name", "clean.records")[1].splitlines() == [
        "clean.records: old (4 rows) to brave-name (4 rows)",
        "The same rows.",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("diff", "older", "clean.records"), "Git knows no revision older"),
        (("diff", "old", "clean.record"), "old pins no table clean.record; did you mean clean.records?"),
        (("diff", "old", "clean.records", "--memory", "much"), "the memory limit 'much' is no size"),
        (("history", "clean.recrods"), "the lake holds no table clean.recrods; did you mean clean.records?"),
        (("sql", "--output", "x", "select 1"), "--output needs a format for files"),
        (("sql", "--rev", "older", "select 1"), "Git knows no revision older"),
    ],
)
def test_a_mistake_is_one_sentence(finelake, arguments, message):
    code, out, err = finelake(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_history_names_who_pins_each_version(finelake):
    code, out, _ = finelake("history", "clean.records")
    newest, oldest = [line.split() for line in out.splitlines()[2:]]
    assert code == 0
    assert [newest[0], newest[3], *newest[5:]] == ["1", "5", "whole", "work", "tree"]
    assert [oldest[0], oldest[3], *oldest[5:]] == ["0", "4", "whole", "HEAD,", "brave-name,", "master,", "old"] or (
        "old" in oldest[-1] and "brave-name," in oldest
    )


def test_history_marks_a_version_whose_files_are_gone(finelake, project):
    lake = str(project / "lakehouse")
    pinned = snapshots.manifests(project)["clean"]["records"]
    from pathlib import Path

    file = Path(snapshots.files(lake, "clean", pinned)[0])
    away = file.rename(file.with_name("away"))
    try:
        assert " files gone " in finelake("history", "clean.records")[1].splitlines()[2]
    finally:
        away.rename(file)


def test_history_lists_a_table_that_nothing_pins(finelake):
    code, out, _ = finelake("history", "clean.stray")
    assert code == 0
    assert out.splitlines()[2].endswith("whole")


def test_sql_asks_a_revision_and_writes_files(finelake, project):
    assert finelake("sql", "--rev", "old", "select count(*) as rows from clean.records")[1].split() == [
        "rows",
        "----",
        "4",
    ]
    assert finelake("sql", "--format", "json", "--output", "old.json", "select 1 as a")[0] == 0
    assert (project / "old.json").read_text() == '{"a":1}\n'
