"""What Presidio's regular recognisers find in the texts on the standard input: for benchmarks/personal_data.py.

Runs in an environment of its own with presidio-analyzer, of whose spaCy it takes a blank model. The arguments are the
entities to look for, all when there are none. Answers in JSON: [[start, end, entity] of each text], texts per second
of processor time.
"""

import json
import sys
import time

import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine

ROUNDS = 3  # the quickest counts


def main(entities: list[str], texts: list[str]) -> None:
    engine = SpacyNlpEngine()
    engine.nlp = {"en": spacy.blank("en")}
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    registry.remove_recognizer("SpacyRecognizer")
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        results = [analyzer.analyze(text, language="en", entities=entities or None) for text in texts]
        taken.append(time.process_time() - started)
    found = [[(one.start, one.end, one.entity_type) for one in listed] for listed in results]
    print(json.dumps([found, len(texts) / min(taken)]))


if __name__ == "__main__":
    main(sys.argv[1:], json.load(sys.stdin))
