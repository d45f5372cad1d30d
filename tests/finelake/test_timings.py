"""Timings: what ran since the start, whatever the file holds."""

from finelake import timings


def test_stages_in_their_order(tmp_path):
    timings.record(tmp_path, "clean", 1.26)
    timings.record(tmp_path, "train@intent", 60)
    assert timings.read(tmp_path) == [("clean", 1.3), ("train@intent", 60.0)]
    timings.start(tmp_path)
    assert timings.read(tmp_path) == []


def test_a_line_that_cannot_be_read_still_counts_as_a_stage(tmp_path):
    timings.record(tmp_path, "clean", 1)
    with (tmp_path / timings.FILE).open("ab") as file:
        file.write(
            b'{"stage": "de{"stage": 1\n\xff\n[]\n5\n{"stage": "a"}\n{"stage": "b", "seconds": "x"}\n' + b"[" * 99999
        )
    assert timings.read(tmp_path) == [("clean", 1.0), *[("?", 0.0)] * 7]
