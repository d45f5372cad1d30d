import functools
import os
import re
import sys
from datetime import datetime
from os import system  # noqa: F401
from pathlib import Path

import pytest

from finelake.jobs import annotate, mask
from finelake.jobs.stage import ANNOTATIONS, CLUSTERED
from finelake.lake.config.params import parse
from finelake.lake.errors import UserError
from finelake.text.personal_data import masking, patterns

WHEN = datetime(2020, 1, 1)
RECORDS = [
    ("1", "a", "13812345678", WHEN, "x", "zh", "电话13812345678和13912345678", {"n": 13812345678.0},
     {"file": "a@b.cn.pdf", "reply": "ok"}, ["numbers.n"], "1"),
    ("2", "a", "k2", WHEN, "x", "zh", None, {}, {}, [], "1"),
    ("3", "b", "k3", WHEN, "x", "en", "card 4111111111111111", None, None, [], "3"),
]  # fmt: skip
LABELS = [
    ("1", "a", "entity", "ann", "annotator", "contact", "１３８１２３４５６７８", 2),
    ("1", "a", "scene", "ann", "annotator", "lost_card", None, None),
    ("1", "a", "scene", "bob", "annotator", "call 13812345678", None, None),
    ("1", "a", "scene", "c@d.org", "annotator", "lost_card", None, None),
    ("1", "a", "scene", "a", "source", "138\u200b12345678", None, None),  # a mapped label
    ("1", "a", "scene", "e@f.org", "annotator", "13812345678", None, None),
    ("2", "a", "scene", "ann", "annotator", None, None, None),
    ("gone", "a", "entity", "ann", "annotator", "contact", "13812345678", 2),
]


# HMAC-SHA256 of annotator and c@d.org under the empty key: no mode makes pseudonyms.
CODED = "annotator-" + masking.pseudonym("annotator", "c@d.org", "")


def shape(schema):
    return [(field.name, field.dataType.simpleString()) for field in schema]


def balanced(frames, outputs):
    for what, (rows_in, rows_out) in mask.balance(frames, outputs, mask.Params()).items():
        assert rows_in == rows_out, what


def run(spark, partitions=1, **params):
    frames = {
        "dedup.records": spark.createDataFrame(RECORDS, CLUSTERED).repartition(partitions),
        "ingest.annotations": spark.createDataFrame(LABELS, ANNOTATIONS).repartition(partitions),
    }
    outputs = mask.build(frames, parse(mask.Params, params, "mask"))
    balanced(frames, outputs)
    assert {name: shape(frame.schema) for name, frame in outputs.items()} == {
        name: shape(schema) for name, schema in mask.STAGE.writes.items()
    }
    return {name: sorted((tuple(row) for row in frame.collect()), key=str) for name, frame in outputs.items()}


def test_every_column_with_text_is_masked(spark):
    outputs = run(spark)
    assert outputs == {
        "records": [
            ("1", "a", "<PHONE>", WHEN, "x", "zh", "电话<PHONE>和<PHONE>", {"n": 13812345678.0},
             {"file": "<EMAIL>", "reply": "ok"}, ["numbers.n"], "1", {"email": 1, "phone": 3}),
            ("2", "a", "k2", WHEN, "x", "zh", None, {}, {}, [], "1", {}),
            ("3", "b", "k3", WHEN, "x", "en", "card <CARD>", None, None, [], "3", {"card": 1}),
        ],
        "counts": [("a", "zh", "email", 1), ("a", "zh", "phone", 3), ("b", "en", "card", 1)],
        "annotations": [
            ("1", "a", "entity", "ann", "annotator", "contact", "<PHONE>", 2),
            ("1", "a", "scene", "ann", "annotator", "lost_card", None, None),
            ("1", "a", "scene", CODED, "annotator", "lost_card", None, None),
            ("2", "a", "scene", "ann", "annotator", None, None, None),
        ],
        "rejects": [
            *[("1", "a", "mask", "personal_data", "label: phone")] * 3,
            ("gone", "a", "mask", "record_gone", "entity"),
        ],
    }  # fmt: skip
    assert run(spark, partitions=7) == outputs


def test_only_the_listed_kinds(spark):
    records = run(spark, kinds=["card"])["records"]
    assert [(row[6], row[-1]) for row in records] == [
        ("电话13812345678和13912345678", {}),
        (None, {}),
        ("card <CARD>", {"card": 1}),
    ]


KEY = "k" * 32
PSEUDONYMS = {"email": "pseudonym", "phone": "pseudonym"}


