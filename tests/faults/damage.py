"""Damage to a file: bits, cuts, absence, a folder in its place, JSON or YAML of other types. All repaired after."""

import contextlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Change = Callable[[bytes], bytes | None]  # of a file's content; None: the file is deleted
FOLDER = b"\0a folder in its place"
ODD_VALUES = (None, True, -1, 7, 2**70, 1.5, "", "x", "../../x", [], [1], {}, {"a": 1})


@dataclass(frozen=True)
class Damage:
    """A file of the project and what is done to it."""

    path: Path  # relative to the project
    name: str
    change: Change

    def __str__(self) -> str:
        return f"{self.path}: {self.name}"


def flips(path: Path, content: bytes, count: int, dice: random.Random) -> Iterator[Damage]:
    """Single bits, anywhere in the file."""
    for _ in range(count if content else 0):
        place, bit = dice.randrange(len(content)), 1 << dice.randrange(8)
        yield Damage(path, f"bit {bit} of byte {place}", _flip(place, bit))


def _flip(place: int, bit: int) -> Change:
    return lambda content: content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def cuts(path: Path, content: bytes) -> Iterator[Damage]:
    """Shorter, longer, empty, absent, of other bytes, a folder."""
    half = len(content) // 2
    yield Damage(path, "cut in half", lambda content: content[:half])
    yield Damage(path, "without its last byte", lambda content: content[:-1])
    yield Damage(path, "empty", lambda content: b"")
    yield Damage(path, "deleted", lambda content: None)
    yield Damage(path, "a folder", lambda content: FOLDER)
    yield Damage(path, "twice", lambda content: content + b"\n" + content)
    yield Damage(path, "zeros", lambda content: bytes(len(content)))
    yield Damage(path, "bytes of no encoding", lambda content: b"\xff\xfe\x80" + content[3:])


def structures(path: Path, content: bytes, dice: random.Random, count: int) -> Iterator[Damage]:
    """One value of a JSON document replaced by one of another type, or left out."""
    places = list(_places(json.loads(content)))
    for _ in range(count):
        place, value = dice.choice(places), dice.choice(ODD_VALUES)
        yield Damage(path, f"{'.'.join(map(str, place)) or 'all'} = {value!r}", _set(place, value))
        if place:
            yield Damage(path, f"without {'.'.join(map(str, place))}", _without(place))
    for text in (b"null", b"[]", b"{}", b'"x"', b"5", b"[" * 5000, b"1" * 5000, b"NaN"):
        yield Damage(path, f"{text[:10]!r}", lambda content, text=text: text)  # type: ignore[misc]


def _places(value: Any, before: tuple = ()) -> Iterator[tuple]:
    yield before
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield from _places(item, (*before, key))


def _set(place: Sequence, value: Any) -> Change:
    def change(content: bytes) -> bytes:
        if not place:
            return json.dumps(value).encode()
        whole = json.loads(content)
        _holder(whole, place)[place[-1]] = value
        return json.dumps(whole, indent=2).encode()

    return change


def _without(place: Sequence) -> Change:
    def change(content: bytes) -> bytes:
        whole = json.loads(content)
        del _holder(whole, place)[place[-1]]
        return json.dumps(whole, indent=2).encode()

    return change


def _holder(whole: Any, place: Sequence) -> Any:
    for key in place[:-1]:
        whole = whole[key]
    return whole


@contextlib.contextmanager
def damaged(project: Path, damage: Damage) -> Iterator[bool]:
    """The project with the damage; yields whether it changed anything. Everything is as before in the end.

    A damaged file is a new one: what a process remembers of the old one it must not take for it.
    """
    path = project / damage.path
    content, mode = path.read_bytes(), path.stat().st_mode
    changed = damage.change(content)
    _replace(path, changed, mode)
    try:
        yield changed != content
    finally:
        _replace(path, content, mode)


def _replace(path: Path, content: bytes | None, mode: int) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    if content is None:
        path.unlink(missing_ok=True)
    elif content == FOLDER:
        path.unlink(missing_ok=True)
        path.mkdir()
        (path / "x").write_bytes(b"x")
    else:
        new = path.with_name(f"{path.name}.new")
        new.write_bytes(content)
        new.chmod(mode)
        os.replace(new, path)
