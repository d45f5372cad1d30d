"""The command line: every command explains itself, and a user's mistake is one sentence and exit code 2."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from finelake import cli
from finelake.commands.repro import environment
from finelake.commands.run import check
from finelake.lake.errors import UserError
from tests.finelake.commands.test_quality import pin


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a params.yaml of one CSV source; the current folder lies below it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.csv").write_text("id,date,text\n1,2024-01-01,hello\n")
    (tmp_path / "params.yaml").write_text(
        "sources:\n  notes: {kind: files, path: data/notes.csv, format: csv, key: id, occurred_at: date, text: text}\n"
    )
    below = tmp_path / "notebooks"
    below.mkdir()
    monkeypatch.chdir(below)
    return tmp_path


def finelake(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return exit.value.code, captured.out, captured.err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_an_example(capsys, command):
    code, out, _ = finelake(capsys, command, "--help")
    assert code == 0
    assert f"example:\n  finelake {command}" in out


def test_help_lists_every_command_and_imports_none():
    code = "import sys\nfrom finelake import cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit:\n    "
    code += "print({'duckdb', 'dvc', 'pyspark', 'torch', 'yaml', 'finelake.commands.sql'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
    assert all(f"\n    {command} " in done.stdout for command in cli.COMMANDS)


def refused(capsys, *arguments: str) -> str:
    """The one sentence of a refusal."""
    code, out, err = finelake(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("finelake: ") and err.count("\n") == 1
    return err


def test_outside_a_project(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "make one with `finelake init DIR`" in refused(capsys, "verify")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("command", cli.COMMANDS)
@pytest.mark.parametrize(("argument", "reason"), [("a\udcff", "is not valid UTF-8"), ("a\0b", "holds a NUL character")])
def test_an_argument_that_is_not_a_text_is_named(capsys, command, argument, reason):
    for arguments in ((command, argument), (command, "--rev", argument), (command, f"--output={argument}")):
        assert f"the argument '{'--output=' * ('=' in arguments[-1])}a" in (message := refused(capsys, *arguments))
        assert reason in message


def test_a_text_in_a_locale_without_utf_8_is_read_and_shown(project):
    environment = os.environ | {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "finelake.cli", "sql", "select '中文' as x"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[-1] == rb"\u4e2d\u6587"


def test_control_characters_of_a_message_do_not_reach_the_terminal(capsys, project):
    (project / "params.yaml").write_text('"a\\e]0;x\\a\\n": 1\n')
    message = refused(capsys, "run", "ingest")
    assert r"a\x1b]0;x\x07" in message and message.strip().isprintable()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "claen"), "claen is not a stage; did you mean clean?"),
        (("run", "train"), "train belongs to a training run"),
        (("run", "clean@intent"), "clean is shared by all training runs"),
        (("run", "tokenize@intent"), "params.yaml: unknown key runs.intent"),
        (("run", "clean"), "snapshots/ingest.json does not exist: the stage ingest has not run yet"),
        (("pull", "notes"), "source notes is not an API"),
        (("pull", "notse"), "did you mean sources.notes?"),
        (("history", "clean.records"), "the lake holds no table clean.records; expected one of: none yet"),
        (("repair", "clean"), "clean has no broken table"),
        (("demo",), "; name a folder outside it"),
        (("sql", "select * from clean.records"), "the query failed"),
    ],
)
def test_a_mistake_reports_one_sentence_with_exit_code_2(capsys, arguments, message):
    assert message in refused(capsys, *arguments)


RUN = "runs: {a: {task: classify, seed: 0, select: {}, tokenize: {}, train: {}, evaluate: {}, "


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cleann: {}", "params.yaml: unknown key cleann; did you mean clean?"),
        (
            "clean: {outliers: {sigma: 2}}",
            "unknown key clean.outliers.sigma; did you mean clean.outliers.sigmas?",
        ),
        ("clean: {outliers: {sigmas: many}}", "params.yaml: clean.outliers.sigmas must be a number"),
        ("split: {ratios: {train: 0.5, validation: 0.1, test: 0.1}}", "params.yaml: split"),
        ("runs: abc", "params.yaml: runs must be a mapping of names to values, not 'abc' (str)"),
        ("runs: {a: 5}", "params.yaml: runs.a must be a mapping of names to values, not 5 (int)"),
        (
            RUN.replace("evaluate: {}", "evaluate: 5") + "base: {}}}",
            "params.yaml: runs.a.evaluate must be a mapping of names to values, not 5 (int)",
        ),
        ("quality: [a]", "params.yaml: quality must be a mapping of names to values, not ['a'] (list)"),
        (
            RUN + "base: {kind: package}}}",
            "params.yaml: runs.a.base: kind package needs a name",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_before_spark(capsys, project, monkeypatch, line, message):
    with (project / "params.yaml").open("a") as file:
        file.write(line + "\n")
    monkeypatch.setattr("finelake.jobs.runner.open_session", None)
    assert message in refused(capsys, "run", "ingest")


def test_a_missing_section_is_named_before_anything_runs(capsys, project):
    with (project / "params.yaml").open("a") as file:
        file.write("clean: {}\ndedup: {}\nmask: {}\nannotate: {}\nsplit: {}\nruns: {}\n")
    message = "params.yaml: the section quality is missing; write `quality: {}` for its defaults"
    assert message in refused(capsys, "repro")


ODD = (
    "",
    "5",
    "1.5",
    "yes",
    "abc",
    "[]",
    "[~]",
    "[[]]",
    "{5: 5}",
    "{a: ~}",
    "{a: {b: [c]}}",
    ".nan",
    "2024-01-01",
    "!!set {x}",
)


@pytest.mark.parametrize("section", ["sources", "clean", "dedup", "mask", "annotate", "split", "quality", "runs"])
def test_no_value_of_a_section_is_a_traceback(project, section):
    """Whatever a section and a key in it hold, they are accepted or refused by name."""
    whole = (project / "params.yaml").read_text()
    for value in ODD:
        for text in (value, f"{{x: {value}}}", f"{{intent: {{base: {value}, kind: {value}, train: {value}}}}}"):
            (project / "params.yaml").write_text(f"{whole * (section != 'sources')}{section}: {text}\n")
            with contextlib.suppress(UserError):
                check(project)


COMMANDS = [
    *(["verify"], ["verify", "--deep"], ["sql", "select 1"], ["sql", "show all tables"], ["quality"], ["vacuum"]),
    *(["sql", "from mask.records"], ["history", "mask.records"], ["diff", "HEAD", "mask.records"], ["trace", "abcd"]),
    *(["repair", "mask"], ["run", "ingest"], ["run", "mask"], ["run", "quality"], ["run", "train@a"], ["pull", "a"]),
]


def replaced(path: Path) -> None:
    """A file where a folder should be."""
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("x")


def a_folder(path: Path) -> None:
    """A folder where a file should be."""
    path.unlink(missing_ok=True)
    path.mkdir()


def closed(path: Path) -> None:
    path.chmod(0)


FAULTS = {
    "lake a file": lambda root: replaced(root / "lakehouse"),
    "snapshots a file": lambda root: replaced(root / "snapshots"),
    "scratch a file": lambda root: replaced(root / ".finelake"),
    "quality a file": lambda root: replaced(root / "quality"),
    "params.yaml closed": lambda root: closed(root / "params.yaml"),
    "lake closed": lambda root: closed(root / "lakehouse"),
    "table closed": lambda root: closed(root / "lakehouse" / "mask"),
    "snapshots closed": lambda root: closed(root / "snapshots"),
    "manifest closed": lambda root: closed(root / "snapshots" / "mask.json"),
    "data closed": lambda root: closed(root / "data" / "notes.csv"),
    "everything read-only": lambda root: root.chmod(0o555),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_command_ends_in_a_traceback_where_files_are_in_the_way(
    capsys, project, monkeypatch, ordinary_rights, fault
):

    def no_spark(*_):
        raise UserError("no session is opened here")

    monkeypatch.setattr("finelake.jobs.runner.open_session", no_spark)
    pin(project, "mask", records=pa.table({"record_id": ["1"], "text": ["a"]}))
    FAULTS[fault](project)
    with ordinary_rights():
        for arguments in COMMANDS:
            code, _, err = finelake(capsys, *arguments)
            assert code in (0, 1, 2), arguments
            assert err.startswith("finelake: ") and err.count("\n") == 1 if code == 2 and err else True, arguments
            assert "restore" not in err, arguments  # nothing is damaged
    project.chmod(0o755)


@pytest.mark.parametrize("name", ["dvc.yaml", "dvc.lock", ".dvc", ".dvc/config", ".dvc/cache"])
def test_what_dvc_cannot_read_is_named_before_it_starts(capsys, project, ordinary_rights, name):
    sections = "".join(f"{section}: {{}}\n" for section in ("clean", "dedup", "mask", "annotate", "split", "quality"))
    (project / "params.yaml").write_text((project / "params.yaml").read_text() + sections + "runs: {}\n")
    (project / ".dvc" / "cache").mkdir(parents=True)
    for file in ("dvc.yaml", "dvc.lock", ".dvc/config"):
        (project / file).touch()
    (project / name).chmod(0)
    with ordinary_rights():
        assert f"{project / name}" in (message := refused(capsys, "repro"))
        assert "permission denied; give this user access to it" in message
    (project / name).chmod(0o755)


def test_a_missing_java_is_named(capsys, project, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(project))
    assert "Spark needs Java 17" in refused(capsys, "run", "ingest")


def test_a_source_without_its_time_column_is_named(capsys, project):
    (project / "data" / "notes.csv").write_text("id,text\n1,hello\n")
    assert "date" in refused(capsys, "run", "ingest")


def test_init_writes_a_project_and_never_overwrites(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = finelake(capsys, "init", "mine")
    assert code == 0
    assert "finelake repro" in out
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        ".dvc",
        ".dvcignore",
        ".gitignore",
        "data",
        "dvc.yaml",
        "params.yaml",
        "quality",
    ]
    assert "mine/dvc.yaml already exists" in refused(capsys, "init", "mine")


def test_stage_commands_find_this_installation():
    import shutil

    assert shutil.which("finelake", path=environment()["PATH"]) is not None
