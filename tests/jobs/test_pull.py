"""The pull against an API on loopback that misbehaves on request."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from jobs.pull import PullResult, canonical, pull, retry_after
from jobs.sources import Api
from lake.errors import UserError


class Service:
    """Pages of two items behind a cursor, and answers to give first."""

    def __init__(self):
        self.items = [{"id": str(number), "body": f"text {number}"} for number in range(5)]
        self.faults: list[tuple[int, dict, bytes]] = []
        self.requests: list[tuple[dict, str | None]] = []

    def answer(self, query: dict, authorization: str | None) -> tuple[int, dict, bytes]:
        self.requests.append((query, authorization))
        if self.faults:
            return self.faults.pop(0)
        start = int(query.get("cursor", ["0"])[0])
        stop = min(start + 2, len(self.items))
        page = {"items": self.items[start:stop], "next_cursor": str(stop) if stop - start == 2 else None}
        return 200, {}, json.dumps(page).encode()


@pytest.fixture
def service():
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            query = parse_qs(urlsplit(self.path).query)
            status, headers, body = service.answer(query, self.headers.get("Authorization"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/complaints"
    yield service
    server.shutdown()
    thread.join()
    server.server_close()


def api(service, **changes) -> Api:
    fields = {"url": service.url, "landing": "landing", "key": "id", "occurred_at": "at", "text": "body"}
    return Api(**fields | {"requests_per_second": 1000.0} | changes)


def landed(root) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "landing").iterdir())}


PAGES = {
    "00000000.json": b'{"cursor":null,"items":[{"body":"text 0","id":"0"},{"body":"text 1","id":"1"}],"next":"2"}\n',
    "00000001.json": b'{"cursor":"2","items":[{"body":"text 2","id":"2"},{"body":"text 3","id":"3"}],"next":"4"}\n',
    "00000002.json": b'{"cursor":"4","items":[{"body":"text 4","id":"4"}],"next":null}\n',
    "_cursor.json": b'{"cursor":"4","page":3}\n',
}


def test_pages_land_with_the_cursor_last(tmp_path, service):
    # `items` in a landed page is read by jobs/sources.py under that name, whatever the API calls it.
    assert pull(tmp_path, "complaints", api(service)) == PullResult(pages=3, items=5)
    assert landed(tmp_path) == PAGES


def test_a_second_pull_lands_only_what_is_new(tmp_path, service):
    pull(tmp_path, "complaints", api(service))
    assert pull(tmp_path, "complaints", api(service)) == PullResult(0, 0)
    assert landed(tmp_path) == PAGES
    service.items.append({"id": "5", "body": "text 5"})
    assert pull(tmp_path, "complaints", api(service)) == PullResult(1, 2)
    assert json.loads((tmp_path / "landing" / "00000003.json").read_bytes())["items"] == service.items[4:]


@pytest.mark.parametrize("point", range(8))
def test_a_kill_at_any_write_ends_in_the_same_files(tmp_path, service, monkeypatch, point):
    class Killed(BaseException):
        pass

    steps = iter(range(1000))

    def killed_at(name):
        real = getattr(os, name)

        def step(*arguments):
            if next(steps) == point:
                raise Killed
            return real(*arguments)

        return step

    with monkeypatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, killed_at(name))
        with pytest.raises(Killed):
            pull(tmp_path, "complaints", api(service))
    pull(tmp_path, "complaints", api(service))
    assert landed(tmp_path) == PAGES


def test_transient_answers_are_tried_again_after_the_wait_asked_for(tmp_path, service):
    service.faults = [(429, {"Retry-After": "7"}, b""), (500, {}, b""), (503, {"Retry-After": "900"}, b"")]
    waits = []
    source = api(service, requests_per_second=1e9)
    assert pull(tmp_path, "complaints", source, sleep=waits.append, jitter=lambda: 0.5) == PullResult(3, 5)
    assert [wait for wait in waits if wait > 0.01] == [7.0, 0.75, 300.0]
    assert landed(tmp_path) == PAGES


def test_the_rate_is_kept(tmp_path, service):
    waits = []
    pull(tmp_path, "complaints", api(service, requests_per_second=2.0), sleep=waits.append, clock=lambda: 100.0)
    assert waits == [0.5, 1.0]


def test_attempts_are_bounded(tmp_path, service):
    service.faults = [(500, {}, b"")] * 3
    with pytest.raises(UserError, match=r"the API of source complaints failed 3 times \(status 500\)"):
        pull(tmp_path, "complaints", api(service, attempts=3), sleep=lambda seconds: None)
    assert landed(tmp_path) == {}


def test_an_api_that_is_not_there_is_one_sentence(tmp_path, service):
    source = api(service, url="http://127.0.0.1:9/none?token=hidden", attempts=2)
    with pytest.raises(UserError, match="failed 2 times.*Connection refused") as raised:
        pull(tmp_path, "complaints", source, sleep=lambda seconds: None)
    assert "hidden" not in str(raised.value)


def test_a_refusal_is_not_tried_again(tmp_path, service):
    service.faults = [(401, {}, b"")]
    with pytest.raises(UserError, match="answered with status 401"):
        pull(tmp_path, "complaints", api(service))
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "page 0 of source complaints is not JSON"),
        (b'{"items": [{"id": NaN}]}', "page 0 of source complaints is not JSON"),
        (b'{"data": []}', r"does not fit at \$ \(required: \['items'\]\)"),
        (b'{"items": [{"id": "1"}, {"body": "secret"}]}', r"does not fit at \$\.items\[1\] \(required: \['id'\]\)"),
        (b'{"items": [{"id": "1", "body": 5}]}', r"does not fit at \$\.items\[0\]\.body \(type: string\)"),
        (b'{"items": [], "next_cursor": {}}', r"does not fit at \$\.next_cursor"),
    ],
)
def test_a_page_that_does_not_fit_is_refused_and_not_landed(tmp_path, service, body, said):
    service.faults = [(200, {}, body)]
    with pytest.raises(UserError, match=said) as raised:
        pull(tmp_path, "complaints", api(service, item_schema={"properties": {"body": {"type": "string"}}}))
    assert "secret" not in str(raised.value)
    assert landed(tmp_path) == {}


def test_the_secret_in_a_header_comes_from_the_environment(tmp_path, service, monkeypatch, caplog):
    source = api(service, headers={"Authorization": "Bearer ${BANK_TOKEN}"})
    with pytest.raises(UserError, match="environment variable BANK_TOKEN, which is not set"):
        pull(tmp_path, "complaints", source)
    monkeypatch.setenv("BANK_TOKEN", "tell-nobody")
    with caplog.at_level("INFO"):
        pull(tmp_path, "complaints", source)
    assert {authorization for _, authorization in service.requests} == {"Bearer tell-nobody"}
    assert "tell-nobody" not in caplog.text + repr(source) + str(landed(tmp_path))


def test_max_pages_stops_a_pull_and_the_next_goes_on(tmp_path, service):
    assert pull(tmp_path, "complaints", api(service, max_pages=2)) == PullResult(2, 4)
    assert pull(tmp_path, "complaints", api(service)) == PullResult(1, 1)
    assert landed(tmp_path) == PAGES


def test_a_damaged_cursor_is_named(tmp_path, service):
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "_cursor.json").write_text("{")
    with pytest.raises(UserError, match="_cursor.json of source complaints is damaged"):
        pull(tmp_path, "complaints", api(service))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Sun, 01 Mar 2020 00:01:00 GMT", "Date": "Sun, 01 Mar 2020 00:00:15 GMT"}, 45.0),
        ({"Retry-After": "Sun, 01 Mar 2020 00:00:00 GMT", "Date": "Sun, 01 Mar 2020 00:00:15 GMT"}, 0.0),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(httpx.Headers(headers)) == seconds


def test_canonical_bytes():
    assert canonical({"b": 1, "a": "额"}) == '{"a":"额","b":1}\n'.encode()
    with pytest.raises(ValueError):
        canonical(float("nan"))
