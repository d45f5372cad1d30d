"""What each step of `dedup` adds to the quality of near-duplicates, on texts whose duplicates are known.

    python benchmarks/near_duplicates.py DATA [--stage]

DATA holds near_duplicates_mixed (texts.jsonl.gz, truth.json.gz) and near_duplicates (articles_100). The mixed set is
cut into two halves so that no two texts that resemble each other stand in different ones: the defaults of jobs/dedup.py
were chosen on half A, so half B shows how well they do on texts that were not looked at. With --stage the Spark stage
runs as well, and must find the very clusters that the plain functions find.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from finelake.jobs import dedup
from finelake.jobs.similarity.candidates import CANDIDATE, Candidates, masks, neighbours
from finelake.jobs.similarity.clusters import stars
from finelake.jobs.similarity.signatures import signatures
from finelake.jobs.stage import CLEANED
from finelake.text.grams import jaccard

SEED = 1
SHIPPED = 3  # bits: the radius of SimHash as it is usually shipped


@dataclass(frozen=True)
class Known:
    """Texts and what is true of them; pairs are int64 (pairs, 2) of indices of texts."""

    text: np.ndarray
    slices: dict[str, np.ndarray]  # which texts belong to a slice, bool (n,) each
    cluster: np.ndarray
    same: np.ndarray  # pairs that are near-duplicates
    hard: np.ndarray  # pairs with much the same words and another meaning
    grey: np.ndarray  # pairs of clusters that are alike as well: judged neither right nor wrong

    @classmethod
    def load(cls, folder: Path) -> "Known":
        rows = pd.read_json(folder / "texts.jsonl.gz", lines=True)
        truth = json.loads(gzip.decompress((folder / "truth.json.gz").read_bytes()))
        size, lang = rows["text"].str.len().to_numpy(), rows["lang"].to_numpy()
        slices = {
            "all": np.ones(len(rows), dtype=bool),
            "en": lang == "en",
            "zh": lang == "zh",
            "< 40": size < 40,
            "40-200": (size >= 40) & (size <= 200),
            "> 200": size > 200,
        }
        same = np.array([pair[:2] for pair in truth["pairs"]])
        pairs = (same, np.array(truth["hard_negatives"]), np.array(truth["grey_clusters"]))
        return cls(rows["text"].to_numpy(dtype=object), slices, np.array(truth["cluster"]), *pairs)

    def halves(self) -> np.ndarray:
        """Half of each text, 0 or 1: clusters that resemble each other stay together."""
        count = 1 + max(self.cluster.max(), self.grey.max())
        linked = np.concatenate([self.cluster[self.same], self.cluster[self.hard], self.grey])
        unit = component(count, linked)
        return np.random.default_rng(SEED).integers(0, 2, count)[unit][self.cluster]


def component(count: int, pairs: np.ndarray) -> np.ndarray:
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


# --- scores ----------------------------------------------------------------------------------------------------------


def score(known: Known, pairs: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 over pairs of the chosen texts, F1 by slice, the share of hard negatives merged."""
    found = codes(known, inside(pairs, chosen))
    same, hard = (codes(known, inside(pairs, chosen)) for pairs in (known.same, known.hard))
    grey = np.isin(cluster_codes(known, found), cluster_codes(known, None)) & ~np.isin(found, hard)
    judged = found[np.isin(found, same) | ~grey]
    result = dict(zip(("P", "R", "F1"), f1(judged, same), strict=True))
    for name, part in known.slices.items():
        if name != "all":
            mine = [pairs[part[pairs // len(known.text)]] for pairs in (judged, same)]
            result[name] = f1(*mine)[2]
    return result | {"hard": float(np.isin(hard, found).mean())}


def inside(pairs: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return pairs[chosen[pairs].all(axis=1)]


def codes(known: Known, pairs: np.ndarray) -> np.ndarray:
    """One number for each pair, whichever way round it stands."""
    return pairs.min(axis=1) * len(known.text) + pairs.max(axis=1)


def cluster_codes(known: Known, found: np.ndarray | None) -> np.ndarray:
    """One number for the two clusters of each pair; those of the grey pairs where none are given."""
    size = len(known.text)
    pairs = known.grey if found is None else known.cluster[np.stack([found // size, found % size], axis=1)]
    return codes(known, pairs)


def f1(found: np.ndarray, same: np.ndarray) -> tuple[float, float, float]:
    hits = np.isin(found, same).sum()
    precision, recall = hits / max(1, len(found)), hits / max(1, len(same))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def together(labels: np.ndarray) -> np.ndarray:
    """All pairs of texts with the same label."""
    groups = pd.Series(labels).groupby(labels).indices.values()
    pairs = [np.stack(np.triu_indices(len(group), 1), axis=1) for group in groups]
    return np.concatenate([group[pair] for group, pair in zip(groups, pairs, strict=True)])


# --- methods ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unique:
    """The distinct texts, and which of them each text is, int64 (n,)."""

    signature: pd.DataFrame
    place: np.ndarray

    @classmethod
    def of(cls, texts: np.ndarray) -> "Unique":
        signed = signatures(list(texts), "minhash")
        place, _ = pd.factorize(signed["digest"])
        return cls(signed.iloc[np.unique(place, return_index=True)[1]].reset_index(drop=True), place)

    def expand(self, pairs: np.ndarray) -> np.ndarray:
        """The pairs of all texts: of equal ones, and of those whose distinct texts are one of `pairs`."""
        members = pd.DataFrame({"place": self.place, "text": np.arange(len(self.place))})
        sides = pd.DataFrame(pairs, columns=["left", "right"])
        sides = sides.merge(members, left_on="left", right_on="place").merge(members, left_on="right", right_on="place")
        return np.concatenate([together(self.place), sides[["text_x", "text_y"]].to_numpy()])

    def clusters(self, pairs: np.ndarray) -> np.ndarray:
        return together(component(len(self.signature), pairs)[self.place])


def near(unique: Unique, params: dedup.Params, sketched: bool = True) -> np.ndarray:
    """Pairs of distinct texts that meet in a table and are near, int64 (pairs, 2).

    Without those whose sketches prove that they are not alike, unless `sketched` is false.
    """
    chosen = unique.signature[unique.signature["length"] >= params.min_characters].rename_axis("node").reset_index()
    texts = Candidates.of(pa.Table.from_pandas(chosen.assign(bucket=0)[list(CANDIDATE)]))
    if not sketched:
        texts = replace(texts, sketch=np.zeros_like(texts.sketch))
    tables = [neighbours(replace(texts, bucket=bucket), params) for bucket in buckets(chosen, params)]
    found = pd.DataFrame(
        np.concatenate([np.stack(columns, axis=1) for columns in tables]), columns=["left", "right", "apart"]
    )
    nearest = found.drop_duplicates().sort_values(["left", "apart", "right"]).groupby("left").head(dedup.PARTNERS)
    return nearest[["left", "right"]].to_numpy().astype(np.int64)


def buckets(chosen: pd.DataFrame, params: dedup.Params) -> np.ndarray:
    """The bucket of each text in each table, int64 (tables, n)."""
    if params.method == "minhash":
        return np.stack(chosen["bands"].to_list()).T
    return chosen["simhash"].to_numpy() & np.array(masks(params.blocks))[:, np.newaxis]


def alike(unique: Unique, pairs: np.ndarray, params: dedup.Params) -> np.ndarray:
    """Those of the pairs whose texts are similar enough."""
    keys, lengths = unique.signature["key"].to_numpy(), unique.signature["length"].to_numpy()
    similarity = jaccard(list(keys[pairs[:, 0]]), list(keys[pairs[:, 1]]))
    return pairs[similarity >= params.similarity.least(*lengths[pairs].T)]


def to_survivors(unique: Unique, pairs: np.ndarray, params: dedup.Params) -> np.ndarray:
    """Each distinct text that goes and the one it goes for, int64 (gone, 2); the first of a cluster stays."""
    keys, lengths = unique.signature["key"].to_numpy(), unique.signature["length"].to_numpy()
    part = pd.Series(component(len(keys), pairs))
    best = part.groupby(part).transform(lambda group: group.index[0]).to_numpy()
    place = np.flatnonzero(best != np.arange(len(keys)))
    least = params.similarity.least(lengths[place], lengths[best[place]]) - dedup.SLACK
    near = jaccard(list(keys[place]), list(keys[best[place]])) >= least
    rest = place[~near]
    inner = pairs[np.isin(pairs, rest).all(axis=1)]
    divided = stars(rest, pd.DataFrame(inner, columns=["left", "right"]))
    return np.concatenate([np.stack([place[near], best[place[near]]], axis=1), divided.to_numpy()])


def methods(unique: Unique) -> Iterator[tuple[str, np.ndarray]]:
    """Name of each step of the method, and the pairs of texts it takes for near-duplicates."""
    params, other = dedup.Params(), dedup.Params(method="minhash")
    yield f"SimHash, radius {SHIPPED}", unique.expand(near(unique, dedup.Params(radius=SHIPPED), sketched=False))
    wide = near(unique, params)
    yield f"radius {params.radius}", unique.expand(near(unique, params, sketched=False))
    verified = alike(unique, wide, params)
    yield "and verification", unique.expand(verified)
    yield "and components", unique.clusters(verified)
    yield "and survivors", unique.clusters(to_survivors(unique, verified, params))
    yield "MinHash, bands", unique.expand(near(unique, other, sketched=False))
    banded = alike(unique, near(unique, other), other)
    yield "MinHash, all steps", unique.clusters(to_survivors(unique, banded, other))


def by_stage(texts: np.ndarray) -> np.ndarray:
    """The cluster that the Spark stage gives each text."""
    from finelake.jobs.spark.session import open_session

    empty: dict[str, float] = {}
    rows = [(f"{i:06}", "x", str(i), None, "x", "en", text, empty, empty, []) for i, text in enumerate(texts)]
    spark = open_session("local[2]", "1g")
    frames = {"clean.records": spark.createDataFrame(rows, CLEANED)}
    records = dedup.build(frames, dedup.Params(action="mark"))["records"]
    return records.select("record_id", "cluster").toPandas().sort_values("record_id")["cluster"].to_numpy()


# --- the tables ------------------------------------------------------------------------------------------------------


def mixed(folder: Path, stage: bool) -> None:
    known = Known.load(folder)
    half, unique = known.halves(), Unique.of(known.text)
    named = dict(methods(unique))
    if stage:
        labels = by_stage(known.text)
        agree = np.array_equal(together(labels), named["and survivors"])
        print(f"the stage finds {'the same' if agree else 'OTHER'} clusters as its steps here\n")
    for name, chosen in (("half A", half == 0), ("half B", half == 1), ("whole", half >= 0)):
        print(f"{name}, {chosen.sum():,} texts")
        figures = {method: score(known, pairs, chosen) for method, pairs in named.items()}
        print(pd.DataFrame(figures).T.to_string(float_format="{:.3f}".format), end="\n\n")


def articles(folder: Path) -> None:
    lines = (folder / "articles_100.train").read_text(encoding="utf-8").splitlines()
    names, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
    truth = (folder / "articles_100.truth").read_text(encoding="utf-8").splitlines()
    same = {frozenset(line.split()) for line in truth}
    print(f"articles_100, {len(texts)} texts, {len(same)} pairs")
    for method, pairs in methods(Unique.of(np.array(texts, dtype=object))):
        found = {frozenset(names[index] for index in pair) for pair in pairs}
        print(f"{method:<20} found {len(found & same)}, wrong {len(found - same)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--stage", action="store_true", help="run the Spark stage too")
    options = parser.parse_args()
    mixed(options.data / "near_duplicates_mixed", options.stage)
    articles(options.data / "near_duplicates")


if __name__ == "__main__":
    main()
