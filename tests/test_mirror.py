"""Each module has its test at the same path under tests/, or is listed here with the test that covers it."""

from pathlib import Path

import pytest

from tests.layout import FOLDERS, PYPROJECT, ROOT

BANK = "its rows are only seen in the whole bank, whose planted truth this test compares with the tables"
# module -> (the test that covers it, why it has none in its own place)
ELSEWHERE = {
    "lake/config/contract.py": (
        "tests/lake/config/test_stages.py",
        "plain data, compared with what the stages declare",
    ),
    "jobs/stage.py": ("tests/lake/config/test_stages.py", "a declaration, tested with those of all stages"),
    "jobs/sources/document/parse.py": (
        "tests/jobs/sources/document/test_isolated.py",
        "parses in a child process, so it is tested through what starts that",
    ),
    "training/evaluation/answers.py": ("tests/training/test_evaluate.py", "a data class, without code"),
    "training/evaluation/figures.py": ("tests/training/test_evaluate.py", "draws what stands in the report"),
    "training/evaluation/report.py": ("tests/training/test_evaluate.py", "needs the scores that evaluate makes"),
    "training/loop/engine.py": ("tests/training/test_train.py", "needs a model, samples and a started process group"),
    "finelake/output/quality_report.py": (
        "tests/finelake/commands/test_quality.py",
        "tested as what the command prints",
    ),
    "finelake/commands/repair.py": (
        "tests/finelake/commands/test_verify.py",
        "rebuilds what verify names: both are tested on the same damage",
    ),
    "finelake/commands/repro.py": ("tests/test_guarantees.py", "what it guarantees is that of the whole chain"),
    "finelake/commands/setup.py": ("tests/jobs/spark/test_jars.py", "calls jars and package, which are tested there"),
    "finelake/commands/vacuum.py": (
        "tests/lake/tables/test_vacuum.py",
        "prints what lake/tables/vacuum.py finds and frees",
    ),
    "demo/annotators.py": ("tests/demo/test_generate.py", BANK),
    "demo/applications.py": ("tests/demo/test_generate.py", BANK),
    "demo/chance.py": ("tests/demo/test_generate.py", BANK),
    "demo/complaints.py": ("tests/demo/test_generate.py", BANK),
    "demo/compose.py": ("tests/demo/test_generate.py", BANK),
    "demo/people.py": ("tests/demo/test_generate.py", BANK),
    "demo/scenes.py": ("tests/demo/test_generate.py", BANK),
    "demo/text_en.py": ("tests/demo/test_generate.py", BANK),
    "demo/text_zh.py": ("tests/demo/test_generate.py", BANK),
    "demo/tickets.py": ("tests/demo/test_generate.py", BANK),
    "demo/truth.py": ("tests/demo/test_generate.py", BANK),
    "demo/policies.py": ("tests/demo/test_documents.py", "its texts are only seen in the documents"),
    "demo/object_store.py": ("tests/test_object_store.py", "started by a fixture of tests/conftest.py"),
}


def modules(root: Path) -> list[str]:
    """Every module that holds code, by its path."""
    return [
        path.relative_to(root).as_posix()
        for folder in FOLDERS.values()
        for path in sorted((root / folder).rglob("*.py"))
        if path.name != "__init__.py"
    ]


def mirror(module: str) -> str:
    """Where the test of a module belongs: tests/jobs/sources/test_pull.py for jobs/sources/pull.py."""
    folder, _, name = module.rpartition("/")
    return f"tests/{folder}/test_{name}"


@pytest.mark.parametrize("module", modules(ROOT))
def test_every_module_has_its_test(module):
    if (ROOT / mirror(module)).exists():
        assert module not in ELSEWHERE, f"{mirror(module)} exists; remove {module} from ELSEWHERE"
    else:
        assert module in ELSEWHERE, f"write {mirror(module)}, or name in ELSEWHERE the test that covers {module}"


@pytest.mark.parametrize("module", ELSEWHERE)
def test_the_exceptions_exist_and_have_a_reason(module):
    test, reason = ELSEWHERE[module]
    assert (ROOT / module).exists(), f"{module} is gone; remove it from ELSEWHERE"
    assert (ROOT / test).exists(), f"{test} is gone; name the test that covers {module}"
    assert reason


def test_packages_are_those_that_are_installed():
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(FOLDERS.values())
    found = {
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert sorted(PYPROJECT["tool"]["setuptools"]["packages"]) == sorted(found)


def test_a_folder_of_a_package_is_not_imported_by_its_bare_name():
    banned = PYPROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert banned.keys() == set(FOLDERS.values()) - {"finelake"}


@pytest.mark.parametrize(
    ("module", "test"),
    [("jobs/sources/pull.py", "tests/jobs/sources/test_pull.py"), ("lake/keys.py", "tests/lake/test_keys.py")],
)
def test_where_a_test_belongs(module, test):
    assert mirror(module) == test
