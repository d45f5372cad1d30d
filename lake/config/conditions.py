"""Conditions on split.records: a small, defined subset of SQL, parsed once and handed to Spark as a tree.

The engine never sees the text, so it cannot interpret it in its own way or reach a function, a file, an environment
variable or a clock.

    condition   comparisons, `in`, `between`, `like`, `is null`, `is distinct from`, joined by and, or, not
    value       a column, facts['name'], numbers['name'], 'text', a number, timestamp '2024-01-31 12:00',
                date '2024-01-31', a function of FUNCTIONS; for numbers also + - *
"""

import dataclasses
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

from finelake.lake.errors import UserError, did_you_mean

TEXT, NUMBER, TIME, TRUTH = "a text", "a number", "a time", "a condition"
TEXTS = ("record_id", "source", "source_key", "business", "lang", "text", "cluster", "scene", "difficulty", "split")
COLUMNS = dict.fromkeys(TEXTS, TEXT) | {"occurred_at": TIME}
MAPS = {"facts": TEXT, "numbers": NUMBER, "masked": NUMBER}  # column -> kind of its entries
# name -> kinds of its arguments and of its result; coalesce takes two or more of one kind.
FUNCTIONS = {
    "lower": ((TEXT,), TEXT),  # changes only the letters A to Z: engines disagree on others
    "upper": ((TEXT,), TEXT),
    "length": ((TEXT,), NUMBER),  # characters
    "contains": ((TEXT, TEXT), TRUTH),
    "starts_with": ((TEXT, TEXT), TRUTH),
    "ends_with": ((TEXT, TEXT), TRUTH),
    "year": ((TIME,), NUMBER),  # in UTC, like month and day
    "month": ((TIME,), NUMBER),
    "day": ((TIME,), NUMBER),
}
CAPITALS, SMALL = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
COMPARED = ("=", "<>", "!=", "<=", ">=", "<", ">")
KEYWORDS = {
    *("and", "or", "not", "is", "null", "in", "between", "like", "true", "false", "timestamp", "date", "distinct"),
    "from",
}
DEEPEST = 50  # nested brackets and `not`
LONGEST = 100_000  # characters

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)|(?P<text>'(?:[^']|'')*')|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<sign><>|!=|<=|>=|--|[=<>()\[\],+*-])",
    re.ASCII,
)


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of the tree: its operation, the kind of its value, and its operands."""

    does: str  # column, entry, literal, and, or, not, null, in, like, same, a sign, or a function
    kind: str
    parts: tuple[Any, ...]  # nodes; of a column its name, of an entry column and key, of a literal its value


class ConditionError(ValueError):
    """A text is not a condition; the message says why and what to write instead."""


def parse(text: str) -> Node:
    """The tree of a condition. ConditionError for everything outside the subset."""
    if len(text) > LONGEST:
        raise ConditionError(f"it has {len(text):,} characters; {LONGEST:,} are the most")
    return _Parser(text).condition()


def check(text: str, where: str) -> Node:
    """parse() for a value of params.yaml; UserError names its key `where` and the text."""
    try:
        return parse(text)
    except ConditionError as error:
        shown = text if len(text) <= 200 else f"{text[:200]}…"
        raise UserError(
            f"params.yaml: {where} {shown!r} is not a condition on split.records ({error}); "
            "docs/training.md lists what a condition may hold"
        ) from None


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each token."""
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match[0] == "--":
            raise ConditionError(_unreadable(text[position:]))
        if match.lastgroup != "space":
            tokens.append((str(match.lastgroup), match[0]))
        position = match.end()
    return tokens


def _unreadable(rest: str) -> str:
    if rest[0] in '"`':
        return f"{rest[0]} is read in different ways; write columns without quotes and texts in single ones"
    if rest[0] == "'":
        return "a text has no closing quote; end it with '"
    if rest.startswith(("--", "/*")):
        return "it holds a comment; write it after # in params.yaml"
    if rest[0] == "/":
        return "a division is not allowed; compare with a product"
    word = re.match(r"\w*", rest)
    return f"{(word and word[0] or rest[0])[:20]!r} is not allowed"


