"""pull: fetch what is new of an HTTP API, page by page, into immutable files.

A page is landed whole (temporary file, fsync, rename) before the cursor behind it is saved the same way, so a pull
killed anywhere repeats at most one page, under the same name, and loses none. What a server sends is bounded: bytes,
unpacked bytes and seconds of a page, depth of its values, pages of a pull.
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import random
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import tenacity

from finelake.jobs.sources.api import Api, dig, page_path, pages_in
from finelake.jobs.sources.source import expand
from finelake.lake.config.project import write_atomically
from finelake.lake.errors import UserError
from finelake.lake.locking import try_lock

CURSOR = "_cursor.json"
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600  # landed items are raw
LONGEST_CURSOR = 16_384  # characters; servers refuse longer urls
MOST_LEVELS = 100  # of values in one another; Python itself reads some 900
LONGEST_NUMBER = 4300  # digits; Python refuses longer ones
ENCODINGS = ("gzip", "deflate")
PIECE = 1 << 20  # bytes unpacked at once
Sleep = Callable[[float], None]


@dataclass(frozen=True)
class PullResult:
    """What one pull landed; `stopped_at`: the max_pages at which it ended, None where it came to the API's end."""

    pages: int
    items: int
    stopped_at: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class State:
    """Where the next pull continues: the cursor of its first request and the number of the next page.

    `repeated` is a cursor behind it that the API gave a second time, and that is therefore not followed.
    """

    cursor: str | int | None = None
    page: int = 0
    repeated: str | int | None = None


class Transient(Exception):
    """An answer worth another attempt; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


def pull(
    root: Path,
    name: str,
    source: Api,
    client: httpx.Client | None = None,
    sleep: Sleep = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> PullResult:
    """Land the pages behind the saved cursor under root/landing; a page already there unchanged is not landed again.

    UserError when the API cannot be reached, refuses, or gives a page that does not fit: that page is not landed,
    the ones before it are. Also where another pull has the folder, and where the API gives a cursor again.
    """
    landing = root / source.landing
    landing.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    url, headers = expand(source.url, name), checked_headers(name, source)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each url, which may hold a secret
    with locked(landing, name), client or open_client(source.timeout) as session:
        fetch = Fetch(session, url, headers, name, source, sleep, clock, jitter)
        return _pull_pages(fetch, landing, read_state(landing, name))


def _pull_pages(fetch: "Fetch", landing: Path, state: State) -> PullResult:
    name, source, pages, items = fetch.name, fetch.source, 0, 0
    seen = {} if state.repeated is None else {_mark(state.repeated): "an earlier pull"}
    for _ in range(source.max_pages):
        if state.cursor is not None:
            seen[_mark(state.cursor)] = f"page {state.page}"
        page = checked(fetch(state.cursor), name, source, state.page)
        following = dig(page, source.cursor)
        if isinstance(following, float):  # 1.0, which JSON's schema takes for a whole number
            following = int(following)
        more = following is not None and following != state.cursor
        if more and (why := unusable(following)):
            raise UserError(
                f"page {state.page} of source {name} gives a next cursor that cannot be sent ({why}); "
                f"correct sources.{name}.cursor or the API"
            )
        new = land(landing, state, dig(page, source.items), following)
        pages, items = pages + new, items + new * len(dig(page, source.items))
        if more and _mark(following) in seen:
            save_state(landing, State(state.cursor, state.page + new, following))
            raise UserError(
                f"the API of source {name} gives the cursor of {seen[_mark(following)]} again on page {state.page}, so "
                f"that the pull would not end; what has landed is kept; correct sources.{name}.cursor or the API"
            )
        state = State(following if more else state.cursor, state.page + new)
        save_state(landing, state)
        if not more:
            return PullResult(pages, items)
    return PullResult(pages, items, stopped_at=source.max_pages)


def _mark(cursor: str | int) -> bytes:
    """A few bytes for a cursor in the form that is sent: a hundred thousand long ones would be gigabytes."""
    return hashlib.sha256(str(cursor).encode("utf-8", "surrogatepass")).digest()


def open_client(timeout: float) -> httpx.Client:
    """A client that takes a company's proxy from the environment, but never to this machine itself."""
    return httpx.Client(timeout=timeout, mounts={"all://127.0.0.1": None, "all://localhost": None})


