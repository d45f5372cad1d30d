from datetime import datetime, timedelta

import pytest

from finelake.jobs import clean
from finelake.jobs.cleaning.intervals import INTERVALS
from finelake.jobs.stage import CLEANED, RECORDS, REJECTS
from finelake.lake.config.params import parse
from finelake.lake.errors import UserError


def record(name, day=0, source="a", business="x", text="text", numbers=None, facts=None):
    when = None if day is None else datetime(2020, 1, 1) + timedelta(days=day)
    return (name, source, f"key-{name}", when, business, "en", text, numbers, facts)


def run(spark, rows, **params):
    frame = spark.createDataFrame(rows, RECORDS)
    return clean.build({"ingest.records": frame}, parse(clean.Params, params, "clean"))


def rejected(outputs):
    return sorted(tuple(row) for row in outputs["rejects"].collect())


def kept(outputs, *columns):
    return {row["record_id"]: tuple(row[name] for name in columns) for row in outputs["records"].collect()}


def shape(schema):
    return [(field.name, field.dataType.simpleString()) for field in schema]


def incomes(source, name="income", value=lambda index: 100.0 + index):
    return [record(f"{source}{index:02}", index, source, numbers={name: value(index)}) for index in range(40)]


ROWS = [
    # One huge value: with itself in mean and sigma it would be 6 sigmas away, whatever its size.
    *incomes("huge"),
    record("huge", 3, "huge", numbers={"income": 1e15}),
    # Without the value itself: mean 119.5, sigma 11.69 (n - 1), so 3 sigmas end at 154.57; with it they would not.
    *incomes("near"),
    record("near", 3, "near", numbers={"income": 154.0}),
    *incomes("beyond"),
    record("beyond", 3, "beyond", numbers={"income": 155.0, "age": 1.0}),
    # A business with too few rows is not judged.
    record("few", 3, "huge", business="y", numbers={"income": 9e9}),
    # Neither is a rare flag, nor a column that is excluded.
    *incomes("flags", "late", lambda index: float(index == 0)),
    *incomes("codes", "code", lambda index: 1e9 if index == 0 else float(index)),
    # A column on a logarithmic scale.
    *incomes("amounts", "amount", lambda index: 1.5**index),
    record("void", 3, "texts", text="\u200b \n", facts={"channel": "web"}),
    record("only a number", 3, "texts", text=None, numbers={"n": 1.0}),
]
OUTLIERS = {"min_rows": 10, "excluded": ["code"], "log": ["amount"]}


def test_outliers_and_empty_texts_are_rejected(spark):
    outputs = run(spark, ROWS, outliers=OUTLIERS)
    assert shape(outputs["rejects"].schema) == shape(REJECTS)
    assert rejected(outputs) == [
        ("beyond", "beyond", "clean", "outlier", "income"),
        ("huge", "huge", "clean", "outlier", "income"),
        ("void", "texts", "clean", "empty", None),
    ]
    assert sorted(kept(outputs)) == sorted({row[0] for row in ROWS} - {"beyond", "huge", "void"})


def test_deviation_from_the_median(spark):
    # Median 120.5, median absolute deviation 10.5: 3 sigmas end at 167.2.
    rows = [*ROWS, record("within", 3, "beyond", numbers={"income": 167.0})]
    rows.append(record("mad", 3, "near", numbers={"income": 168.0}))
    assert rejected(run(spark, rows, outliers={**OUTLIERS, "method": "mad"})) == [
        ("huge", "huge", "clean", "outlier", "income"),
        ("mad", "near", "clean", "outlier", "income"),
        ("void", "texts", "clean", "empty", None),
    ]


def found(outputs, *columns):
    return sorted(tuple(row[name] for name in columns) for row in outputs["outliers"].collect())


