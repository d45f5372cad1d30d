"""Support tickets: a message about one scene, with background, contact data and typing errors, and the answer."""

import random
from dataclasses import dataclass, replace
from datetime import datetime

from finelake.demo import chance, people
from finelake.demo.compose import (
    TEXTS,
    Context,
    Message,
    Piece,
    Sentence,
    Span,
    finish,
    near_copy,
    scene_sentence,
    sentence,
    templates,
    with_slips,
)
from finelake.demo.people import Customer
from finelake.demo.scenes import CONFUSED_WITH, DAYS, PRODUCT_LINES, SCENE_SLOTS, SCENES
from finelake.demo.truth import Truth

COLUMNS = (
    "ticket_id text primary key",
    "customer_id text",
    "created_at text",
    "product_line text",
    "channel text",
    "lang text",
    "body text",
    "scene text",
    "satisfaction integer",
    "resolved text",
    "reply text",
)

LATE_FROM = 0.85  # the last part of the time line, where new wordings appear
LATE_SHARE = 0.45  # share of the messages that use one there
COPIES = 0.03
WRONG_LABELS = 0.02
COPY_KINDS = {"edited": 0.3, "reordered": 0.2, "punctuated": 0.2, "fullwidth": 0.15, "exact": 0.15}
CHANNELS = {"app": 5, "web": 3, "phone": 3, "email": 2, "branch": 1}


@dataclass(frozen=True)
class Ticket:
    """One ticket with its true labels. `draft` is the message before it became text."""

    key: str
    person: Customer
    when: datetime
    lang: str
    scene: str
    draft: Message
    body: str
    spans: list[Span]
    reply: str | None
    reply_spans: list[Span]
    satisfaction: int
    channel: str
    copy_of: str = ""
    copy_kind: str = ""


def scene_shares() -> dict[str, float]:
    return chance.spread(SCENES, 0.8)


def contact(r: random.Random, person: Customer, lang: str) -> Sentence:
    """A sentence with one personal value."""
    kind = r.choices(people.KINDS, weights=(45, 15, 20, 20))[0]
    value = people.written(r, kind, people.value_of(person, kind))
    template = r.choice(templates(TEXTS[lang].CONTACT[kind], False))
    return sentence(r, template, Context(lang, chance.START), {"value": Piece(value, "personal", kind)})


def trap(r: random.Random, when: datetime, lang: str) -> Sentence:
    """A sentence with a number that looks personal and is not."""
    kind = r.choice(list(TEXTS[lang].TRAPS))
    value = Piece(people.trap(r, kind, when.date()), "trap", kind)
    return sentence(r, r.choice(TEXTS[lang].TRAPS[kind].split("|")), Context(lang, when), {"value": value})


def draft(r: random.Random, scene: str, ctx: Context, person: Customer) -> Message:
    """The customer's message: the scene's sentence among varying others."""
    texts = TEXTS[ctx.lang]
    aside = Context(ctx.lang, ctx.when)

    def maybe(share: float, block: str) -> Message:
        return [sentence(r, r.choice(templates(block, False)), aside)] if r.random() < share else []

    opener, background = maybe(0.5, texts.OPENERS), maybe(0.35, texts.BACKGROUND)
    point = [scene_sentence(r, scene, ctx, LATE_SHARE)]
    middle = background + point if r.random() < 0.5 else point + background
    extra = [contact(r, person, ctx.lang) for _ in range(1 + (r.random() < 0.1))] if r.random() < 0.12 else []
    extra += [trap(r, ctx.when, ctx.lang)] if r.random() < 0.08 else []
    message = opener + middle + extra + maybe(0.55, texts.CLOSERS)
    return with_slips(r, message, ctx.lang, r.choices((0, 1, 2, 3), weights=(60, 22, 13, 5))[0])


def answer(r: random.Random, scene: str, lang: str, message: Message) -> tuple[str, list[Span]]:
    """The bank's answer: a template whose slots are filled from the message, with the first mention of each."""
    mentioned = {p.slot: p for pieces in reversed(message) for p in reversed(pieces) if p.slot}
    mentioned["days"] = Piece(str(DAYS[scene]))
    options = [t for t in templates(TEXTS[lang].REPLIES[scene], False) if all(s in mentioned for s in slots(t))]
    reply = [sentence(r, r.choice(options), Context(lang, chance.START), mentioned)]
    phones = [p for pieces in message for p in pieces if p.label == "phone"]
    if phones and r.random() < 0.6:
        reply.append(sentence(r, TEXTS[lang].REPLY_CONTACT, Context(lang, chance.START), {"value": phones[0]}))
    return finish(reply, lang)


