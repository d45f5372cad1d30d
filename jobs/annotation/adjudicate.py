"""Adjudication: the annotations of one unit become gold labels, or the reason why a human is needed. Plain Python."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

from finelake.lake.config.contract import HUMAN_ROLES, ROLES, SPAN_LAYERS
from finelake.lake.keys import joined

DISPUTED = "__disputed__"  # the label by which an arbitrator passes a unit to the committee
OUTSIDE = "O"  # the label of a character outside all spans, and of a record without a scene
NOTHING = None  # the committee's vote for "nothing found"

Mark = Mapping[str, Any]  # one annotation row: source, annotator, role, label, quote, start
Label = tuple[str, Any, Any]  # label, start and end (int); the last two None for a scene


class Rules(Protocol):
    """The parameters of adjudication, a subset of those of annotate."""

    @property
    def layers(self) -> tuple[str, ...]: ...
    @property
    def committee_votes(self) -> int: ...

    def trusts(self, layer: str) -> bool: ...


@dataclass(frozen=True)
class Opinion:
    """The labels of one person on one unit."""

    labels: frozenset[Label]
    whole: bool  # nothing was rejected and nothing is disputed: the set can be compared
    disputed: bool


@dataclass(frozen=True)
class Verdict:
    """`outcome` is one of DECIDED, a reason for the review queue, or None where no opinion counts."""

    outcome: str | None
    labels: frozenset[Label]
    rejected: tuple[tuple[Mark, str], ...]
    patterns: Mapping[tuple[str, ...], int]


def judge(layer: str | None, text: str | None, marks: Sequence[Mark], rules: Rules) -> Verdict:
    """The verdict on one unit. `text` is None where the record does not exist. The order of `marks` is irrelevant."""
    unit_reason = "unknown_layer" if layer not in rules.layers else "unknown_record" if text is None else None
    if unit_reason:
        return Verdict(None, frozenset(), tuple((mark, unit_reason) for mark in marks), {})
    assert layer is not None and text is not None
    rejected: list[tuple[Mark, str]] = []
    people: dict[tuple[str, str], list[Mark]] = {}
    humans = any(mark["role"] in HUMAN_ROLES and mark["annotator"] for mark in marks)
    for mark in sorted(marks, key=_order):
        reason = _unfit(mark, rules.trusts(layer), humans)
        if reason:
            rejected.append((mark, reason))
        else:
            people.setdefault((mark["role"], _name(mark)), []).append(mark)
    opinions: dict[str, list[Opinion]] = {role: [] for role in ROLES}
    for (role, _), own in people.items():
        opinions[role].append(_opinion(own, layer, text, rejected))
    outcome, labels = decide(opinions, rules.committee_votes)
    return Verdict(outcome, labels, tuple(rejected), patterns(opinions["annotator"], layer, len(text)))


def decide(opinions: Mapping[str, Sequence[Opinion]], votes: int) -> tuple[str | None, frozenset[Label]]:
    """Outcome and labels from the opinions by role, in the order agreed, arbitrated, committee, source."""
    annotators, arbitrators = opinions["annotator"], opinions["arbitrator"]
    if len(annotators) >= 2 and _unanimous(annotators):
        return "agreed", annotators[0].labels
    if arbitrators:
        if any(one.disputed for one in arbitrators) or len({one.labels for one in arbitrators if one.whole}) > 1:
            return vote(opinions["committee"], votes)
        if _unanimous(arbitrators):
            return "arbitrated", arbitrators[0].labels
        return "needs_arbitrator", frozenset()
    if len(annotators) >= 2:
        return "needs_arbitrator", frozenset()
    source = opinions["source"]  # empty where humans labelled
    if source and _unanimous(source):
        return "source", source[0].labels
    return ("one_annotator" if any(opinions.values()) else None), frozenset()


def vote(committee: Sequence[Opinion], votes: int) -> tuple[str, frozenset[Label]]:
    """Labels with at least `votes` votes and more than half of the members; "nothing found" is one of the options."""
    count: Counter[Label | None] = Counter()
    for one in committee:
        count.update(one.labels or ([NOTHING] if one.whole else []))
    needed = max(votes, len(committee) // 2 + 1)
    won = {label for label, number in count.items() if number >= needed}
    if not won:
        return "needs_committee", frozenset()
    return "committee", frozenset(label for label in won if label is not NOTHING)


def anchor(text: str, quote: str | None, start: int | None) -> tuple[int, int] | None:
    """Start and end of the occurrence of `quote` nearest to `start` (of two equally near, the earlier), or None."""
    if not quote:
        return None
    near = start or 0
    after = text.find(quote, max(near, 0))
    before = text.rfind(quote, 0, max(near, 0) + len(quote) - 1)
    offsets = [offset for offset in (before, after) if offset >= 0]  # the earlier first, so that it wins a tie
    if not offsets:
        return None
    nearest = min(offsets, key=lambda offset: abs(offset - near))
    return nearest, nearest + len(quote)


def patterns(annotators: Sequence[Opinion], layer: str, length: int) -> dict[tuple[str, ...], int]:
    """Label of each annotator (in order) -> the number of characters, or of records for a scene, with these labels.

    Empty unless there are two or more annotators and all their sets are whole. A character in several spans of one
    person has their labels joined.
    """
    if len(annotators) < 2 or not all(one.whole for one in annotators):
        return {}
    if layer not in SPAN_LAYERS:
        return {tuple(_joined(label for label, _, _ in one.labels) for one in annotators): 1}
    edges = {edge for one in annotators for _, start, end in one.labels for edge in (start, end)}
    counts: Counter[tuple[str, ...]] = Counter()
    for left, right in pairwise(sorted({0, length, *edges})):
        counts[tuple(_joined(_covering(one.labels, left)) for one in annotators)] += right - left
    return dict(counts)


def _order(mark: Mark) -> tuple:
    return tuple(mark[key] or "" for key in ("role", "annotator", "label", "quote")) + (mark["start"] or 0,)


def _name(mark: Mark) -> str:
    return "" if mark["role"] == "source" else mark["annotator"]


def _unfit(mark: Mark, trusted: bool, humans: bool) -> str | None:
    if mark["role"] not in ROLES:
        return "unknown_role"
    if mark["role"] == "source":
        return "source_not_trusted" if not trusted else "human_labelled" if humans else None
    return None if mark["annotator"] else "no_annotator"


def _opinion(marks: Sequence[Mark], layer: str, text: str, rejected: list[tuple[Mark, str]]) -> Opinion:
    """One person's opinion; marks that cannot be used are appended to `rejected`."""
    if _contradictory(marks, layer):
        rejected.extend((mark, "contradictory") for mark in marks)
        return Opinion(frozenset(), whole=False, disputed=False)
    taken: set[Label | None] = set()
    lost = False
    for mark in marks:
        label = _anchored(mark, layer, text)
        if label == "lost":
            lost = True
            rejected.append((mark, "quote_not_found"))
        elif label in taken:
            rejected.append((mark, "repeated"))
        else:
            taken.add(label)
    disputed = any(mark["label"] == DISPUTED for mark in marks)
    labels = frozenset(label for label in taken if label is not NOTHING and label[0] != DISPUTED)
    return Opinion(labels, whole=not lost and not disputed, disputed=disputed)


def _contradictory(marks: Sequence[Mark], layer: str) -> bool:
    labels = {mark["label"] for mark in marks} - {DISPUTED}
    return len(labels) > 1 and (NOTHING in labels or layer not in SPAN_LAYERS)


def _anchored(mark: Mark, layer: str, text: str) -> Label | Literal["lost"] | None:
    label = mark["label"]
    if label is NOTHING:
        return NOTHING
    if label == DISPUTED or layer not in SPAN_LAYERS:
        return label, None, None
    span = anchor(text, mark["quote"], mark["start"])
    return (label, *span) if span else "lost"


def _unanimous(opinions: Sequence[Opinion]) -> bool:
    return all(one.whole and one.labels == opinions[0].labels for one in opinions)


def _covering(labels: Iterable[Label], offset: int) -> list[str]:
    return [label for label, start, end in labels if start <= offset < end]


def _joined(labels: Iterable[str]) -> str:
    """The labels of a character as one; a label equal to OUTSIDE is escaped, so that it stays distinct."""
    name = joined(sorted(set(labels)))
    return f"\\{name}" if name == OUTSIDE else name or OUTSIDE