def checked_headers(name: str, source: Api) -> dict[str, str]:
    """The headers with their variables filled in. UserError naming one that cannot be sent, never its value."""
    headers = {key: expand(value, name) for key, value in source.headers.items()}
    for key, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", key) or not re.fullmatch(
            r"([!-~]([ -~\t]*[!-~])?)?", value
        ):
            raise UserError(
                f"the header {key!r} of source {name} cannot be sent: a header is printable ASCII on one line, without "
                f"spaces at its ends; correct sources.{name}.headers or the variable in it"
            )
    return headers


def unusable(cursor: str | int) -> str | None:
    """Why no request can carry a cursor, or None."""
    text = str(cursor)
    if len(text) > LONGEST_CURSOR:
        return f"it has {len(text):,} characters, more than {LONGEST_CURSOR:,}"
    if "\0" in text:
        return "it holds a NUL"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return None


# ---------------------------------------------------------------- files


@contextlib.contextmanager
def locked(landing: Path, name: str) -> Iterator[None]:
    """Hold the landing folder for one pull. UserError while another pull has it; the lock ends with its process."""
    folder = os.open(landing, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            free = try_lock(folder)
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP):  # a network folder without locks
                raise
            free = True
        if not free:
            raise UserError(
                f"another pull of source {name} is at work in {landing}; wait until it has ended, and pull again"
            )
        yield
    finally:
        os.close(folder)


def read_state(landing: Path, name: str) -> State:
    """The saved state; without one that of the last landed page, or the first. UserError when it cannot be read."""
    path = landing / CURSOR
    try:
        saved = json.loads(path.read_bytes())
        state = State(saved["cursor"], saved["page"], saved.get("repeated"))
        fits = type(state.page) is int and state.page >= 0
        if not fits or not all(type(cursor) in (str, int, type(None)) for cursor in (state.cursor, state.repeated)):
            raise ValueError
    except FileNotFoundError:
        return _landed_state(landing, name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} of source {name} is damaged; {HINT}") from None
    if state.cursor is not None and (why := unusable(state.cursor)):
        raise UserError(f"{path} of source {name} holds a cursor that cannot be sent ({why}); {HINT}")
    return state


HINT = "remove this file and pull again: it continues from the last landed page"


def _landed_state(landing: Path, name: str) -> State:
    """The state before the last landed page was requested: it is requested again, and landed only where it changed."""
    pages = pages_in(landing)
    if not pages:
        return State()
    try:
        return State(json.loads(pages[-1].read_bytes())["cursor"], int(pages[-1].stem) + 1)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            f"the landed page {pages[-1]} of source {name} is damaged; restore it, or move it away, and pull again"
        ) from None


def save_state(landing: Path, state: State) -> None:
    """Save where the next pull continues."""
    content = {"cursor": state.cursor, "page": state.page}
    if state.repeated is not None:
        content["repeated"] = state.repeated
    write_atomically(landing / CURSOR, canonical(content), PRIVATE_FILE)


def land(landing: Path, state: State, items: list, following: str | int | None) -> bool:
    """Write the page; False when it is empty or equal to the last landed page (nothing new behind it)."""
    content = canonical({"cursor": state.cursor, "items": items, "next": following})
    last = page_path(landing, state.page - 1)
    if not items or (last.exists() and last.read_bytes() == content):
        return False
    write_atomically(page_path(landing, state.page), content, PRIVATE_FILE)
    return True


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, UTF-8. ValueError for NaN and infinities."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", "surrogatepass")


# ---------------------------------------------------------------- checks


