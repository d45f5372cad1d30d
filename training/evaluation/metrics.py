"""Scores of answers against references, and how sure they are. Pure: lists and arrays in, numbers out."""

import re
from collections.abc import Callable, Sequence

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

from finelake.text.normalise import HAN

_WORDS = re.compile(rf"[{HAN}]|<[A-Z_]+(?::\w+)?>|[^\W_{HAN}]+")


class Words:
    """Tokens for ROUGE: each Chinese character, each other word; the library's own tokenizer drops all Chinese."""

    def tokenize(self, text: str) -> list[str]:
        return _WORDS.findall(text.lower())


_ROUGE = RougeScorer(["rougeL"], tokenizer=Words())


def rouge_l(answers: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """ROUGE-L F1 of each answer, 0 to 1 (Lin 2004; rouge-score). Returns: float array [answers]"""
    pairs = zip(references, answers, strict=True)
    return np.array([_ROUGE.score(reference, answer)["rougeL"].fmeasure for reference, answer in pairs])


def exact_match(answers: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """1 where the answer is the reference but for white space at its ends. Returns: float array [answers]"""
    return np.array([float(a.strip() == r.strip()) for a, r in zip(answers, references, strict=True)])


class Bleu:
    """Corpus BLEU of any resample of the answers, 0 to 100 (Papineni 2002; sacrebleu, tokenizer zh for Chinese).

    BLEU adds up counts of n-grams over sentences, so the counts of each sentence are taken once. Where Chinese and
    other texts are mixed, each sentence is cut by the tokenizer of its own language.
    """

    def __init__(self, answers: Sequence[str], references: Sequence[str], languages: Sequence[str]):
        scorers = {True: BLEU(tokenize="zh"), False: BLEU()}
        rows = zip(answers, references, languages, strict=True)
        self._counts = np.array([_ngrams(scorers[lang == "zh"], a, r) for a, r, lang in rows]).reshape(-1, 10)

    def __call__(self, chosen: np.ndarray) -> float:
        sums = [int(count) for count in self._counts[chosen].sum(0)]
        return BLEU.compute_bleu(sums[:4], sums[4:8], sums[8], sums[9], smooth_method="exp").score


def _ngrams(scorer: BLEU, answer: str, reference: str) -> list[int]:
    """N-grams found (1 to 4), n-grams there (1 to 4), tokens of the answer, tokens of the reference."""
    score = scorer.corpus_score([answer], [[reference]])
    return [*score.counts, *score.totals, score.sys_len, score.ref_len]


def mean(values: np.ndarray) -> Callable[[np.ndarray], float]:
    """Mean of the chosen values; of true and false ones, the share that is true: accuracy."""
    return lambda chosen: float(values[chosen].mean())


def macro_f1(predicted: np.ndarray, true: np.ndarray) -> Callable[[np.ndarray], float]:
    """Mean over the classes that occur among the chosen true values of the harmonic mean of precision and recall."""
    classes = int(max(predicted.max(initial=0), true.max(initial=0))) + 1

    def score(chosen: np.ndarray) -> float:
        here, wanted = predicted[chosen], true[chosen]
        hits = np.bincount(wanted[here == wanted], minlength=classes)
        given, present = np.bincount(here, minlength=classes), np.bincount(wanted, minlength=classes)
        f1 = 2 * hits / np.maximum(given + present, 1)
        return float(f1[present > 0].mean())

    return score


def interval(score: Callable[[np.ndarray], float], rows: np.ndarray, resamples: int, seed: int) -> dict[str, float]:
    """A score of `rows` (numbers of samples) with its 95 % bootstrap interval (Efron 1979, percentile method)."""
    random = np.random.default_rng(seed)
    drawn = [score(rows[random.integers(0, len(rows), len(rows))]) for _ in range(resamples)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"value": round(score(rows), 4), "low": round(float(low), 4), "high": round(float(high), 4)}
