"""The signature of a text in the search for near-duplicates: digest, SimHash, sketch, bands and match key."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from finelake.text.grams import (
    COMPARED_CHARACTERS,
    HEAD_CHARACTERS,
    by_length,
    grams,
    minhash,
    odd_sketch,
    simhash,
    small,
)
from finelake.text.normalise import match_key


def signatures(texts: Sequence[str | None], method: str = "simhash") -> pd.DataFrame:
    """The columns of SIGNATURE for each text; digest is None for one without letters or digits."""
    keys = [match_key(text) for text in texts]
    lengths = np.array([len(key) for key in keys], dtype=np.int32)
    hashes, counts = np.zeros(len(keys), dtype=np.uint64), np.zeros(len(keys), dtype=np.int32)
    sketches, bands = np.full(len(keys), None, dtype=object), np.full(len(keys), None, dtype=object)
    for part, sizes in by_length(lengths):
        mine = [keys[index] for index in part]
        head = grams(mine, HEAD_CHARACTERS, small)
        whole = head if sizes is small else grams(mine, COMPARED_CHARACTERS, sizes)
        hashes[part], counts[part] = simhash(head), whole.counts
        sketches[part] = [sketch.tobytes() for sketch in odd_sketch(whole)]
        if method == "minhash":
            bands[part] = [*minhash(head).view(np.int64)]
    return pd.DataFrame(
        {
            "digest": pd.Series([_digest(key) for key in keys], dtype=object),
            "simhash": hashes.view(np.int64),
            "length": lengths,
            "grams": counts,
            "sketch": sketches,
            "bands": bands,
            "key": pd.Series([key[:COMPARED_CHARACTERS] for key in keys], dtype=object),
        }
    )


def _digest(key: str) -> str | None:
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest() if key else None
