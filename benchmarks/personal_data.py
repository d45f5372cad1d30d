"""Personal data: Finelake's recognisers beside Presidio's and a bare expression, and what masking does to a classifier.

    python benchmarks/personal_data.py DATA PEER

DATA holds the folders pii_spans_en and banking77; PEER is the Python of an environment with presidio-analyzer, whose
recognisers run with a blank spaCy model. Prints precision, recall and F2 by kind and texts per second of processor
time, on the English set and on a Chinese one made from a seed, and BANKING77's accuracy on raw and on masked texts.

A find is right when it overlaps a planted span of its kind; a planted span is found when such a find is there.
"""

import csv
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from personal_data_zh import texts as chinese_texts
from sklearn.metrics import accuracy_score
from stdnum import luhn

from finelake.text.personal_data.find import find
from finelake.text.personal_data.masking import Rules, mask_text
from finelake.text.personal_data.recogniser import Span
from finelake.training.evaluation.baselines import classify

ENGLISH = {
    "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip", "IBAN_CODE": "iban",
    "US_SSN": "ssn", "PERSON": "name", "STREET_ADDRESS": "address", "ZIP_CODE": "address", "GPE": "address",
}  # fmt: skip
# Kinds recognised by format or check digits; the others by the words around them.
CHECKED = ("phone", "card", "email", "ip", "iban", "ssn", "resident_id", "credit_code")
PRESIDIO = {name: kind for name, kind in ENGLISH.items() if kind in CHECKED}
BARE = re.compile(r"\d{11}|\d{18}")
NAMES = ("Anna", "Bert", "Clara", "David", "Emma", "Frank", "Greta", "Hugo", "Irene", "Jonas")
ROUNDS = 3  # the quickest counts
SEED, TEXTS = 7, 3000

Found = tuple[list[list[Span]], float]  # spans by text, texts per second of processor time


def main(data: Path, peer: str) -> None:
    english = json.loads((data / "pii_spans_en" / "synth_dataset_v2.json").read_text(encoding="utf-8"))
    truth = [
        [(s["start_position"], s["end_position"], ENGLISH.get(s["entity_type"], "other")) for s in row["spans"]]
        for row in english
    ]
    compare("pii_spans_en", [row["full_text"] for row in english], truth, peer)
    chinese = chinese_texts(SEED, TEXTS)
    compare("Chinese, generated", [row.text for row in chinese], [row.spans for row in chinese], peer)
    print_accuracy(data / "banking77")


# --- finding ---------------------------------------------------------------------------------------------------------


def compare(name: str, texts: list[str], truth: list[list[Span]], peer: str) -> None:
    shared = tuple(PRESIDIO.values())
    systems = {
        "Finelake": timed(find, texts),
        "Presidio": ask_presidio(peer, texts, []),
        "Finelake, kinds of both": timed(lambda text: find(text, shared), texts),
        "Presidio, kinds of both": ask_presidio(peer, texts, list(PRESIDIO)),
        "bare expression": timed(lambda text: [(*match.span(), "bare") for match in BARE.finditer(text)], texts),
    }
    print(f"\n{name}: {len(texts):,} texts, {sum(map(len, texts)) / len(texts):.0f} characters each")
    for system, (_, speed) in systems.items():
        print(f"  {system:<24} {speed:>9,.0f} texts per second of processor time")
    kinds = {kind for spans in truth for _, _, kind in spans} - {"other"}
    for system, known in (("Finelake", kinds), ("Presidio", kinds & {*shared})):
        print(f"  {system}")
        for kind in sorted(known):
            print_row(kind, count(truth, systems[system][0], [kind]))
        print_row("checked kinds", count(truth, systems[system][0], CHECKED))
        print_row("kinds of both", count(truth, systems[system][0], shared))
    print("  bare expression")
    print_row("checked kinds", bare_counts(truth, systems["bare expression"][0]))


