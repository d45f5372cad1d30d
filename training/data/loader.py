"""From pinned Parquet files to this rank's batches, in plan order, through Petastorm and one prefetch thread.

Petastorm reads an explicit list of files (a directory would show stale ones) in its dummy pool (its threads give
another order each run). At most one window of shards and a few prepared steps are in memory.
"""

import itertools
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.reader import Reader
from petastorm.workers_pool import EmptyResultError
from petastorm.workers_pool.dummy_pool import DummyPool
from pyarrow.filesystem import FileSystem

from finelake.lake.errors import UserError
from finelake.lake.tables import storage
from finelake.training.data import plan
from finelake.training.data.batch import COLUMNS, NUMBER, Batch, Labels, Rows, collate
from finelake.training.data.samples import Part, count_rows

AHEAD = 4  # steps prepared in advance


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
    labels: Labels
    seed: int
    global_batch: int  # samples a step, over all ranks
    accumulation: int  # micro-batches a step
    rank: int = 0
    world_size: int = 1
    window: int = plan.WINDOW
    mix: Mix = Mix()
    group_by_length: bool = False  # not of a mix
    entry: str = "runs.RUN"  # where params.yaml has the run, for messages
    waited: float = 0.0

    def __post_init__(self) -> None:
        size = f"params.yaml: {self.entry}.train.global_batch_size {self.global_batch}"
        if self.global_batch % (self.world_size * self.accumulation):
            raise UserError(
                f"{size} is not a multiple of {self.world_size} ranks x "
                f"{self.entry}.train.gradient_accumulation_steps {self.accumulation}; change one of the three"
            )
        if self.samples < self.global_batch:
            part, wider = ("mix", "select.mix") if self.mix.shards else ("train part", "select.where")
            raise UserError(
                f"{size} is more than the {self.samples} samples of the {part}; lower it or widen {self.entry}.{wider}"
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
            for rows in self._grouped_steps(epoch, step) if self.group_by_length else self._steps(epoch, step):
                if not _put(ahead, stop, self._micro_batches(rows)):
                    return
            _put(ahead, stop, None)
        except BaseException as error:  # the caller's thread raises it
            _put(ahead, stop, error)

    def _micro_batches(self, rows: Rows) -> list[Batch]:
        # Neighbours in length share a micro-batch, so that little of it is padding; the step's sum stays the same.
        by_length = np.argsort(rows["length"], kind="stable")
        parts = by_length.reshape(self.accumulation, -1)
        return [collate({name: column[part] for name, column in rows.items()}, self.labels) for part in parts]

    def _steps(self, epoch: int, step: int) -> Iterator[Rows]:
        """This rank's rows of each step from `step` on."""
        share = self.global_batch // self.world_size
        streams = self._streams(epoch, plan.before(step * self.global_batch, self.mix.ratio))
        for current in range(step, self.steps):
            first = current * self.global_batch + self.rank * share
            begins, ends = (plan.before(position, self.mix.ratio) for position in (first, first + share))
            taken = zip(streams, begins, ends, strict=True)
            yield _joined([stream.take(begin, end) for stream, begin, end in taken if begin < end])

    def _grouped_steps(self, epoch: int, step: int) -> Iterator[Rows]:
        """As _steps, with samples of like length in each step."""
        size, batch = plan.group_of(self.steps), self.global_batch
        begun = step // size * size
        (stream,) = self._streams(epoch, [begun * batch])
        for first in range(begun, self.steps, size):
            rows = stream.take(first * batch, min(first + size, self.steps) * batch)
            order = plan.by_length(rows["length"], batch, self.seed, epoch, first)
            for chosen in plan.share(order, batch, self.rank, self.world_size)[max(step - first, 0) :]:
                yield {name: column[chosen] for name, column in rows.items()}

    def _streams(self, epoch: int, positions: list[int]) -> list["_Stream"]:
        """The samples of each task in plan order, from its position on."""
        streams, laid = [], 0
        for task, ratio, position in zip(self.tasks, self.mix.ratio, positions, strict=True):
            often = plan.passes(task.samples, self.samples // sum(self.mix.ratio) * ratio)
            windows = _passes(task, self.seed, epoch * often, position, self.window, laid)
            streams.append(_Stream(windows))
            laid += task.samples
        return streams


class _Stream:
    """Rows by their position in a plan, taken forwards; the windows that one `take` spans are in memory."""

    def __init__(self, windows: Iterator[tuple[int, Rows]]):
        self.windows = windows
        self.held: list[tuple[int, int, Rows]] = []  # positions of the first row and behind the last, rows

    def take(self, first: int, last: int) -> Rows:
        self.held = [window for window in self.held if window[1] > first]
        while not self.held or self.held[-1][1] < last:
            begin, rows = next(self.windows)
            self.held.append((begin, begin + len(rows["length"]), rows))
        return _joined([_cut(rows, first - begin, last - begin) for begin, _, rows in self.held])


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
        begin, end = int(ends[first] - rows[shards[first]]), int(ends[first + len(group) - 1])
        numbers = order[begin:end]
        places = np.argsort(numbers)  # of the group's rows, shard by shard
        laid: Rows = {NUMBER: numbers}
        for shard, found in zip(group, read, strict=False):
            before = int(np.searchsorted(numbers, starts[shard], sorter=places))
            _lay(found, places[before : before + rows[shard]], laid, len(numbers))
        yield begin, laid


def _lay(rows: Rows, places: np.ndarray, into: Rows, size: int) -> None:
    """Put rows at their places in `into`, whose columns have `size` rows."""
    for name, column in rows.items():
        into.setdefault(name, np.empty((size, *column.shape[1:]), column.dtype))[places] = column


def read_shards(part: Part, shards: Sequence[int]) -> Iterator[Rows]:
    """The rows of each shard, in the order asked for. UserError names a file that is missing or was altered."""
    storage.map_concurrently(lambda shard: _require_rows(part.files[shard], part.rows[shard]), shards)
    if not shards:
        return
    with _open([part.files[shard] for shard in shards]) as reader:
        groups = iter(reader)
        for shard in shards:
            yield _take(groups, part.rows[shard], part.files[shard])


def scan(
    part: Part, labels: Labels, batch_size: int, rank: int = 0, world_size: int = 1
) -> Iterator[tuple[np.ndarray, Batch]]:
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
                yield chosen + start, collate({name: column[chosen] for name, column in rows.items()}, labels)
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
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([rows[name] for rows in parts]) for name in parts[0]}


def _cut(rows: Rows, first: int, last: int) -> Rows:
    return {name: column[max(first, 0) : last] for name, column in rows.items()}


def _require_rows(path: str, rows: int) -> None:
    found = count_rows(path)
    if found != rows:
        raise UserError(f"data file {path} was altered: {found} rows instead of {rows}; run `finelake verify`")


def _open(files: list[str]) -> Reader:
    return Reader(
        _Files(files),
        [f"/{number}" for number in range(len(files))],
        schema_fields=[f"^{name}$" for name in COLUMNS],  # regular expressions, each to match one column alone
        reader_pool=DummyPool(),
        worker_class=_Worker,
        shuffle_row_groups=False,
        is_batched_reader=True,
    )


class _Worker(ArrowReaderWorker):
    """Petastorm's worker, whose row groups become arrays as they are: Petastorm makes an object of each list first."""

    @staticmethod
    def new_results_queue_reader() -> "_Results":
        return _Results()


class _Results:
    """The next row group of the pool as Rows, in the interface that Petastorm's Reader asks for."""

    batched_output = True

    def read_next(self, pool: DummyPool, schema: object, ngram: object) -> Rows:
        try:
            table = pool.get_results()
        except EmptyResultError:
            raise StopIteration from None
        return {name: _array(table[name].combine_chunks()) for name in COLUMNS}


def _array(column: pyarrow.Array) -> np.ndarray:
    """[rows], or [rows, tokens] of lists, which all have the same length; without a copy."""
    if pyarrow.types.is_list(column.type):
        return column.flatten().to_numpy().reshape(len(column), -1)
    return column.to_numpy()


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
        parts.append(group)
    return _joined(parts)