def test_the_report_counts_what_each_method_would_reject(spark):
    # A giant, and a value 15 sigmas off that hides behind it; of 8 giants in 40 none sees the others but the median.
    rows = [*incomes("one"), record("giant", 3, "one", numbers={"income": 1e9})]
    rows += [record("hidden", 3, "one", numbers={"income": 300.0}), *incomes("few", value=float)[:9]]
    rows += incomes("many", value=lambda index: 1e9 + index if index < 8 else float(index))
    outputs = run(spark, rows, outliers={"min_rows": 10})
    assert shape(outputs["outliers"].schema) == shape(clean.OUTLIERS)
    assert found(outputs, "source", "method", "rows", "rejected", "chosen") == [
        *[("few", method, 9, 0, method == "sigma") for method in sorted(INTERVALS)],
        ("many", "iterated", 40, 0, False),
        ("many", "mad", 40, 8, False),
        ("many", "plain", 40, 0, False),
        ("many", "sigma", 40, 0, True),
        ("one", "iterated", 42, 2, False),
        ("one", "mad", 42, 2, False),
        ("one", "plain", 42, 1, False),
        ("one", "sigma", 42, 1, True),
    ]
    assert rejected(outputs) == [("giant", "one", "clean", "outlier", "income")]
    iterated = run(spark, rows, outliers={"min_rows": 10, "method": "iterated"})
    assert [row[0] for row in rejected(iterated)] == ["giant", "hidden"]


def test_limits_are_in_the_column_s_units(spark):
    rows = incomes("a", "amount", lambda index: float(index))
    row = run(spark, rows, outliers={"log": ["amount"], "method": "mad"})["outliers"].where("method = 'mad'").first()
    assert row["centre"] == pytest.approx(19.494, abs=0.01)
    assert row["low"] < 2 and row["high"] > 100


MISSING = [
    record("1", 1, numbers={"n": 1.0, "m": 5.0}, facts={"channel": "web", "note": "alpha"}),
    record("2", 2, numbers={"n": 2.0}, facts={"channel": "web", "note": "beta"}),
    record("3", 3, numbers={"n": 6.0, "m": None}, facts={"channel": "app", "note": "gamma"}),
    record("4", 4, numbers={"n": float("nan"), "m": 7.0}, facts={"channel": "", "split": "train"}),
    record("5", 5, business="y", numbers={"n": 10.0, "m": 1.0}, facts={"channel": "app"}),
    record("6", 6, business=None, facts=None),
    # Later than the cut: takes the fill values of the earlier rows, and gives none.
    record("7", 90, numbers={"n": 1000.0, "m": 1000.0}, facts={"channel": "phone"}),
    record("8", 91, numbers={"n": None, "m": 1000.0}, facts={"channel": "phone", "late": "z"}),
    record("other", 1, source="b", numbers={}, facts={}),
]


def test_missing_values_are_filled_from_the_earlier_rows(spark):
    outputs = run(spark, MISSING, missing={"fit_before": "2020-02-01", "max_categories": 2})
    assert shape(outputs["records"].schema) == shape(CLEANED)
    assert kept(outputs, "numbers", "facts", "imputed") == {
        "1": ({"n": 1.0, "m": 5.0}, {"channel": "web", "note": "alpha"}, []),
        "2": ({"n": 2.0, "m": 6.0}, {"channel": "web", "note": "beta"}, ["numbers.m"]),
        "3": ({"n": 6.0, "m": 6.0}, {"channel": "app", "note": "gamma"}, ["numbers.m"]),
        "4": ({"n": 2.0, "m": 7.0}, {"channel": "web", "split": "train"}, ["facts.channel", "numbers.n"]),
        "5": ({"n": 10.0, "m": 1.0}, {"channel": "app"}, []),
        # No business: the source's own median, and of two equally frequent values the smaller.
        "6": ({"n": 4.0, "m": 5.0}, {"channel": "app"}, ["facts.channel", "numbers.m", "numbers.n"]),
        "7": ({"n": 1000.0, "m": 1000.0}, {"channel": "phone"}, []),
        "8": ({"n": 2.0, "m": 1000.0}, {"channel": "phone", "late": "z"}, ["numbers.n"]),
        "other": ({}, {}, []),
    }


def test_fill_values_come_from_the_oldest_share(spark):
    rows = [record(str(index), index, numbers={"n": float(index)}) for index in range(9)] + [record("late", 9)]
    assert kept(run(spark, rows, missing={"fit_share": 0.5}), "numbers")["late"] == ({"n": 2.0},)


def test_only_the_listed_facts_get_a_mode(spark):
    rows = [record("1", facts={"a": "x", "b": "y"}), record("2", facts={"c": "z"}), record("3", None)]
    outputs = run(spark, rows, missing={"mode_for": ["b"], "fit_share": 1.0})
    assert kept(outputs, "facts") == {"1": ({"a": "x", "b": "y"},), "2": ({"b": "y", "c": "z"},), "3": ({"b": "y"},)}


