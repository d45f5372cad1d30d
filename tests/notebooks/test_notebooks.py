"""Every notebook runs on a small project from its first cell to its last, and shows its plots."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests import small

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def run(small_project):
    def execute(path):
        notebook = nbformat.read(path, as_version=4)
        environment = small.environment(MPLBACKEND="module://matplotlib_inline.backend_inline")
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(small_project)}})
        return client.execute(env=environment)

    return execute


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(run, path):
    outputs = [output for cell in run(path).cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    assert "13812345678" not in json.dumps(outputs)
    assert "<PHONE>" in json.dumps(outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not [cell for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]
