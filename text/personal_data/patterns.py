"""The user's own kinds: which regular expressions are allowed, and what they match in a text."""

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import lru_cache
from io import StringIO
from math import prod

import regex

from finelake.text.personal_data.digits import TAKEN
from finelake.text.personal_data.recogniser import Span

LONGEST_PATTERN = 1000  # characters
MOST_REPEATED = 1_000_000  # (a{1000}){1000} is expanded when it is compiled
SECONDS = 10  # of processor time that a pattern may take for one text


class SlowPattern(Exception):
    """A user's pattern took more than SECONDS for one text; its argument is the kind."""


@lru_cache
def compiled(pattern: str) -> regex.Pattern[str]:
    """A user's regular expression. Raises ValueError with the reason where it is not allowed."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"has {len(pattern)} characters; {LONGEST_PATTERN} are allowed")
    if prod(max(1, int(count)) for count in re.findall(r"(?<=[{,])\d{1,12}(?=[,}])", pattern)) > MOST_REPEATED:
        raise ValueError(f"has counts whose product is above {MOST_REPEATED:,}: compiled, it takes too much memory")
    try:
        expression = regex.compile(pattern)
        unbounded = _unbounded(pattern)
        empty = expression.search("", timeout=SECONDS)
    except (regex.error, ValueError, OverflowError, RecursionError, MemoryError, TimeoutError) as error:
        raise ValueError(f"is not a regular expression ({error})") from None
    if unbounded:
        raise ValueError(f"{unbounded}, whose time and memory have no bound; write it without")
    if empty:
        raise ValueError("matches the empty text; require at least one character")
    return expression


def _unbounded(pattern: str) -> str | None:
    """The part of a pattern without a bound in time and memory, from what regex prints when it compiles it."""
    with redirect_stdout(StringIO()) as parts:
        regex.compile(pattern, regex.DEBUG)
    names = set(re.findall(r"^ *([A-Z_]+)", parts.getvalue(), re.MULTILINE))
    if "FUZZY" in names:
        return "has fuzzy matching, such as {e<=1} (a brace of the text is written \\{)"
    return "calls itself or a group, such as (?R), (?1) or (?&name)" if "GROUP_CALL" in names else None


def pattern_spans(
    folded: str, patterns: tuple[tuple[str, str], ...], seconds: defaultdict[str, float]
) -> Iterator[Span]:
    """The matches of the user's patterns: of each the group `value`, or else all of it.

    Adds the processor time to `seconds`, by kind. Raises SlowPattern where a kind exceeds SECONDS.
    """
    for kind, pattern in patterns:
        expression = compiled(pattern)
        group = "value" if "value" in expression.groupindex else 0
        try:
            for match in _timed(expression, folded, kind, seconds):
                # The words before `value` label it only if no masked value is in between.
                if TAKEN not in folded[match.start() : match.start(group)]:
                    yield *match.span(group), kind
        except TimeoutError:
            raise SlowPattern(kind) from None


def _timed(
    expression: regex.Pattern[str], folded: str, kind: str, seconds: defaultdict[str, float]
) -> Iterator[regex.Match[str]]:
    """The matches of a pattern. TimeoutError where together they take SECONDS: the limit of regex is per match."""
    matches = expression.finditer(folded, timeout=max(SECONDS - seconds[kind], 0.001))
    while True:
        started = time.process_time()
        match = next(matches, None)
        seconds[kind] += time.process_time() - started
        if seconds[kind] > SECONDS:
            raise TimeoutError
        if match is None:
            return
        yield match
