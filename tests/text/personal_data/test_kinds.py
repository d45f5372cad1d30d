"""Every kind has a value in the tests, and the figures on the public set hold."""

import json
from pathlib import Path

import pytest

from finelake.text.personal_data.find import find
from finelake.text.personal_data.kinds import KINDS
from tests.text.personal_data.cases import PLANTED

SPANS = Path(__file__).parents[4] / "shared" / "data" / "pii_spans_en" / "synth_dataset_v2.json"


def test_a_value_of_each_kind_is_planted():
    assert {*PLANTED} == {*KINDS}


@pytest.mark.skipif(not SPANS.exists(), reason="the public set is not here")
def test_figures_on_the_public_set():
    rows = json.loads(SPANS.read_text(encoding="utf-8"))
    kinds = {"PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip"}
    kinds |= {"IBAN_CODE": "iban", "US_SSN": "ssn"}
    hits, wanted, found, right = ({kind: 0 for kind in kinds.values()} for _ in range(4))
    for row in rows:
        truth = [(s["start_position"], s["end_position"], kinds.get(s["entity_type"])) for s in row["spans"]]
        spans = find(row["full_text"], tuple(kinds.values()))
        for span in filter(lambda item: item[2], truth):
            wanted[span[2]] += 1
            hits[span[2]] += any(_meet(span, other) for other in spans)
        for span in spans:
            found[span[2]] += 1
            right[span[2]] += any(_meet(span, other) for other in truth)
    figures = {kind: (round(right[kind] / found[kind], 3), round(hits[kind] / wanted[kind], 3)) for kind in found}
    assert all(precision >= 0.99 for precision, _ in figures.values())
    assert {kind for kind, (_, recall) in figures.items() if recall == 1} == {"card", "email", "ip", "iban", "ssn"}
    assert figures["phone"][1] >= 0.94


def _meet(left, right):
    return left[2] == right[2] and left[0] < right[1] and right[0] < left[1]
