"""The trace of a record as text."""

from finelake.commands.trace import _lines


def test_prints_each_step():
    other = {"record_id": "b", "distance": 3, "similarity": 0.9}
    history = {
        "record_id": "a",
        "source": "tickets",
        "source_key": "T1",
        "occurred_at": None,
        "business": "cards",
        "lang": None,
        "steps": [
            {"stage": "ingest", "outcome": "kept", "rejects": []},
            {"stage": "dedup", "outcome": "kept", "rejects": [], "cluster": "c", "replaces": [other]},
            {"stage": "mask", "outcome": "kept", "rejects": [], "masked": {"phone": 2}},
            {
                "stage": "tokenize@intent",
                "outcome": "kept",
                "rejects": [],
                "part": "train",
                "shard": 3,
                "sample_id": "s1",
                "records": 2,
                "trained": {"accuracy": 0.912},
            },
        ],
    }
    assert list(_lines(history)) == [
        "record a",
        "  source tickets, key T1, time unknown",
        "  business cards, language unknown",
        "ingest             kept",
        "dedup              marked as a near-duplicate of c",
        "                   replaces b (distance 3 bits, similarity 0.90)",
        "mask               masked: phone 2",
        "tokenize@intent    part train, shard 3, sample s1 of 2 records",
        "                   the model of intent was trained on it (test: accuracy 0.912)",
    ]


def test_a_rejected_record_ends_with_the_reason(finelake):
    history = {
        "record_id": "a",
        "source": None,
        "source_key": None,
        "occurred_at": None,
        "business": None,
        "lang": None,
    }
    reject = {"source": "tickets", "reason": "broken", "detail": "x.pdf"}
    history["steps"] = [{"stage": "ingest", "outcome": "rejected", "rejects": [reject]}]
    assert list(_lines(history))[-1] == "ingest             rejected: broken (x.pdf)"


def test_reports_an_unknown_record_in_one_sentence(finelake):
    code, out, err = finelake("trace", "123456")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no pinned table holds a record 123456" in err
