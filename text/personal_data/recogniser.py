"""A recogniser: a compiled pattern proposes, a check in Python decides.

Check digits, dates, numbering plans and the words before a match decide, so amounts, order numbers and dates survive.
Patterns look at neighbouring digits, never at `\\b`: a Chinese character is a word character, so there is no word
boundary between it and a digit. For the same reason they match Latin words by WORD, never by `\\w` or `\\b`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from finelake.text.personal_data.context import text_before

Span = tuple[int, int, str]  # start, end, kind

# Gates that several modules share. Alternatives that begin with literal characters are scanned at a few nanoseconds
# per character.
NUMBER = re.compile(r"(?:\d\D{0,3}){6}\d")
WRAPPED = re.compile(r"\n(?:(?<=\d\n)|(?<=\d-\n))\d")


def _accept(match: re.Match[str]) -> bool:
    return True


@dataclass(frozen=True)
class Recogniser:
    """One written form of one kind of personal data."""

    kind: str
    gate: re.Pattern[str]  # cheap: where it matches nothing in a text, the pattern is not tried
    # For a folded text, in which ： is : and １ is 1. Its group `value`, or else the whole match, is masked.
    pattern: re.Pattern[str]
    check: Callable[[re.Match[str]], bool] = _accept
    before: re.Pattern[str] | None = None  # must match directly before the match

    def spans(self, text: str) -> Iterator[Span]:
        """Its matches in a folded text."""
        group = "value" if "value" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            if (self.before is None or self.before.search(text_before(match))) and self.check(match):
                yield *match.span(group), self.kind


def recogniser(
    kind: str,
    gate: re.Pattern[str],
    pattern: str,
    check: Callable[[re.Match[str]], bool] = _accept,
    before: re.Pattern[str] | None = None,
) -> Recogniser:
    """A recogniser whose pattern is given as text."""
    return Recogniser(kind, gate, re.compile(pattern), check, before)
