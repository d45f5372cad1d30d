"""From pinned Parquet files to this rank's batches, in plan order, through Petastorm and one prefetch thread.

Petastorm reads an explicit list of files (a directory would show stale ones) in its dummy pool (its threads give
another order each run). At most one window of shards and a few prepared steps are in memory.
"""

import queue
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow
import torch
from pyarrow.filesystem import FileSystem

from lake import storage
from lake.errors import UserError
from training import plan
from training.samples import Part, count_rows

# Petastorm 0.12.1 uses pyarrow's older interface, and says so at each call.
for _category in (FutureWarning, DeprecationWarning):
    warnings.filterwarnings("ignore", category=_category, module=r"petastorm\.")
from petastorm import make_batch_reader  # noqa: E402

COLUMNS = ("input_ids", "labels", "segments", "length")
AHEAD = 4  # steps prepared in advance
IGNORED = -100  # label of a position without loss

Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batch:
    """A micro-batch, its columns cut to the longest sample."""

    input_ids: torch.Tensor  # int64 [samples, tokens]
    labels: torch.Tensor  # int64 [samples] classes or [samples, tokens] next-token targets
    segments: torch.Tensor  # int64 [samples, tokens]; 1, 2, … for each packed text, 0 = padding
    targets: int  # how many labels count for the loss
    tokens: int  # real tokens

    def to(self, device: torch.device | str) -> "Batch":
        ids, labels, segments = (tensor.to(device) for tensor in (self.input_ids, self.labels, self.segments))
        return Batch(ids, labels, segments, self.targets, self.tokens)


def collate(rows: Rows) -> Batch:
    """Rows (arrays of equal first axis) as a Batch."""
    width = max(int(rows["length"].max()), 1)
    ids, segments = (torch.from_numpy(rows[name][:, :width].astype(np.int64)) for name in ("input_ids", "segments"))
    labels = torch.from_numpy(rows["labels"].astype(np.int64))
    if labels.shape[1] == 1:
        labels = labels[:, 0]
        return Batch(ids, labels, segments, targets=len(labels), tokens=int(rows["length"].sum()))
    # Position t is predicted from t - 1: never across the border of two packed texts.
    labels = labels[:, :width].clone()
    labels[:, 0] = IGNORED
    labels[:, 1:][segments[:, 1:] != segments[:, :-1]] = IGNORED
    return Batch(ids, labels, segments, targets=int((labels != IGNORED).sum()), tokens=int(rows["length"].sum()))


@dataclass
class Loader:
    """This rank's steps. `waited` is the time the caller spent waiting for data, in seconds."""

    part: Part
    seed: int
    global_batch: int  # samples a step, over all ranks
    accumulation: int  # micro-batches a step
    rank: int = 0
    world_size: int = 1
    window: int = plan.WINDOW
    waited: float = 0.0

    def __post_init__(self) -> None:
        if self.global_batch % (self.world_size * self.accumulation):
            raise UserError(
                f"batch_size {self.global_batch} is no multiple of {self.world_size} ranks x accumulation "
                f"{self.accumulation}; change one of the three"
            )
        if self.part.samples < self.global_batch:
            raise UserError(
                f"the train part has {self.part.samples} samples, fewer than batch_size {self.global_batch}; "
                "lower batch_size or widen `where`"
            )

    @property
    def steps(self) -> int:
        """Steps of an epoch, the same on every rank."""
        return plan.steps_per_epoch(self.part.samples, self.global_batch)

    def epoch(self, epoch: int, step: int = 0) -> Iterator[list[Batch]]:
        """The micro-batches of each step of an epoch, from `step` on; each list is one optimiser step."""
        ahead: queue.Queue = queue.Queue(AHEAD)
        stop = threading.Event()
        worker = threading.Thread(target=self._fill, args=(ahead, stop, epoch, step), daemon=True)
        worker.start()
        try:
            while True:
                started = time.perf_counter()
                item = ahead.get()
                self.waited += time.perf_counter() - started
                if isinstance(item, BaseException):
                    raise item
                if item is None:
                    return
                yield item
        finally:
            stop.set()
            worker.join()

    def _fill(self, ahead: queue.Queue, stop: threading.Event, epoch: int, step: int) -> None:
        try:
            for rows in self._steps(epoch, step):
                if not _put(ahead, stop, self._micro_batches(rows)):
                    return
            _put(ahead, stop, None)
        except BaseException as error:  # the caller's thread raises it
            _put(ahead, stop, error)

    def _micro_batches(self, rows: Rows) -> list[Batch]:
        # Neighbours in length share a micro-batch, so that little of it is padding; the step's sum stays the same.
        by_length = np.argsort(rows["length"], kind="stable")
        parts = np.split(by_length, self.accumulation)
        return [collate({name: column[part] for name, column in rows.items()}) for part in parts]

    def _steps(self, epoch: int, step: int) -> Iterator[Rows]:
        """This rank's rows of each step from `step` on."""
        if step >= self.steps:
            return
        share = self.global_batch // self.world_size
        windows = self._windows(epoch, step * self.global_batch)
        begin, rows = next(windows)  # begin: position in the plan of the first row held
        for current in range(step, self.steps):
            first = current * self.global_batch + self.rank * share
            while begin + len(rows["length"]) < first + share:
                kept = _cut(rows, first - begin, None)
                begin += len(rows["length"]) - len(kept["length"])
                _, more = next(windows)
                rows = {name: np.concatenate([kept[name], more[name]]) for name in COLUMNS}
            yield _cut(rows, first - begin, first - begin + share)

    def _windows(self, epoch: int, position: int) -> Iterator[tuple[int, Rows]]:
        """(position in the plan, rows in plan order) of each window that ends behind `position`."""
        rows = np.asarray(self.part.rows)
        starts = np.cumsum(rows) - rows
        shards = plan.shard_order(len(rows), self.seed, epoch)
        order = plan.plan(self.part.rows, self.seed, epoch, self.window)
        ends = np.cumsum(rows[shards])
        skipped = int(np.searchsorted(ends, position, side="right")) // self.window * self.window
        read = read_shards(self.part, [int(shard) for shard in shards[skipped:]])
        for first in range(skipped, len(shards), self.window):
            group = shards[first : first + self.window]
            here = [next(read) for _ in group]
            begin, end = int(ends[first] - rows[shards[first]]), int(ends[first + len(group) - 1])
            laid = np.concatenate([np.arange(starts[s], starts[s] + rows[s]) for s in group])
            sorter = np.argsort(laid)
            chosen = sorter[np.searchsorted(laid, order[begin:end], sorter=sorter)]
            yield begin, {name: np.concatenate([part[name] for part in here])[chosen] for name in COLUMNS}


