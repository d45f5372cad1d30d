"""Headers parse or are refused by file and line; conditions, parameters and missing tables decide what is reported."""

from dataclasses import replace
from datetime import date

import duckdb
import pytest

from finelake.lake.errors import UserError
from finelake.lake.quality.checks import (
    MACROS,
    Limit,
    Params,
    judge,
    load_checks,
    matching,
    parse_check,
    run_check,
    run_checks,
    skipped,
)
from finelake.lake.query.drift import psi
from finelake.lake.query.duck import named_in_tree, open_parser, refuse_acting
from finelake.lake.tables.snapshots import Table, write_manifest

FILE = """-- Nothing is odd,
-- and nothing is null.
-- table: clean.records, tokenize@*.samples
-- needs: previous, mask.records
-- severity: warn
-- warn_if: > 1.5 %
-- error_if: >= 3
-- values: {bound: 2, since: 1970-01-01}

with failing as (select 1)
select * from failing;
"""


def test_a_file_is_a_rule_a_header_and_a_query():
    check = parse_check(FILE, "odd", "quality/odd.sql")
    assert check.rule == "Nothing is odd, and nothing is null."
    assert check.tables == ("clean.records", "tokenize@*.samples")
    assert check.needs == ("previous", "mask.records") and check.compares
    assert check.severity == "warn"
    assert (check.warn_if, check.error_if) == (Limit(">", 1.5, True), Limit(">=", 3, False))
    assert check.values == {"bound": 2, "since": date(1970, 1, 1)}
    assert check.sql == "with failing as (select 1)\nselect * from failing"


def test_a_short_header_takes_the_defaults():
    check = parse_check("-- Law.\n-- table: a.b\nselect 1", "x", "x.sql")
    assert (check.severity, check.warn_if, check.error_if) == ("error", Limit(">", 0, False), Limit(">", 0, False))
    assert (check.needs, check.values, check.compares) == ((), {}, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- Law.\n-- tabel: a.b\nselect 1", "q.sql:2: unknown key tabel; did you mean table?"),
        ("-- Law.\n-- colour: red\nselect 1", "q.sql:2: unknown key colour; expected one of: table, needs, severity"),
        (
            "-- Law.\n-- table: a.b\n-- severity: fatal\nselect 1",
            "q.sql:3: 'fatal' is not a severity; write error or warn",
        ),
        ("-- Law.\n-- table: a.b\n-- warn_if: many\nselect 1", "q.sql:3: 'many' is not a condition on the number"),
        ("-- Law.\n-- table: records\nselect 1", "q.sql:2: 'records' is not a table; write stage.table"),
        ("-- Law.\n-- table: a.b\n-- needs: c\nselect 1", "q.sql:3: 'c' is not a table"),
        ("-- Law.\n-- table: a.b\n-- values: [1]\nselect 1", "q.sql:3: '[1]' is not a mapping of names to values"),
        ("-- Law.\n-- table: a.b\n-- table: c.d\nselect 1", "q.sql:3: table is given twice; write it once"),
        ("-- Law.\n-- table: a.b\n-- more law\nselect 1", "q.sql:3: 'more law' is not `key: value`"),
        ("-- table: a.b\nselect 1", "q.sql:1: the check has no rule, a sentence in the first comment; add it"),
        ("-- Law.\nselect 1", "q.sql:1: the check has no line `-- table: stage.table`; add it"),
        ("-- Law.\n-- table: a.b\n", "q.sql:1: the check has no query below its header; add it"),
    ],
)
def test_a_header_that_does_not_parse_is_named_by_file_and_line(text, message):
    with pytest.raises(UserError) as refused:
        parse_check(text, "q", "q.sql")
    assert message in str(refused.value)


ERROR = parse_check("-- Law.\n-- table: a.b\n-- error_if: > 10 %\nselect 1", "x", "x.sql")


@pytest.mark.parametrize(
    ("failing", "rows", "severity", "found"),
    [
        (0, 100, "error", ("passed", "")),
        (1, 100, "error", ("warning", "warn_if > 0")),
        (10, 100, "error", ("warning", "warn_if > 0")),
        (11, 100, "error", ("error", "error_if > 10 %")),
        (11, 100, "warn", ("warning", "warn_if > 0")),
        (1, 0, "error", ("error", "error_if > 10 %")),
    ],
)
def test_conditions_decide_between_error_warning_and_passed(failing, rows, severity, found):
    assert judge(replace(ERROR, severity=severity), failing, rows) == found


def test_at_least_is_not_above():
    assert Limit(">=", 2, False).holds(2, 9) and not Limit(">", 2, False).holds(2, 9)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "quality").mkdir()
    return tmp_path


def write(project, name: str, text: str) -> None:
    (project / "quality" / f"{name}.sql").write_text(text, encoding="utf-8")


OWN = "-- Own.\n-- table: clean.records\n-- values: {bound: 1.5, word: a}\nselect 1"


