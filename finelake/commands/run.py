"""Run one stage of the project, as dvc.yaml does.

The data stages, select@RUN and tokenize@RUN run in Spark, base@RUN, train@RUN and evaluate@RUN in torch, quality in
DuckDB.
"""

import argparse
import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finelake import __version__, timings
from finelake.commands import quality
from finelake.lake.config import runs, stages
from finelake.lake.config.names import check_name
from finelake.lake.config.params import load, parse, unknown_key
from finelake.lake.config.project import PARAMS, settings
from finelake.lake.errors import UserError, did_you_mean
from finelake.lake.quality.checks import Params as QualityParams

EXAMPLE = "  finelake run clean\n  finelake run train@intent"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", help="ingest, clean, …, or a stage of a training run such as train@intent")


def main(options: argparse.Namespace) -> None:
    started = time.monotonic()
    # Where the project is not the root of the DVC repository, DVC names the stage sub/dvc.yaml:base@intent.
    stage = options.stage.rpartition(":")[2]
    name, run_name = check_stage(stage)
    package = stages.BY_NAME[name].package
    content = check(options.root, data=package != "training")
    if package == "training":
        _run_training(options.root, name, run_name, content)
    elif package == "lake":
        quality.run(options.root, settings(options.root), content)
    else:
        _run_data(options.root, stage, content)
    timings.record(options.root, stage, time.monotonic() - started)


def check(root: Path, data: bool = True) -> Mapping[str, Any]:
    """The content of params.yaml. UserError for its first mistake, or when it was written for another Finelake.

    `data`: the sections of the data stages too, whose modules import Spark.
    """
    content = load(root / PARAMS)
    required = content.get("finelake", __version__)
    if required != __version__:
        raise UserError(
            f"params.yaml was written for Finelake {required}, installed is {__version__}; "
            f'install {required}, or write finelake: "{__version__}" to rerun everything with this one'
        )
    unknown_key(content, ("finelake", *stages.SECTIONS, "runs"), "")
    if data:
        from finelake.jobs.stage import parse_params

        for name in stages.DATA:
            parse_params(name, content)
    for run_name in runs.run_entries(content):
        runs.parse_run(content, run_name)
    parse(QualityParams, content.get("quality"), "quality")
    return content


def _run_data(root: Path, stage: str, content: Mapping[str, Any]) -> None:
    from finelake.jobs import runner

    print(runner.describe(runner.run(root, stage, settings(root), content)), flush=True)


def _run_training(root: Path, name: str, run_name: str, content: Mapping[str, Any]) -> None:
    from finelake.training import libraries

    libraries.prepare(root / libraries.LOG)
    module = importlib.import_module(f"finelake.training.{name}")
    module.run(root, run_name, runs.parse_run(content, run_name), settings(root))


def check_stage(stage: str) -> tuple[str, str]:
    """The name of a stage and of its run ("" without one). UserError for an unknown stage."""
    name, _, run_name = stage.partition("@")
    if name not in stages.BY_NAME:
        raise UserError(f"{stage} is not a stage; {did_you_mean(name, stages.BY_NAME)}")
    if name in stages.PER_RUN and not run_name:
        raise UserError(f"{name} belongs to a training run; name one of `runs` in {PARAMS}, as in {name}@intent")
    if name in stages.SHARED and run_name:
        raise UserError(f"{name} is shared by all training runs; run `finelake run {name}`")
    if run_name:
        check_name(run_name, "runs", "run")
    return name, run_name
