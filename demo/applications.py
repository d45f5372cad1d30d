"""Credit applications: numbers with a few unit errors and gaps, and a fraud flag that depends on the other columns."""

import math
import random
from typing import Any

from finelake.demo import chance, people
from finelake.demo.compose import TEXTS, Context, finish, sentence, templates
from finelake.demo.people import Customer
from finelake.demo.truth import Truth

COLUMNS = (
    "application_id text primary key",
    "customer_id text",
    "created_at text",
    "product_line text",
    "age integer",
    "income real",
    "amount real",
    "term_months integer",
    "existing_debt real",
    "late_payments integer",
    "employment text",
    "purpose text",
    "purpose_note text",
    "decision text",
    "fraud text",
    "lang text",
)

# median amount, usual terms in months
LINES = {
    "personal_loan": (60_000, (12, 24, 36)),
    "car_loan": (150_000, (24, 36, 48, 60)),
    "mortgage": (900_000, (120, 180, 240)),
    "credit_card": (30_000, (12, 18, 24)),
}
EMPLOYMENT = {"employed": 6, "self_employed": 2, "student": 0.7, "retired": 0.7, "unemployed": 0.6}
PURPOSES = {"renovation": 3, "car": 3, "debt": 2, "education": 1, "family": 1, "business": 2, "medical": 1, "home": 3}
OUTLIERS = 0.006
GAPS = {"income": 0.02, "existing_debt": 0.02, "employment": 0.02, "purpose": 0.015}


def log_normal(r: random.Random, median: float, sigma: float, most: float = 2.1) -> float:
    """Skewed like money, but truncated at `most` deviations, so that planted outliers stand out."""
    return median * math.exp(sigma * max(-most, min(most, r.gauss(0, 1))))


def facts(r: random.Random, person: Customer, year: int) -> dict[str, object]:
    """The true values of one application."""
    line = r.choice(list(LINES))
    median, terms = LINES[line]
    return {
        "product_line": line,
        "age": max(20, min(75, year - int(person.birth_date[:4]))),
        "income": round(log_normal(r, 150_000 if person.segment == "mass" else 170_000, 0.3), 2),
        "amount": round(log_normal(r, median, 0.35), -2),
        "term_months": r.choice(terms),
        "existing_debt": round(log_normal(r, 30_000, 0.5, 1.8), 2),
        "late_payments": sum(r.random() < 0.4 for _ in range(4)),
        "employment": chance.weighted(r, EMPLOYMENT),
        "purpose": chance.weighted(r, PURPOSES),
    }


def risk(f: dict[str, Any]) -> float:
    """The probability of fraud: a logistic function of the other columns, so that it can be learnt from them."""
    size = float(f["amount"]) / LINES[str(f["product_line"])][0]
    load = float(f["existing_debt"]) / float(f["income"])
    z = (
        -8.1
        + 1.1 * int(f["late_payments"])
        + 1.6 * size
        + 4.0 * load
        + 1.5 * (int(f["age"]) < 28)
        + 2.2 * (f["employment"] in ("unemployed", "student"))
    )
    return 1 / (1 + math.exp(-z))


def decision(r: random.Random, chance_of_fraud: float) -> str:
    if chance_of_fraud + r.gauss(0, 0.05) > 0.35:
        return "declined"
    return "review" if r.random() < 0.12 else "approved"


def row(seed: int, index: int, rows: int, customers: int, truth: Truth) -> tuple[object, ...]:
    """One application as the bank stores it, in the order of COLUMNS."""
    r = chance.rng(seed, "application", index)
    person = people.customer(seed, r.randrange(customers), customers)
    when = chance.timestamp(r, index, rows)
    f = facts(r, person, when.year)
    odds = risk(f)
    key = f"L{index + 1:07d}"
    ctx = Context(person.lang, when)
    texts = TEXTS[person.lang]
    lines = [r.choice(templates(texts.NOTES, False)), *r.sample(templates(texts.NOTE_TAILS, False), r.choice((1, 2)))]
    note, _ = finish([sentence(r, line, ctx) for line in lines], person.lang)
    verdict, fraud = decision(r, odds), "yes" if r.random() < odds else "no"
    spoil(r, f, key, truth)
    return (
        key,
        person.customer_id,
        when.isoformat(sep=" "),
        f["product_line"],
        f["age"],
        f["income"],
        f["amount"],
        f["term_months"],
        f["existing_debt"],
        f["late_payments"],
        f["employment"],
        f["purpose"],
        note,
        verdict,
        fraud,
        person.lang,
    )


def spoil(r: random.Random, f: dict[str, Any], key: str, truth: Truth) -> None:
    """Plant a unit error or gaps in `f`, never both in one column."""
    if r.random() < OUTLIERS:
        column, factor = r.choice(["income", "amount", "existing_debt"]), r.choice([100, 1000])
        true, f[column] = f[column], round(float(f[column]) * factor, 2)
        truth.add("outliers", source="applications", key=key, field=column, value=f[column], true=true)
        return
    for column, share in GAPS.items():
        if r.random() < share:
            truth.add("missing", source="applications", key=key, field=column, value=f[column])
            f[column] = None
