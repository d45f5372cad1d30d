"""What a fine-tuned model has to beat: the most frequent answer, and TF-IDF with a linear method.

classify   majority: the most frequent class    tfidf: TF-IDF of words, pairs and letters, linear support vectors
instruct   majority: the most frequent reply     tfidf: the reply of the train prompt nearest by TF-IDF cosine
           in the language                       (retrieval with a linear kernel)
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union
from sklearn.svm import LinearSVC

from finelake.text.normalise import HAN

BLOCK = 256  # test rows compared with the train part at once
TOKEN = rf"[{HAN}]|[^\W_{HAN}]+"  # a Chinese character or a word


def most_frequent(values: Sequence[str]) -> str:
    """The value that occurs most often; among equals the one that sorts first."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))


def vectorizer() -> TfidfVectorizer:
    """TF-IDF of words (Chinese: characters) and pairs of them."""
    return TfidfVectorizer(token_pattern=TOKEN, ngram_range=(1, 2), sublinear_tf=True)


def classify(texts: Sequence[str], labels: Sequence[str], test: Sequence[str]) -> dict[str, list[str]]:
    """The class each baseline gives to each test text, by baseline."""
    # Letters beside words: they carry typos and word forms, and make the stronger baseline.
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    terms = make_union(vectorizer(), letters)
    linear = LinearSVC(random_state=0).fit(terms.fit_transform(texts), labels)
    predicted = linear.predict(terms.transform(test)).tolist() if test else []
    return {"majority": [most_frequent(labels)] * len(test), "tfidf": predicted}


def answer(train: Sequence[tuple[str, str, str]], test: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The reply each baseline gives to each test prompt; train: (prompt, reply, language), test: (prompt, language)."""
    languages = {language for _, _, language in train}
    everywhere = most_frequent([reply for _, reply, _ in train])
    frequent = {name: most_frequent([reply for _, reply, here in train if here == name]) for name in languages}
    return {
        "majority": [frequent.get(language, everywhere) for _, language in test],
        "tfidf": _nearest([prompt for prompt, _, _ in train], [reply for _, reply, _ in train], [p for p, _ in test]),
    }


def _nearest(prompts: Sequence[str], replies: Sequence[str], test: Sequence[str]) -> list[str]:
    terms = vectorizer()
    known = terms.fit_transform(prompts).T.tocsr()
    asked = terms.transform(test)
    found: list[str] = []
    for first in range(0, len(test), BLOCK):
        likeness = (asked[first : first + BLOCK] @ known).toarray()
        found += [replies[i] for i in np.argmax(likeness, axis=1)]
    return found