def page_schema(source: Api) -> dict[str, Any]:
    """The JSON schema of a page: a list of objects that have a key, and a cursor that is text, a number or null."""
    keys = [source.key] if isinstance(source.key, str) else list(source.key or [])
    item: dict[str, Any] = {"type": "object", "required": [key for key in keys if "." not in key]}
    if source.item_schema:
        item = {"allOf": [item, source.item_schema]}
    cursor = {"type": ["string", "integer", "null"]}
    return {
        "allOf": [
            _at(source.items, {"type": "array", "items": item}, required=True),
            _at(source.cursor, cursor, required=False),
        ]
    }


def _at(path: str, leaf: dict[str, Any], required: bool) -> dict[str, Any]:
    """The schema of an object that holds `leaf` at a path such as data.items."""
    first, _, rest = path.partition(".")
    inner = _at(rest, leaf, required) if rest else leaf
    return {"type": "object", "required": [first] if required else [], "properties": {first: inner}}


def checked(content: bytes, name: str, source: Api, number: int) -> Any:
    """The page's JSON. UserError naming page, place and rule (never a value) when it does not fit."""
    try:
        page = parsed(content)
    except Unfit as unfit:
        raise UserError(
            f"page {number} of source {name} holds {unfit}; correct sources.{name}.url or the API"
        ) from None
    except (ValueError, RecursionError):
        raise UserError(f"page {number} of source {name} is not JSON; correct sources.{name}.url or the API") from None
    try:
        error = next(jsonschema.Draft202012Validator(page_schema(source)).iter_errors(page), None)
    except Exception as failure:  # the schema is the user's: a wrong pattern, type or reference in it
        raise UserError(
            f"item_schema of source {name} cannot be applied to page {number} ({type(failure).__name__}); "
            f"correct sources.{name}.item_schema"
        ) from None
    if error:
        rule = f"{error.validator}: {error.validator_value}"[:200]
        raise UserError(
            f"page {number} of source {name} does not fit at {error.json_path} ({rule}); correct items, cursor, key "
            f"or item_schema of sources.{name}"
        )
    return page


class Unfit(Exception):
    """JSON that the stages behind cannot hold; its argument says what."""


def parsed(content: bytes) -> Any:
    """The value of a JSON text. Unfit, ValueError or RecursionError for one that does not fit."""
    page = json.loads(content, parse_constant=_refuse, parse_float=_finite, parse_int=_short)
    level, depth = [page], 0
    while level := [inner for value in level for inner in _inner(value)]:
        depth += 1
        if depth > MOST_LEVELS:
            raise Unfit(f"values nested in more than {MOST_LEVELS} levels")
    return page


def _inner(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in values if isinstance(inner, dict | list)]


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Unfit("a number beyond the range of doubles")
    return value


def _short(text: str) -> int:
    if len(text.lstrip("-")) > LONGEST_NUMBER:
        raise Unfit(f"a number of more than {LONGEST_NUMBER:,} digits")
    return int(text)


# ---------------------------------------------------------------- requests


