"""What cleaning does to real texts: how many each repair touches, and how fast, beside NFKC and ftfy alone.

    python benchmarks/clean_texts.py DATA

DATA holds the folders stocknet (tweets), cfpb_june2023 (complaints) and chineseblue (Chinese medical texts). Texts are
counted per 10,000; speeds are texts per second of processor time. Languages: the share that is told right of the texts
whose sets are English or Chinese, by jobs/language.py and, where they are installed, py3langid and lingua.
"""

import gzip
import importlib
import json
import random
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
from ftfy import fix_text

from jobs.language import guess
from jobs.text import normalise

SAMPLE = 10_000


def main(data: Path) -> None:
    sets = {"tweets": ("en", tweets(data)), "complaints": ("en", complaints(data)), "medical zh": ("zh", medical(data))}
    for name, (lang, texts) in sets.items():
        print(f"\n{name}: {len(texts):,} texts, {sum(map(len, texts)) // len(texts)} characters each")
        touched(texts)
        speeds(texts)
        if lang == "en":  # Chinese is told by script, in Spark
            languages(lang, texts[:1000])


def touched(texts: list[str]) -> None:
    plain = [normalise(text, encoding=False, markup=False) for text in texts]
    for what, switched in (("encoding", {"markup": False}), ("markup", {"encoding": False})):
        mended = [normalise(text, **switched) for text in texts]
        changed = sum(one != other for one, other in zip(plain, mended, strict=True))
        print(f"  {what:<28}{changed * 10_000 / len(texts):>10.1f} of 10,000 changed")
    tidied = sum(one != other for one, other in zip(texts, plain, strict=True))
    print(f"  {'NFKC, white space, invisible':<28}{tidied * 10_000 / len(texts):>10.1f} of 10,000 changed")


def speeds(texts: list[str]) -> None:
    speed("NFKC alone", lambda text: unicodedata.normalize("NFKC", text), texts)
    speed("normalise without mending", lambda text: normalise(text, encoding=False, markup=False), texts)
    speed("normalise", normalise, texts)
    speed("ftfy.fix_text", fix_text, texts)


def speed(what: str, function: Callable, texts: list[str]) -> list:
    started = time.process_time()
    results = [function(text) for text in texts]
    print(f"  {what:<28}{len(texts) / (time.process_time() - started):>10,.0f} texts/s")
    return results


def languages(lang: str, texts: list[str]) -> None:
    for name, function in detectors().items():
        found = speed(f"language: {name}", function, texts)
        print(f"  {'':<28}{sum(one == lang for one in found) / len(texts):>10.3f} right")


def detectors() -> dict[str, Callable[[str], str]]:
    found: dict[str, Callable[[str], str]] = {"jobs/language.py": lambda text: guess(text[:400])}
    try:
        py3langid = importlib.import_module("py3langid")
        found["py3langid"] = lambda text: py3langid.classify(text)[0]
        lingua = importlib.import_module("lingua")
        detector = lingua.LanguageDetectorBuilder.from_all_languages().build()
        found["lingua"] = lambda text: str(detector.detect_language_of(text).iso_code_639_1.name).lower()
    except ImportError as error:
        print(f"  not compared: {error.name} is not installed")
    return found


def tweets(data: Path) -> list[str]:
    with gzip.open(data / "stocknet" / "tweets_2014_2015.jsonl.gz", "rt", encoding="utf-8") as lines:
        return sample([json.loads(line)["text"] for line in lines])


def complaints(data: Path) -> list[str]:
    table = pyarrow.parquet.read_table(data / "cfpb_june2023" / "complaints.parquet")
    return sample([text for text in table["complaint_what_happened"].to_pylist() if text])


def medical(data: Path) -> list[str]:
    files = sorted((data / "chineseblue").glob("*/*.txt"))
    return sample([line.split("\t")[-1].strip() for file in files for line in file.open(encoding="utf-8")])


def sample(texts: list[str]) -> list[str]:
    kept = sorted({text for text in texts if len(text) > 1})
    return random.Random(0).sample(kept, min(SAMPLE, len(kept)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
