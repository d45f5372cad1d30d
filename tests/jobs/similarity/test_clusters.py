"""Components, the greedy choice of survivors, and pairs thinned out."""

import random

import numpy as np
import pandas as pd

from finelake.jobs.similarity import clusters
from finelake.jobs.similarity.clusters import components, stars, thin


def test_components():
    edges = pd.DataFrame({"left": ["a", "c", "x"], "right": ["b", "b", "y"]})
    assert components(edges).to_dict("list") == {
        "representative": ["a", "b", "c", "x", "y"],
        "component": [0, 0, 0, 1, 1],
    }
    assert components(edges[:0]).empty


def test_stars_are_the_greedy_choice():
    picked = random.Random(3)
    names = np.array([f"{number:03}" for number in range(300)], dtype=object)
    pairs = [tuple(picked.sample(list(names), 2)) for _ in range(400)]
    kept: dict[str, str] = {}
    for name in names:
        beside = {a if b == name else b for a, b in pairs if name in (a, b)}
        kept[name] = min((other for other in beside if kept.get(other) == other), default=name)
    found = stars(names, pd.DataFrame(pairs, columns=["left", "right"]))
    assert dict(zip(found["representative"], found["kept"], strict=True)) == {
        name: other for name, other in kept.items() if name != other
    }
    assert stars(names, pd.DataFrame(pairs[:0], columns=["left", "right"])).empty


def test_thinned_pairs_connect_the_same_texts(monkeypatch):
    monkeypatch.setattr(clusters, "PAIRS", 50)
    picked = random.Random(7)
    ends = {tuple(picked.sample(range(10 * part, 10 * part + 10), 2)) for part in range(20) for _ in range(60)}
    pairs = pd.DataFrame([(f"{left:03}", f"{right:03}") for left, right in ends], columns=["left", "right"])
    (thinned,) = thin(pairs[start : start + 40] for start in range(0, len(pairs), 40))
    whole = components(pairs)
    assert len(thinned) == 20 * 9 < len(pairs)
    same = components(thinned).groupby("component")["representative"].apply(list).tolist()
    assert sorted(same) == sorted(whole.groupby("component")["representative"].apply(list).tolist())
    assert [len(frame) for frame in thin([pairs[:0]])] == [0]
    assert list(thin([])) == []