def test_a_projects_check_is_added_to_the_shipped_and_replaces_a_namesake(project):
    shipped = {check.name: check for check in load_checks(project, Params())}
    write(project, "own", OWN)
    write(project, "langs_are_known", OWN)
    checks = {check.name: check for check in load_checks(project, Params())}
    assert set(checks) == {*shipped, "own"}
    assert checks["own"].file == "quality/own.sql"
    assert checks["langs_are_known"].rule == "Own."
    assert shipped["langs_are_known"].file == "lake/quality/sql/langs_are_known.sql"


def test_parameters_skip_checks_and_set_severities_and_values(project):
    write(project, "own", OWN)
    params = Params(skip=("langs_are_known",), severity={"own": "warn"}, values={"bound": 2, "word": "b"})
    checks = {check.name: check for check in load_checks(project, params)}
    assert "langs_are_known" not in checks
    assert checks["own"].severity == "warn"
    assert checks["own"].values == {"bound": 2, "word": "b"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (Params(skip=("onw",)), "params.yaml: unknown key quality.skip.onw; did you mean quality.skip.own?"),
        (Params(severity={"onw": "warn"}), "unknown key quality.severity.onw"),
        (Params(values={"bond": 1}), "unknown key quality.values.bond; did you mean quality.values.bound?"),
        (
            Params(values={"bound": "x"}),
            "params.yaml: quality.values.bound is 'x'; write a value like its default, 1.5",
        ),
        (Params(values={"bound": True}), "quality.values.bound is True"),
        (Params(values={"word": 1}), "quality.values.word is 1; write a value like its default, 'a'"),
    ],
)
def test_a_parameter_that_fits_nothing_is_refused(project, params, message):
    write(project, "own", OWN)
    with pytest.raises(UserError) as refused:
        load_checks(project, params)
    assert message in str(refused.value)


PRESENT = {"clean.records", "split.records", "tokenize@a.samples", "tokenize@b.samples"}


@pytest.mark.parametrize(
    ("pattern", "tables"),
    [
        ("clean.records", ["clean.records"]),
        ("*.records", ["clean.records", "split.records"]),
        ("tokenize@*.samples", ["tokenize@a.samples", "tokenize@b.samples"]),
        ("mask.records", ["mask.records"]),
        ("*.gold", ["*.gold"]),
    ],
)
def test_patterns_name_tables_and_one_without_a_match_is_kept(pattern, tables):
    assert matching([pattern], PRESENT) == tables


def test_a_missing_table_is_a_reason_to_skip():
    check = parse_check(FILE, "odd", "odd.sql")

    def reason(table, present, absent):
        result = skipped(check, table, present, absent)
        return result and (result.status, result.reason)

    both = {"clean.records", "mask.records"}
    assert reason("clean.records", set(), {}) == ("skipped", "clean.records is not pinned")
    assert reason("clean.records", {"clean.records"}, {}) == ("skipped", "mask.records is not pinned")
    absent = {"clean.records": "HEAD pins no clean.records"}
    assert reason("clean.records", both, absent) == ("skipped", "HEAD pins no clean.records")
    assert reason("clean.records", both, {}) is None


@pytest.fixture
def database():
    connection = duckdb.connect()
    for stage in ("clean", "mask", "previous_ingest"):
        connection.execute(f"create schema {stage}")
        connection.execute(
            f"create table {stage}.records as select 'id ' || n as record_id, 'secret ' || n as text from range(9) t(n)"
        )
    connection.execute("create table clean.others as select 1 as n")
    return connection


def check(sql: str, header: str = ""):
    return parse_check(f"-- Law.\n-- table: clean.records\n{header}{sql}", "c", "quality/c.sql")


def test_failing_rows_are_counted_and_the_first_five_shown(database):
    result = run_check(database, check("select record_id from this where record_id > 'id 1'"), "mask.records")
    assert (result.status, result.failing, result.rows) == ("error", 7, 9)
    assert [row["record_id"] for row in result.examples] == ["id 2", "id 3", "id 4", "id 5", "id 6"]


def test_values_are_prepared_parameters_and_never_pasted(database):
    checked = check("select record_id from this where text = $word", '-- values: {word: "\' or true --"}\n')
    assert run_check(database, checked, "mask.records").failing == 0
    assert run_check(database, replace(checked, values={"word": "secret 3"}), "mask.records").failing == 1


def test_a_table_of_the_same_stage_needs_no_prefix(database):
    assert run_check(database, check("select * from others"), "clean.records").failing == 1


