"""What is generated for the docs is up to date, and every command in them is one that the command line knows."""

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from finelake.cli import NAMES, parser
from tests.layout import PYPROJECT, ROOT

PAGES = sorted(
    [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")],
    key=lambda path: path.name,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def tool(name: str) -> ModuleType:
    """A script of .ci as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("columns", ["40", "300"])
def test_the_reference_of_commands_is_up_to_date(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    reference = tool("cli_reference")
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "docs/cli.md is stale; run `make docs`"


def test_the_reference_names_every_command():
    headings = re.findall("^## (.+)$", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(headings) == NAMES


# --- commands in the pages -------------------------------------------------------------------------------------------

PARSERS = tool("cli_reference").commands()
SHELL = {"|", "<", ">", "&&", ";", "2>&1"}


def statements(text: str) -> Iterator[str]:
    """The commands in indented and fenced blocks, those with quotes over several lines whole, and those in `code`."""
    inside = False
    waiting = ""
    for line in text.splitlines():
        inside ^= line.startswith("```")
        block = inside or line.startswith("    ")
        yield from [] if block else re.findall("`(finelake [^`]+)`", line)
        if waiting or block and re.match(r"\s*(?:[A-Z_]+=\S+ )*finelake \S", line):
            waiting += line.strip() + " "
            if waiting.count('"') % 2 == 0 and not waiting.endswith("\\ "):
                yield waiting.strip()
                waiting = ""


def words(statement: str) -> list[str]:
    """The arguments of one finelake command, without variables in front of it and what the shell does with it."""
    lexer = shlex.shlex(statement, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    tokens = list(lexer)
    while "=" in tokens[0]:
        tokens.pop(0)
    end = next((number for number, token in enumerate(tokens) if token in SHELL), len(tokens))
    return tokens[1:end]


def complaint(arguments: list[str]) -> str:
    """What is wrong with the arguments of a command in the docs; "" for nothing."""
    name, *rest = arguments
    if name in ("--version", "--help", "COMMAND"):
        return ""
    if name not in PARSERS:
        return f"{name} is not a command"
    known = PARSERS[name]._option_string_actions
    wrong = [word for word in rest if re.match("--[a-z]", word) and word.partition("=")[0] not in known]
    return f"{name} has no {', '.join(wrong)}" if wrong else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_in_the_docs_exist(page):
    found = [(statement, complaint(words(statement))) for statement in statements(page.read_text(encoding="utf-8"))]
    assert [pair for pair in found if pair[1]] == []


def test_commands_of_the_readme_parse():
    found = [words(s) for s in statements((ROOT / "README.md").read_text(encoding="utf-8")) if "…" not in s]
    assert len(found) > 10
    for arguments in found:
        if len(arguments) > 1:  # `finelake run` in a sentence is not a whole command
            parser().parse_args(arguments)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    finelake run clean   # a comment", [["run", "clean"]]),
        ('    finelake sql "select 1\n        from a | b" > out.csv', [["sql", "select 1 from a | b"]]),
        ("see `finelake vacuum --delete`, `dvc repro`", [["vacuum", "--delete"]]),
        ("    A=1 B=2 finelake repro && finelake quality", [["repro"]]),
        ("```bash\nfinelake verify --deep\n```\nfinelake is a word", [["verify", "--deep"]]),
    ],
)
def test_statements_are_found(text, expected):
    assert [words(statement) for statement in statements(text)] == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["mend"], "mend is not a command"),
        (["vacuum", "--all", "--delete"], "vacuum has no --all"),
        (["diff", "--format=json", "main", "a.b"], ""),
    ],
)
def test_unknown_commands_and_options_are_reported(arguments, expected):
    assert complaint(arguments) == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            name, _, heading = target.partition("#")
            path = page.parent / name if name else page
            assert path.exists(), f"{page.name} links to {target}, which does not exist"
            assert not heading or heading in anchors(path.read_text(encoding="utf-8")), f"{page.name}: {target}"


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as Git hosts make them."""
    headings = re.findall("^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_on_installing_names_every_extra():
    table = (ROOT / "docs" / "install.md").read_text(encoding="utf-8").split("## Extras")[1].split("\n\n")[1]
    named = set(re.findall("`([a-z]+)`", " ".join(row.split("|")[1] for row in table.splitlines())))
    assert named == PYPROJECT["project"]["optional-dependencies"].keys()


# --- the picture -----------------------------------------------------------------------------------------------------


def test_the_picture_is_up_to_date():
    architecture = tool("architecture")
    assert architecture.PICTURE.read_text(encoding="utf-8") == architecture.draw(), (
        "docs/architecture.svg is stale; run `make docs`"
    )


def test_arrows_that_follow_from_others_are_left_out():
    reduced = tool("architecture").reduced
    assert reduced({("a", "b"), ("b", "c"), ("a", "c")}) == {("a", "b"), ("b", "c")}
    assert reduced({("a", "b"), ("b", "a")}) == {("a", "b"), ("b", "a")}


def test_a_folder_is_drawn_below_those_that_import_it():
    ranks = tool("architecture").ranks
    assert ranks(["a", "b", "c"], {("a", "b"), ("b", "c"), ("a", "c")}) == {"a": 0, "b": 1, "c": 2}
    assert ranks(["a", "b", "x"], {("a", "b"), ("x", "b")}) == {"a": 0, "b": 1, "x": 0}


def test_an_import_that_has_no_arrow_is_reported(monkeypatch):
    architecture = tool("architecture")
    monkeypatch.setattr(architecture, "ARROWS", {})
    with pytest.raises(ValueError, match="add it to ARROWS"):
        architecture.draw()
