"""The user's own kinds: what their patterns match in addition to the recognisers, and how long they may take."""

import re

import pytest

from finelake.text.personal_data import patterns
from finelake.text.personal_data.find import find


def test_a_users_pattern_finds_what_the_recognisers_leave():
    own = {"badge": r"(?:badge|工号)\W*(?P<value>[A-Z]?\d{5,})", "word": "secret|秘密"}
    text = "badge: B12345, 工号：１２３４５６７, badge 13812345678, secret"
    found = [(text[start:end], kind) for start, end, kind in find(text, patterns=own)]
    assert found == [("B12345", "badge"), ("１２３４５６７", "badge"), ("13812345678", "phone"), ("secret", "word")]
    case = {"case": r"case no\W{0,3}(?P<value>[\w-]{4,20})"}
    assert find("case no A-1234 closed", patterns=case) == [(8, 14, "case")]
    parts = [(0, 2, "all"), (2, 13, "phone"), (13, 15, "all")]
    assert find("号码13812345678在此", ("phone",), patterns={"all": ".+"}) == parts


def test_the_time_of_a_pattern_is_that_of_all_its_matches_in_a_text(monkeypatch):
    """Each match takes a second of an otherwise stopped clock; ten are within the limit, eleven are not."""

    class Matches:
        groupindex = {}

        def finditer(self, text, timeout):
            for match in re.finditer("ab", text):
                clock[0] += 1
                limits.append(timeout)
                yield match

    clock, limits = [0.0], []
    monkeypatch.setattr(patterns, "compiled", lambda pattern: Matches())
    monkeypatch.setattr(patterns.time, "process_time", lambda: clock[0])
    monkeypatch.setattr(patterns, "SECONDS", 10)
    assert len(find("ab " * 5, patterns={"slow": "ab"})) == 5
    assert limits[0] == 10
    # The last search of what is left continues the count of the first.
    with pytest.raises(patterns.SlowPattern, match="^slow$"):
        find("ab " * 11, patterns={"slow": "ab"})
