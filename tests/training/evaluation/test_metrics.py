"""Scores against values worked out by hand or by the libraries' own corpus functions."""

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from finelake.training.evaluation import metrics

ALL = np.arange(6)


def test_macro_f1_by_hand():
    true, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    # class 0: P 2/2, R 2/3, F .8; class 1: P 1/2, R 1/2, F .5; class 2: P 1/2, R 1, F 2/3
    assert metrics.macro_f1(predicted, true)(ALL) == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert metrics.mean(predicted == true)(ALL) == pytest.approx(4 / 6)


def test_macro_f1_counts_only_classes_that_occur():
    true, predicted = np.array([0, 0, 1]), np.array([0, 2, 1])
    assert metrics.macro_f1(predicted, true)(np.arange(3)) == pytest.approx((2 / 3 + 1) / 2)


def test_rouge_l_by_hand():
    # Longest common subsequence 我的卡 = 3 of 4 and 3 characters: P 3/4, R 1, F 6/7.
    assert metrics.rouge_l(["我的新卡"], ["我的卡"]) == pytest.approx([6 / 7])
    # "the card is lost" / "my card is lost now": 3 of 4 and 5 words: P .75, R .6, F 2/3.
    assert metrics.rouge_l(["The card is lost"], ["my card is lost now"]) == pytest.approx([2 / 3])
    assert metrics.rouge_l([""], ["卡"]) == pytest.approx([0.0])


def test_exact_match_ignores_outer_white_space_alone():
    assert metrics.exact_match(["a b ", "a  b", "卡"], ["a b", "a b", "卡"]).tolist() == [1.0, 0.0, 1.0]


def test_bleu_is_sacrebleu_for_one_language():
    answers = ["the card will arrive in five days", "please call us again tomorrow", "no"]
    references = ["your card will arrive in six days", "please call us tomorrow", "yes"]
    ours = metrics.Bleu(answers, references, ["en"] * 3)
    assert ours(np.arange(3)) == pytest.approx(BLEU().corpus_score(answers, [references]).score)
    assert ours(np.array([0, 0, 1])) == pytest.approx(
        BLEU().corpus_score([answers[i] for i in (0, 0, 1)], [[references[i] for i in (0, 0, 1)]]).score
    )


def test_bleu_cuts_chinese_by_character():
    answers, references = ["您的新卡将在五天内寄到。"], ["您的卡将在六天内寄到。"]
    ours = metrics.Bleu(answers, references, ["zh"])(np.array([0]))
    assert ours == pytest.approx(BLEU(tokenize="zh").corpus_score(answers, [references]).score)
    assert ours > 20
    assert metrics.Bleu(answers, references, ["en"])(np.array([0])) < 10


def test_interval_covers_and_repeats():
    right = np.array([1.0] * 80 + [0.0] * 20)
    found = metrics.interval(metrics.mean(right), np.arange(100), 2000, seed=1)
    assert found == metrics.interval(metrics.mean(right), np.arange(100), 2000, seed=1)
    assert found["value"] == 0.8
    # Normal approximation: .8 +- 1.96 * sqrt(.8 * .2 / 100) = .8 +- .0784
    assert found["low"] == pytest.approx(0.72, abs=0.015)
    assert found["high"] == pytest.approx(0.88, abs=0.015)
    assert found != metrics.interval(metrics.mean(right), np.arange(100), 200, seed=2)
