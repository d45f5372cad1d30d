"""The complaints API: every item once despite faults, and only new items on the second day."""

import json
import socket
import struct
import time
from collections import Counter

import httpx
import pytest

from finelake.demo.api import decode, encode, fault, serve
from finelake.demo.generate import generate


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "bank"
    generate(folder, 1000, seed=5)
    return folder


def pull(url, cursor=None, limit=20):
    """All items from a cursor on, the last cursor, and how often each status came."""
    items, seen = [], Counter()
    while True:
        asked = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = httpx.get(f"{url}/complaints", params=asked)
        seen[answer.status_code] += 1
        if answer.status_code != 200:
            assert answer.status_code != 429 or answer.headers["Retry-After"] == "1"
            continue
        page = answer.json()
        if not page["items"]:
            assert page["next_cursor"] == (cursor or encode(0))
            return items, cursor, seen
        items += page["items"]
        cursor = page["next_cursor"]


def written(bank, day):
    return [json.loads(line) for line in (bank / "complaints" / f"day{day}.jsonl").read_text("utf-8").splitlines()]


def test_every_item_is_served_once_despite_faults(bank):
    with serve(bank) as url:
        items, _, seen = pull(url)
    assert items == written(bank, 1)
    assert len({item["id"] for item in items}) == len(items) == 120
    assert seen == {200: 7, 429: 1, 500: 1}


def test_the_second_day_gives_only_new_items_after_the_old_cursor(bank):
    with serve(bank, faults=False) as url:
        first, cursor, _ = pull(url)
    with serve(bank, day=2, faults=False) as url:
        news, _, _ = pull(url, cursor)
    assert news == written(bank, 2)
    known = {item["id"]: item for item in first}
    changed = [item for item in news if item["id"] in known]
    assert changed and len(changed) < len(news)
    for item in changed:
        assert item["updated_at"] > known[item["id"]]["updated_at"]
        assert item["narrative"].startswith(known[item["id"]]["narrative"])


def test_faults_follow_from_the_number_of_the_request():
    assert [n for n in range(1, 31) if fault(n) == 429] == [5, 10, 15, 20, 25, 30]
    assert [n for n in range(1, 31) if fault(n) == 500] == [7, 14, 21, 28, 29]


@pytest.mark.parametrize("cursor", ["nonsense", "====", "YWZ0ZXI6eA=="])
def test_a_wrong_cursor_is_refused(bank, cursor):
    with serve(bank, faults=False) as url:
        assert httpx.get(f"{url}/complaints", params={"cursor": cursor}).status_code == 400
        assert httpx.get(f"{url}/elsewhere").status_code == 404


def test_cursors_are_opaque_and_reversible():
    assert decode(encode(200)) == 200


def test_a_folder_without_a_bank_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="day1.jsonl is missing"), serve(tmp_path):
        pass


def test_a_client_that_leaves_is_not_reported(bank, capfd):
    with serve(bank) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves with a reset
            client.sendall(b"GET /complaints HTTP/1.1\r\n")
        time.sleep(0.2)
    assert capfd.readouterr().err == ""
