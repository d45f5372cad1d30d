"""`finelake quality` and its stage: formats exactly, exit codes, what is written."""

import json
import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.transaction import CommitProperties

from finelake import cli
from finelake.commands import quality
from finelake.lake.quality.checks import SHIPPED, Result, parse_check
from finelake.lake.tables.snapshots import Table, write_manifest
from finelake.output import quality_report

ROOT = Path(__file__).parents[3]
CHECKS = {
    "holds": "-- Texts are there.\n-- table: mask.records\nfrom this where text is null",
    "warns": "-- Texts are short.\n-- table: mask.records\n-- severity: warn\nfrom this where length(text) > 3",
    "fails": "-- No text is <b>.\n-- table: mask.records\nfrom this where text = '<b>'",
    "waits": "-- Gold is there.\n-- table: annotate.gold\nselect 1",
    "grows": "-- More than before.\n-- table: mask.records\n-- needs: previous\nselect 1",
}


def pin(root: Path, stage: str, **tables: pa.Table) -> None:
    pins = {}
    for name, rows in tables.items():
        schema = f"{hash(tuple(rows.schema.names)) % 2**64:032x}"
        pins[name] = Table(f"{stage}/{name}", len(rows), schema, f"{len(rows):032x}")
        properties = CommitProperties(custom_metadata={"userMetadata": pins[name].metadata({})})
        write_deltalake(
            root / "lakehouse" / stage / name,
            rows,
            mode="overwrite",
            schema_mode="overwrite",
            commit_properties=properties,
        )
    write_manifest(root, stage, pins)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """mask.records of two rows, one source, and only the five checks above."""
    shipped = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.sql")))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.csv").write_text("id,date,text\n1,2024-01-01,hello\n")
    (tmp_path / "params.yaml").write_text(
        "sources:\n  notes: {kind: files, path: data/notes.csv, format: csv, key: id, occurred_at: date, text: text}\n"
        f"quality: {{skip: [{shipped}]}}\n"
    )
    (tmp_path / "quality").mkdir()
    for name, text in CHECKS.items():
        (tmp_path / "quality" / f"{name}.sql").write_text(text)
    pin(tmp_path, "mask", records=pa.table({"record_id": ["1", "2"], "text": ["<b>", "long"]}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finelake(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return exit.value.code, captured.out, captured.err


def test_text_has_the_worst_first_and_failing_rows_below(capsys, project):
    code, out, _ = finelake(capsys, "quality")
    assert code == 2
    outside = f"{project} is not in a Git repository, so it has no revision HEAD"
    assert out == (
        "error    fails  mask.records   1 failing (error_if > 0), 2 rows\n"
        "           record_id=1, text=<b>\n"
        "warning  warns  mask.records   1 failing (warn_if > 0), 2 rows\n"
        "           record_id=2, text=long\n"
        f"skipped  grows  mask.records   {outside}\n"
        "skipped  waits  annotate.gold  annotate.gold is not pinned\n"
        "passed   holds  mask.records   0 failing, 2 rows\n"
        "1 error, 1 warning, 1 passed, 2 skipped\n"
    )


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("checks", "code"), [((), 2), (("holds",), 0), (("warns", "holds"), 1), (("fails",), 2), (("waits",), 0)]
)
def test_exit_codes(capsys, checks, code):
    assert finelake(capsys, "quality", *checks)[0] == code


def test_json(capsys, project):
    code, out, _ = finelake(capsys, "quality", "fails", "waits", "--format", "json")
    assert code == 2
    assert json.loads(out) == {
        "summary": {"error": 1, "warning": 0, "skipped": 1, "passed": 0},
        "checks": [
            {
                "check": "fails",
                "table": "mask.records",
                "law": "No text is <b>.",
                "severity": "error",
                "status": "error",
                "reason": "error_if > 0",
                "failing": 1,
                "rows": 2,
                "examples": [{"record_id": "1", "text": "<b>"}],
            },
            {
                "check": "waits",
                "table": "annotate.gold",
                "law": "Gold is there.",
                "severity": "error",
                "status": "skipped",
                "reason": "annotate.gold is not pinned",
                "failing": 0,
                "rows": 0,
                "examples": [],
            },
        ],
    }


@pytest.mark.usefixtures("project")
def test_the_output_replaces_only_regular_files(capsys, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "old").write_text("old")
    (tmp_path / "link").symlink_to("old")
    os.mkfifo(tmp_path / "pipe")
    code, out, err = finelake(capsys, "quality", "holds", "--output", str(tmp_path / "folder"))
    assert (code, out) == (2, "") and "folder is not a regular file; name another one" in err
    assert finelake(capsys, "quality", "holds", "--output", "")[0] == 2
    monkeypatch.chdir(tmp_path / "data")
    assert finelake(capsys, "quality", "holds", "--output", "../link")[0] == 0
    assert (tmp_path / "link").is_symlink() and "1 passed" in (tmp_path / "old").read_text()
    assert finelake(capsys, "quality", "holds", "--output", str(tmp_path / "pipe"))[0] == 2
    assert (tmp_path / "pipe").is_fifo()
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.usefixtures("project")
def test_control_characters_of_rows_and_names_do_not_reach_the_terminal(capsys, project):
    pin(project, "mask", records=pa.table({"record_id": ["1"], "text": ["x"], "a\x1b]0;x\x07": ["\x1b[31m"]}))
    query = "select * exclude (text) from this"
    (project / "quality" / "fails.sql").write_text(f"-- A law.\n-- table: mask.records\n{query}")
    _, out, _ = finelake(capsys, "quality", "fails")
    assert "record_id=1, a ]0;x =" in out and "\x1b" not in out and "\x07" not in out


def results() -> list[Result]:
    checks = {name: parse_check(text, name, f"quality/{name}.sql") for name, text in CHECKS.items()}
    return [
        Result(checks["holds"], "mask.records", "passed", rows=2, seconds=0.25),
        Result(checks["fails"], "mask.records", "error", "error_if > 0", 2, 1, [{"text": "<b>\x07"}], 0.5),
        Result(checks["warns"], "mask.records", "warning", "warn_if > 0", 2, 1, [{"text": "long"}]),
        Result(checks["waits"], "annotate.gold", "skipped", "annotate.gold is not pinned"),
    ]


def test_junit():
    assert quality_report.as_junit(results()) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<testsuites>\n"
        '  <testsuite name="finelake quality" tests="4" failures="1" errors="0" skipped="1" time="0.750">\n'
        '    <testcase classname="mask.records" name="fails" time="0.500">\n'
        '      <failure type="error" message="1 failing (error_if &gt; 0), 2 rows">No text is &lt;b&gt;.\n'
        "1 failing (error_if &gt; 0), 2 rows\n"
        "text=&lt;b&gt;</failure>\n"
        "    </testcase>\n"
        '    <testcase classname="mask.records" name="warns" time="0.000">\n'
        "      <system-out>warning: Texts are short.\n"
        "1 failing (warn_if &gt; 0), 2 rows\n"
        "text=long</system-out>\n"
        "    </testcase>\n"
        '    <testcase classname="annotate.gold" name="waits" time="0.000">\n'
        '      <skipped message="annotate.gold is not pinned" />\n'
        "    </testcase>\n"
        '    <testcase classname="mask.records" name="holds" time="0.250" />\n'
        "  </testsuite>\n"
        "</testsuites>\n"
    )


def test_the_page_is_complete_escaped_and_self_contained(capsys, project):
    code, out, _ = finelake(capsys, "quality", "--format", "html", "--output", "page.html")
    assert (code, out) == (2, "page.html: 1 error, 1 warning, 1 passed, 2 skipped\n")
    page = (project / "page.html").read_text()
    assert "<td>&lt;b&gt;</td>" in page and "<td><b></td>" not in page
    assert "1 failing (error_if &gt; 0), 2 rows" in page
    assert "http" not in page and "src=" not in page
    ET.fromstring(page.replace("<!doctype html>", "").replace('<meta charset="utf-8">', "").replace(META, ""))


META = '<meta name="viewport" content="width=device-width, initial-scale=1">'


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("quality", "hold"), "hold is not a check; did you mean holds?"),
        (("quality", "xyz"), "xyz is not a check; `finelake quality --list` lists them"),
        (("quality", "--rev", "main"), "is not in a Git repository"),
        (("run", "quality@intent"), "quality is shared by all training runs; run `finelake run quality`"),
    ],
)
def test_a_mistake_reports_one_sentence(capsys, arguments, message):
    code, out, err = finelake(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "query",
    [
        "from read_text('params.yaml')",
        "from read_blob('/proc/self/environ')",
        "from 'data/notes.csv'",
        "from glob('*')",
    ],
)
def test_a_check_reads_only_the_pinned_tables(capsys, project, query):
    (project / "quality" / "holds.sql").write_text(f"-- Reads more.\n-- table: mask.records\n{query}")
    code, out, err = finelake(capsys, "quality", "holds")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "quality/holds.sql: the query failed on mask.records (Permission Error: Cannot access file" in err
    assert not list(project.glob("made*"))


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("select 1; copy (select 1) to 'made'", "a statement of type copy is refused"),
        (
            "from enable_logging(level='trace', storage='file', storage_path='made', storage_buffer_size=0), this, "
            "(select write_log('any text', level := 'error')) x",
            "the function ",
        ),
    ],
)
def test_nothing_of_a_check_that_does_more_than_read_is_run(capsys, project, query, reason):
    (project / "quality" / "holds.sql").write_text(f"-- Acts.\n-- table: mask.records\n{query}")
    code, out, err = finelake(capsys, "quality", "holds")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"quality/holds.sql: {reason}" in err and "is refused" in err
    assert not list(project.glob("made*"))