def test_texts_and_facts_are_normalised(spark):
    rows = [record("1", text="ＡＢ，你好！", facts={"reply": "Ｏｋ　好的，谢谢"}, business="Ｘ")]
    assert kept(run(spark, rows), "text", "facts", "business", "source_key") == {
        "1": ("AB，你好！", {"reply": "Ok 好的，谢谢"}, "Ｘ", "key-1")
    }


TEXTS = [
    ("repaired", "<p>cafÃ© &amp; bar</p>"),
    ("lost", "\ufffd\ufffd\ufffd ok \ufffd"),
    ("lost in GBK", "锟斤拷锟斤拷 好"),
    ("little lost", "a long text in which one letter \ufffd is lost"),
    ("only tags", "<br><div></div>&nbsp;"),
    ("boilerplate", "Please see ATTACHED!\n\nSent from my iPhone"),
    ("zh boilerplate", "详见附件。"),
    ("more than boilerplate", "Please see attached. My card is gone."),
    ("no letters", "123 !!!"),
]


def test_texts_are_repaired_or_rejected(spark):
    rows = [record(name, text=text) for name, text in TEXTS]
    rows += [record("numbers", text="见附件", numbers={"n": 1.0}), (*record("fr")[:5], "fr", "Bonjour", None, None)]
    rows += [(*record("und")[:5], "und", "42", None, None)]
    outputs = run(spark, rows, languages=["zh", "en"])
    assert [(row[0], row[3]) for row in rejected(outputs)] == [
        ("boilerplate", "boilerplate"),
        ("fr", "language"),
        ("lost", "mojibake"),
        ("lost in GBK", "mojibake"),
        ("only tags", "empty"),
        ("zh boilerplate", "boilerplate"),
    ]
    texts = kept(outputs, "text")
    assert texts["repaired"] == ("café & bar",)
    assert sorted(texts) == sorted(["repaired", "little lost", "more than boilerplate", "no letters", "numbers", "und"])


def test_repair_can_be_switched_off(spark):
    rows = [record("1", text="<p>cafÃ© &amp;</p>"), record("2", text="\ufffd"), record("3", text="见附件")]
    outputs = run(spark, rows, encoding=False, markup=False, max_replaced=1.0, boilerplate=[])
    assert kept(outputs, "text") == {"1": ("<p>cafÃ© &amp;</p>",), "2": ("\ufffd",), "3": ("见附件",)}


def test_clean_texts_are_unchanged(spark):
    rows = [record(name, text=text, numbers={"n": 1.0}) for name, text in TEXTS]
    first = run(spark, rows)
    again = clean.build({"ingest.records": first["records"].drop("imputed")}, clean.Params())
    assert kept(again, "text", "numbers", "facts") == kept(first, "text", "numbers", "facts")
    assert rejected(again) == []


def test_nothing_after_the_cut_changes_a_fill_value(spark):
    later = [
        record(name, 90, numbers={"n": value}, facts={"channel": "fax"}) for name, value in (("7", 5.0), ("9", -1.0))
    ]
    params = {"missing": {"fit_before": "2020-02-01", "max_categories": 2}}
    early = [row for row in MISSING if row[3] < datetime(2020, 2, 1)]
    before = kept(run(spark, MISSING, **params), "numbers", "facts", "imputed")
    after = kept(run(spark, early + later, **params), "numbers", "facts", "imputed")
    assert {row[0]: after[row[0]] for row in early} == {row[0]: before[row[0]] for row in early}


def test_rows_do_not_depend_on_partitions(spark):
    frame = spark.createDataFrame(ROWS + MISSING, RECORDS)
    found = []
    for partitions in (1, 7):
        outputs = clean.build({"ingest.records": frame.repartition(partitions)}, clean.Params())
        found.append({name: sorted(map(str, output.collect())) for name, output in outputs.items()})
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"outliers": {"sigmas": 0}}, "clean.outliers: sigmas must be above 0"),
        ({"outliers": {"metod": "mad"}}, "did you mean clean.outliers.method"),
        ({"missing": {"fit_share": 2}}, "clean.missing: fit_share must be above 0"),
        ({"missing": {"fit_before": "soon"}}, "clean.missing"),
    ],
)
def test_wrong_parameters_are_refused(params, message):
    with pytest.raises(UserError, match=message):
        parse(clean.Params, params, "clean")
