"""Rows of samples become the tensors that a model computes on."""

import numpy as np

from finelake.training.data.batch import collate
from tests.training.conftest import sample


def test_loss_never_crosses_packed_texts():
    rows = [sample(0, [7, 8, 9, 7, 8], [7, 8, 9, 7, 8], 6, segments=[1, 1, 1, 2, 2])]
    columns = {name: np.array([row[name] for row in rows]) for name in ("input_ids", "labels", "segments", "length")}
    batch = collate(columns)
    assert batch.labels.tolist() == [[-100, 8, 9, -100, 8]]
    assert (batch.targets, batch.tokens) == (3, 5)
