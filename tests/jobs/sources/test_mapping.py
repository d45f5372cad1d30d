"""How columns are mapped."""

from tests.jobs.sources.examples import DATABASE, JUDGED, parsed


def test_uses():
    fields = {"numbers": ["n"], "facts": ["f", "body"], "labels": {"scene": "s"}, "split": "part", "business": "b"}
    assert parsed(DATABASE | fields).uses() == {
        "id": ["key"],
        "at": ["time"],
        "body": ["text", "fact"],
        "b": ["business"],
        "n": ["number"],
        "f": ["fact"],
        "s": ["label"],
        "part": ["split"],
    }
    assert parsed(JUDGED).uses() == {"k": ["record_key"], "role": ["role"], "who": ["annotator"], "label": ["label"]}