class _Parser:
    """Recursive descent, a method per level: or, and, not, comparison, sum, product, value."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.position = 0
        self.depth = 0

    def condition(self) -> Node:
        tree = self._truth(self._or())
        if self.position < len(self.tokens):
            self._unexpected()
        return tree

    # --- tokens

    def _next(self) -> tuple[str, str]:
        """The token here as (kind, text), a keyword in lower case."""
        if self.position >= len(self.tokens):
            return "end", ""
        kind, text = self.tokens[self.position]
        if kind == "word" and text.lower() in KEYWORDS:
            return "keyword", text.lower()
        return kind, text

    def _take(self, *texts: str) -> str | None:
        """The token here if it is one of these signs or keywords."""
        kind, text = self._next()
        if kind in ("sign", "keyword") and text in texts:
            self.position += 1
            return text
        return None

    def _need(self, text: str) -> None:
        if not self._take(text):
            self._unexpected(f", where {text} is expected")

    def _unexpected(self, more: str = "") -> NoReturn:
        kind, text = self._next()
        if kind == "end":
            raise ConditionError(f"it ends after {self._before()}{more}" if self.tokens else "it is empty; write true")
        what = f"{text[:20]!r}"
        raise ConditionError(f"{what} does not belong after {self._before()}{more}")

    def _before(self) -> str:
        words = [text for _, text in self.tokens[max(self.position - 3, 0) : self.position]]
        return repr(" ".join(words)[-40:]) if words else "nothing"

    # --- levels

    def _or(self) -> Node:
        return self._joined("or", self._and)

    def _and(self) -> Node:
        return self._joined("and", self._not)

    def _joined(self, word: str, level: Callable[[], Node]) -> Node:
        parts = [level()]
        while self._take(word):
            parts.append(level())
        return parts[0] if len(parts) == 1 else Node(word, TRUTH, tuple(map(self._truth, parts)))

    def _not(self) -> Node:
        if not self._take("not"):
            return self._comparison()
        return _not(self._truth(self._deeper(self._not)))

    def _comparison(self) -> Node:
        left = self._sum()
        if sign := self._take(*COMPARED):
            return Node("<>" if sign == "!=" else sign, TRUTH, _alike(left, self._sum()))
        if self._take("is"):
            return self._is(left)
        negated = bool(self._take("not"))
        if word := self._take("in", "between", "like"):
            test = {"in": self._in, "between": self._between, "like": self._like}[word](left)
            return _not(test) if negated else test
        if negated:
            self._unexpected(", where in, between or like is expected")
        return left

    def _is(self, left: Node) -> Node:
        negated = bool(self._take("not"))
        if self._take("null"):
            test = Node("null", TRUTH, (left,))
        else:
            self._need("distinct")
            self._need("from")
            test = Node("same", TRUTH, _alike(left, self._sum()))
            negated = not negated
        return _not(test) if negated else test

    def _in(self, left: Node) -> Node:
        self._need("(")
        values = [self._sum()]
        while self._take(","):
            values.append(self._sum())
        self._need(")")
        values = [_alike(left, value)[1] for value in values]
        if any(value.does != "literal" for value in values):
            raise ConditionError("in (…) takes texts, numbers or times; compare with = and or")
        return Node("in", TRUTH, (left, *values))

    def _between(self, left: Node) -> Node:
        low = self._sum()
        self._need("and")
        bounds = (Node(">=", TRUTH, _alike(left, low)), Node("<=", TRUTH, _alike(left, self._sum())))
        return Node("and", TRUTH, bounds)

    def _like(self, left: Node) -> Node:
        pattern = self._sum()
        if left.kind != TEXT or pattern.kind != TEXT or pattern.does != "literal":
            raise ConditionError("like compares a text with a pattern in single quotes, as in text like '%card%'")
        return Node("like", TRUTH, (left, pattern))

    def _sum(self) -> Node:
        return self._computed(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._computed(("*",), self._value)

    def _computed(self, signs: tuple[str, ...], level: Callable[[], Node]) -> Node:
        left = level()
        for _ in range(DEEPEST):
            sign = self._take(*signs)
            if not sign:
                return left
            right = level()
            for part in (left, right):
                _require(part, NUMBER, sign)
            left = Node(sign, NUMBER, (left, right))
        raise ConditionError(f"a computation has more than {DEEPEST} parts; shorten it")

    def _value(self) -> Node:
        kind, text = self._next()
        self.position += 1
        if kind == "text":
            return _text(text)
        if kind == "number":
            return _number(text)
        if kind == "word":
            return self._named(text)
        if text == "-":
            number = self._deeper(self._value)
            _require(number, NUMBER, "-")
            return Node("-", NUMBER, (Node("literal", NUMBER, (0.0,)), number))
        if text == "(":
            inner = self._deeper(self._or)
            self._need(")")
            return inner
        if text in ("true", "false"):
            return Node("literal", TRUTH, (text == "true",))
        if text in ("timestamp", "date") and self._next()[0] == "text":
            self.position += 1
            return _time(self.tokens[self.position - 1][1][1:-1], date=text == "date")
        if text == "null":
            raise ConditionError("nothing equals null; write is null or is not null")
        self.position -= 1
        self._unexpected()

    def _named(self, word: str) -> Node:
        """A function, an entry of a map, or a column."""
        name = word.lower()
        if self._take("("):
            return self._called(name)
        if name in MAPS:
            if not self._take("["):
                raise ConditionError(f"{name} is a map; write an entry of it, as in {name}['name']")
            kind, text = self._next()
            if kind != "text":
                self._unexpected(", where the name of an entry in single quotes is expected")
            self.position += 1
            self._need("]")
            return Node("entry", MAPS[name], (name, _text(text).parts[0]))
        if name not in COLUMNS:
            raise ConditionError(f"{word[:40]} is not a column; {did_you_mean(name, [*COLUMNS, *MAPS])}")
        return Node("column", COLUMNS[name], (name,))

    def _called(self, name: str) -> Node:
        if name not in (*FUNCTIONS, "coalesce"):
            raise ConditionError(f"{name[:40]}(…) is not allowed; {did_you_mean(name, (*FUNCTIONS, 'coalesce'))}")
        values = [] if self._take(")") else [self._deeper(self._or)]
        while values and self._take(","):
            values.append(self._deeper(self._or))
        if values:
            self._need(")")
        if name == "coalesce":
            if len(values) < 2:
                raise ConditionError("coalesce takes two values or more")
            return Node(name, values[0].kind, tuple(_alike(values[0], value)[1] for value in values))
        takes, gives = FUNCTIONS[name]
        if len(values) != len(takes):
            raise ConditionError(f"{name} takes {len(takes)} value{'s' if len(takes) > 1 else ''}, not {len(values)}")
        for value, kind in zip(values, takes, strict=True):
            _require(value, kind, name)
        return Node(name, gives, tuple(values))

    def _deeper(self, level: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ConditionError(f"brackets and not are nested more than {DEEPEST} deep; flatten it")
        node = level()
        self.depth -= 1
        return node

    def _truth(self, part: Node) -> Node:
        if part.kind != TRUTH:
            raise ConditionError(f"{self._before()} is {part.kind}, not a condition; compare it with something")
        return part


def _not(part: Node) -> Node:
    return Node("not", TRUTH, (part,))


def _require(part: Node, kind: str, name: str) -> None:
    if part.kind != kind:
        raise ConditionError(f"{name} takes {kind}, not {part.kind}")


def _alike(left: Node, right: Node) -> tuple[Node, Node]:
    """Two values of one kind; next to a time, a text in quotes is read as a time."""
    if left.kind == TIME and right.kind == TEXT and right.does == "literal":
        right = _time(right.parts[0])
    elif right.kind == TIME and left.kind == TEXT and left.does == "literal":
        left = _time(left.parts[0])
    if left.kind != right.kind:
        hint = "write texts in single quotes and numbers without" if {left.kind, right.kind} == {TEXT, NUMBER} else ""
        raise ConditionError(f"it compares {left.kind} with {right.kind}" + (f"; {hint}" if hint else ""))
    return left, right


def _text(token: str) -> Node:
    content = token[1:-1].replace("''", "'")
    if "\\" in content or "\0" in content:
        raise ConditionError(f"{token[:40]} holds a backslash, which is read in different ways; leave it out")
    return Node("literal", TEXT, (content,))


def _number(token: str) -> Node:
    number = float(token)
    if not math.isfinite(number):
        raise ConditionError(f"{token[:40]} is too large for a number")
    return Node("literal", NUMBER, (number,))


def _time(text: str, date: bool = False) -> Node:
    form = r"\d{4}-\d{2}-\d{2}" + ("" if date else r"([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?")
    try:
        if not re.fullmatch(form, text, re.ASCII):
            raise ValueError
        time = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise ConditionError(f"{text[:40]!r} is not a time; write 2024-01-31 or 2024-01-31 12:00:00 (UTC)") from None
    return Node("literal", TIME, (time,))