def read_shards(part: Part, shards: Sequence[int]) -> Iterator[Rows]:
    """The rows of each shard, in the order asked for. UserError names a file that is missing or was altered."""
    storage.concurrently(lambda shard: _require_rows(part.files[shard], part.rows[shard]), shards)
    if not shards:
        return
    with _open([part.files[shard] for shard in shards]) as reader:
        groups = iter(reader)
        for shard in shards:
            yield _take(groups, part.rows[shard], part.files[shard])


def scan(part: Part, batch_size: int, rank: int = 0, world_size: int = 1) -> Iterator[tuple[np.ndarray, Batch]]:
    """Every sample of a part once, for evaluation: (numbers of the samples in file order, batch).

    Batches are of like length and follow each other over the ranks, so a rank may get one more than another.
    """
    start = 0
    turn = 0
    for rows in read_shards(part, range(len(part.files))):
        by_length = np.argsort(-rows["length"], kind="stable")
        for first in range(0, len(by_length), batch_size):
            chosen = by_length[first : first + batch_size]
            if turn % world_size == rank:
                yield chosen + start, collate({name: column[chosen] for name, column in rows.items()})
            turn += 1
        start += len(by_length)


def _put(ahead: queue.Queue, stop: threading.Event, item: object) -> bool:
    """Whether the item was handed over before the caller stopped."""
    while not stop.is_set():
        try:
            ahead.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False


def _cut(rows: Rows, first: int, last: int | None) -> Rows:
    return {name: column[max(first, 0) : last] for name, column in rows.items()}


def _require_rows(path: str, rows: int) -> None:
    found = count_rows(path)
    if found != rows:
        raise UserError(f"data file {path} was altered: {found} rows instead of {rows}; run `finelake verify`")


def _open(files: list[str]):
    return make_batch_reader(
        [f"file:///{number}" for number in range(len(files))],
        schema_fields=[f"^{name}$" for name in COLUMNS],  # regular expressions, each to match one column alone
        reader_pool_type="dummy",
        shuffle_row_groups=False,
        num_epochs=1,
        filesystem=_Files(files),
    )


class _Files(FileSystem):
    """Files of the lake by their numbers, in the older interface that Petastorm takes."""

    def __init__(self, files: list[str]):
        self.files = files

    def open(self, path: str, mode: str = "rb") -> pyarrow.NativeFile:
        filesystem, name = storage.filesystem(self.files[int(path[1:])])
        return filesystem.open_input_file(name)

    def isfile(self, path: str) -> bool:
        return True

    def isdir(self, path: str) -> bool:
        return False


def _take(groups: Iterator, rows: int, path: str) -> Rows:
    """The next `rows` rows, all of one file: its row groups follow each other."""
    parts: list[Rows] = []
    while sum(len(part["length"]) for part in parts) < rows:
        group = next(groups, None)
        if group is None:
            raise UserError(f"data file {path} was altered while it was read; run `finelake verify`")
        parts.append({name: np.asarray(getattr(group, name)) for name in COLUMNS})
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
