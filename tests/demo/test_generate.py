"""The generated bank: the same bytes again, and a truth that agrees with the data."""

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from datetime import date, datetime

import pytest
from sklearn.metrics import cohen_kappa_score
from stdnum import luhn
from stdnum.cn import ric

from finelake.demo import people
from finelake.demo.chance import END, START, rng
from finelake.demo.generate import STAMP, generate, sizes
from finelake.demo.scenes import CODES, ENTITY_TYPES, SCENES

RECORDS = 1500
KEYS = {"tickets": "ticket_id", "applications": "application_id"}


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "bank"
    generate(folder, RECORDS, seed=3)
    return folder


def truth(bank, kind):
    return [json.loads(line) for line in (bank / "truth" / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]


def rows(bank, table):
    """The rows of a table as dicts, by key."""
    with sqlite3.connect(bank / "bank.db") as con:
        con.row_factory = sqlite3.Row
        found = {row[0]: dict(row) for row in con.execute(f"select * from {table}")}
    con.close()
    return found


def complaints(bank, day):
    lines = (bank / "complaints" / f"day{day}.jsonl").read_text(encoding="utf-8").splitlines()
    return {item["id"]: item for item in map(json.loads, lines)}


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path, bank, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000")
    generate(tmp_path / "again", RECORDS, seed=3)
    generate(tmp_path / "other", RECORDS, seed=4)
    assert digests(tmp_path / "again") == digests(bank)
    assert digests(tmp_path / "other")["bank.db"] != digests(bank)["bank.db"]


def test_a_second_call_changes_nothing_and_another_size_replaces_all(tmp_path):
    folder = tmp_path / "bank"
    first = generate(folder, 200)
    changed = (folder / STAMP).stat().st_mtime_ns
    assert generate(folder, 200) == first
    assert (folder / STAMP).stat().st_mtime_ns == changed
    assert generate(folder, 300)["tickets"] == sizes(300)["tickets"]
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_a_folder_with_other_files_is_unchanged(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ValueError, match="not a generated bank"):
        generate(tmp_path, 200)
    assert (tmp_path / "mine.txt").read_text() == "x"


def test_sizes_and_columns(bank):
    expected = sizes(RECORDS)
    found = {table: len(rows(bank, table)) for table in ("customers", "applications", "tickets")}
    assert found | {"complaints": len(complaints(bank, 1))} == expected
    assert sum(expected.values()) - expected["customers"] == RECORDS
    codes = {code: {"code": code, "name_en": en, "name_zh": zh} for code, en, zh in CODES.values()}
    assert rows(bank, "codes") == codes


def test_times_cover_ten_years_and_scenes_are_mixed_over_them(bank):
    tickets = list(rows(bank, "tickets").values())
    times = [datetime.fromisoformat(t["created_at"]) for t in tickets]
    assert times == sorted(times)
    assert times[0] >= START and times[-1] <= END and (times[-1] - times[0]).days > 3_600
    true = {fact["key"]: fact["scene"] for fact in truth(bank, "scenes")}
    half = len(tickets) // 2
    for part in (tickets[:half], tickets[half:]):
        assert {true[t["ticket_id"]] for t in part} == set(SCENES)
    assert 0.35 < Counter(t["lang"] for t in tickets)["zh"] / len(tickets) < 0.55


def test_personal_data_and_traps_are_where_the_truth_records_them(bank):
    tickets, feeds = rows(bank, "tickets"), {day: complaints(bank, day) for day in (1, 2)}
    facts = truth(bank, "personal_data") + truth(bank, "traps")
    for fact in facts:
        if fact["source"] == "complaints":
            assert fact["value"] in feeds[fact["day"]][fact["key"]][fact["field"]]
        elif fact["source"] == "tickets":
            assert fact["value"] in tickets[fact["key"]][fact["field"]]
    with_number = {fact["key"] for fact in facts if "canonical" in fact and fact["field"] == "body"}
    assert 0.08 < len(with_number) / len(tickets) < 0.16
    assert {fact["source"] for fact in facts} == {"tickets", "complaints", "documents"}


def test_personal_data_is_valid_and_traps_are_not(bank):
    for fact in truth(bank, "personal_data"):
        value = fact["canonical"]
        assert value == people.canonical(fact["kind"], fact["value"])
        assert valid(fact["kind"], value), fact
    assert {fact["kind"] for fact in truth(bank, "personal_data")} == set(people.KINDS)
    for fact in truth(bank, "traps"):
        assert not any(valid(kind, fact["value"]) for kind in people.KINDS), fact


def valid(kind, value):
    """Whether a value keeps the rules of its kind."""
    if kind == "phone":
        return len(value) == 11 and value.isdigit() and value[:3] in people.MOBILE_PREFIXES
    if kind == "resident_id":
        return len(value) == 18 and value[:17].isdigit() and value[17] == ric.calc_check_digit(value)
    if kind == "card":
        return 16 <= len(value) <= 19 and luhn.is_valid(value)
    return value.endswith(("@example.com", "@example.org", "@example.net"))


@pytest.mark.parametrize("seed", range(5))
def test_check_digits_agree_with_stdnum(seed):
    r = rng(seed, "test")
    assert luhn.is_valid(people.card(r))
    number = people.resident_id(r, date(1990, 5, 17), woman=True)
    assert ric.is_valid(number) and int(number[16]) % 2 == 0
    assert not luhn.is_valid(people.trap(r, "card_invalid", date(2020, 1, 1)))


def test_outliers_gaps_and_wrong_labels_are_in_the_tables(bank):
    tables = {table: rows(bank, table) for table in KEYS}
    for fact in truth(bank, "outliers"):
        assert tables[fact["source"]][fact["key"]][fact["field"]] == fact["value"] >= 99 * fact["true"]
    gaps = {(fact["source"], fact["key"], fact["field"]) for fact in truth(bank, "missing")}
    null = {
        (table, key, column)
        for table, found in tables.items()
        for key, row in found.items()
        for column, value in row.items()
        if value is None and column != "reply"
    }
    assert gaps == null
    true = {fact["key"]: fact["scene"] for fact in truth(bank, "scenes")}
    wrong = {key for key, ticket in tables["tickets"].items() if ticket["scene"] != true[key]}
    assert wrong == {fact["key"] for fact in truth(bank, "wrong_labels")}


def test_fraud_follows_from_the_other_columns(bank):
    late = defaultdict(list)
    for row in rows(bank, "applications").values():
        late[row["late_payments"] >= 2].append(row["fraud"] == "yes")
    rate = {key: sum(marks) / len(marks) for key, marks in late.items()}
    assert 0.01 < rate[False] < rate[True] / 2 < 0.3


def test_copies_keep_the_scene_and_differ_as_their_kind_says(bank):
    tickets, true = rows(bank, "tickets"), {fact["key"]: fact["scene"] for fact in truth(bank, "scenes")}
    pairs = truth(bank, "near_duplicates")
    assert 0.015 < len(pairs) / len(tickets) < 0.05
    for pair in pairs:
        first, second = tickets[pair["a"]], tickets[pair["b"]]
        assert true[pair["a"]] == true[pair["b"]] and first["created_at"] < second["created_at"]
        assert (first["body"] == second["body"]) == (pair["kind"] == "exact")


def spans(bank):
    """Labels by (layer, record) and annotator, for the two annotators."""
    found = defaultdict(lambda: defaultdict(list))
    for row in rows(bank, "annotations").values():
        found[row["layer"], row["record_key"]][row["annotator"]].append((row["label"], row["quote"], row["start"]))
    return found


def painted(text, labels):
    """The label of each character."""
    marks = ["O"] * len(text)
    for label, quote, start in labels:
        if label:
            marks[start : start + len(quote)] = [label] * len(quote)
    return marks


@pytest.mark.parametrize("layer", ["scene", "entity", "term"])
def test_annotators_agree_above_the_gate_and_not_wholly(bank, layer):
    tickets, pair = rows(bank, "tickets"), ([], [])
    for (found, key), people_ in spans(bank).items():
        if found == layer:
            for side, name in zip(pair, ("annotator_a", "annotator_b"), strict=True):
                labels = people_[name]
                side += [labels[0][0]] if layer == "scene" else painted(tickets[key]["body"], labels)
    assert 0.87 < cohen_kappa_score(*pair) < 0.97


def test_marks_quote_the_body_and_never_personal_data(bank):
    tickets, personal = rows(bank, "tickets"), defaultdict(list)
    for fact in truth(bank, "personal_data"):
        personal[fact["key"]].append(fact["value"])
    allowed = {"entity": set(ENTITY_TYPES), "term": {code for code, _, _ in CODES.values()}, "scene": set(SCENES)}
    for row in rows(bank, "annotations").values():
        assert row["label"] in allowed[row["layer"]] | {None, "__disputed__"}
        if row["quote"]:
            start = row["start"]
            assert tickets[row["record_key"]]["body"][start : start + len(row["quote"])] == row["quote"]
            assert not any(value in row["quote"] for value in personal[row["record_key"]])


def test_an_arbitrator_decides_only_where_annotators_differ_and_a_committee_only_disputes(bank):
    kinds = Counter()
    for people_ in spans(bank).values():
        differ = people_["annotator_a"] != people_["annotator_b"]
        disputed = people_["arbitrator"] == [("__disputed__", None, None)] if "arbitrator" in people_ else False
        assert differ == ("arbitrator" in people_)
        assert sum(name.startswith("committee") for name in people_) == (5 if disputed else 0)
        kinds[disputed] += differ
    assert 0.05 < kinds[True] / (kinds[True] + kinds[False]) < 0.3