def print_row(name: str, counts: tuple[int, int, int, int]) -> None:
    right, found, hit, wanted = counts
    precision, recall = right / max(found, 1), hit / max(wanted, 1)
    f2 = 5 * precision * recall / max(4 * precision + recall, 1e-9)
    print(f"    {name:<16} P {precision:.3f}  R {recall:.3f}  F2 {f2:.3f}  ({found:,} found, {wanted:,} planted)")


def count(truth: list[list[Span]], found: list[list[Span]], kinds: Sequence[str]) -> tuple[int, int, int, int]:
    """Right finds, all finds, planted spans that were found, all planted spans; of `kinds`."""
    total: Counter[str] = Counter()
    for planted, spans in zip(truth, found, strict=True):
        planted, spans = ([span for span in side if span[2] in kinds] for side in (planted, spans))
        total["found"] += len(spans)
        total["wanted"] += len(planted)
        total["right"] += sum(any(_meet(span, other) for other in planted) for span in spans)
        total["hit"] += sum(any(_meet(span, other) for other in spans) for span in planted)
    return total["right"], total["found"], total["hit"], total["wanted"]


def bare_counts(truth: list[list[Span]], found: list[list[Span]]) -> tuple[int, int, int, int]:
    """The expression names no kind: whatever checked kind it meets is found."""
    planted = [[(start, end, "bare") for start, end, kind in spans if kind in CHECKED] for spans in truth]
    return count(planted, found, ["bare"])


def _meet(left: Span, right: Span) -> bool:
    return left[2] == right[2] and left[0] < right[1] and right[0] < left[1]


def timed(find: Callable[[str], Iterable[Span]], texts: list[str]) -> Found:
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        found = [list(find(text)) for text in texts]
        taken.append(time.process_time() - started)
    return found, len(texts) / min(taken)


def ask_presidio(peer: str, texts: list[str], entities: list[str]) -> Found:
    """What Presidio finds, in a separate process with the Python `peer`; none of `entities`: all that it knows."""
    command = [peer, str(Path(__file__).with_name("personal_data_presidio.py")), *entities]
    answer = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True).stdout
    found, speed = json.loads(answer)
    known = [[(start, end, PRESIDIO[name]) for start, end, name in spans if name in PRESIDIO] for spans in found]
    return known, speed


# --- a classifier ----------------------------------------------------------------------------------------------------


def print_accuracy(folder: Path) -> None:
    """TF-IDF with a linear SVC, trained and tested on raw and on masked texts."""
    parts = {part: _questions(folder / f"{part}.csv") for part in ("train", "test")}
    r = random.Random(SEED)
    planted = {part: [(_with_personal_data(text, r), label) for text, label in rows] for part, rows in parts.items()}
    print("\nBANKING77, accuracy on masked against raw texts")
    for name, raw in (("as published", parts), ("every third text with planted values", planted)):
        masked = {part: [(mask_text(text, Rules()), label) for text, label in rows] for part, rows in raw.items()}
        changed = sum(a != b for part in raw for a, b in zip(raw[part], masked[part], strict=True))
        scores = f"raw {100 * accuracy(raw):.2f} %, masked {100 * accuracy(masked):.2f} %"
        print(f"  {name}: {scores}; masking changes {changed:,} of {sum(map(len, raw.values())):,} texts")


def accuracy(parts: dict[str, list[tuple[str, str]]]) -> float:
    (texts, labels), (asked, wanted) = (list(zip(*parts[part], strict=True)) for part in ("train", "test"))
    return float(accuracy_score(wanted, classify(texts, labels, asked)["tfidf"]))


def _with_personal_data(text: str, r: random.Random) -> str:
    number = "".join(r.choices("23456789", k=10))
    card = f"4{number}{number[:4]}"
    sentences = (
        f"Call me at {number[:3]}-{number[3:6]}-{number[6:]}.",
        f"My card is {card}{luhn.calc_check_digit(card)}.",
        f"My email is {r.choice(NAMES).lower()}{number[:3]}@mail.example.",
        f"My name is {r.choice(NAMES)} {r.choice(NAMES)}son.",
    )
    return f"{text} {r.choice(sentences)}" if r.random() < 1 / 3 else text


def _questions(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2])
