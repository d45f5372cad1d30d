"""`find`: the personal data in a text, by the recognisers, the user's patterns and the user's model."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from types import MappingProxyType

from finelake.text.personal_data.digits import FOLD, TAKEN, read_spoken
from finelake.text.personal_data.kinds import KINDS, RECOGNISERS
from finelake.text.personal_data.patterns import pattern_spans
from finelake.text.personal_data.recogniser import NUMBER, Recogniser, Span

Ner = Callable[[str], Iterable[Span]]  # a model that the user provides

REACH = 512  # characters on each side of a span that are searched again
EDGE = 128  # characters at a cut in which nothing is claimed: a value there may be incomplete
_PLAIN_TAGS = re.compile(f"<(?:{'|'.join(KINDS).upper()})>")
_RUNS = re.compile(rb"\x00+|\x01+")
_FREE = re.compile(rb"\x00+")


def find(
    text: str,
    kinds: tuple[str, ...] | None = None,
    ner: Ner | None = None,
    patterns: Mapping[str, str] = MappingProxyType({}),
    tags: re.Pattern[str] | None = None,
) -> list[Span]:
    """Personal data in `text`: sorted (start, end, kind), not overlapping; offsets in characters.

    `kinds`: the kinds to search for (None: all). `patterns`: the user's own kinds and their regular expressions. `ner`
    is called once per text. Both get only what the recognisers leave of their spans.

    The text is searched again without the values found so far until nothing new is found, because one value may hide
    another that it touches.
    What `tags` matches (None: <PHONE> and the like) is not searched, so that masking a masked text changes nothing.

    Raises SlowPattern where one of `patterns` takes too long.
    """
    folded = text if text.isascii() else text.translate(FOLD)
    search = _Search(folded, kinds, tuple(patterns.items()), tags or _PLAIN_TAGS)
    spans = search.between(0, len(text))
    if ner:
        named = [span for span in ner(text) if kinds is None or span[2] in kinds or span[2] in patterns]
        spans += [piece for span in named for piece in search.claim_rest(span)]
    new = spans
    while new:
        # In a long text only the surroundings of new values are searched again; the last search covers everything.
        while len(text) > 2 * REACH and new:
            new = [span for start, end in _around(new, len(text)) for span in search.between(start, end)]
            spans += new
        new = search.between(0, len(text))
        spans += new
    return sorted(spans)


def _around(spans: list[Span], length: int) -> Iterator[tuple[int, int]]:
    """The ranges that lie within REACH of `spans`, joined where they meet."""
    ranges = sorted((max(0, start - REACH), min(length, end + REACH)) for start, end, _ in spans)
    start, end = ranges[0]
    for low, high in ranges[1:]:
        if low > end:
            yield start, end
            start = low
        end = max(end, high)
    yield start, end


class _Search:
    """A folded text and which of its characters are claimed, one byte each."""

    def __init__(
        self, text: str, kinds: tuple[str, ...] | None, patterns: tuple[tuple[str, str], ...], tags: re.Pattern[str]
    ) -> None:
        self.text, self.kinds, self.patterns = text, kinds, patterns
        self.taken, self.claimed = bytearray(len(text)), False
        self.seconds: defaultdict[str, float] = defaultdict(float)  # processor time of the patterns so far, by kind
        for tag in tags.finditer(text) if "<" in text else ():
            self._take(*tag.span())

    def between(self, start: int, end: int) -> list[Span]:
        """Search the text from `start` to `end` and claim the spans found there."""
        view, starts, offsets = self._view(start, end)
        recognised = _recognised(view, self.kinds)
        if not recognised and not self.patterns:
            return []
        low = start + EDGE if start else 0
        high = end - EDGE if end < len(self.text) else end

        def in_text(span: Span) -> Span:
            first, last = (bisect_right(starts, at) - 1 for at in (span[0], span[1] - 1))
            return offsets[first] + span[0] - starts[first], offsets[last] + span[1] - starts[last], span[2]

        def within(spans: Iterable[Span]) -> Iterator[Span]:
            in_texts = (in_text(span) for span in spans if span[0] < span[1])
            return (span for span in in_texts if low <= span[0] and span[1] <= high)

        # Of overlapping spans of recognisers the first wins; a span around a claimed value keeps its free pieces.
        free = [list(self._free(span)) for span in within(recognised)]
        claimed = [piece for pieces in free for piece in pieces if self._claim(piece)]
        matched = within(pattern_spans(view, self.patterns, self.seconds))
        return claimed + [piece for span in matched for piece in self.claim_rest(span)]

    def claim_rest(self, span: Span) -> list[Span]:
        """Claim the pieces of `span` that are still free."""
        return [piece for piece in self._free(span) if self._claim(piece)]

    def _view(self, start: int, end: int) -> tuple[str, list[int], list[int]]:
        """The text from `start` to `end` with TAKEN for each run of claimed characters, and the offset of each piece
        in this view and in the text."""
        if not self.claimed:
            return self.text[start:end], [0], [start]
        pieces, starts, offsets, length = [], [], [], 0
        for run in _RUNS.finditer(self.taken, start, end):
            piece = TAKEN if self.taken[run.start()] else self.text[run.start() : run.end()]
            pieces.append(piece)
            starts.append(length)
            offsets.append(run.start())
            length += len(piece)
        return "".join(pieces), starts, offsets

    def _free(self, span: Span) -> Iterator[Span]:
        """The unclaimed pieces of `span`: all of it, or those with a letter or digit, stripped of space."""
        start, end, kind = max(span[0], 0), span[1], span[2]
        if 1 not in self.taken[start:end]:
            yield start, end, kind
            return
        for run in _FREE.finditer(self.taken, start, end):
            piece = self.text[run.start() : run.end()]
            first = run.start() + len(piece) - len(piece.lstrip())
            if re.search(r"\w", piece):
                yield first, first + len(piece.strip()), kind

    def _claim(self, span: Span) -> bool:
        """Claim a whole span; False where one of its characters is already claimed."""
        start, end, _ = span
        if start >= end or 1 in self.taken[start:end]:
            return False
        self._take(start, end)
        return True

    def _take(self, start: int, end: int) -> None:
        self.taken[start:end] = b"\1" * (end - start)
        self.claimed = True


def _recognised(folded: str, kinds: tuple[str, ...] | None) -> list[Span]:
    """The spans of the recognisers of `kinds`, in their order of precedence."""
    spoken = read_spoken(folded)
    spans: list[Span] = []
    for gate, recognisers in _by_gate(kinds):
        views = (folded, spoken) if gate is NUMBER and spoken != folded else (folded,)
        spans += [span for view in views if gate.search(view) for one in recognisers for span in one.spans(view)]
    return spans


@lru_cache
def _by_gate(kinds: tuple[str, ...] | None) -> list[tuple[re.Pattern[str], list[Recogniser]]]:
    """The recognisers of `kinds`; consecutive ones with the same gate are grouped, so that it is tried once."""
    selected = [one for one in RECOGNISERS if kinds is None or one.kind in kinds]
    return [(gate, list(group)) for gate, group in groupby(selected, key=lambda one: one.gate)]
