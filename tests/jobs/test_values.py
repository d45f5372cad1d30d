import pytest

from jobs.values import amount


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("¥1,200.50", 1200.5),
        ("1.2万", 12_000.0),
        ("3万元", 30_000.0),
        ("USD 3k", 3000.0),
        ("$ 12 million", 12e6),
        ("12.5 %", 12.5),
        ("-$3", -3.0),
        ("１２，３４５", 12_345.0),
        ("1 200.5", 1200.5),
        # Refused: what can be read in two ways, and what holds more than a number.
        ("1,20", None),
        ("1.200,5", None),
        ("$1,2345", None),
        ("3 个月", None),
        ("5 apples", None),
        ("about 5", None),
        ("3-5", None),
        ("10:30", None),
        ("2023-01-02", None),
        ("N/A", None),
        ("", None),
        ("9" * 1000, None),
    ],
)
def test_amount(text, value):
    assert amount(text) == value


def test_decimal_comma():
    assert [amount(text, ",") for text in ("12,5 %", "1.200,5", "1.200", "1,200")] == [12.5, 1200.5, 1200.0, 1.2]


def test_units():
    assert amount("3 个月", units=["个月"]) == 3.0
    assert amount("5kg", units=["kg"]) == 5.0
    assert amount("5kg", units=["g"]) == 5000.0
