"""Names become parts of paths, tables and commands: what could mean something else there is refused."""

import pytest

from finelake.lake.config.names import LONGEST, check_names, is_name, split_table
from finelake.lake.errors import UserError

WRONG = (
    *("", " ", "1a", "-a", "_a", "a b", "a/b", "../a", "a.b", "a@b", "a:b", "a;touch x;", "$(x)", "`x`", "a'b", 'a"b'),
    *("a\n", "a\nb", "é", "名", "a\x00", "a" * (LONGEST + 1), 1, 1.5, True, None, ("a",)),
)


@pytest.mark.parametrize("name", ["a", "A", "intent", "my-run_2", "a" * LONGEST])
def test_letters_digits_dashes_and_underscores_make_a_name(name):
    assert is_name(name)
    check_names([name], "runs", "run")


@pytest.mark.parametrize("name", WRONG)
def test_any_other_name_is_refused_in_one_line(name):
    with pytest.raises(
        UserError, match=r"params.yaml: runs\..*: a run's name begins with a letter .*; rename it$"
    ) as e:
        check_names(["fine", name], "runs", "run")
    assert "\n" not in str(e.value) and len(str(e.value)) < 300


def test_names_that_a_file_system_may_take_for_one_are_refused():
    with pytest.raises(UserError, match="sources.Notes and sources.notes differ only in case; rename one of them"):
        check_names(["notes", "other", "Notes"], "sources", "source")


def test_a_table_has_a_stage_and_perhaps_a_run():
    assert split_table("clean.records") == ("clean", "records")
    assert split_table("tokenize@my-run.samples") == ("tokenize@my-run", "samples")


@pytest.mark.parametrize(
    "text",
    [
        *("records", ".records", "clean.", "clean/../x.records", "../clean.records", "clean.a/b", "/etc.passwd"),
        *("tokenize@.samples", "tokenize@../x.samples", "a@b@c.d", "clean\n.records", "clean..records", "a.b.c", ""),
    ],
)
def test_what_could_be_another_path_is_not_a_table(text):
    with pytest.raises(UserError, match="is not a table's name; write stage.table, as in clean.records"):
        split_table(text)
