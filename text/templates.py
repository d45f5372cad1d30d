"""What a model reads and writes of a record: templates with {column} and {facts.name}, filled without evaluation."""

import re
from collections.abc import Mapping
from typing import Any

# Markers between the turns of an instruction; special tokens of a vocabulary that Finelake trains itself.
PROMPT = "<|prompt|>"
REPLY = "<|reply|>"
PAD = "<|pad|>"
END = "<|end|>"

WHOLE = 2.0**53  # below it, a whole number has one form as a float
_FIELD = re.compile(r"\{([a-z_]+)(?:\.([^{}.]+))?\}")
_PLACEHOLDERS = re.compile(r"\{[^{}]*\}")


def fields(template: str) -> list[str]:
    """The names in a template, such as text and facts.reply. ValueError for a placeholder of another form, and
    where there is none."""
    wrong = [part for part in _PLACEHOLDERS.findall(template) if not _FIELD.fullmatch(part)]
    if wrong:
        raise ValueError(f"holds {wrong[0]}; write {{column}}, {{facts.name}} or {{numbers.name}}")
    stray = next((sign for sign in _PLACEHOLDERS.sub("", template) if sign in "{}"), None)
    if stray:
        raise ValueError(f"holds a {stray} that belongs to no placeholder; write {{column}} or {{facts.name}}")
    names = [match[0][1:-1] for match in _FIELD.finditer(template)]
    if not names:
        raise ValueError("names no column; write it as {text} or {facts.reply}")
    return names


def value(name: str, columns: Mapping[str, Any]) -> Any:
    """The column `name`, or for facts.NAME that entry of the map; None where the record lacks it."""
    column, _, key = name.partition(".")
    content = columns.get(column)
    if not key or content is None:
        return content
    return dict(content).get(key)


def render(template: str, columns: Mapping[str, Any]) -> str | None:
    """The template with {column} and {facts.name} filled in; None where the record lacks one of them."""
    values = {match[0]: value(match[0][1:-1], columns) for match in _FIELD.finditer(template)}
    if any(content is None for content in values.values()):
        return None
    return _FIELD.sub(lambda match: _plain(_written(values[match[0]])), template)


def _written(content: Any) -> str:
    """A value as a person writes it: 12000 for the number 12000.0."""
    whole = isinstance(content, float) and content.is_integer() and abs(content) < WHOLE
    return str(int(content) if whole else content)


def _plain(text: str) -> str:
    """`text` without markers: what a customer wrote must not end a turn or open another."""
    for marker in (PROMPT, REPLY, PAD, END):
        text = text.replace(marker, " ")
    return text
