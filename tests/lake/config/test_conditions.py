"""Conditions: what is accepted, what it becomes, and one sentence for everything else."""

from pathlib import Path

import pytest

from finelake.lake.config.conditions import LONGEST, ConditionError, check, parse
from finelake.lake.errors import UserError
from tests.conditions import sql

DOCS = Path(__file__).parents[3] / "docs" / "training.md"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", "true"),
        ("Scene IS NOT NULL", '(not ("scene" is null))'),
        ("lang != 'en'", "(\"lang\" <> 'en')"),
        ("text = 'it''s'", "(\"text\" = 'it''s')"),
        ("a", None),
        ("source = 'a' or source = 'b' and lang = 'en'",
         "((\"source\" = 'a') or ((\"source\" = 'b') and (\"lang\" = 'en')))"),
        ("not lang = 'en' and true", "((not (\"lang\" = 'en')) and true)"),
        ("source not in ('a', 'b')", "(not (\"source\" in ('a', 'b')))"),
        ("facts['re ply'] is not distinct from scene", "(\"facts\"['re ply'] is not distinct from \"scene\")"),
        ("numbers['a'] * 2 - 1 < -.5",
         "(((\"numbers\"['a']::double * '2.0'::double) - '1.0'::double) < ('0.0'::double - '0.5'::double))"),
        ("length(text) between 1 and 2",
         "((length(\"text\")::double >= '1.0'::double) and (length(\"text\")::double <= '2.0'::double))"),
        ("occurred_at < date '2024-01-31'", "(\"occurred_at\"::timestamp < '2024-01-31 00:00:00'::timestamp)"),
        ("occurred_at > '2024-01-31T12:30'", "(\"occurred_at\"::timestamp > '2024-01-31 12:30:00'::timestamp)"),
    ],
)  # fmt: skip
def test_a_condition_becomes(text, expected):
    if expected is None:
        with pytest.raises(ConditionError):
            parse(text)
    else:
        assert sql(parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "reflect('java.lang.Runtime', 'getRuntime') = 'x'",
            "reflect(…) is not allowed; expected one of: lower, upper",
        ),
        ("java_method('java.util.UUID', 'randomUUID') = 'x'", "java_method(…) is not allowed"),
        ("assert_true(false) is null", "assert_true(…) is not allowed"),
        ("input_file_name() = 'x'", "input_file_name(…) is not allowed"),
        ("rand() < 0.5", "rand(…) is not allowed"),
        ("read_text('/etc/hostname') = 'x'", "read_text(…) is not allowed"),
        ("getenv('HOME') = 'x'", "getenv(…) is not allowed"),
        ("exists (select 1)", "exists(…) is not allowed"),
        ("current_timestamp > occurred_at", "current_timestamp is not a column"),
        ("current_user = 'root'", "current_user is not a column"),
        ("_metadata.file_path = 'x'", "'.' is not allowed"),
        ("text in (select text from records)", "select is not a column"),
        ("langg = 'en'", "langg is not a column; did you mean lang?"),
        ('source = "lang"', '" is read in different ways; write columns without quotes and texts in single ones'),
        ("`source` = 'x'", "` is read in different ways"),
        (r"text = 'a\'", "holds a backslash, which is read in different ways; leave it out"),
        ("true -- all", "it holds a comment"),
        ("true /* all */", "it holds a comment"),
        ("true; select 1", "';' is not allowed"),
        ("true) or (split = 'test'", "')' does not belong after 'true'"),
        ("true group by 1", "'group' does not belong after 'true'"),
        ("text", "'text' is a text, not a condition"),
        ("not text", "'not text' is a text, not a condition"),
        ("facts = 'x'", "facts is a map; write an entry of it, as in facts['name']"),
        ("facts['n'] = 3", "it compares a text with a number; write texts in single quotes and numbers without"),
        ("numbers['n'] / 2 = 1", "a division is not allowed; compare with a product"),
        ("scene = null", "nothing equals null; write is null or is not null"),
        ("scene is null is null", "'is' does not belong after 'scene is null'"),
        ("lang == 'en'", "'=' does not belong after 'lang ='"),
        ("lang <=> 'en'", "'>' does not belong after 'lang <='"),
        ("text = 'open", "a text has no closing quote"),
        ("text like lang", "like compares a text with a pattern in single quotes"),
        ("text in (lang)", "in (…) takes texts, numbers or times"),
        ("occurred_at > '2024-02-30'", "'2024-02-30' is not a time; write 2024-01-31"),
        ("occurred_at > timestamp '2024-01-01 00:00:00+08:00'", "is not a time"),
        ("occurred_at > timestamp 'now'", "'now' is not a time"),
        ("numbers['a'] > 1e999", "1e999 is too large for a number"),
        ("numbers['a'] > 0x10", "'0x10' is not allowed"),
        ("length(3) > 1", "length takes a text, not a number"),
        ("contains(text) ", "contains takes 2 values, not 1"),
        ("coalesce(scene) = 'x'", "coalesce takes two values or more"),
        ("", "it is empty; write true"),
        ("\x0b", "is not allowed"),
        ("(" * 100_000, "brackets and not are nested more than 50 deep"),
        ("not " * 20_000 + "true", "brackets and not are nested more than 50 deep"),
        ("lower(" * 1000 + "text", "brackets and not are nested more than 50 deep"),
        ("numbers['a'] " + "+ 1 " * 1000 + "> 1", "a computation has more than 50 parts"),
        ("x" * (LONGEST + 1), "100,000 are the most"),
    ],
)
def test_all_else_is_refused_with_what_to_write(text, reason):
    with pytest.raises(UserError) as error:
        check(text, "runs.a.where")
    assert str(error.value).startswith("params.yaml: runs.a.where ") and reason in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("; docs/training.md lists what a condition may hold")


def test_what_the_documentation_shows_is_a_condition():
    shown = [line.partition("where: ")[2] for line in DOCS.read_text().splitlines() if line.startswith("    where: ")]
    assert len(shown) == 3
    for text in shown:
        parse(text)
