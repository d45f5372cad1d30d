"""Each task of params.yaml is one file with all that a run of it needs."""

import inspect
from typing import get_args, get_type_hints

import pytest
import torch

from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError
from finelake.training import tasks
from finelake.training.models import model as models
from finelake.training.tasks.task import Task
from tests.training.conftest import batch, tokenizer_folder

RUN = with_values(Run(task="classify", base=Base(kind="folder", name="base")), strategy="full")


@pytest.mark.parametrize("name", get_args(get_type_hints(Run)["task"]))
def test_each_task_of_a_run_is_found_and_is_whole(name):
    task = tasks.find(name)
    assert isinstance(task, Task) and not inspect.isabstract(type(task))
    assert (task.name, type(task).__module__) == (name, f"finelake.training.tasks.{name}")
    assert task.title and task.examples_title and "loss" in task.figures


def test_a_task_that_is_not_one_is_refused():
    with pytest.raises(ValueError, match="task is not a task"):
        tasks.find("task")


def test_the_figures_of_a_validation_are_those_that_are_tallied():
    for name in tasks.NAMES:
        task = tasks.find(name)
        scores, labels = (torch.zeros(1, 3), [1]) if task.labelled else (torch.zeros(1, 2, 3), [[-100, 1]])
        tally = task.tally(scores, batch([[5, 6]], labels=labels))
        assert list(tally) == list(task.figures)
        assert task.rank({figure: 0.5 for figure in tally})


def test_a_model_is_built_the_same_from_the_same_seed(encoder):
    run = with_values(RUN, strategy="lora", lora_rank=4, lora_alpha=8)
    one, other, third = (
        models.trainable_state(tasks.find("classify").build(with_values(run, seed=seed), encoder, 3))
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], third[name]) for name in one)


def test_a_model_of_another_task_is_named(tmp_path, encoder):
    task = tasks.find("classify")
    models.save(task.build(RUN, encoder, 2), RUN, ("a", "b"), tokenizer_folder(tmp_path), tmp_path / "model")
    assert task.load(tmp_path / "model")[1] == tasks.load(tmp_path / "model")[1]
    with pytest.raises(UserError, match="holds a model for task classify, not instruct; run the stage `train` of this"):
        tasks.find("instruct").load(tmp_path / "model")
