"""pull: fetch what is new of an HTTP API, page by page, into immutable files.

A page is landed whole (temporary file, fsync, rename) before the cursor behind it is saved the same way, so a pull
killed anywhere repeats at most one page, under the same name, and loses none.
"""

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import tenacity

from jobs.sources import Api, dig, expand
from lake.errors import UserError
from lake.project import write_atomically

CURSOR = "_cursor.json"
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
Sleep = Callable[[float], None]


@dataclass(frozen=True)
class PullResult:
    """What one pull landed."""

    pages: int
    items: int


@dataclass(frozen=True)
class State:
    """Where the next pull goes on: the cursor of its first request and the number of the next page."""

    cursor: str | int | None = None
    page: int = 0


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
    """Land the pages behind the saved cursor under root/landing; a page already there as it is lands no second time.

    UserError when the API cannot be reached, refuses, or gives a page that does not fit: that page is not landed,
    the ones before it are.
    """
    landing = root / source.landing
    landing.mkdir(mode=0o700, parents=True, exist_ok=True)  # raw items: their owner only, as the raw tables
    state, pages, items = read_state(landing, name), 0, 0
    url, headers = expand(source.url, name), {key: expand(value, name) for key, value in source.headers.items()}
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each url, which may hold a secret
    with client or open_client(source.timeout) as session:
        fetch = Fetch(session, url, headers, name, source, sleep, clock, jitter)
        for _ in range(source.max_pages):
            page = checked(fetch(state.cursor), name, source, state.page)
            following = dig(page, source.cursor)
            new = land(landing, state, dig(page, source.items), following)
            pages, items = pages + new, items + new * len(dig(page, source.items))
            more = following is not None and following != state.cursor
            state = State(following if more else state.cursor, state.page + new)
            write_atomically(landing / CURSOR, canonical({"cursor": state.cursor, "page": state.page}))
            if not more:
                break
    return PullResult(pages, items)


def open_client(timeout: float) -> httpx.Client:
    """A client that takes a company's proxy from the environment, but never to this machine itself."""
    return httpx.Client(timeout=timeout, mounts={"all://127.0.0.1": None, "all://localhost": None})


# ---------------------------------------------------------------- files


def read_state(landing: Path, name: str) -> State:
    """The saved state, or the first. UserError when it cannot be read."""
    try:
        saved = json.loads((landing / CURSOR).read_bytes())
        return State(saved["cursor"], int(saved["page"]))
    except FileNotFoundError:
        return State()
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{landing / CURSOR} of source {name} is damaged; remove the folder and pull again") from None


def land(landing: Path, state: State, items: list, following: str | int | None) -> bool:
    """Write the page; False when it is empty or what the last landed page already says (nothing new behind it)."""
    content = canonical({"cursor": state.cursor, "items": items, "next": following})
    last = page_path(landing, state.page - 1)
    if not items or (last.exists() and last.read_bytes() == content):
        return False
    write_atomically(page_path(landing, state.page), content)
    return True


def page_path(landing: Path, number: int) -> Path:
    """The file of a page: its number in eight digits."""
    return landing / f"{number:08d}.json"


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
        page = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UserError(f"page {number} of source {name} is not JSON; correct sources.{name}.url or the API") from None
    if error := next(jsonschema.Draft202012Validator(page_schema(source)).iter_errors(page), None):
        rule = f"{error.validator}: {error.validator_value}"
        raise UserError(
            f"page {number} of source {name} does not fit at {error.json_path} ({rule}); correct items, cursor, key "
            f"or item_schema of sources.{name}"
        )
    return page


def _refuse(constant: str) -> None:
    raise ValueError(constant)


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
        try:
            url = httpx.URL(self.url).copy_merge_params(parameters)
            answer = self.client.get(url, headers=self.headers, timeout=self.source.timeout)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise UserError(f"the url of source {self.name} is not one; correct sources.{self.name}.url") from None
        except httpx.TransportError as error:
            raise Transient(str(error) or type(error).__name__) from None
        return self.body(answer)

    def body(self, answer: httpx.Response) -> bytes:
        if answer.status_code in TRANSIENT:
            raise Transient(f"status {answer.status_code}", retry_after(answer.headers))
        if answer.status_code != 200:
            raise UserError(
                f"the API of source {self.name} answered with status {answer.status_code}; "
                f"correct url and headers of sources.{self.name}"
            )
        return answer.content

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


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds in a Retry-After header (a number, or a date against the server's own), None without a valid one."""
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    return max(0.0, (until - (_http_date(headers.get("Date", "")) or datetime.now(UTC))).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
