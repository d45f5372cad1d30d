"""From a template to a text with known parts: a message is a list of sentences, a sentence a list of pieces."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from types import ModuleType
from typing import NamedTuple

from finelake.demo import text_en, text_zh
from finelake.demo.people import FULLWIDTH
from finelake.demo.scenes import CODES

TEXTS: dict[str, ModuleType] = {"en": text_en, "zh": text_zh}
CHOICE = re.compile(r"\(([^()]*)\)")
SLOT = re.compile(r"\{(\w+)\}")


class Piece(NamedTuple):
    """A stretch of text. Layer: '' (plain), entity, term, personal or trap; the label is the type, code or kind."""

    text: str
    layer: str = ""
    label: str = ""
    slot: str = ""


class Span(NamedTuple):
    """A labelled stretch of the finished text; the offset counts characters of that text."""

    layer: str
    label: str
    quote: str
    start: int


Sentence = list[Piece]
Message = list[Sentence]


@dataclass(frozen=True)
class Context:
    """What filling a template depends on: the language, the day of writing, and the slots that a scene narrows."""

    lang: str
    when: datetime
    late: bool = False
    aliases: dict[str, str] = field(default_factory=dict)


@cache
def templates(block: str, late: bool) -> tuple[str, ...]:
    """The lines of a block; those marked with + only where `late`."""
    lines = [line.strip() for line in block.strip().splitlines()]
    return tuple(line.lstrip("+ ") for line in lines if late or not line.startswith("+"))


@cache
def late_templates(block: str) -> tuple[str, ...]:
    return tuple(line.lstrip("+ ") for line in block.strip().splitlines() if line.startswith("+"))


def choose(r: random.Random, template: str) -> str:
    """Replace every (a|b) of a template by one of its options."""
    while "(" in template:
        template = CHOICE.sub(lambda m: r.choice(m.group(1).split("|")), template)
    return template


def amount(r: random.Random, ctx: Context) -> str:
    value = round(r.lognormvariate(6.3, 1.4)) + 5
    number = f"{value:,}" if r.random() < 0.5 else f"{value}"
    if r.random() < 0.3:
        number += f".{r.randrange(100):02d}"
    return r.choice(TEXTS[ctx.lang].AMOUNTS).format(v=number)


def day(r: random.Random, ctx: Context) -> str:
    d = ctx.when - timedelta(days=r.randrange(1, 60))
    text = TEXTS[ctx.lang]
    return r.choice(text.DATES).format(y=d.year, m=d.month, d=d.day, month=text.MONTHS[d.month - 1])


def duration(r: random.Random, ctx: Context) -> str:
    return r.choice(TEXTS[ctx.lang].DURATIONS).format(n=r.randrange(2, 20))


MADE: dict[str, tuple[str, Callable[[random.Random, Context], str]]] = {
    "amount": ("AMOUNT", amount),
    "date": ("DATE", day),
    "duration": ("DURATION", duration),
}


def fill(r: random.Random, slot: str, ctx: Context) -> Piece:
    """The piece for one slot: an entity, a term, or a plain number."""
    texts = TEXTS[ctx.lang]
    if slot == "n":
        return Piece(str(r.randrange(2, 9)))
    if slot in MADE:
        label, make = MADE[slot]
        return Piece(make(r, ctx), "entity", label, slot)
    if slot in CODES:
        return Piece(r.choice(texts.TERMS[slot]), "term", CODES[slot][0], slot)
    label, values = texts.SLOTS[ctx.aliases.get(slot, slot)]
    return Piece(r.choice(values), "entity", label, slot)


def sentence(r: random.Random, template: str, ctx: Context, given: dict[str, Piece] | None = None) -> Sentence:
    """Fill a template. `given` are pieces that replace slots (a personal value, or one mentioned before)."""
    parts = SLOT.split(choose(r, template))
    pieces = []
    for i, part in enumerate(parts):
        if i % 2 == 0:
            pieces += [Piece(part)] if part else []
        else:
            pieces.append(given[part] if given and part in given else fill(r, part, ctx))
    return pieces


def scene_sentence(r: random.Random, scene: str, ctx: Context, late_share: float) -> Sentence:
    """The sentence that states the scene. Late in the time line, `late_share` of the wordings are new ones."""
    block = TEXTS[ctx.lang].SCENES[scene]
    pool = late_templates(block) if ctx.late and r.random() < late_share else templates(block, False)
    return sentence(r, r.choice(pool), ctx)


def finish(message: Message, lang: str) -> tuple[str, list[Span]]:
    """The text of a message and its labelled spans, in order."""
    text, spans = "", []
    for i, pieces in enumerate(message):
        if i and lang == "en":
            text += " "
        for piece in pieces:
            if piece.layer:
                spans.append(Span(piece.layer, piece.label, piece.text, len(text)))
            text += piece.text
    return text, spans


# ---------------------------------------------------------------------------------------------- typing errors


def on_plain(message: Message, at: int, change: Callable[[str], str]) -> Message:
    """The message with its `at`-th plain piece changed; labelled pieces are unchanged."""
    seen, out = -1, []
    for pieces in message:
        line = []
        for piece in pieces:
            seen += not piece.layer
            line.append(piece._replace(text=change(piece.text)) if not piece.layer and seen == at else piece)
        out.append(line)
    return out


def plain_count(message: Message) -> int:
    return sum(not piece.layer for pieces in message for piece in pieces)


def slip(r: random.Random, text: str, lang: str) -> str:
    return slip_zh(r, text) if lang == "zh" else slip_en(r, text)


def slip_en(r: random.Random, text: str) -> str:
    """Two neighbouring letters swapped, or one dropped or doubled, in a word of at least four letters."""
    words = [m for m in re.finditer(r"[A-Za-z]{4,}", text)]
    if not words:
        return text
    at = r.randrange(*(lambda m: (m.start(), m.end() - 1))(r.choice(words)))
    cut = r.choice([text[at + 1] + text[at], text[at + 1], text[at] * 2 + text[at + 1]])
    return text[:at] + cut + text[at + 2 :]


def slip_zh(r: random.Random, text: str) -> str:
    """A character replaced by one that sounds alike, or one dropped."""
    alike = [i for i, c in enumerate(text) if c in text_zh.HOMOPHONES]
    if alike and r.random() < 0.7:
        i = r.choice(alike)
        return text[:i] + text_zh.HOMOPHONES[text[i]] + text[i + 1 :]
    if len(text) < 5:
        return text
    i = r.randrange(1, len(text) - 1)
    return text[:i] + text[i + 1 :]


def with_slips(r: random.Random, message: Message, lang: str, slips: int) -> Message:
    for _ in range(slips):
        count = plain_count(message)
        if count:
            message = on_plain(message, r.randrange(count), lambda t: slip(r, t, lang))
    return message


# ---------------------------------------------------------------------------------------------- near-duplicates


def punctuated(message: Message) -> Message:
    """The same words with other punctuation."""
    table = str.maketrans({",": " -", "。": "！", "，": " ", ".": "!", "？": "??", "?": "??"})
    return [[p if p.layer else p._replace(text=p.text.translate(table)) for p in s] for s in message]


def fullwidth(message: Message) -> Message:
    """ASCII as full-width characters: equal again after NFKC. Offsets are unchanged."""
    return [[p._replace(text=p.text.translate(FULLWIDTH)) for p in s] for s in message]


def reordered(r: random.Random, message: Message) -> Message:
    """The same sentences in another order."""
    if len(message) < 2:
        return message
    turn = r.randrange(1, len(message))
    return message[turn:] + message[:turn]


def near_copy(r: random.Random, message: Message, kind: str, lang: str) -> Message:
    """A near-duplicate of one of the five kinds."""
    if kind == "edited":
        return with_slips(r, message, lang, 2)
    if kind == "reordered":
        return reordered(r, message)
    return {"punctuated": punctuated, "fullwidth": fullwidth}.get(kind, list)(message)
