"""The bank's complaints API on loopback: `python -m finelake.demo.api data/bank --port 8080 --day 1`.

    GET /complaints?cursor=C&limit=200  ->  {"items": [...], "next_cursor": "..."}

The feed is sorted by time of change. A page after the last one has no items and returns the cursor of its request, so a
later pull from there gets only new items. Some requests fail, by their number: every 5th gets 429 with Retry-After,
every 7th 500, and every second one of these twice in a row.
"""

import argparse
import base64
import binascii
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

LIMIT, MOST = 200, 1000  # items per page: default, maximum
RETRY_AFTER = 1  # seconds


class Feed:
    """The lines of all days up to `day`. Only their offsets are in memory; the lines are read on request."""

    def __init__(self, folder: Path, day: int) -> None:
        self._paths = [Path(folder) / "complaints" / f"day{n + 1}.jsonl" for n in range(day)]
        for path in self._paths:
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing; make it with python -m finelake.demo.generate {folder}")
        self._lines = [(path, offset) for path in self._paths for offset in offsets(path)]

    def page(self, start: int, limit: int) -> tuple[list[dict], int]:
        """Up to `limit` items from `start` on, and where the next page starts."""
        lines = self._lines[start : start + limit]
        items = []
        for path in self._paths:
            here = [offset for owner, offset in lines if owner is path]
            if here:
                with path.open("rb") as file:
                    file.seek(here[0])
                    items += [json.loads(file.readline()) for _ in here]
        return items, start + len(items)


def offsets(path: Path) -> list[int]:
    with path.open("rb") as file:
        ends = [0]
        for line in file:
            ends.append(ends[-1] + len(line))
    return ends[:-1]


def encode(position: int) -> str:
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode()


def decode(cursor: str) -> int:
    """The position that a cursor encodes; ValueError for a cursor that was not issued here."""
    try:
        word, number = base64.urlsafe_b64decode(cursor.encode()).decode().split(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(cursor) from error
    if word != "after":
        raise ValueError(cursor)
    return int(number)


def fault(number: int) -> int | None:
    """The status with which request `number` (from 1) fails, or None."""
    if number % 5 == 0:
        return 429
    if number % 7 == 0 or (number > 1 and number % 14 == 1):
        return 500
    return None


class Handler(BaseHTTPRequestHandler):
    """Answers with pages of the server's feed."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/complaints":
            return self.send(404, {"error": f"no such path: {url.path}"})
        status = self.server.next_fault()
        if status:
            return self.send(status, {"error": "too many requests" if status == 429 else "try again"})
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        try:
            start = decode(query["cursor"]) if "cursor" in query else 0
            limit = max(1, min(MOST, int(query.get("limit", LIMIT))))
        except ValueError:
            return self.send(400, {"error": "cursor or limit is not valid"})
        items, end = self.server.feed.page(start, limit)
        self.send(200, {"items": items, "next_cursor": encode(end)})

    def send(self, status: int, answer: dict) -> None:
        body = json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", str(RETRY_AFTER))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the pull under test has its own log."""


class Server(ThreadingHTTPServer):
    """A feed on a loopback port, with a count of requests for the faults."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int, day: int, faults: bool) -> None:
        self.feed = Feed(folder, day)
        self.faults = faults
        self.requests = 0
        self._lock = Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves, as one does that waited too long, is no fault of the server."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def next_fault(self) -> int | None:
        with self._lock:
            self.requests += 1
            return fault(self.requests) if self.faults else None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serve(folder: Path, port: int = 0, day: int = 1, faults: bool = True) -> Iterator[str]:
    """Serve the complaints of a generated bank in a thread; yields the base URL. Port 0 picks a free one."""
    server = Server(folder, port, day, faults)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m finelake.demo.api",
        description="Serve the demo bank's complaints.",
        epilog="example: python -m finelake.demo.api data/bank --port 8080 --day 1",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--day", type=int, choices=(1, 2), default=1)
    parser.add_argument("--no-faults", action="store_true", help="answer every request")
    args = parser.parse_args(argv)
    try:
        server = Server(args.folder, args.port, args.day, not args.no_faults)
    except OSError as error:
        parser.error(str(error))
    print(f"{server.url}/complaints", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