@dataclass
class Fetch:
    """One page by its cursor: rate limit, attempts, waits."""

    client: httpx.Client
    url: str
    headers: dict[str, str]
    name: str
    source: Api
    sleep: Sleep
    clock: Callable[[], float]
    jitter: Callable[[], float]
    next_at: float = 0.0
    stream: Any = None

    def __call__(self, cursor: str | int | None) -> bytes:
        """The body of the page behind the cursor. UserError after the last attempt, or at once for a refusal."""
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.source.attempts),
            wait=self.wait,
            retry=tenacity.retry_if_exception_type(Transient),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return attempts(self.once, cursor)
        except Transient as error:
            raise UserError(
                f"the API of source {self.name} failed {self.source.attempts} times ({error}); "
                f"see that it runs, correct sources.{self.name}.url, and pull again: it goes on where it stopped"
            ) from None

    def once(self, cursor: str | int | None) -> bytes:
        self.keep_rate()
        parameters = dict(self.source.parameters)
        if cursor is not None:
            parameters[self.source.cursor_parameter] = str(cursor)
        headers = {"Accept-Encoding": ", ".join(ENCODINGS)} | self.headers
        try:
            url = httpx.URL(self.url).copy_merge_params(parameters)
            with Deadline(self.source.max_page_seconds, self.stream) as deadline:
                request = self.client.build_request(
                    "GET", url, headers=headers, timeout=self.source.timeout, extensions={"trace": deadline.trace}
                )
                with contextlib.closing(self.client.send(request, stream=True)) as answer:
                    self.stream = deadline.stream  # the next page may come over the same connection
                    content = self.body(answer)
                if deadline.over:  # a body without a length ends where its connection does
                    raise httpx.ReadTimeout("")
                return content
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeEncodeError):
            raise UserError(f"the url of source {self.name} is not one; correct sources.{self.name}.url") from None
        except httpx.TransportError as error:
            late = f"no whole page within {self.source.max_page_seconds:g} seconds" if deadline.over else None
            raise Transient(late or str(error) or type(error).__name__) from None

    def body(self, answer: httpx.Response) -> bytes:
        if answer.status_code in TRANSIENT:
            raise Transient(f"status {answer.status_code}", retry_after(answer.headers))
        if answer.status_code != 200:
            raise UserError(
                f"the API of source {self.name} answered with status {answer.status_code}; "
                f"correct url and headers of sources.{self.name}"
            )
        encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", *ENCODINGS):
            raise UserError(
                f"the API of source {self.name} answers in the encoding {encoding[:40]!r}, which was not requested; "
                f"correct sources.{self.name}.headers or the API"
            )
        try:
            return b"".join(self.bounded(unpacked(self.bounded(answer.iter_raw()), encoding)))
        except zlib.error:
            raise UserError(
                f"the API of source {self.name} sends a page that cannot be unpacked; correct the API"
            ) from None

    def bounded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces. UserError once they are more than max_page_megabytes."""
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > self.source.max_page_megabytes * 1e6:
                raise UserError(
                    f"a page of source {self.name} has more than {self.source.max_page_megabytes:g} MB; ask for "
                    f"smaller pages by sources.{self.name}.parameters, or raise max_page_megabytes"
                )
            yield piece

    def keep_rate(self) -> None:
        now = self.clock()
        if now < self.next_at:
            self.sleep(self.next_at - now)
        self.next_at = max(now, self.next_at) + 1 / self.source.requests_per_second

    def wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds before the next attempt: what the server asks for, else doubled each time, half of it at random."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, Transient) else None
        doubled = self.source.backoff * 2 ** (state.attempt_number - 1) * (1 + self.jitter()) / 2
        return min(doubled if asked is None else asked, self.source.longest_wait)


class Deadline:
    """Ends the exchange with a server after some seconds in all; the timeout of httpx is one for each read.

    Its connection is shut down from a thread, so that also headers that drip come to an end.
    """

    def __init__(self, seconds: float, stream: Any):
        self.over, self.stream = False, stream
        self.timer = threading.Timer(seconds, self.end)
        self.timer.daemon = True

    def __enter__(self) -> "Deadline":
        self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpcore: keep the connection that the answer will come over."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self.stream = info["return_value"]

    def end(self) -> None:
        self.over = True
        connection = self.stream and self.stream.get_extra_info("socket")
        if connection:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


def unpacked(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """A body without its encoding, at most PIECE bytes at once. Transient where it ends early; zlib.error."""
    if encoding not in ENCODINGS:
        yield from pieces
        return
    unpacker: Any = None
    for piece in pieces:
        while piece:
            if unpacker is None:
                # Some servers send deflate without the header of zlib.
                bare = encoding == "deflate" and piece[0] & 15 != 8
                unpacker = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
            yield unpacker.decompress(piece, PIECE)
            piece = unpacker.unconsumed_tail
            if unpacker.eof:
                piece, unpacker = unpacker.unused_data, None
                if piece[:1] != b"\x1f":  # not a further member of a gzip file
                    return
    if unpacker is not None:
        yield unpacker.flush()
        if not unpacker.eof:
            raise Transient("the body ended early")


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds in a Retry-After header (a number, or a date against the server's own), None without a valid one."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    return max(0.0, (until - (_http_date(headers.get("Date", "")) or datetime.now(UTC))).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError, TypeError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
