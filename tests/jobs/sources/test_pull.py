"""The pull against an API on loopback that misbehaves on request."""

import contextlib
import gzip
import itertools
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import finelake.jobs.sources.pull
from finelake.jobs.sources.api import Api
from finelake.jobs.sources.pull import MOST_LEVELS, PullResult, canonical, locked, pull, retry_after
from finelake.lake.errors import UserError


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
            with contextlib.suppress(ConnectionError):  # the pull may hang up
                for piece in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(piece)

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
    # `items` in a landed page is read by jobs/sources/config.py under that name, whatever the API calls it.
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


def test_a_pull_that_ends_at_max_pages_reports_it(tmp_path, service):
    assert pull(tmp_path, "complaints", api(service, max_pages=2)).stopped_at == 2
    assert pull(tmp_path, "complaints", api(service)).stopped_at is None


# ---------------------------------------------------------------- what a server may send

PAGE = json.dumps({"items": [{"id": "1", "body": "x"}], "next_cursor": None}).encode()
LANDED = b'{"cursor":null,"items":[{"body":"x","id":"1"}],"next":null}\n'
RAW_DEFLATE = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PAGE)),
        ("GZIP", gzip.compress(PAGE[:10]) + gzip.compress(PAGE[10:])),
        ("gzip", gzip.compress(PAGE) + b"\0\0"),
        ("deflate", zlib.compress(PAGE)),
        ("deflate", RAW_DEFLATE.compress(PAGE) + RAW_DEFLATE.flush()),
        ("identity", PAGE),
    ],
)
def test_encoded_bodies_are_unpacked(tmp_path, service, encoding, body):
    service.faults = [(200, {"Content-Encoding": encoding}, body)]
    pull(tmp_path, "complaints", api(service))
    assert landed(tmp_path)["00000000.json"] == LANDED


def bomb() -> bytes:
    """64 MB of spaces before a page, packed to 64 kB."""
    return gzip.compress(b" " * (64 << 20) + PAGE)


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, itertools.repeat(b" " * 65536, 1000), "has more than 2 MB"),
        ({"Content-Encoding": "gzip"}, bomb(), "has more than 2 MB"),
        ({"Content-Encoding": "gzip"}, gzip.compress(PAGE)[:10] + b"no", "cannot be unpacked"),
        ({"Content-Encoding": "br"}, PAGE, "answers in the encoding 'br', which was not requested"),
        ({"Content-Encoding": "gzip, gzip"}, PAGE, "answers in the encoding 'gzip, gzip'"),
    ],
)
def test_a_body_that_is_too_large_or_packed_otherwise_is_refused(tmp_path, service, headers, body, reason):
    service.faults = [(200, headers, body)]
    with pytest.raises(UserError, match=reason):
        pull(tmp_path, "complaints", api(service, max_page_megabytes=2.0))
    assert landed(tmp_path) == {} and len(service.requests) == 1


