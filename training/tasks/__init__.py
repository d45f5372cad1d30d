"""The tasks that a model can be trained for: one file each, which holds all that differs between them in this package.

A new task is a file with its `TASK`, and its name in `Run.task` of lake/config/runs.py.
"""

import importlib
from pathlib import Path
from typing import get_args, get_type_hints

from finelake.lake.config.runs import Run
from finelake.training.models.model import Description, Model, read_description, reading
from finelake.training.tasks.task import Task

NAMES: tuple[str, ...] = get_args(get_type_hints(Run)["task"])


def find(name: str) -> Task:
    """The task of this name. ValueError where there is none."""
    if name not in NAMES:
        raise ValueError(f"{name} is not a task")
    task: Task = importlib.import_module(f"finelake.training.tasks.{name}").TASK
    return task


def load(folder: Path) -> tuple[Model, Description]:
    """A saved model of any task, ready to evaluate. UserError when the folder holds none."""
    description = read_description(folder)
    with reading(folder, "train"):
        task = find(description.task)
    return task.restore(folder, description), description
