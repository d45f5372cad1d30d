"""A text has one signature, whatever the other texts are."""

import random

import pandas as pd

from finelake.jobs.similarity.signatures import signatures


def test_signatures_do_not_depend_on_the_batch():
    picked = random.Random(1)
    texts = ["".join(picked.choices("abcdefgh 你好", k=picked.choice([3, 30, 300]))) for _ in range(500)]
    whole = signatures(texts, "minhash")
    single = pd.concat([signatures([text], "minhash") for text in texts], ignore_index=True)
    assert whole["bands"].map(list).tolist() == single["bands"].map(list).tolist()
    assert whole.drop(columns="bands").equals(single.drop(columns="bands"))
