"""Rows become tensors that are as wide as the longest of them."""

import numpy as np
import pytest

from finelake.training.data.batch import COLUMNS, NUMBER, collate
from finelake.training.tasks import classify, instruct
from tests.training.conftest import sample


def rows(*samples: dict) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in samples]) for name in COLUMNS}


def test_columns_are_cut_to_the_longest_sample_and_real_tokens_are_counted():
    batch = collate(rows(sample(0, [7, 8], [1], 6), sample(1, [7, 8, 9], [2], 6)), classify.TASK.labels)
    assert batch.input_ids.tolist() == [[7, 8, 0], [7, 8, 9]]
    assert batch.segments.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert (batch.labels.tolist(), batch.targets, batch.tokens, batch.numbers) == ([1, 2], 2, 5, ())


def test_targets_are_the_labels_that_the_task_counts():
    packed = rows(sample(0, [7, 8, 9, 7, 8], [7, 8, 9, 7, 8], 6, segments=[1, 1, 1, 2, 2]))
    batch = collate({**packed, NUMBER: np.array([4])}, instruct.TASK.labels)
    assert (batch.targets, batch.tokens, batch.numbers) == (3, 5, (4,))


@pytest.mark.parametrize("task", [classify.TASK, instruct.TASK])
def test_the_rows_of_a_window_are_not_changed(task):
    given = rows(sample(0, [7, 8], [5, 6], 2))
    collate(given, task.labels)
    assert given["labels"].tolist() == [[5, 6]]