@pytest.mark.parametrize(
    ("table", "sql", "shown"),
    [
        ("clean.records", "select record_id, text, text as hint from this", ["record_id"]),
        ("clean.records", "select text from this", []),
        ("mask.records", "select record_id, text from this", ["record_id", "text"]),
        ("mask.records", "select record_id, text from clean.records", ["record_id"]),
        ("mask.records", 'select record_id, text from "clean"."records"', ["record_id"]),
        ("mask.records", "select record_id, text from CLEAN .records", ["record_id"]),
        ("mask.records", 'select record_id, text from "clean"/**/."records"', ["record_id"]),
        ("mask.records", "select record_id, text from\u00a0clean\u3000.\u3000records", ["record_id"]),
        ("mask.records", "select record_id, text from memory.clean.records", ["record_id"]),
        ("mask.records", "select r.record_id, r.text from this join clean.records r using (record_id)", ["record_id"]),
        ("mask.records", "with a as (from clean.records) select record_id, text from a", ["record_id"]),
        ("mask.records", "select record_id, (select any_value(text) from clean.records) as t from this", ["record_id"]),
        ("mask.records", "select record_id, text from previous_ingest.records", ["record_id"]),
        (
            "mask.records",
            "pivot clean.records on text in ('secret 1') using count(*) group by record_id",
            ["record_id"],
        ),
        (
            "mask.records",
            "select record_id, text from this, histogram_values(clean.records, text) limit 9",
            ["record_id"],
        ),
        ("mask.records", "select record_id, text as clean from this -- clean.records", ["record_id", "clean"]),
        ("mask.records", "select record_id, 'clean.records' as a from this, range(1)", ["record_id", "a"]),
    ],
)
def test_shows_only_ids_of_tables_before_mask(database, table, sql, shown):
    result = run_check(database, check(sql), table)
    assert result.failing == 9
    assert [list(row) for row in result.examples] == ([shown] * 5 if shown else [])


def test_the_shipped_checks_only_read(project):
    with open_parser() as parser:
        for shipped in load_checks(project, Params()):
            refuse_acting(parser, shipped.sql)
            assert named_in_tree(parser, shipped.sql, "table_name")


def test_a_file_of_a_table_is_not_shown_as_a_table(database, tmp_path):
    path = tmp_path / "part.parquet"
    database.execute(f"copy clean.records to '{path}'")
    for read in (f"read_parquet('{path}')", f'"{path}"', f'"{path.with_suffix("")}".parquet'):
        result = run_check(database, check(f"select record_id, text from {read}"), "mask.records")
        assert result.failing == 9 and [list(row) for row in result.examples] == [["record_id"]] * 5


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("from enable_logging(level = 'trace', storage = 'file')", "the function enable_logging is refused"),
        ("select write_log\u00a0('text') from this", "the function write_log is refused"),
        ("from query('select ' || '1')", "the function query is refused"),
        ("from query_table(['cle' || 'an.records'])", "the function query_table is refused in a check"),
        ("from QUERY_TABLE/**/('this')", "the function query_table is refused in a check"),
        ("pivot this on text", "a pivot without its values, or an explain, is refused in a check; write its values"),
        ("select 1; drop table clean.records", "a statement of type drop is refused"),
        ("select 1; select 2", "the query holds 2 statements"),
        ("copy (select 1) to 'made'", "a statement of type copy is refused"),
    ],
)
def test_a_check_only_reads_and_names_what_it_reads(database, tmp_path, monkeypatch, sql, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^quality/c.sql: {reason}"):
        run_check(database, check(sql), "mask.records")
    assert list(tmp_path.iterdir()) == []
    assert database.execute("select count(*) from clean.records").fetchall() == [(9,)]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select * from nowhere", "Catalog Error: Table with name nowhere does not exist!"),
        ("select text::int from this", "ConversionException"),
        ("selekt", "Parser Error: syntax error at or near"),
    ],
)
def test_a_query_that_fails_is_named_without_the_values_of_rows(database, sql, reason):
    with pytest.raises(UserError) as refused:
        run_check(database, check(sql), "clean.records")
    assert str(refused.value).startswith(f"quality/c.sql: the query failed on clean.records ({reason}")
    assert "secret" not in str(refused.value)


def test_a_table_that_the_lake_lacks_is_named(tmp_path):
    table = Table("clean/records", 1, "a" * 32, "b" * 32)
    write_manifest(tmp_path, "clean", {"records": table})
    with pytest.raises(UserError, match="table clean/records is missing from the lake"):
        list(run_checks(tmp_path, str(tmp_path / "lake"), [check("select 1")], {"clean": {"records": table}}))


def test_queries_can_call_the_psi_of_drift():
    bins = [(20, 10), (20, 30), (5, 0)]
    connection = duckdb.connect()
    connection.execute(MACROS)
    before, after = map(list, zip(*bins, strict=True))
    assert connection.execute("select psi(?, ?)", [after, before]).fetchone()[0] == pytest.approx(psi(bins))


def test_a_list_of_the_contract_is_given_to_the_query():
    header = "-- Parts.\n-- table: split.records\n-- lists: parts, roles\n-- values: {least: 1}\nselect 1"
    found = parse_check(header, "parts", "parts.sql")
    assert found.lists == ("parts", "roles")
    assert found.parameters == {
        "least": 1,
        "parts": ["train", "validation", "test"],
        "roles": ["annotator", "arbitrator", "committee", "source"],
    }
    with pytest.raises(UserError, match=r"^own\.sql:3: 'part' is not a list of the contract; did you mean parts"):
        parse_check("-- Parts.\n-- table: split.records\n-- lists: part\nselect 1", "own", "own.sql")