def test_the_stage_writes_nothing_that_training_needs_when_a_check_finds_an_error(capsys, project):
    code, out, err = finelake(capsys, "run", "quality")
    assert code == 2
    assert "1 error, 1 warning, 1 passed, 2 skipped; see reports/quality.html" in out
    assert "quality checks failed: fails (mask.records); training is blocked" in err
    assert (project / "reports" / "quality.html").exists()
    assert not (project / "reports" / "quality.txt").exists() and not (project / "metrics").exists()


def test_the_stage_writes_a_verdict_that_warnings_do_not_change(capsys, project):
    (project / "quality" / "fails.sql").unlink()
    assert finelake(capsys, "run", "quality")[0] == 0
    verdict = (project / "reports" / "quality.txt").read_text()
    assert verdict == "no errors\n"
    assert json.loads((project / "metrics" / "quality.json").read_text()) == {"checks": 2, "warnings": {"warns": 1}}
    pin(project, "mask", records=pa.table({"record_id": ["1"], "text": ["a"]}))
    assert finelake(capsys, "run", "quality")[0] == 0
    assert (project / "reports" / "quality.txt").read_text() == verdict
    assert json.loads((project / "metrics" / "quality.json").read_text()) == {"checks": 2, "warnings": {}}


def test_the_stage_ignores_tables_of_training_runs(capsys, project):
    (project / "quality" / "fails.sql").write_text("-- None.\n-- table: tokenize@*.samples\nselect * from this")
    pin(project, "tokenize@intent", samples=pa.table({"sample_id": ["1"]}))
    assert finelake(capsys, "quality", "fails")[0] == 2
    assert finelake(capsys, "run", "quality")[0] == 0


