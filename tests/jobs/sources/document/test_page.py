"""What is common to the pages of all kinds of documents."""

from finelake.jobs.sources.document.page import named_time
from tests.jobs.sources.document import hostile
from tests.jobs.sources.document.made import judged


def test_a_page_with_too_many_characters_is_rejected_alone(tmp_path):
    path = hostile.pages_pdf(tmp_path / "a.pdf", [hostile.text_page("x" * 2000), hostile.text_page("two")])
    assert judged(path) == [
        ("a.pdf#p1", None, "too_large", "a.pdf#p1: more than 1,000 characters (max_characters)"),
        ("a.pdf#p2", "two", None, "a.pdf#p2"),
    ]


def test_named_time():
    pattern = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    assert named_time("a/FOMC20200303.pdf", pattern) == "2020-03-03"
    assert named_time("20200303/FOMC.pdf", pattern) is None
    assert named_time("FOMC20200303.pdf", None) is None
