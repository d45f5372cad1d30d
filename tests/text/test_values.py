import pytest
from hypothesis import given
from hypothesis import strategies as st

from finelake.text.values import amount, written_date


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


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("3.5 kg", "kg", 3.5),
        ("3.5", "kg", 3.5),
        ("1,500 g", "kg", 1.5),
        ("2 KG", "kg", 2.0),
        ("5 miles", "km", 8.04672),
        ("10 ft", "m", 3.048),
        ("12 万", "km", 120_000.0),
        ("1.2万公里", "km", 12_000.0),
        ("3 千克", "g", 3000.0),
        ("80 斤", "公斤", 40.0),
        ("2 年", "months", 24.0),
        ("120 m²", "m^2", 120.0),
        ("-40 °F", "degC", -40.0),
        ("90 km/h", "m/s", 25.0),
        # An unknown unit, one that measures something else, more than one number.
        ("3 stones and a half", "kg", None),
        ("3 apples", "kg", None),
        ("5 km", "kg", None),
        ("$5", "kg", None),
        ("5 ft 3 in", "m", None),
        ("5 kg**2", "kg", None),
        ("3-5 kg", "kg", None),
    ],
)
def test_a_number_is_converted_to_the_unit_of_its_column(text, unit, value):
    assert amount(text, units=unit) == (value if value is None else pytest.approx(value, rel=1e-12))


@given(st.text("kgmCft °/%23.日斤 aein", max_size=10))
def test_an_unknown_unit_never_raises(word):
    found = amount(f"5 {word}", units="kg")
    assert found is None or isinstance(found, float)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("Mar 4, 2021", "2021-03-04T00:00:00"),
        ("4 March 2021", "2021-03-04T00:00:00"),
        ("4-MAR-2021", "2021-03-04T00:00:00"),
        ("Sept. 4 2021", "2021-09-04T00:00:00"),
        ("4th of March, 2021 at 10:30 p.m.", "2021-03-04T22:30:00"),
        ("Thu, 4 Mar 2021 10:30:00 +0800", "2021-03-04T10:30:00+08:00"),
        ("Mar 4, 2021 10:30:05.5 GMT", "2021-03-04T10:30:05.500000+00:00"),
        # Refused: what dateutil would guess, and what is no date.
        ("Mar 2021", None),
        ("March 4", None),
        ("4 Mar 21", None),
        ("4-5 March 2021", None),
        ("4 Mar 2021 2021", None),
        ("4 hours 2021", None),
        ("31 Feb 2021", None),
        ("4 Mars 2021", None),
        ("Mar 4, 2021 10:30 CST", None),
        ("Mar 4, 2021 10:30 +9900", None),
        ("03/04/2021", None),
        ("tomorrow", None),
        ("Mar 4, 2021" + " " * 100 + "x", None),
    ],
)
def test_written_dates(text, iso):
    assert written_date(text) == iso
