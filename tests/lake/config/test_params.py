"""Parameters: what fits becomes a dataclass, what does not is refused by name."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from finelake.lake.config.params import load, parse, section, unknown_key
from finelake.lake.errors import UserError


@dataclass(frozen=True)
class Inner:
    width: int = 3


@dataclass(frozen=True)
class Section:
    name: str
    sigmas: float = 3.0
    method: Literal["sigma", "mad"] = "sigma"
    columns: list[str] = field(default_factory=list)
    limit: int | None = None
    zero: Literal[0, 1] = 0
    inner: Inner = field(default_factory=Inner)
    ratios: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.sigmas <= 0:
            raise ValueError("sigmas must be above 0")


def test_values_become_their_fields():
    mapping = {"name": "a", "sigmas": 2, "columns": ["x"], "inner": {"width": 5}, "ratios": {"train": 1}}
    assert parse(Section, mapping, "clean") == Section("a", 2.0, "sigma", ["x"], None, 0, Inner(5), {"train": 1.0})


def test_a_number_in_exponent_notation_is_a_number():
    assert parse(Section, {"name": "a", "sigmas": "5e-5"}, "clean").sigmas == 5e-5


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"name": "a", "sigma": 3}, "params.yaml: unknown key clean.sigma; did you mean clean.sigmas?"),
        ({"sigmas": 3}, "params.yaml: clean.name is missing; add it to the section clean"),
        ({"name": 3}, "params.yaml: clean.name must be text, not 3 (int); correct the value"),
        (
            {"name": "a", "limit": True},
            "params.yaml: clean.limit must be a whole number, not True (bool); correct the value",
        ),
        ({"name": "a", "method": "sigmaa"}, "params.yaml: clean.method: 'sigmaa' is not allowed; did you mean sigma?"),
        (
            {"name": "a", "inner": {"widht": 1}},
            "params.yaml: unknown key clean.inner.widht; did you mean clean.inner.width?",
        ),
        ({"name": "a", "sigmas": -1}, "params.yaml: clean: sigmas must be above 0"),
        ({"name": "a", "columns": "x"}, "params.yaml: clean.columns must be a list, not 'x' (str); write [a, b]"),
        (
            {"name": "a", "sigmas": float("nan")},
            "params.yaml: clean.sigmas must be a number, not nan (float); correct the value",
        ),
        (
            {"name": "a", "sigmas": "inf"},
            "params.yaml: clean.sigmas must be a number, not 'inf' (str); correct the value",
        ),
        (
            {"name": "a", "sigmas": 10**5000},
            "params.yaml: clean.sigmas must be a number, not a very large number (int); correct the value",
        ),
        (
            {"name": "a", "ratios": {1: 0.5, "1": 0.5}},
            "params.yaml: clean.ratios has a name twice, as text and as a number; remove one of them",
        ),
        ({"name": "a", "zero": True}, "params.yaml: clean.zero: True is not allowed; expected one of: 0, 1"),
        ([1], "params.yaml: clean must be a mapping of names to values, not [1] (list)"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(mapping, message):
    with pytest.raises(UserError) as error:
        parse(Section, mapping, "clean")
    assert str(error.value) == message


def test_an_unknown_section_lists_the_known_ones():
    with pytest.raises(UserError, match="params.yaml: unknown key zzz; expected one of: clean, mask"):
        unknown_key({"zzz": 1}, ["mask", "clean"], "")


@pytest.mark.parametrize("value", [5, 1.5, True, "abc", [], [None], b"x", {1}])
def test_a_section_that_is_not_a_mapping_is_named(value):
    for refused in (lambda: section(value, "runs"), lambda: unknown_key(value, ["a"], "runs")):
        with pytest.raises(UserError, match="params.yaml: runs must be a mapping of names to values, not "):
            refused()


def test_an_empty_section_has_no_keys():
    assert section(None, "runs") == {}


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 5000,
        "a: " + "{a: " * 5000,
        "a: " + "9" * 5000,
        "a: 2024-99-99",
        "a: {[a]: b}",
        "? {a: b}\n: c",
        "a: !!timestamp x",
        "a: !!int ''",
        "a: !!float x",
        "a: !!bool x",
        "a: !!binary é",
        "a: !!python/object:os.system x",
        "a: *b",
        "a: &a [*a",
        "a: \x07",
        "- !!set [1]",
        "a: !!omap 5",
        "a:\tb: c",
        "a: b\n---\nc: d",
        "",
        "5",
        "[a]",
    ],
)
def test_every_text_that_is_not_a_mapping_in_yaml_is_named(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="params.yaml (is not valid YAML|holds no sections)"):
        load(path)


def test_bytes_that_are_not_utf_8_are_named(tmp_path):
    (tmp_path / "params.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UserError, match="params.yaml is not valid YAML"):
        load(tmp_path / "params.yaml")


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: [1\n")
    with pytest.raises(UserError, match="is not valid YAML"):
        load(path)
    with pytest.raises(UserError, match="does not exist; create it with `finelake init`"):
        load(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("clean: {}\nclean: {}\n", "clean is given twice, in lines 1 and 2"),
        ("a:\n  b: 1\n  c: 2\n  b: 1\n", "b is given twice, in lines 2 and 4"),
        ("a: [{b: 1, 'b': 2}]\n", "b is given twice"),
        ("1: x\n1: y\n", "1 is given twice"),
    ],
)
def test_names_a_key_that_is_given_twice(tmp_path, text, place):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=place):
        load(path)


def test_anchors_and_merges_are_plain_yaml(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\n")
    assert load(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}}
