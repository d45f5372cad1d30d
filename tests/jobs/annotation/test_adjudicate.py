"""Where a quote is, what a committee decides, and which labels count as equal."""

import random

import pytest

from finelake.jobs.annotation.adjudicate import Opinion, anchor, patterns, vote

TEXT = "Zhang asked Li about the loan, then Li paid."  # "Li" at 12 and at 36


@pytest.mark.parametrize(
    ("text", "quote", "start", "place"),
    [
        ("ab ab ab", "ab", 3, (3, 5)),
        ("ab ab ab", "ab", 4, (3, 5)),
        ("ab..ab", "ab", 2, (0, 2)),  # equally near: the earlier
        ("aaa", "aa", 5, (1, 3)),
        ("贷款<PHONE>贷款", "贷款", 9, (9, 11)),
        ("ab", "ab", None, (0, 2)),
        ("ab", "ab", -3, (0, 2)),
        ("ab", "b c", 0, None),
        ("ab", "", 0, None),
        ("ab", None, 0, None),
    ],
)
def test_anchor(text, quote, start, place):
    assert anchor(text, quote, start) == place


def test_anchor_equals_a_search_over_all_occurrences():
    dice = random.Random(3)
    for _ in range(500):
        text = "".join(dice.choice("ab") for _ in range(dice.randint(0, 12)))
        quote, start = "".join(dice.choice("ab") for _ in range(dice.randint(1, 3))), dice.randint(0, 14)
        places = [at for at in range(len(text)) if text.startswith(quote, at)]
        best = min(places, key=lambda at: (abs(at - start), at), default=None)  # noqa: B023
        assert anchor(text, quote, start) == (None if best is None else (best, best + len(quote)))


@pytest.mark.parametrize(
    ("ballots", "votes", "outcome", "won"),
    [
        (["x", "x", "x", "y", "y"], 3, "committee", {"x"}),
        (["x", "x", "y", "y"], 2, "needs_committee", set()),  # half is not more than half
        (["x", "x"], 3, "needs_committee", set()),  # too few votes
        (["x", "x", "y"], 2, "committee", {"x"}),
        ([None, None, "x"], 2, "committee", set()),  # nothing found, by majority
        (["xy", "xy", "y"], 2, "committee", {"x", "y"}),  # span labels are voted on one by one
        ([], 1, "needs_committee", set()),
    ],
)
def test_vote(ballots, votes, outcome, won):
    sets = [frozenset((label, 0, 1) for label in ballot or "") for ballot in ballots]
    members = [Opinion(labels, whole=True, disputed=False) for labels in sets]
    assert vote(members, votes) == (outcome, {(label, 0, 1) for label in won})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("a|b", 0, 1)], [("a", 0, 1), ("b", 0, 1)]),
        ([("a\\|b", 0, 1)], [("a\\", 0, 1), ("b", 0, 1)]),
        ([("O", 0, 1)], []),
        ([("O", 0, 1), ("a", 0, 1)], [("a", 0, 1)]),
    ],
)
def test_different_labels_never_count_as_agreement(one, other):
    annotators = [Opinion(frozenset(labels), whole=True, disputed=False) for labels in (one, other)]
    counts = patterns(annotators, "entity", 2)
    assert sorted(counts.values()) == [1, 1]
    assert sum(first == second for first, second in counts) == 1  # the second character, outside all spans