def test_the_table_of_checks_in_the_documentation_is_current(capsys, monkeypatch, tmp_path):
    (tmp_path / "params.yaml").write_text("{}\n")
    monkeypatch.chdir(tmp_path)
    code, out, _ = finelake(capsys, "quality", "--list")
    assert code == 0
    found = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    assert out in found, "replace the table in docs/quality.md by the output of `finelake quality --list`"


def commit(root: Path) -> None:
    """A commit whose dvc.lock names the manifest of mask, which is in Git itself."""
    lock = {"stages": {"mask": {"outs": [{"path": "snapshots/mask.json", "md5": "0" * 32}]}}}
    (root / "dvc.lock").write_text(json.dumps(lock))
    (root / ".dvc").mkdir(exist_ok=True)
    (root / ".dvc" / "config").touch()
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "dvc.lock", "snapshots"], [*who, "commit", "-q", "-m", "pins"]):
        subprocess.run(["git", *command], cwd=root, check=True)


GROWS = "-- More than before.\n-- table: mask.records\n-- needs: previous\nselect 1 from previous having count(*) >= "


def test_the_work_tree_is_compared_with_head_and_a_revision_with_its_parent(capsys, project):
    (project / "quality" / "grows.sql").write_text(GROWS + "(select count(*) from this)")
    commit(project)
    pin(project, "mask", records=pa.table({"record_id": ["1", "2", "3"], "text": ["a", "b", "c"]}))
    assert finelake(capsys, "quality", "grows")[1].startswith("passed   grows  mask.records  0 failing, 3 rows\n")
    commit(project)
    assert finelake(capsys, "quality", "grows")[1].startswith(
        "error    grows  mask.records  1 failing (error_if > 0), 3 rows"
    )
    assert finelake(capsys, "quality", "grows", "--rev", "HEAD")[1].startswith("passed   grows")
    assert finelake(capsys, "quality", "grows", "--rev", "HEAD^")[1].startswith(
        "skipped  grows  mask.records  Git knows no revision HEAD^^\n"
    )
    assert "0 failing, 2 rows" in finelake(capsys, "quality", "holds", "--rev", "HEAD^")[1]


def test_an_earlier_version_with_other_columns_or_lost_files_is_not_compared(capsys, project):
    commit(project)
    pin(project, "mask", records=pa.table({"record_id": ["1"], "text": ["a"], "lang": ["en"]}))
    assert "HEAD pins other columns of mask.records" in finelake(capsys, "quality", "grows")[1]
    pin(project, "mask", records=pa.table({"record_id": ["1"], "text": ["a"]}))
    for file in sorted((project / "lakehouse" / "mask" / "records").glob("*.parquet"), key=lambda f: f.stat().st_mtime)[
        :1
    ]:
        file.unlink()
    out = finelake(capsys, "quality", "grows")[1]
    assert "skipped  grows  mask.records  of HEAD: table mask/records, version 0: the data file" in out


def test_files_of_the_stage_depend_only_on_what_is_pinned_now(capsys, project):
    (project / "quality" / "fails.sql").unlink()
    (project / "quality" / "grows.sql").write_text(GROWS.replace("needs:", "severity: warn\n-- needs:") + "0")
    assert "0 errors, 1 warning, 1 passed, 2 skipped" in finelake(capsys, "run", "quality")[1]
    before = written(project)
    commit(project)
    said = finelake(capsys, "run", "quality")[1]
    assert "warning  grows" in said and "0 errors, 2 warnings, 1 passed, 1 skipped" in said
    assert written(project) == before


def written(project: Path) -> dict[str, str]:
    return {str(path): (project / path).read_text() for path in (quality.VERDICT, quality.METRICS, quality.PAGE)}