def keyed(**params):
    return mask.ready(mask.Params(key_fingerprint=mask.fingerprint(KEY), **params), KEY)


def test_names_of_annotators_do_not_change_what_is_decided(spark):
    """Agreement, arbitration and gold of people named by e-mail addresses are those of people named a, b and c."""
    records = spark.createDataFrame(
        [(f"{n}", "s", f"k{n}", WHEN, "x", "en", f"call {n} now", {}, {}, [], f"{n}") for n in range(6)], CLUSTERED
    )

    def decided(people):
        a, b, c = people
        said = [(f"{n}", person, "annotator", label) for n in range(6)
                for person, label in ((a, "x" if n % 2 else "y"), (b, "x" if n % 2 else "yx"[n == 0]))]  # fmt: skip
        said.append(("0", c, "arbitrator", "y"))
        marks = [(record, "s", "scene", person, role, label, None, None) for record, person, role, label in said]
        frames = {"dedup.records": records, "ingest.annotations": spark.createDataFrame(marks, ANNOTATIONS)}
        outputs = mask.build(frames, mask.Params())
        assert outputs["rejects"].count() == 0
        kept = {"mask.records": outputs["records"], "mask.annotations": outputs["annotations"]}
        made = annotate.build(kept, annotate.Params(gate=0.5))
        return {name: sorted(map(str, made[name].collect())) for name in ("gold", "units", "agreement", "todo")}

    by_mail = decided(("li.wei@example.com", "wang@example.com", "zhao@example.com"))
    assert by_mail == decided(("a", "b", "c"))
    assert len(by_mail["gold"]) == 6


def test_a_dropped_kind_rejects_its_records_and_their_annotations(spark):
    outputs = run(spark, modes={"card": "drop", "email": "drop"})
    assert [row[0] for row in outputs["records"]] == ["2"]
    assert outputs["annotations"] == [("2", "a", "scene", "ann", "annotator", None, None, None)]
    assert outputs["counts"] == []
    assert outputs["rejects"] == [
        ("1", "a", "mask", "personal_data", "email"),
        ("1", "a", "mask", "record_gone", "entity"),
        *[("1", "a", "mask", "record_gone", "scene")] * 5,
        ("3", "b", "mask", "personal_data", "card"),
        ("gone", "a", "mask", "record_gone", "entity"),
    ]


def test_a_record_with_a_column_named_by_a_value_is_rejected(spark):
    # As of a table without a header, whose first row became the names.
    named = [
        ("1", "a", "k1", WHEN, "x", "zh", "ok", {"amount": 1.0}, {"13812345678": "b"}, [], "1"),
        ("2", "a", "k2", WHEN, "x", "zh", "ok", {"a@b.cn": 1.0}, {"channel": "web"}, [], "2"),
        ("3", "a", "k3", WHEN, "x", "zh", "ok", {"amount": 1.0}, {"channel": "web"}, [], "3"),
    ]
    frames = {
        "dedup.records": spark.createDataFrame(named, CLUSTERED),
        "ingest.annotations": spark.createDataFrame(LABELS[-2:-1], ANNOTATIONS),
    }
    outputs = mask.build(frames, mask.Params())
    balanced(frames, outputs)
    assert [row["record_id"] for row in outputs["records"].collect()] == ["3"]
    assert sorted((row["record_id"], row["reason"], row["detail"]) for row in outputs["rejects"].collect()) == [
        ("1", "personal_data", "column: phone"),
        ("2", "personal_data", "column: email"),
        ("2", "record_gone", "scene"),
    ]


def test_users_patterns_mask_what_the_recognisers_miss(spark):
    outputs = run(spark, kinds=["phone"], patterns={"shop": r"[a-z]@b\.cn", "four": r"card (?P<value>\d{4})"})
    assert [(row[6], row[8], row[-1]) for row in outputs["records"]] == [
        ("电话<PHONE>和<PHONE>", {"file": "<SHOP>.pdf", "reply": "ok"}, {"phone": 3, "shop": 1}),
        (None, {}, {}),
        ("card <FOUR>111111111111", None, {"four": 1}),
    ]
    assert ("a", "zh", "shop", 1) in outputs["counts"]


def test_users_patterns_have_the_same_modes(spark):
    patterns = {"badge": r"B\d{7}"}
    params = keyed(patterns=patterns, modes={"badge": "pseudonym"})
    one, other = masking.mask_text("B1234567 Ｂ1234567", params.rules()).split()
    assert re.fullmatch("<BADGE:[a-z]{12}>", one) and one == other
    outputs = run(spark, kinds=["phone"], patterns={"shop": r"[a-z]@b\.cn"}, modes={"shop": "drop"})
    assert ("1", "a", "mask", "personal_data", "shop") in outputs["rejects"]


