"""A condition selects the same rows in Spark and in DuckDB, whatever the texts, numbers and times hold."""

import random
from datetime import UTC, datetime

import pyarrow.parquet as parquet
import pytest
from pyspark.sql.types import StringType

from finelake.jobs.spark.conditions import column
from finelake.jobs.stage import MASKED, extend
from finelake.lake.config.conditions import FUNCTIONS, NUMBER, TEXT, TEXTS, TIME, parse
from tests.conditions import select

SPLIT_RECORDS = extend(MASKED, scene=StringType(), difficulty=StringType(), split=StringType())
WORDS = (
    *(
        "",
        " ",
        "en",
        "EN",
        "我的卡丢了",
        "it's",
        "a%b_c",
        "İstanbul",
        "straße ΣΑΣ",
        "🦆",
        "e\u0301",
        "a\nb",
        "${spark.master}",
    ),
    *("$1", "中文🦆\n", "null", "x" * 50, "\u3000", "2024-01-01", "ſK"),
)
PATTERNS = ("%", "_", "__", "%卡%", "_\n_", "%'s", "a%", "${%")
NUMBERS = (0.0, -0.0, 1.0, 2.5, -3.0, 1e308, 5e-324, float("inf"), float("nan"), 0.1 + 0.2, 2.0**53)
TIMES = (
    "0001-01-01",
    "1899-12-31 23:59:59.999999",
    "1970-01-01",
    "2024-02-29 12:00",
    "2024-12-31 23:59:59",
    "9999-12-31",
)
ROWS, CONDITIONS = 60, 150


def rows(random: random.Random) -> list[tuple]:
    def word(chance: float = 0.15) -> str | None:
        return None if random.random() < chance else random.choice(WORDS)

    def entries(values: tuple) -> dict | None:
        chosen = {name: random.choice((*values, None)) for name in ("a", "b'c", "卡") if random.random() < 0.7}
        return None if random.random() < 0.1 else chosen

    found = []
    for number in range(ROWS):
        time = datetime.fromisoformat(random.choice(TIMES[1:])).replace(tzinfo=UTC)
        texts = [word() for _ in range(4)]
        found.append(
            (f"{number:03d}", *texts[:2], None if number % 7 == 0 else time, *texts[2:], word(), entries(NUMBERS),
             entries(WORDS), ["x"], word(), {"email": 1}, word(), word(), "train")
        )  # fmt: skip
    return found


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def value(random: random.Random, kind: str, depth: int = 0) -> str:
    """A value of a kind, as a user could write it."""
    literal = {
        TEXT: quoted(random.choice(WORDS)),
        NUMBER: random.choice(("0", "1", "2.5", "-3", "1e308", "0.30000000000000004", "9007199254740993", "50")),
        TIME: f"timestamp '{random.choice(TIMES)}'",
    }[kind]
    place = {
        TEXT: random.choice((*TEXTS, "facts['a']", "facts['b''c']", "facts['卡']", "facts['none']")),
        NUMBER: random.choice(("numbers['a']", "numbers['b''c']", "masked['email']", "masked['none']")),
        TIME: "occurred_at",
    }[kind]
    choices = [literal, place, place]
    if depth < 2:
        first, second = value(random, kind, depth + 1), value(random, kind, depth + 1)
        choices.append(f"coalesce({first}, {second})")
        if kind == NUMBER:
            choices.append(f"({first} {random.choice('+-*')} {second})")
        named = [name for name, (takes, gives) in FUNCTIONS.items() if gives == kind]
        if named:
            name = random.choice(named)
            choices += [f"{name}({', '.join(value(random, takes, depth + 1) for takes in FUNCTIONS[name][0])})"] * 2
    return random.choice(choices)


def condition(random: random.Random, depth: int = 0) -> str:
    kind = random.choice((TEXT, TEXT, NUMBER, TIME))
    left, right, third = (value(random, kind) for _ in range(3))
    negated, text, other_text = random.choice(("", "not ")), value(random, TEXT), value(random, TEXT)
    listed = ", ".join(quoted(word) for word in random.sample(WORDS, 3))
    choices = [
        f"{left} {random.choice(('=', '<>', '!=', '<', '<=', '>', '>='))} {right}",
        f"{left} is {negated}null",
        f"{left} is {negated}distinct from {right}",
        f"{left} {negated}between {right} and {third}",
        f"{text} {negated}in ({listed})",
        f"{text} {negated}like {quoted(random.choice(PATTERNS))}",
        f"{random.choice(('contains', 'starts_with', 'ends_with'))}({text}, {other_text})",
    ]
    if depth < 2:
        one, other = condition(random, depth + 1), condition(random, depth + 1)
        choices += [f"({one} or {other})", f"{one} and {other}", f"not ({one})"]
    return random.choice(choices)


@pytest.fixture(scope="module")
def records(spark, tmp_path_factory):
    """The rows as Spark writes them, and their files."""
    folder = tmp_path_factory.mktemp("records")
    frame = spark.createDataFrame(rows(random.Random(1)), SPLIT_RECORDS)
    frame.coalesce(1).write.format("delta").save(str(folder / "delta"))
    return spark.read.format("delta").load(str(folder / "delta")), [
        str(path) for path in (folder / "delta").glob("*.parquet")
    ]


def test_spark_and_duckdb_select_the_same_rows(records):
    frame, files = records
    generator = random.Random(7)
    texts = [condition(generator) for _ in range(CONDITIONS)]
    columns = [column(parse(text)).alias(f"c{number}") for number, text in enumerate(texts)]
    here = frame.select("record_id", *columns).orderBy("record_id").collect()
    spark = {text: [row["record_id"] for row in here if row[f"c{number}"]] for number, text in enumerate(texts)}
    duckdb = {text: [row["record_id"] for row in select(files, text)] for text in texts}
    assert {text for text in texts if spark[text] != duckdb[text]} == set()
    assert sum(map(bool, spark.values())) > CONDITIONS / 3  # not all of them are empty on both sides


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text = '${spark.master}'", "${spark.master}"),
        ("contains(text, '''')", "it's"),
        ("lower(text) = 'İstanbul'", "İstanbul"),
    ],
)
def test_no_variable_and_no_escape_is_filled_in(records, text, expected):
    frame, files = records
    here = {row["text"] for row in frame.where(column(parse(text))).collect()}
    assert here == {row["text"] for row in select(files, text)} == {expected}


def test_a_long_list_and_a_long_chain_do_not_make_a_deep_tree(records):
    frame, files = records
    ids = [f"{number:03d}" for number in range(3000)]
    chain = " or ".join(f"record_id = '{name}'" for name in ids[:2000])
    for text in (chain, f"record_id in ({', '.join(map(quoted, ids))})"):
        assert frame.where(column(parse(text))).count() == len(select(files, text)) == ROWS


def test_every_row_is_a_training_row(records):
    assert sum(parquet.read_metadata(path).num_rows for path in records[1]) == ROWS
