"""The same rows in other files and another order, under another locale, zone, hash seed and parallelism: same bytes.

The rows hold nulls, duplicates, odd Unicode, extreme numbers, many forms of time and equal keys.
"""

import csv
import random
from pathlib import Path

import pytest

from tests import small
from tests.faults.outcomes import Outcome

pytestmark = pytest.mark.long
SEED = 5
ROWS = 600
FILES = 5
HEADER = ["id", "date", "text", "product", "amount", "channel"]
TIMES = [
    *(
        "2024-01-31",
        "2024-01-31T12:00:00Z",
        "2024-01-31T12:00:00+08:00",
        "2024-01-31 12:00:00",
        "2024-01-31 12:00:00.123456",
    ),
    *("1706702400", "1706702400000", "2024/01/31", "20240131", "31 January 2024", "Jan 31, 2024 5 PM", "2024年1月31日"),
    *(
        "31.01.2024",
        "2024-02-30",
        "0001-01-01",
        "9999-12-31",
        "1900-01-01",
        "2024-01-31T24:00:00",
        "",
        "null",
        "yesterday",
    ),
    *(
        "-1",
        "1e9",
        "2024-W05-3",
        "2024-031",
        "12:00",
        "2024-01-31T12:00:00.999999999Z",
        "2024-03-31T02:30:00",
        "٢٠٢٤-٠١-٣١",
    ),
]
NUMBERS = [
    *(
        "0",
        "-0",
        "1",
        "100",
        "1e308",
        "-1e308",
        "1e-320",
        "1e999",
        "NaN",
        "inf",
        "",
        "null",
        "1,000.5",
        "1.000,5",
        "١٢٣",
    ),
    *("0.1", "0.30000000000000004", "9007199254740993", "$5", "5%", "1 000", "--1", "½"),
]
TEXTS = [
    *(
        "",
        " ",
        "NULL",
        "null",
        "\ufeffmark",
        "caf\u00e9",
        "cafe\u0301",
        "\u202eright to left",
        "a\u0000b",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ),
    *(
        "two\nlines",
        'quo"te',
        "a,b",
        "tab\there",
        "<b>bold</b> &amp; more",
        "ｆｕｌｌ　ｗｉｄｔｈ",
        "K\u212bngstr\u00f6m",
        "İstanbul",
        "ß SS ss",
        "ﬁnd",
    ),
    *(
        "一二三四五六七八九十",
        "𠮷野家で会う",
        "ñ" * 300,
        "x" * 5000,
        "call me at 13812345678",
        "mail a@b.example now",
        "=cmd|' /C calc'!A0",
    ),
]
SETTINGS = {"LANG": "C", "LC_ALL": "C", "TZ": "Asia/Shanghai", "PYTHONHASHSEED": "77", "FINELAKE_MASTER": "local[3]"}


def rows() -> list[list[str]]:
    """Some 600 rows, with equal rows, equal keys of different rows, and near duplicates."""
    dice = random.Random(SEED)
    words = small.WORDS[False].split()
    found = []
    for number in range(ROWS - 60):
        text = dice.choice(TEXTS) if number % 3 == 0 else " ".join(dice.sample(words, 9)) + f" {number}"
        product = dice.choice(["card", "loan", "卡", ""])
        channel = dice.choice(["web", "phone", "", "WEB", "web "])
        found.append([str(number), dice.choice(TIMES), text, product, dice.choice(NUMBERS), channel])
    equal = [list(row) for row in dice.sample(found, 20)]
    same_key = [[row[0], *other[1:]] for row, other in zip(dice.sample(found, 20), dice.sample(found, 20), strict=True)]
    near = [[f"n{row[0]}", *row[1:2], f"{row[2]}.", *row[3:]] for row in dice.sample(found, 20)]
    return found + equal + same_key + near


def write(folder: Path, listed: list[list[str]], count: int) -> None:
    (folder / "data" / "notes.csv").unlink()
    (folder / "data" / "notes").mkdir()
    for place in range(count):
        with (folder / "data" / "notes" / f"{count}-{place}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADER, *listed[place::count]])
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("path: data/notes.csv", "path: data/notes/*.csv"))


def test_the_same_rows_elsewhere_are_the_same_manifests(tmp_path, ledger):
    one, other = (small.make(tmp_path / name / "project") for name in ("one", "other"))
    listed = rows()
    write(one, listed, 1)
    random.Random(SEED + 1).shuffle(listed)
    write(other, listed, FILES)
    small.run(one, "repro", "split")
    small.run(other, "repro", "split", **SETTINGS)
    there, here = small.manifests(other), small.manifests(one)
    for name, manifest in here.items():
        outcome = Outcome.HELD if there[name] == manifest else Outcome.WRONG
        ledger.add(f"{name}, shuffled over {FILES} files", outcome, "the manifests differ")
    balance = small.run(one, "quality", "--format", "text", "clean_keeps_or_rejects", "split_keeps_or_rejects")
    assert "0 errors" in balance
    ledger.check(len(small.STAGES))
