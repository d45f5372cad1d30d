"""What stands for the personal data of a text: a tag, a keyed pseudonym, or a part of the value that identifies nobody.

Pure functions: a text that a model is asked at run time is masked by those that masked the texts it was trained on.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from finelake.text.normalise import normalise
from finelake.text.personal_data.digits import FOLD, canonical
from finelake.text.personal_data.find import Ner, find
from finelake.text.personal_data.kinds import KINDS
from finelake.text.personal_data.recogniser import Span

Mode = Literal["tag", "pseudonym", "partial", "drop"]
# The part of a value that `partial` keeps: the last digits, the province, the country. Too many people share it to
# identify one.
PARTS = {
    "card": slice(-4, None),
    "phone": slice(-4, None),
    "resident_id": slice(2),
    "iban": slice(2),
    "plate": slice(2),
}
# The part that a token may hold in mode `partial`, also for the rest of a value around another one.
SHAPES = {
    "card": r"[\da-z]{1,4}",
    "phone": r"[\da-z]{1,4}",
    "resident_id": r"[\dx]{1,2}",
    "iban": r"[\da-z]{1,2}",
    "plate": r"\w{1,2}",
}
# The kinds that a format or a check digit proves; the others (names, addresses, chats, IPs) are guessed from words.
PROVEN = ("url", "email", "resident_id", "credit_code", "iban", "card", "ssn", "passport", "phone", "plate")
LETTERS = 12  # of a pseudonym, 56 bits: among a hundred million values, two collide with a probability of 0.1


@dataclass(frozen=True)
class Rules:
    """Which kinds of personal data are masked, and how."""

    kinds: tuple[str, ...] = KINDS  # of the recognisers
    patterns: Mapping[str, str] = field(default_factory=dict)  # regular expressions by further kinds
    modes: Mapping[str, Mode] = field(default_factory=dict)  # by kind; default: tag
    key: str = field(default="", repr=False)  # of the pseudonyms
    ner: Ner | None = None  # a model that finds more: text -> (start, end, kind) of each value

    @property
    def masked(self) -> tuple[str, ...]:
        """Every kind that is masked."""
        return (*self.kinds, *self.patterns)


def mask_text(text: str, rules: Rules) -> str:
    """`text` with its personal data masked."""
    return mask_spans(text, find_in(text, rules), rules)


def find_in(text: str, rules: Rules) -> list[Span]:
    """The personal data of the masked kinds. patterns.SlowPattern names a pattern that takes too long for the text."""
    return find(text, rules.kinds, rules.ner, rules.patterns, tags(rules))


def kinds_in(value: str, rules: Rules, kinds: tuple[str, ...]) -> set[str]:
    """Which of `kinds` and of the patterns a value holds, as written or normalised, outside masked tokens."""
    written = {value, normalise(value) or ""}
    return {kind for text in written for _, _, kind in find(text, kinds, None, rules.patterns, tags(rules))}


def tags(rules: Rules) -> re.Pattern[str]:
    """Matches what `token` can return with these parameters. Anything else like a tag is text and may hold a value."""
    return _tags(tuple((kind, rules.modes.get(kind, "tag")) for kind in rules.masked))


@lru_cache
def _tags(modes: tuple[tuple[str, Mode], ...]) -> re.Pattern[str]:
    held = {"pseudonym": lambda kind: f"(?::[a-z]{{{LETTERS}}})?", "partial": lambda kind: f"(?::{SHAPES[kind]})?"}
    named = "|".join(kind.upper() + (held[mode](kind) if mode in held else "") for kind, mode in modes)
    return re.compile(f"<(?:{named})>")


def mask_spans(text: str, spans: Sequence[Span], rules: Rules) -> str:
    """`text` with each span replaced by its token; spans sorted, not overlapping."""
    pieces, done = [], 0
    for start, end, kind in spans:
        pieces += [text[done:start], token(kind, text[start:end], rules)]
        done = end
    return "".join([*pieces, text[done:]])


def token(kind: str, value: str, rules: Rules) -> str:
    """The replacement of a value: <PHONE>, as pseudonym <PHONE:hkqzbtrwmcye>, as part <PHONE:5678>."""
    mode = rules.modes.get(kind, "tag")
    canonical_value = canonical(kind, value)
    if mode == "pseudonym":
        return f"<{kind.upper()}:{pseudonym(kind, canonical_value, rules.key)}>"
    if mode == "partial":
        return f"<{kind.upper()}:{canonical_value[PARTS[kind]]}>"
    return f"<{kind.upper()}>"


def pseudonym(kind: str, value: str, key: str) -> str:
    """12 letters: HMAC-SHA256 (RFC 2104) of kind and value. No digits: a pseudonym must not look like a number."""
    digest = hmac.new(key.encode(), f"{kind}\x1f{value}".encode(), hashlib.sha256).digest()
    return "".join(chr(ord("a") + byte % 26) for byte in digest[:LETTERS])


def mask_quote(quote: str, start: int | None, text: str, rules: Rules) -> tuple[str, int | None]:
    """The quote as in the masked `text`, and its offset there.

    `text` is normalised and not masked; of several occurrences the one nearest to `start` counts. Masked values that
    the quote touches become part of it as a whole. A quote that `text` does not hold is masked separately.
    """
    normal = normalise(quote) or ""
    # How a mark is folded depends on its neighbours, which a quote has lost at its ends.
    needle, folded = normal.translate(FOLD), text.translate(FOLD)
    offsets = [match.start() for match in re.finditer(f"(?={re.escape(needle)})", folded)] if needle else []
    if not offsets:
        return mask_text(normal, rules), start
    return _cut(text, min(offsets, key=lambda offset: abs(offset - (start or 0))), len(needle), rules)


def _cut(text: str, begin: int, length: int, rules: Rules) -> tuple[str, int]:
    spans = find_in(text, rules)
    end = begin + length
    touched = [span for span in spans if span[0] < end and span[1] > begin]
    if touched:
        begin, end = min(begin, touched[0][0]), max(end, touched[-1][1])
    before = [span for span in spans if span[1] <= begin]
    inside = [(low - begin, high - begin, kind) for low, high, kind in touched]
    return mask_spans(text[begin:end], inside, rules), len(mask_spans(text[:begin], before, rules))


def annotator_code(annotator: str | None, rules: Rules) -> str | None:
    """The annotator; where the value holds personal data, `annotator-` and 12 letters derived from the value.

    Equal values get equal codes, in every row and run. Without a key (no mode is `pseudonym`) whoever guesses the value
    can confirm it. A model of `ner` is not called: it would take any name for a person's.
    """
    if not annotator or not kinds_in(annotator, rules, rules.kinds):
        return annotator
    return f"annotator-{pseudonym('annotator', annotator, rules.key)}"


def label_kinds(label: str | None, rules: Rules) -> str | None:
    """The kinds in a label, as in `label: phone`; None where there are none."""
    proven = tuple(kind for kind in rules.kinds if kind in PROVEN)
    kinds = listed(kinds_in(label, rules, proven)) if label else None
    return f"label: {kinds}" if kinds else None


def listed(kinds: Iterable[str]) -> str | None:
    """The kinds in one text, sorted; None where there are none."""
    return ",".join(sorted({*kinds})) or None
