"""From pinned Parquet files to this rank's batches, in plan order, through Petastorm and one prefetch thread.

Petastorm reads an explicit list of files (a directory would show stale ones) in its dummy pool (its threads give
another order each run). At most one window of shards and a few prepared steps are in memory.
"""

import itertools
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
NUMBER = "number"  # column added while reading: the sample's number in its part
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
    numbers: tuple[int, ...] = ()  # of the samples in their part, see samples.record_ids()

    def to(self, device: torch.device | str) -> "Batch":
        ids, labels, segments = (tensor.to(device) for tensor in (self.input_ids, self.labels, self.segments))
        return Batch(ids, labels, segments, self.targets, self.tokens, self.numbers)


def collate(rows: Rows) -> Batch:
    """Rows (arrays of equal first axis) as a Batch."""
    width = max(int(rows["length"].max()), 1)
    ids, segments = (torch.from_numpy(rows[name][:, :width].astype(np.int64)) for name in ("input_ids", "segments"))
    labels = torch.from_numpy(rows["labels"].astype(np.int64))
    tokens, numbers = int(rows["length"].sum()), tuple(rows[NUMBER].tolist()) if NUMBER in rows else ()
    if labels.shape[1] == 1:
        return Batch(ids, labels[:, 0], segments, len(labels), tokens, numbers)
    # Position t is predicted from t - 1: never across the border of two packed texts.
    labels = labels[:, :width].clone()
    labels[:, 0] = IGNORED
    labels[:, 1:][segments[:, 1:] != segments[:, :-1]] = IGNORED
    return Batch(ids, labels, segments, int((labels != IGNORED).sum()), tokens, numbers)


@dataclass(frozen=True)
class Mix:
    """Tasks in a fixed ratio, see `plan`; the default is one task, the whole part."""

    ratio: tuple[int, ...] = (1,)
    rule: str = "repeat"
    shards: int = 0  # of each task


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
    mix: Mix = Mix()
    waited: float = 0.0

    def __post_init__(self) -> None:
        if self.global_batch % (self.world_size * self.accumulation):
            raise UserError(
                f"batch_size {self.global_batch} is no multiple of {self.world_size} ranks x accumulation "
                f"{self.accumulation}; change one of the three"
            )
        if self.samples < self.global_batch:
            part, mend = ("mix", "its conditions") if self.mix.shards else ("train part", "`where`")
            raise UserError(
                f"the {part} has {self.samples} samples, fewer than batch_size {self.global_batch}; "
                f"lower batch_size or widen {mend}"
            )

    @property
    def tasks(self) -> list[Part]:
        return self.part.tasks(len(self.mix.ratio), self.mix.shards) if self.mix.shards else [self.part]

    @property
    def samples(self) -> int:
        """Samples of an epoch, the remainder smaller than a global batch included."""
        rounds = plan.rounds([task.samples for task in self.tasks], self.mix.ratio, self.mix.rule)
        return rounds * sum(self.mix.ratio)

    @property
    def steps(self) -> int:
        """Steps of an epoch, the same on every rank."""
        return plan.steps_per_epoch(self.samples, self.global_batch)

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
        share = self.global_batch // self.world_size
        streams = self._streams(epoch, plan.before(step * self.global_batch, self.mix.ratio))
        for current in range(step, self.steps):
            first = current * self.global_batch + self.rank * share
            begins, ends = (plan.before(position, self.mix.ratio) for position in (first, first + share))
            taken = zip(streams, begins, ends, strict=True)
            yield _joined([stream.take(int(begin), int(end)) for stream, begin, end in taken if begin < end])

    def _streams(self, epoch: int, positions: np.ndarray) -> list["_Stream"]:
        """The samples of each task in plan order, from its position on."""
        streams, laid = [], 0
        for task, ratio, position in zip(self.tasks, self.mix.ratio, positions, strict=True):
            often = plan.passes(task.samples, self.samples // sum(self.mix.ratio) * ratio)
            windows = _passes(task, self.seed, epoch * often, int(position), self.window, laid)
            streams.append(_Stream(windows))
            laid += task.samples
        return streams


class _Stream:
    """Rows by their position in a plan, taken forwards; at most what one `take` spans and a window are in memory."""

    def __init__(self, windows: Iterator[tuple[int, Rows]]):
        self.windows = windows
        self.begin = -1  # position of the first row held
        self.rows: Rows = {}

    def take(self, first: int, last: int) -> Rows:
        while not self.rows or self.begin + len(self.rows["length"]) < last:
            begin, more = next(self.windows)
            kept = [_cut(self.rows, first - self.begin, None)] if self.rows else []
            self.begin = begin - sum(len(rows["length"]) for rows in kept)
            self.rows = _joined([*kept, more])
        return _cut(self.rows, first - self.begin, last - self.begin)


def _passes(part: Part, seed: int, epoch: int, position: int, window: int, laid: int) -> Iterator[tuple[int, Rows]]:
    """(position, rows) of each window that ends behind `position`, epoch after epoch without end."""
    first, rest = divmod(position, part.samples)
    for again in itertools.count(first):
        for begin, rows in _windows(part, seed, epoch + again, rest if again == first else 0, window):
            yield again * part.samples + begin, {**rows, NUMBER: rows[NUMBER] + laid}


def _windows(part: Part, seed: int, epoch: int, position: int, window: int) -> Iterator[tuple[int, Rows]]:
    """(position in the plan, rows in plan order) of each window that ends behind `position`."""
    rows = np.asarray(part.rows)
    starts = np.cumsum(rows) - rows
    shards = plan.shard_order(len(rows), seed, epoch)
    order = plan.plan(part.rows, seed, epoch, window)
    ends = np.cumsum(rows[shards])
    skipped = int(np.searchsorted(ends, position, side="right")) // window * window
    read = read_shards(part, [int(shard) for shard in shards[skipped:]])
    for first in range(skipped, len(shards), window):
        group = shards[first : first + window]
        here = [next(read) for _ in group]
        begin, end = int(ends[first] - rows[shards[first]]), int(ends[first + len(group) - 1])
        laid = np.concatenate([np.arange(starts[s], starts[s] + rows[s]) for s in group])
        sorter = np.argsort(laid)
        chosen = sorter[np.searchsorted(laid, order[begin:end], sorter=sorter)]
        yield begin, {NUMBER: order[begin:end], **{name: column[chosen] for name, column in _joined(here).items()}}


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


def _joined(parts: Sequence[Rows]) -> Rows:
    return {name: np.concatenate([rows[name] for rows in parts]) for name in parts[0]}


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
    return _joined(parts)
