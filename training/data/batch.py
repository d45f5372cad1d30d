"""A micro-batch as tensors, made of rows of samples."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from finelake.lake.config.contract import NO_LOSS

COLUMNS = ("input_ids", "labels", "segments", "length")  # of the samples; those of numbers
NUMBER = "number"  # column added while reading: the sample's number in its part

Rows = dict[str, np.ndarray]
# What a task makes of the columns labels and segments [samples, tokens], int64: the labels that count for its loss.
Labels = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Batch:
    """A micro-batch, its columns cut to the longest sample."""

    input_ids: torch.Tensor  # int64 [samples, tokens]
    labels: torch.Tensor  # int64 [samples] classes or [samples, tokens] next-token targets
    segments: torch.Tensor  # int64 [samples, tokens]; 1, 2, … for each packed text, 0 = padding
    targets: int  # how many labels count for the loss
    tokens: int  # real tokens
    numbers: tuple[int, ...] = ()  # of the samples in their part, see samples.record_ids()

    def to(self, device: torch.device | str) -> "Batch":
        ids, labels, segments = (tensor.to(device) for tensor in (self.input_ids, self.labels, self.segments))
        return Batch(ids, labels, segments, self.targets, self.tokens, self.numbers)


def collate(rows: Rows, labels_of: Labels) -> Batch:
    """Rows (arrays of equal first axis) as a Batch."""
    width = max(int(rows["length"].max()), 1)
    ids, labels, segments = (rows[name][:, :width].astype(np.int64) for name in ("input_ids", "labels", "segments"))
    labels = labels_of(labels, segments)
    targets, tokens = int(np.count_nonzero(labels != NO_LOSS)), int(rows["length"].sum())
    numbers = tuple(rows[NUMBER].tolist()) if NUMBER in rows else ()
    return Batch(torch.from_numpy(ids), torch.from_numpy(labels), torch.from_numpy(segments), targets, tokens, numbers)
