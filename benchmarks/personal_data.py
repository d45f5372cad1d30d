"""Personal data: Finelake's recognisers beside Presidio's and a bare expression, and what masking does to a classifier.

    python benchmarks/personal_data.py DATA PEER

DATA holds the folders pii_spans_en and banking77; PEER is the Python of an environment with presidio-analyzer, whose
recognisers run with a blank spaCy model. Prints precision, recall and F2 by kind and texts per second of processor
time, on the English set and on a Chinese one made from a seed, and BANKING77's accuracy on raw and on masked texts.

A find is right when it overlaps a planted span of its kind; a planted span is found when such a find is there.
"""

import csv
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ENGLISH = {
    "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip", "IBAN_CODE": "iban",
    "US_SSN": "ssn", "PERSON": "name", "STREET_ADDRESS": "address", "ZIP_CODE": "address", "GPE": "address",
}  # fmt: skip
# Kinds whose form or check digits tell; the others are told by the words around them.
CHECKED = ("phone", "card", "email", "ip", "iban", "ssn", "resident_id", "credit_code")
PRESIDIO = {name: kind for name, kind in ENGLISH.items() if kind in CHECKED}
BARE = re.compile(r"\d{11}|\d{18}")
ROUNDS = 3  # the quickest counts
SEED, TEXTS = 7, 3000

Span = tuple[int, int, str]
Found = tuple[list[list[Span]], float]  # spans by text, texts per second of processor time


def main(data: Path, peer: str) -> None:
    from personal_data_zh import texts

    english = json.loads((data / "pii_spans_en" / "synth_dataset_v2.json").read_text(encoding="utf-8"))
    truth = [
        [(s["start_position"], s["end_position"], ENGLISH.get(s["entity_type"], "other")) for s in row["spans"]]
        for row in english
    ]
    compare("pii_spans_en", [row["full_text"] for row in english], truth, peer)
    chinese = texts(SEED, TEXTS)
    compare("Chinese, generated", [row.text for row in chinese], [row.spans for row in chinese], peer)
    print_accuracy(data / "banking77")


# --- finding ---------------------------------------------------------------------------------------------------------


def compare(name: str, texts: list[str], truth: list[list[Span]], peer: str) -> None:
    from jobs.recognisers import find

    shared = tuple(PRESIDIO.values())
    systems = {
        "Finelake": timed(find, texts),
        "Presidio": ask_presidio(peer, texts, "all"),
        "Finelake, kinds of both": timed(lambda text: find(text, shared), texts),
        "Presidio, kinds of both": ask_presidio(peer, texts, "shared"),
        "bare expression": timed(lambda text: [(*match.span(), "bare") for match in BARE.finditer(text)], texts),
    }
    print(f"\n{name}: {len(texts):,} texts, {sum(map(len, texts)) / len(texts):.0f} characters each")
    for system, (_, speed) in systems.items():
        print(f"  {system:<24} {speed:>9,.0f} texts a second of processor time")
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


def ask_presidio(peer: str, texts: list[str], which: str) -> Found:
    """What Presidio finds, in a process of its own with the Python `peer`; which: recognisers of `all` or `shared`."""
    command = [peer, __file__, "--presidio", which]
    answer = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True).stdout
    found, speed = json.loads(answer)
    return [[(start, end, kind) for start, end, kind in spans] for spans in found], speed


def serve_presidio(which: str) -> None:
    """Answer on the standard output for the texts on the standard input."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    engine = SpacyNlpEngine()
    engine.nlp = {"en": spacy.blank("en")}
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    registry.remove_recognizer("SpacyRecognizer")
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])

    def find(text: str) -> list[Span]:
        results = analyzer.analyze(text, language="en", entities=list(PRESIDIO) if which == "shared" else None)
        return [(one.start, one.end, PRESIDIO[one.entity_type]) for one in results if one.entity_type in PRESIDIO]

    print(json.dumps(timed(find, json.load(sys.stdin))))


# --- a classifier ----------------------------------------------------------------------------------------------------


def print_accuracy(folder: Path) -> None:
    """TF-IDF with a linear SVC, trained and tested on raw and on masked texts."""
    from sklearn.metrics import accuracy_score

    from jobs.mask import Params, mask_text
    from training.baselines import classify

    parts = {part: _questions(folder / f"{part}.csv") for part in ("train", "test")}
    masked = {part: [(mask_text(text, Params()), label) for text, label in rows] for part, rows in parts.items()}
    changed = {part: sum(a != b for a, b in zip(rows, masked[part], strict=True)) for part, rows in parts.items()}
    print(f"\nBANKING77 masked against raw: masking changes {changed['train']} train and {changed['test']} test texts")
    for name, rows in (("raw", parts), ("masked", masked)):
        (texts, labels), (asked, wanted) = (list(zip(*rows[part], strict=True)) for part in ("train", "test"))
        print(f"  {name:<8} accuracy {100 * accuracy_score(wanted, classify(texts, labels, asked)['tfidf']):.2f} %")


def _questions(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--presidio"]:
        serve_presidio(sys.argv[2])
    elif len(sys.argv) == 3:
        main(Path(sys.argv[1]), sys.argv[2])
    else:
        sys.exit(__doc__)
