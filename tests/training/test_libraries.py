"""What a process imports and how it is set: by its start, not by an import."""

import logging
import subprocess
import sys
import warnings

import pytest

from finelake.training import libraries

JUDGED = {"sklearn", "matplotlib", "sacrebleu", "rouge_score"}  # what only an evaluation needs
# What each module does without: a model is loaded without the data, an order of samples is planned without torch.
UNNEEDED = {
    "finelake.training.data.plan": {"torch", "transformers", "petastorm", "deepspeed", "pyarrow"},
    "finelake.training.data.samples": {"torch", "transformers", "petastorm", "deepspeed"},
    "finelake.training.tasks.classify": {"petastorm", "deltalake", "deepspeed", *JUDGED},
    "finelake.training.tasks.instruct": {"petastorm", "deltalake", "deepspeed", *JUDGED},
    "finelake.training.train": {"deepspeed", "sklearn", "matplotlib"},
    "finelake.training.evaluate": {"deepspeed"},
}


@pytest.mark.parametrize("module", UNNEEDED)
def test_a_module_imports_only_what_it_needs_and_sets_nothing(module):
    code = (
        "import logging, os, sys, warnings\n"
        "kept = {n: v for n, v in os.environ.items()}, os.getcwd(), logging.root.manager.disable\n"
        f"import {module}\n"
        "assert kept == ({n: os.environ.get(n) for n in kept[0]}, os.getcwd(), logging.root.manager.disable)\n"
        "assert not {'DS_ACCELERATOR', 'LOCAL_RANK', 'TRANSFORMERS_VERBOSITY'} & (set(os.environ) - set(kept[0]))\n"
        "assert 'petastorm' not in str(warnings.filters)\n"
        f"print(*({UNNEEDED[module]!r} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.strip()) == (0, ""), ended.stderr


@pytest.fixture
def library():
    """A logger as a library has it: its handler writes to the terminal."""
    logger = logging.getLogger("finelake-test-library")
    logger.addHandler(logging.StreamHandler())
    logger.propagate = False
    yield logger
    for handler in logger.handlers:
        handler.close()
    logger.handlers.clear()


def test_what_a_library_logs_is_in_the_file_and_not_on_the_terminal(tmp_path, library, capsys):
    log = tmp_path / ".finelake" / "training.log"
    libraries.redirect(library.name, log)
    assert not log.exists()  # until there is something to say
    library.warning("the weights are strange")
    assert log.read_text(encoding="utf-8").endswith(f"WARNING {library.name}: the weights are strange\n")
    assert capsys.readouterr().err == ""


def test_known_uses_of_older_interfaces_are_not_reported(monkeypatch):
    monkeypatch.delenv("DS_ACCELERATOR", raising=False)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        libraries.prepare()
        warnings.warn("`is_gradient_checkpointing` is called otherwise now", FutureWarning, stacklevel=1)
        warnings.warn_explicit("older", FutureWarning, "reader.py", 1, module="petastorm.reader")
        warnings.warn_explicit("older", FutureWarning, "ours.py", 1, module="finelake.training")
    assert [str(warning.message) for warning in seen] == ["older"]
