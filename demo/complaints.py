"""Complaints as the bank's API serves them: a feed sorted by time of change, over two days."""

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from finelake.demo import chance, people, tickets
from finelake.demo.compose import (
    TEXTS,
    Context,
    Message,
    Piece,
    Span,
    choose,
    finish,
    scene_sentence,
    sentence,
    templates,
)
from finelake.demo.scenes import PRODUCT_LINES, SCENE_SLOTS
from finelake.demo.truth import Truth

CHANNELS = {"web": 5, "phone": 3, "post": 1, "referral": 1}
NEW_SHARE = 0.02  # of the first day's complaints come in on the second
CHANGED_SHARE = 0.02  # of the first day's complaints have changed on the second


def story(r: random.Random, scene: str, ctx: Context, person: people.Customer) -> Message:
    """A longer text around the scene's sentence."""
    texts, aside = TEXTS[ctx.lang], Context(ctx.lang, ctx.when)
    sentences = r.sample(templates(texts.COMPLAINT_STORY, False), r.choice((2, 3, 4)))
    first, last = templates(texts.COMPLAINT_OPENERS, False), templates(texts.COMPLAINT_CLOSERS, False)
    lines = [r.choice(first), *sentences, r.choice(last)]
    message = [sentence(r, line, aside) for line in lines]
    message.insert(r.randrange(1, 3), scene_sentence(r, scene, ctx, tickets.LATE_SHARE))
    if r.random() < 0.12:
        message.insert(r.randrange(2, len(message)), tickets.contact(r, person, ctx.lang))
    if r.random() < 0.1:
        message.insert(r.randrange(2, len(message)), tickets.trap(r, ctx.when, ctx.lang))
    return message


def complaint(
    seed: int, index: int, rows: int, customers: int, when: datetime | None = None, changed: datetime | None = None
) -> tuple[dict[str, object], list[Span]]:
    """Complaint `index`; with `changed`, the same one after the bank changed it."""
    r = chance.rng(seed, "complaint", index)
    person = people.customer(seed, r.randrange(customers), customers)
    received = chance.timestamp(r, index, rows) if when is None else when
    scene = chance.weighted(r, tickets.scene_shares())
    late = index / rows >= tickets.LATE_FROM
    ctx = Context(person.lang, received, late, SCENE_SLOTS.get(scene, {}))
    message = story(r, scene, ctx, person)
    channel, response = chance.weighted(r, CHANNELS), r.choice(TEXTS["en"].RESPONSES)
    if changed:
        message.append([Piece(choose(r, TEXTS[person.lang].COMPLAINT_UPDATE))])
        response = TEXTS["en"].RESPONSES[0]
    narrative, spans = finish(message, person.lang)
    updated = changed or min(received + timedelta(hours=r.randrange(700)), chance.END)
    return {
        "id": f"K{index + 1:07d}",
        "received_at": f"{received.isoformat()}Z",
        "updated_at": f"{max(updated, received).isoformat()}Z",
        "product": PRODUCT_LINES[scene],
        "channel": channel,
        "language": person.lang,
        "narrative": narrative,
        "company_response": response,
    }, spans


def second_day(seed: int, rows: int, customers: int) -> Iterator[tuple[dict[str, object], list[Span]]]:
    """The feed of the next day: some earlier complaints, changed, then new ones."""
    r = chance.rng(seed, "second day")
    today = chance.END + timedelta(seconds=1)
    changed = sorted(r.sample(range(rows), max(1, round(rows * CHANGED_SHARE))))
    for i, index in enumerate(changed):
        yield complaint(seed, index, rows, customers, changed=today + timedelta(seconds=i * 30_000 // len(changed)))
    new = max(1, round(rows * NEW_SHARE))
    for i in range(new):
        yield complaint(seed, rows + i, rows, customers, when=today + timedelta(seconds=30_000 + i * 50_000 // new))


def write(folder: Path, seed: int, rows: int, customers: int, truth: Truth) -> int:
    """Both days of the feed as JSONL files in `folder`; returns the number of items of the second day."""
    folder.mkdir(parents=True)
    first = (complaint(seed, i, rows, customers) for i in range(rows))
    write_day(folder / "day1.jsonl", first, truth, 1)
    return write_day(folder / "day2.jsonl", second_day(seed, rows, customers), truth, 2)


def write_day(path: Path, items: Iterator[tuple[dict[str, object], list[Span]]], truth: Truth, day: int) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for item, spans in items:
            file.write(json.dumps(item, ensure_ascii=False) + "\n")
            tickets.note_numbers(truth, "complaints", str(item["id"]), "narrative", spans, day=day)
            count += 1
    return count
