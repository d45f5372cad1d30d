"""A recogniser: what its gate, check, words before and group `value` do."""

import re

from finelake.text.personal_data.digits import TAKEN
from finelake.text.personal_data.recogniser import Recogniser, recogniser

GATE = re.compile(r"\d")


def test_the_group_value_is_the_span_or_else_the_whole_match():
    assert [*recogniser("badge", GATE, r"badge (?P<value>\d+)").spans("a badge 123")] == [(8, 11, "badge")]
    assert [*recogniser("badge", GATE, r"badge \d+").spans("a badge 123")] == [(2, 11, "badge")]


def test_check_and_words_before_both_decide():
    both = recogniser(
        "even", GATE, r"\d+", check=lambda match: int(match.group()) % 2 == 0, before=re.compile(r"no\. \Z")
    )
    assert both == Recogniser("even", GATE, re.compile(r"\d+"), both.check, both.before)
    assert [*both.spans("no. 12, no. 13, 14")] == [(4, 6, "even")]


def test_words_before_a_claimed_value_do_not_label_the_next_one():
    labelled = recogniser("badge", GATE, r"\d+", before=re.compile(r"badge\W*\Z"))
    assert [*labelled.spans(f"badge {TAKEN} 123")] == []
