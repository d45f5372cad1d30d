"""Two independent annotators, an arbitrator where they differ, and a committee where the arbitrator is in doubt."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from finelake.demo import chance
from finelake.demo.compose import Span
from finelake.demo.scenes import CODES, CONFUSED_WITH, ENTITY_TYPES
from finelake.demo.tickets import Ticket

COLUMNS = (
    "annotation_id text primary key",
    "source text",
    "record_key text",
    "layer text",
    "annotator text",
    "role text",
    "label text",
    "quote text",
    "start integer",
)

DISPUTED = "__disputed__"
SPAN_SHARE = 0.2  # of tickets, whose entities and terms are marked
DISPUTED_SHARE = 0.15  # of arbitrated records
LABELS = {"entity": ENTITY_TYPES, "term": tuple(code for code, _, _ in CODES.values())}

Label = tuple[str | None, str | None, int | None]  # label, quote, start
Row = tuple[str, str, str, str, str, str | None, str | None, int | None]


@dataclass(frozen=True)
class Care:
    """Error rates of a person: confusing a scene, missing a span, shifting its edge, giving it a wrong label."""

    scene: float
    miss: float
    shift: float
    label: float


ANNOTATOR = Care(scene=0.032, miss=0.035, shift=0.08, label=0.035)
ARBITRATOR = Care(scene=0.01, miss=0.004, shift=0.004, label=0.004)
MEMBER = Care(scene=0.1, miss=0.02, shift=0.02, label=0.02)


def scene_label(r: random.Random, true: str, care: Care) -> list[Label]:
    return [(r.choice(CONFUSED_WITH[true]) if r.random() < care.scene else true, None, None)]


def shifted(r: random.Random, body: str, start: int, end: int) -> tuple[int, int]:
    """The span with one edge moved a little; never empty, never outside the text."""
    step = r.choice((1, 1, 2, 4))
    if r.random() < 0.5:
        return start, max(start + 1, min(len(body), end + r.choice((step, -step))))
    return min(end - 1, max(0, start + r.choice((step, -step)))), end


def span_labels(r: random.Random, layer: str, body: str, spans: list[Span], care: Care) -> list[Label]:
    """One person's marks of one layer; a single empty mark where nothing was found."""
    marks: list[Label] = []
    free = 0
    personal = [(s.start, s.start + len(s.quote)) for s in spans if s.layer == "personal"]
    for span in (s for s in spans if s.layer == layer):
        if r.random() < care.miss:
            continue
        start, end = span.start, span.start + len(span.quote)
        if r.random() < care.shift:
            start, end = shifted(r, body, start, end)
            if start < free or any(start < b and a < end for a, b in personal):
                start, end = span.start, span.start + len(span.quote)
        label = r.choice(LABELS[layer]) if r.random() < care.label else span.label
        if start < free:
            continue
        free = end
        marks.append((label, body[start:end], start))
    return marks or [(None, None, None)]


def judged(r: random.Random, ticket: Ticket, layer: str, care: Care) -> list[Label]:
    if layer == "scene":
        return scene_label(r, ticket.scene, care)
    return span_labels(r, layer, ticket.body, ticket.spans, care)


def annotations(ticket: Ticket, seed: int) -> Iterator[Row]:
    """All marks of one ticket: source, key, layer, annotator, role, label, quote and start."""
    r = chance.rng(seed, "annotation", ticket.key)
    layers = ("scene", "entity", "term") if r.random() < SPAN_SHARE else ("scene",)
    for layer in layers:
        for annotator, role, labels in opinions(r, ticket, layer):
            for label, quote, start in labels:
                yield "tickets", ticket.key, layer, annotator, role, label, quote, start


def opinions(r: random.Random, ticket: Ticket, layer: str) -> Iterator[tuple[str, str, list[Label]]]:
    """Annotator, role and complete label set of everyone who labelled the ticket."""
    pair = [judged(r, ticket, layer, ANNOTATOR) for _ in range(2)]
    for name, labels in zip(("annotator_a", "annotator_b"), pair, strict=True):
        yield name, "annotator", labels
    if pair[0] == pair[1]:
        return
    if r.random() >= DISPUTED_SHARE:
        yield "arbitrator", "arbitrator", judged(r, ticket, layer, ARBITRATOR)
        return
    yield "arbitrator", "arbitrator", [(DISPUTED, None, None)]
    for i in range(5):
        yield f"committee_{i + 1}", "committee", judged(r, ticket, layer, MEMBER)
