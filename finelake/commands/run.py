"""Run one stage of the project, as dvc.yaml does.

The data stages run in Spark, those of a training run (base@RUN, train@RUN, evaluate@RUN) in torch, quality in DuckDB.
"""

import argparse
import importlib
import time
from pathlib import Path

from finelake import __version__, timings
from finelake.commands import quality
from finelake.lake.config import runs, stages
from finelake.lake.config.names import check_name
from finelake.lake.config.params import load, parse
from finelake.lake.config.project import PARAMS, settings
from finelake.lake.errors import UserError, did_you_mean
from finelake.lake.quality.checks import Params as QualityParams

EXAMPLE = "  finelake run clean\n  finelake run train@intent"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", help="ingest, clean, …, or a stage of a training run such as train@intent")


def main(options: argparse.Namespace) -> None:
    started = time.monotonic()
    stage = options.stage.rpartition(":")[
        2
    ]  # below or above the project's folder DVC calls it sub/dvc.yaml:base@intent
    name, run_name = check_stage(stage)
    check(options.root)
    package = stages.BY_NAME[name].package
    if package == "training":
        _run_training(options.root, name, run_name)
    elif package == "lake":
        quality.run(options.root, settings(options.root))
    else:
        _run_data(options.root, stage)
    timings.record(options.root, stage, time.monotonic() - started)


def check(root: Path) -> None:
    """UserError for the first mistake in params.yaml, or when it was written for another Finelake."""
    from finelake.jobs import runner

    content = load(root / PARAMS)
    wanted = content.get("finelake", __version__)
    if wanted != __version__:
        raise UserError(
            f"params.yaml was written for Finelake {wanted}, installed is {__version__}; "
            f'install {wanted}, or write finelake: "{__version__}" to rerun everything with this one'
        )
    runner.check_params(root)
    parse(QualityParams, content.get("quality"), "quality")


def _run_data(root: Path, stage: str) -> None:
    from finelake.jobs import runner

    print(runner.describe(runner.run(root, stage, settings(root))), flush=True)


def _run_training(root: Path, name: str, run_name: str) -> None:
    from finelake.training import libraries

    content = load(root / PARAMS)
    libraries.prepare(root / libraries.LOG)
    module = importlib.import_module(f"finelake.training.{name}")
    module.run(root, run_name, runs.parse_run(content, run_name), settings(root))


def check_stage(stage: str) -> tuple[str, str]:
    """The name of a stage and of its run ("" without one). UserError for what is no stage."""
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
