"""The dashboard on a real Prometheus: every expression finds what a training run wrote."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from finelake.lake.config.runs import with_values
from finelake.training.loop.progress import Meter
from tests.small import free_port
from tests.training.loop.test_progress import expressions
from tests.training.test_train import RUN, job, project

PROMETHEUS = shutil.which("prometheus")
CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: textfile
    metrics_path: /finelake.prom
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="no program `prometheus` on PATH")


class Quiet(SimpleHTTPRequestHandler):
    extensions_map = {".prom": "text/plain; version=0.0.4"}

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def prometheus(tmp_path) -> Iterator[str]:
    """The address of a Prometheus that scrapes tmp_path/finelake.prom, as from a node exporter."""
    files = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    Thread(target=files.serve_forever, daemon=True).start()
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(port=files.server_port))
    address = f"127.0.0.1:{free_port()}"
    options = [f"--web.listen-address={address}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with (tmp_path / "prometheus.log").open("w") as log:
        command = [str(PROMETHEUS), f"--config.file={tmp_path / 'prometheus.yml'}", *options]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    yield f"http://{address}"
    server.terminate()
    server.wait()
    files.shutdown()
    files.server_close()


def ask(address: str, path: str, **query: str) -> list:
    with urllib.request.urlopen(f"{address}/api/v1/{path}?{urllib.parse.urlencode(query)}") as answer:
        data = json.load(answer)["data"]
    return data["result"] if isinstance(data, dict) else data


def wait_for_scrape(address: str) -> None:
    for _ in range(120):
        try:
            if ask(address, "query", query="finelake_train_step"):
                return
        except OSError:  # not up yet
            pass
        time.sleep(0.5)
    raise AssertionError("Prometheus scraped nothing")


def found(address: str, expression: str) -> list:
    """What Grafana would show of an expression, or of a variable's query, with every run chosen."""
    if of_label := re.fullmatch(r"label_values\((\w+), (\w+)\)", expression):
        metric, label = of_label.groups()
        return ask(address, f"label/{label}/values", **{"match[]": metric})
    return ask(address, "query", query=expression.replace("$run", ".*"))


def test_every_expression_of_the_dashboard_finds_the_run(tmp_path, encoder, prometheus, monkeypatch):
    from finelake.training import train as trainer

    def on_a_known_device(*arguments) -> Meter:
        meter = Meter(*arguments)
        meter.peak = 1e12
        return meter

    monkeypatch.setattr(trainer, "Meter", on_a_known_device)
    tiny = job(project(tmp_path / "tiny"), encoder, with_values(RUN, epochs=1))
    trainer.fit(replace(tiny, textfile=tmp_path / "finelake.prom"))
    wait_for_scrape(prometheus)
    for expression in expressions():
        values = found(prometheus, expression)
        assert len(values) == 1, expression
        assert values == ["train@tiny"] or values[0]["metric"]["run"] == "train@tiny"
    assert float(found(prometheus, "finelake_train_step")[0]["value"][1]) == 7
