"""`finelake pull`: what it prints."""

import pytest

from finelake.commands.pull import pull_source
from finelake.jobs.sources import pull
from finelake.jobs.sources.pull import PullResult

PARAMS = """
sources:
  bank: {kind: api, url: "http://127.0.0.1:9/", landing: landing, key: id, occurred_at: at, text: body, max_pages: 2000}
"""


@pytest.mark.parametrize(
    ("result", "printed"),
    [
        (PullResult(3, 5000), "Pulled bank: 5,000 new items on 3 pages\n"),
        (
            PullResult(2000, 1, stopped_at=2000),
            "Pulled bank: 1 new items on 2000 pages\n"
            "Stopped at max_pages (2,000); `finelake pull bank` continues from there\n",
        ),
    ],
)
def test_a_pull_reports_what_landed_and_whether_there_is_more(tmp_path, monkeypatch, capsys, result, printed):
    (tmp_path / "params.yaml").write_text(PARAMS)
    monkeypatch.setattr(pull, "pull", lambda root, name, source: result)
    pull_source(tmp_path, "bank")
    assert capsys.readouterr().out == printed
