"""Figures of a run as a reader, Prometheus and Grafana get them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

from finelake.training.loop.progress import GAUGES, Meter, Progress, mean_speed, peak, write_textfile

GRAFANA = Path(__file__).parents[3] / "docs" / "grafana"
DASHBOARD = json.loads((GRAFANA / "training.json").read_text(encoding="utf-8"))
METRICS = {name for name, _, _ in GAUGES.values()}


@dataclass
class Waited:
    waited: float


def expressions() -> list[str]:
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return asked + [variable["query"] for variable in DASHBOARD["templating"]["list"]]


def test_the_dashboard_asks_for_every_exported_metric_and_no_other():
    asked = {name for expression in expressions() for name in re.findall(r"\bfinelake_\w+", expression)}
    assert asked == METRICS
    assert all(re.search(r"\bfinelake_\w+", expression) for expression in expressions())


def test_the_dashboard_asks_the_source_that_is_provisioned():
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/finelake.yaml").read_text())["datasources"]
    used = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    used |= {variable["datasource"]["uid"] for variable in DASHBOARD["templating"]["list"]}
    assert used == {source["uid"] for source in sources}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_a_textfile_holds_the_row_in_the_metrics_units_and_replaces_the_one_before(tmp_path):
    path = tmp_path / "node" / "train.prom"
    write_textfile(path, "train@a", {"step": 3, "memory": 1.0})
    write_textfile(path, "train@a", {"step": 4, "memory": 2.0, "epoch": 1})
    values = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert values == [
        'finelake_train_step{run="train@a"} 4.0',
        'finelake_train_memory_bytes{run="train@a"} 2.097152e+06',
    ]
    write_textfile(None, "train@a", {"step": 5})
    assert [found.name for found in path.parent.iterdir()] == ["train.prom"]


def test_figures_of_a_row_are_those_since_the_one_before(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("finelake.training.loop.progress.time.perf_counter", lambda: now[0])
    meter = Meter(torch.device("cpu"), trained=10, operations=6)
    meter.peak = 1000.0
    for _ in range(4):
        meter.add(25, Waited(0.5))
    now[0] = 110.0
    figures = meter.row(2 * meter.tokens, ranks=2, left=8)
    del figures["memory"]
    assert figures == {"tokens_per_second": 20.0, "data_wait": 0.2, "eta": 20.0, "mfu": 0.06}
    now[0] = 111.0
    meter.add(5, Waited(0.0))
    assert meter.row(meter.tokens, ranks=1, left=0)["tokens_per_second"] == 5.0


def test_mean_speed_is_all_tokens_by_all_seconds():
    # 10 steps of 30 tokens in 3 seconds, then 2 such steps in 3 seconds
    curve = [{"step": 10, "tokens_per_second": 100.0}, {"step": 12, "tokens_per_second": 20.0}]
    assert mean_speed(curve) == pytest.approx(360 / 6)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA T400", None),
    ],
)
def test_peaks_are_known_by_the_devices_name(device, expected):
    assert peak(device) == expected


def test_the_time_left_is_shown(capsys):
    Progress("train@a", 10).update(5, step=5, loss=0.5, eta=75.0)
    assert capsys.readouterr().err == "train@a: step 5/10  loss 0.5  left 01:15\n"
