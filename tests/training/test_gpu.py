"""benchmarks/gpu.py on a CPU, with tiny models: each step gives its figures, and what is missing is named."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_each_step_gives_its_figures(tmp_path):
    steps = ["checks", "loop", "ours", "trainer", "trl", "encoder ours", "encoder trainer"]
    command = [sys.executable, str(SCRIPT), str(tmp_path), "--tiny", "--only", *steps]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    found = {one["step"]: one for one in map(json.loads, lines)}
    assert list(found) == steps
    assert found["checks"]["failed"] == found["loop"]["failed"] == []
    assert len(found["checks"]["checks"]) > 30
    for step, name in (("ours", "not compiled"), ("trainer", "without checkpointing")):
        assert found[step][name]["tokens_per_second"] > 0
    for step in ("encoder ours", "encoder trainer"):
        assert found[step]["not compiled"]["samples_per_second"] > 0
    assert "trl: left out, ModuleNotFoundError: No module named" in done.stdout


def test_without_deepspeed_it_trains_by_torch_and_says_so(gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    run = gpu.run_of("classify", strategy="full", precision="bf16", learning_rate=1e-2, dropout=0.0)
    engine, name = gpu.start(gpu.on_random(run, lambda: gpu.bert(gpu.TINY)), run)
    batch = gpu.class_batch(8, 300, 32)
    losses = [gpu.step(engine, batch) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert name == "torch only: deepspeed is not installed"


def test_the_table_holds_speeds_failed_checks_and_what_was_left_out(gpu):
    results = [
        {
            "step": "ours",
            "compiled": {"tokens_per_second": 12500, "mfu": 0.4, "mfu with attention": 0.43, "memory": 60.1},
        },
        {"step": "trainer", "without checkpointing": "out of memory"},
        {"step": "checks", "checks": {"one": [0.5, 0.1], "two": [0.0, 0.1]}, "failed": ["one"]},
        {"step": "trl", "left_out": "no trl"},
    ]
    assert gpu.table(results).splitlines()[2:] == [
        "| ours | compiled | 12,500 | 0.4 | 0.43 | 60.1 |",
        "| trainer | without checkpointing | out of memory | | | |",
        "",
        "checks: 1 of 2 checks hold",
        "checks: one: [0.5, 0.1]",
        "trl: left out, no trl",
    ]