def test_a_users_pattern_masks_what_the_independent_check_finds():
    """A value that no_personal_data finds and the recognisers miss: a pattern masks it, and the check passes."""
    import duckdb

    from finelake.lake.quality import checks as quality

    text = "my name is Hiring Smith"
    (check,) = [check for check in quality.load_checks(Path(__file__).parent, quality.Params())
                if check.name == "no_personal_data"]  # fmt: skip
    connection = duckdb.connect()
    connection.execute("create schema mask; create table mask.records (record_id text, text text)")

    def failing(body):
        connection.execute("delete from mask.records")
        connection.execute("insert into mask.records values ('1', $body)", {"body": body})
        return [row["kind"] for row in quality.run_check(connection.cursor(), check, "mask.records").examples]

    assert failing(masking.mask_text(text, mask.Params().rules())) == ["name"]
    own = mask.Params(patterns={"applicant": "Hiring Smith"})
    assert masking.mask_text(text, own.rules()) == "my name is <APPLICANT>"
    assert failing(masking.mask_text(text, own.rules())) == []


def test_a_pattern_that_takes_too_long_reports_one_sentence(monkeypatch):
    monkeypatch.setattr(patterns, "SECONDS", 0.05)
    rules = masking.Rules(patterns={"slow": r"(?:a|a|aa)+b(?=c)"})
    with (
        pytest.raises(UserError, match=r"mask.patterns.slow took more than 0.05 s for one text; write it without"),
        mask._slow_patterns_named(),
    ):
        masking.mask_text("a" * 5000, rules)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"kinds": ["phones"]}, "mask: phones is not a kind; did you mean phone?"),
        ({"modes": {"phones": "tag"}}, "mask: phones is not a kind"),
        ({"modes": {"phone": "tags"}}, "mask.modes.phone: 'tags' is not allowed; did you mean tag"),
        (
            {"modes": {"email": "partial"}},
            "mask: every part of email may identify a person; partial is for card",
        ),
        ({"kinds": ["ip"], "modes": {"card": "drop"}}, "mask: card has a mode and is not among kinds"),
        ({"ner": "os.path"}, "mask: ner is 'os.path'; write package.module:function"),
        (
            {"ner": "os:system"},
            "mask: ner names os:system, a part of Python itself; name a function of your own package",
        ),
        ({"ner": "os.path:join"}, "mask: ner names os.path:join, a part of Python itself"),
        ({"ner": "builtins:eval"}, "mask: ner names builtins:eval, a part of Python itself"),
        ({"ner": "_io:open"}, "mask: ner names _io:open, a part of Python itself"),
        ({"patterns": {"Badge": "x"}}, "mask: patterns: 'Badge' is not the name of a kind; write up to 32 of a-z"),
        ({"patterns": {"a b": "x"}}, "mask: patterns: 'a b' is not the name of a kind"),
        ({"patterns": {"phone": "x"}}, "mask: patterns: phone is a kind of Finelake's; give yours another name"),
        ({"patterns": {"badge": "("}}, "mask: patterns.badge is not a regular expression (missing ) at position 1)"),
        (
            {"patterns": {"badge": "a{1000000000}"}},
            "mask: patterns.badge has counts whose product is above 1,000,000",
        ),
        ({"patterns": {"badge": "((a{1,999}){9,}){999}"}}, "mask: patterns.badge has counts whose product is above"),
        (
            {"patterns": {"badge": "a{9999999999999999}"}},
            "mask: patterns.badge is not a regular expression (repeat count",
        ),
        ({"patterns": {"badge": "x*"}}, "mask: patterns.badge matches the empty text; require at least one"),
        ({"patterns": {"badge": "x" * 1001}}, "mask: patterns.badge has 1001 characters; 1000 are allowed"),
        *[
            ({"patterns": {"badge": fuzzy}}, "mask: patterns.badge has fuzzy matching, such as {e<=1} (a brace of")
            for fuzzy in (r"(?b)(?:badge number nine){e<=9}", "(?x)(?:a b){ e <= 1 }", "ab{e}", "(?:ab){1i+1d<=2}")
        ],
        *[
            ({"patterns": {"badge": own}}, "mask: patterns.badge calls itself or a group, such as (?R), (?1) or")
            for own in ("a(?R)?b", "(a(?1)?b)", "(?P<x>a(?&x)?)", "(?P<x>a)(?P>x)")
        ],
        ({"patterns": {"badge": 7}}, "mask.patterns.badge must be text"),
        ({"patterns": {"badge": "x"}, "kinds": ["badge"]}, "mask: badge is one of patterns, which are always masked"),
        (
            {"patterns": {"badge": "x"}, "modes": {"badge": "partial"}},
            "mask: every part of badge may identify a person",
        ),
        ({"key": KEY}, "unknown key mask.key"),
    ],
)
def test_invalid_parameters_are_refused(params, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        parse(mask.Params, params, "mask")


@pytest.mark.parametrize(
    ("key", "pinned", "sentence"),
    [
        (None, None, "FINELAKE_MASK_KEY is not set; export the key"),
        ("short", None, "FINELAKE_MASK_KEY has 5 characters; use 32 or more"),
        (KEY, None, f"mask.key_fingerprint is missing; write {mask.fingerprint(KEY)}"),
        (KEY, "0" * 16, f"FINELAKE_MASK_KEY is another key ({mask.fingerprint(KEY)})"),
    ],
)
def test_pseudonyms_need_the_pinned_key(key, pinned, sentence):
    params = mask.Params(modes=PSEUDONYMS, key_fingerprint=pinned)
    with pytest.raises(UserError, match=re.escape(sentence)):
        mask.ready(params, key)
    assert mask.ready(mask.Params(key_fingerprint=pinned), key) == mask.Params(key_fingerprint=pinned)


def test_the_key_is_in_no_text_of_the_parameters():
    assert KEY not in repr(keyed(modes=PSEUDONYMS))


def finds_ann(text):
    return [(place.start(), place.end(), "name") for place in re.finditer("Ann", text)]


def fails(text):
    raise ValueError(text)


def without_text():
    return []


@functools.wraps(os.system)
def wrapped(text):
    return []


number = 7
part = functools.partial(finds_ann)
part_of_part = functools.partial(functools.partial(part))
part_of_system = functools.partial(os.system)


class Model:
    def __call__(self, text):
        return finds_ann(text)


model = Model()


@pytest.fixture
def own_model(monkeypatch):
    monkeypatch.setitem(sys.modules, "own_model", sys.modules[__name__])
    mask.load_ner.cache_clear()


def test_a_users_model_finds_names(own_model):
    params = mask.ready(mask.Params(ner="own_model:finds_ann", modes={"name": "tag"}), None)
    assert masking.mask_text("Ann wrote to a@b.cn", params.rules()) == "<NAME> wrote to <EMAIL>"
    for name in ("model", "part", "part_of_part"):
        params = mask.ready(mask.Params(ner=f"own_model:{name}"), None)
        assert masking.mask_text("Ann Ann", params.rules()) == "<NAME> <NAME>"
    with pytest.raises(UserError, match="^own_model:fails failed on a text: ValueError; correct that function$"):
        masking.mask_text("secret", mask.Params(ner="own_model:fails").rules())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("system", "is a part of Python itself (posix)"),  # imported into the user's module
        ("wrapped", "is a part of Python itself (posix)"),
        ("part_of_system", "is a part of Python itself (posix)"),
        ("sys", "is not a function"),
        ("number", "is not a function"),
        ("without_text", "cannot be called with one text"),
    ],
)
def test_an_object_that_cannot_be_a_model_is_refused(own_model, name, reason):
    with pytest.raises(UserError, match=re.escape(f"mask.ner names own_model:{name}, which {reason}; name a function")):
        mask.ready(mask.Params(ner=f"own_model:{name}"), None)


@pytest.mark.parametrize("raised", ["RuntimeError('no\\nluck')", "SystemExit(3)", "ImportError('x')", "MemoryError()"])
def test_a_module_that_raises_reports_one_sentence(tmp_path, monkeypatch, raised):
    (tmp_path / "raising.py").write_text(f"raise {raised}")
    monkeypatch.syspath_prepend(tmp_path)
    kind = raised.partition("(")[0]
    with pytest.raises(UserError, match=rf"^mask.ner names raising:f, which cannot be imported \({kind}.*\); [^\n]*$"):
        mask.ready(mask.Params(ner="raising:f"), None)


@pytest.mark.parametrize("name", ["no_such_package.module:function", "yaml:no_such_function"])
def test_a_missing_model_is_refused(name):
    with pytest.raises(UserError, match=f"mask.ner names {name}, which cannot be imported"):
        mask.ready(mask.Params(ner=name), None)
