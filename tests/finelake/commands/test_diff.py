"""`finelake diff` between the tag `old` and the work tree."""

import json

import pytest


def test_diff_names_rows_and_reports_drift(finelake):
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
    monkeypatch.setattr("finelake.commands.diff._compare", None)
    assert finelake("diff", "old", "brave-name", "clean.records")[1].splitlines() == [
        "clean.records: old (4 rows) to brave-name (4 rows)",
        "The same rows.",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("diff", "older", "clean.records"), "Git knows no revision older"),
        (("diff", "old", "clean.record"), "old pins no table clean.record; did you mean clean.records?"),
        (("diff", "old", "clean.records", "--memory", "much"), "the memory limit 'much' is not a size"),
    ],
)
def test_a_mistake_reports_one_sentence(finelake, arguments, message):
    code, out, err = finelake(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
