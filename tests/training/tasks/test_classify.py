"""Classes are learned and given in the order of the samples."""

import numpy as np
import pytest
import torch

from finelake.lake.config.runs import Base, Run, with_values
from finelake.training.data.samples import split_parts
from finelake.training.evaluation.answers import Answers
from finelake.training.loop.progress import Progress
from finelake.training.models import model as models
from finelake.training.tasks.classify import TASK
from tests.training.conftest import batch, classified, sharded, tokenizer_folder, write_part

RUN = with_values(Run(task="classify", base=Base(kind="folder", name="base")), strategy="full", examples=6)


def test_padding_changes_nothing(encoder):
    model = TASK.build(RUN, encoder, 3).eval()
    single, padded = model.features(batch([[5, 6, 7]])), model.features(batch([[5, 6, 7, 0], [9] * 4]))
    torch.testing.assert_close(padded[0], single[0], atol=1e-5, rtol=0)


def test_smoothing_spreads_its_share_over_all_classes_and_weights_count_each_class():
    """(1 - s) of the true class's loss and s / classes of every class's (Szegedy 2016), each times its weight."""
    scores, labels = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0]]), [0, 2]
    losses, weights = -scores.log_softmax(1), torch.tensor([1.0, 2.0, 4.0])
    here = batch([[5], [6]], labels=labels)
    expected = sum(0.9 * losses[row, label] + 0.1 * losses[row].mean() for row, label in enumerate(labels))
    torch.testing.assert_close(TASK.loss(scores, here, 0.1), expected)
    weighted = losses * weights
    expected = sum(0.9 * weighted[row, label] + 0.1 * weighted[row].mean() for row, label in enumerate(labels))
    torch.testing.assert_close(TASK.loss(scores, here, 0.1, weights), expected)


def test_the_best_epoch_has_the_most_right_answers_then_the_least_loss():
    epochs = [{"loss": 2.0, "accuracy": 0.8}, {"loss": 1.0, "accuracy": 0.7}, {"loss": 1.5, "accuracy": 0.8}]
    assert max(epochs, key=TASK.rank) == epochs[2]
    tally = TASK.tally(torch.tensor([[2.0, 0.0], [2.0, 0.0]]), batch([[5], [6]], labels=[0, 1]))
    assert tally["accuracy"].item() == 1


def test_the_order_of_rows_is_the_order_of_answers(tmp_path, encoder):
    """Each sample's class is found by a model that reads it off the sample's number."""
    part = split_parts(write_part(tmp_path, "test", sharded(classified(40), 3)))["test"]
    trained = TASK.build(RUN, encoder, 3)
    torch.nn.init.normal_(trained.head.weight)
    models.save(trained, RUN, ("a", "b", "c"), tokenizer_folder(tmp_path), tmp_path / "model")
    run = with_values(RUN, eval_batch_size=7)
    given = TASK.predict(tmp_path / "model", part, [], run, Progress("t", 40, shown=False))
    model, _ = TASK.load(tmp_path / "model")
    for row, answer in zip(classified(40), given, strict=True):
        ids = torch.tensor([row["input_ids"][: row["length"]]])
        assert answer == "abc"[int(model(batch(ids.tolist())).argmax())]


def test_text_and_class_are_those_that_select_wrote():
    row = {"text": "lost card", "label": "a"}
    assert (TASK.prompt(row), TASK.wanted(row)) == ("lost card", "a")


@pytest.fixture
def answers() -> Answers:
    wanted = ["a" if i % 3 else "b" for i in range(24)]
    return Answers([{}] * 24, wanted, {"model": ["a" if i % 6 else "b" for i in range(24)]}, selected=24)


def test_scores_and_examples_are_those_of_the_classes(answers):
    scores = TASK.scorers(answers, answers.given["model"])
    assert list(scores) == ["accuracy", "macro_f1"]
    assert scores["accuracy"](np.arange(24)) == pytest.approx(20 / 24)
    assert TASK.examples(answers, RUN) == [3, 9, 15, 21]  # all errors there are
    drawn = TASK.examples(answers, with_values(RUN, examples=2))
    assert len(drawn) == 2 and set(drawn) < {3, 9, 15, 21}
    assert drawn == TASK.examples(answers, with_values(RUN, examples=2))


def test_the_confusions_are_a_part_of_the_report_and_a_plot(answers):
    assert [panel.title for panel in TASK.panels(answers)] == ["Confusion matrix", "Most frequent confusions"]
    rows = TASK.plots(answers)["confusion"]
    assert len(rows) == 24 and rows[3] == {"actual": "b", "predicted": "a"}