def test_unpacking_stops_at_the_limit(tmp_path):
    """The process that pulls is limited to what it has and 60 MB: of a page of 512 MB it must not see more than 2."""
    code = """if True:
        import gzip, resource, zlib
        from finelake.jobs.sources.pull import unpacked
        packer = zlib.compressobj(1, wbits=31)
        pieces = [packer.compress(b" " * (1 << 20)) for _ in range(512)] + [packer.flush()]
        data = int(open("/proc/self/statm").read().split()[5]) * 4096
        resource.setrlimit(resource.RLIMIT_DATA, (data + 60_000_000,) * 2)
        sizes = [len(piece) for piece in unpacked(iter([b"".join(pieces)]), "gzip")]
        print(sum(sizes) == 512 << 20, max(sizes) == 1 << 20)
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.split() == ["True", "True"], run.stderr


def test_a_body_that_ends_early_is_tried_again(tmp_path, service):
    service.faults = [(200, {"Content-Encoding": "gzip"}, gzip.compress(PAGE)[:-9])]
    assert pull(tmp_path, "complaints", api(service), sleep=lambda seconds: None) == PullResult(3, 5)


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"]
)
def test_a_page_that_drips_ends_at_its_deadline(tmp_path, service, start):
    """A byte every few milliseconds, of the body or already of the headers: no single read ever times out."""
    ended = threading.Event()

    def drip(server):
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            connection.sendall(start)
            while not ended.wait(0.005):
                connection.sendall(b" " if start else b"")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        source = api(service, url=url, attempts=1, max_page_seconds=0.5)
        with pytest.raises(UserError, match=r"failed 1 times \(no whole page within 0.5 seconds\)"):
            pull(tmp_path, "complaints", source)
        ended.set()
        thread.join()


def deep(levels: int) -> bytes:
    return b'{"items": [{"id": "1", "body": ' + b"[" * levels + b"]" * levels + b"}]}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"items": [{"id": 1e999}]}', "page 0 of source complaints holds a number beyond the range of doubles"),
        (b'{"items": [{"id": -1e999}]}', "holds a number beyond the range of doubles"),
        (b'{"items": [{"id": ' + b"9" * 5000 + b"}]}", "holds a number of more than 4,300 digits"),
        (deep(MOST_LEVELS), "holds values nested in more than 100 levels"),
        (deep(900), "holds values nested in more than 100 levels"),
        (deep(100_000), "page 0 of source complaints is not JSON"),
        (b"\xff\xfe{", "is not JSON"),
    ],
)
def test_json_that_no_stage_could_hold_is_refused(tmp_path, service, body, reason):
    service.faults = [(200, {}, body)]
    with pytest.raises(UserError, match=reason):
        pull(tmp_path, "complaints", api(service))
    assert landed(tmp_path) == {}


def test_the_deepest_page_allowed_is_landed(tmp_path, service):
    service.faults = [(200, {}, deep(MOST_LEVELS - 2))]
    assert pull(tmp_path, "complaints", api(service)) == PullResult(1, 1)


@pytest.mark.parametrize("schema", [{"type": 5}, {"properties": {"id": {"pattern": "("}}}, {"$ref": "#/$defs/none"}])
def test_a_wrong_item_schema_is_named(tmp_path, service, schema):
    with pytest.raises(UserError, match="item_schema of source complaints cannot be applied to page 0"):
        pull(tmp_path, "complaints", api(service, item_schema=schema))


@pytest.mark.parametrize("value", ["Bearer secret\n", "Bearer \u00e9", " x"])
def test_a_header_that_cannot_be_sent_is_named_without_its_value(tmp_path, service, monkeypatch, value):
    monkeypatch.setenv("BANK_TOKEN", value)
    with pytest.raises(UserError, match="the header 'Authorization' of source complaints cannot be sent") as raised:
        pull(tmp_path, "complaints", api(service, headers={"Authorization": "${BANK_TOKEN}"}))
    assert "secret" not in str(raised.value) and service.requests == []


# ---------------------------------------------------------------- cursors


def pages(*following: object) -> list[tuple[int, dict, bytes]]:
    """A page with an item of its own for each cursor that follows."""
    items = [{"id": str(number), "body": "x"} for number in range(len(following))]
    answers = zip(items, following, strict=True)
    return [(200, {}, json.dumps({"items": [item], "next_cursor": cursor}).encode()) for item, cursor in answers]


@pytest.mark.parametrize("loop", [("a", "b", "a"), ("a", "b", "c", "a"), (1, 2, "1")])
def test_a_cursor_that_comes_again_ends_the_pull_and_the_next_one_too(tmp_path, service, loop):
    service.faults = pages(*loop)
    with pytest.raises(UserError, match=f"gives the cursor of page 1 again on page {len(loop) - 1}"):
        pull(tmp_path, "complaints", api(service))
    files = landed(tmp_path)
    assert len(files) == len(loop) + 1  # each page once, and the cursor
    service.faults = pages(*loop)[-1:]
    requests = len(service.requests)
    with pytest.raises(UserError, match="gives the cursor of an earlier pull again"):
        pull(tmp_path, "complaints", api(service))
    assert landed(tmp_path) == files and len(service.requests) == requests + 1
    # Once the API is correct the pull goes on behind it.
    service.faults = pages(*loop)[-1:]
    service.faults[0] = (200, {}, service.faults[0][2].replace(json.dumps(loop[-1]).encode(), b'"d"'))
    service.faults += pages(None)
    assert pull(tmp_path, "complaints", api(service)).pages == 2


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [("x" * 20_000, "it has 20,000 characters"), ("\ud800", "it is not valid Unicode"), ("a\0b", "it holds a NUL")],
)
def test_a_cursor_that_cannot_be_sent_is_named_before_it_is_saved(tmp_path, service, cursor, reason):
    service.faults = pages("a", cursor)
    with pytest.raises(UserError, match=rf"page 1 of source complaints gives a next cursor .* \({reason}"):
        pull(tmp_path, "complaints", api(service))
    assert json.loads(landed(tmp_path)["_cursor.json"]) == {"cursor": "a", "page": 1}
    service.faults = pages("a", None)[1:]
    assert pull(tmp_path, "complaints", api(service)) == PullResult(1, 1)


@pytest.mark.parametrize("cursor", ["x" * 20_000, "\ud800", "a\0b"])
def test_a_saved_cursor_that_cannot_be_sent_is_named_and_can_be_removed(tmp_path, service, cursor):
    pull(tmp_path, "complaints", api(service))
    saved = tmp_path / "landing" / "_cursor.json"
    saved.write_text(json.dumps({"cursor": cursor, "page": 3}))
    with pytest.raises(UserError, match="_cursor.json of source complaints holds a cursor that cannot be sent"):
        pull(tmp_path, "complaints", api(service))
    saved.unlink()
    service.items.append({"id": "5", "body": "text 5"})
    assert pull(tmp_path, "complaints", api(service)) == PullResult(1, 2)
    pages_before = {name: content for name, content in PAGES.items() if name != "_cursor.json"}
    assert {name: landed(tmp_path)[name] for name in pages_before} == pages_before


@pytest.mark.parametrize(
    "saved", ["[]", "5", '{"cursor": "a"}', '{"cursor": {}, "page": 1}', '{"cursor": null, "page": -1}', "[" * 100_000]
)
def test_a_cursor_of_another_shape_is_named(tmp_path, service, saved):
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "_cursor.json").write_text(saved)
    with pytest.raises(UserError, match="_cursor.json of source complaints is damaged; remove this file"):
        pull(tmp_path, "complaints", api(service))


# ---------------------------------------------------------------- the folder


def test_two_pulls_at_once_are_refused_by_name(tmp_path, service):
    (tmp_path / "landing").mkdir()
    with (
        locked(tmp_path / "landing", "complaints"),
        pytest.raises(UserError, match="another pull of source complaints is at work in .*landing; wait"),
    ):
        pull(tmp_path, "complaints", api(service))
    assert service.requests == []
    assert pull(tmp_path, "complaints", api(service)) == PullResult(3, 5)


def test_landed_pages_are_for_their_owner_only(tmp_path, service):
    before = os.umask(0)
    try:
        pull(tmp_path, "complaints", api(service))
    finally:
        os.umask(before)
    folder = tmp_path / "landing"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "\xb2"}, None),
        ({"Retry-After": "9" * 400}, float("inf")),
        ({"Retry-After": "Sun, 01 Mar 99999999999999999999 00:01:00 GMT"}, None),
        ({"Retry-After": "Sun, 01 Mar 2020 00:01:00 GMT", "Date": "Sun, 01 Mar 2020 00:00:15 GMT"}, 45.0),
        ({"Retry-After": "Sun, 01 Mar 2020 00:00:00 GMT", "Date": "Sun, 01 Mar 2020 00:00:15 GMT"}, 0.0),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(httpx.Headers(headers, encoding="latin-1")) == seconds


def test_canonical_bytes():
    assert canonical({"b": 1, "a": "额"}) == '{"a":"额","b":1}\n'.encode()
    with pytest.raises(ValueError):
        canonical(float("nan"))


def test_a_cursor_that_is_a_whole_number_with_a_point_is_that_number(tmp_path, service, monkeypatch):
    whole = finelake.jobs.sources.pull.checked

    def pointed(*arguments):
        page = whole(*arguments)
        return page | {"next_cursor": float(page["next_cursor"])} if page.get("next_cursor") else page

    monkeypatch.setattr(finelake.jobs.sources.pull, "checked", pointed)
    for _ in range(2):  # what was saved is read again
        pull(tmp_path, "complaints", api(service))
    assert json.loads((tmp_path / "landing" / "_cursor.json").read_text()) == {"cursor": 4, "page": 3}