def slots(template: str) -> list[str]:
    return [part.split("}")[0] for part in template.split("{")[1:]]


def original(seed: int, index: int, rows: int, customers: int) -> Ticket:
    r = chance.rng(seed, "ticket", index)
    person = people.customer(seed, r.randrange(customers), customers)
    when = chance.timestamp(r, index, rows)
    scene = chance.weighted(r, scene_shares())
    ctx = Context(person.lang, when, index / rows >= LATE_FROM, SCENE_SLOTS.get(scene, {}))
    message = draft(r, scene, ctx, person)
    body, spans = finish(message, person.lang)
    reply, reply_spans = answer(r, scene, person.lang, message) if r.random() < 0.92 else (None, [])
    return Ticket(
        f"T{index + 1:07d}",
        person,
        when,
        person.lang,
        scene,
        message,
        body,
        spans,
        reply,
        reply_spans,
        r.choices((1, 2, 3, 4, 5), weights=(2, 3, 4, 5, 3))[0],
        chance.weighted(r, CHANNELS),
    )


def is_copy(seed: int, index: int) -> bool:
    return index > 20 and chance.rng(seed, "copy", index).random() < COPIES


def ticket(seed: int, index: int, rows: int, customers: int) -> Ticket:
    """Ticket `index`; for a planted copy, the ticket that it repeats is generated again from the seed."""
    if not is_copy(seed, index):
        return original(seed, index, rows, customers)
    r = chance.rng(seed, "copied", index)
    source = r.randrange(index)
    while is_copy(seed, source):
        source = r.randrange(index)
    first = original(seed, source, rows, customers)
    return repeated(r, first, f"T{index + 1:07d}", chance.timestamp(r, index, rows))


def repeated(r: random.Random, first: Ticket, key: str, when: datetime) -> Ticket:
    kind = chance.weighted(r, COPY_KINDS)
    if kind == "reordered" and len(first.draft) < 3:
        kind = "edited"
    message = near_copy(r, first.draft, kind, first.lang)
    body, spans = finish(message, first.lang)
    if body == first.body:
        kind = "exact"
    return replace(first, key=key, when=when, draft=message, body=body, spans=spans, copy_of=first.key, copy_kind=kind)


def row(t: Ticket, seed: int, truth: Truth) -> tuple[object, ...]:
    """The ticket as the bank stores it; what is planted in it is recorded in the truth."""
    r = chance.rng(seed, "row", t.key)
    scene = t.scene
    if r.random() < WRONG_LABELS:
        scene = r.choice(CONFUSED_WITH[t.scene])
        truth.add("wrong_labels", source="tickets", key=t.key, field="scene", given=scene, true=t.scene)
    satisfaction = lose(r, truth, t.key, "satisfaction", t.satisfaction, 0.05)
    channel = lose(r, truth, t.key, "channel", t.channel, 0.02)
    truth.add("scenes", source="tickets", key=t.key, scene=t.scene)
    if t.copy_of:
        truth.add("near_duplicates", source="tickets", a=t.copy_of, b=t.key, kind=t.copy_kind)
    note_numbers(truth, "tickets", t.key, "body", t.spans)
    note_numbers(truth, "tickets", t.key, "reply", t.reply_spans)
    return (
        t.key,
        t.person.customer_id,
        t.when.isoformat(sep=" "),
        PRODUCT_LINES[t.scene],
        channel,
        t.lang,
        t.body,
        scene,
        satisfaction,
        "yes" if r.random() < 0.55 + 0.08 * t.satisfaction else "no",
        t.reply,
    )


def lose(r: random.Random, truth: Truth, key: str, column: str, value: object, share: float) -> object:
    """Drop a value with probability `share`, and record it in the truth."""
    if r.random() >= share:
        return value
    truth.add("missing", source="tickets", key=key, field=column, value=value)
    return None


def note_numbers(truth: Truth, source: str, key: str, column: str, spans: list[Span], **more: object) -> None:
    """Record the personal values and the traps of one text in the truth."""
    for span in spans:
        fact = {"source": source, "key": key, "field": column, "kind": span.label, "value": span.quote, **more}
        if span.layer == "personal":
            truth.add("personal_data", **fact, canonical=people.canonical(span.label, span.quote))
        elif span.layer == "trap":
            truth.add("traps", **fact)
