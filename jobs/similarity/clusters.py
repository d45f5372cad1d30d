"""From pairs of near-duplicates to clusters and their survivors."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

PAIRS = 200_000  # pairs that a task collects before it thins them out


def stars(names: np.ndarray, pairs: pd.DataFrame) -> pd.DataFrame:
    """representative and kept of each removed text: the best stays, its partners are removed, and so on with the rest.

    names object (n,), best first. Pairs (left, right) of names. This is the greedy maximal independent set, computed in
    rounds (Blelloch, Fineman, Shun 2012).
    """
    index, rank = pd.Index(names), np.arange(len(names))
    ends = np.stack([index.get_indexer(pairs["left"]), index.get_indexer(pairs["right"])], axis=1)
    ends = waiting = np.concatenate([ends, ends[:, ::-1]])
    gone = np.zeros(len(names), dtype=bool)
    while len(waiting):
        stays = _best(waiting, len(names)) > rank
        goes = _best(waiting[stays[waiting[:, 1]]], len(names)) < len(names)
        gone |= goes
        waiting = waiting[~(stays | goes)[waiting].any(axis=1)]
    kept = _best(ends[~gone[ends[:, 1]]], len(names))[gone]
    return pd.DataFrame({"representative": names[gone], "kept": names[kept]})


def _best(ends: np.ndarray, count: int) -> np.ndarray:
    """The smallest second end of each first end, int64 (count,); `count` where there is none."""
    best = np.full(count, count)
    np.minimum.at(best, ends[:, 0], ends[:, 1])
    return best


def thin(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """A subset of the pairs (left, right) that connects the same representatives."""
    waiting: list[pd.DataFrame] = []
    rows, limit = 0, PAIRS
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        if rows > limit:
            waiting = [spanning(pd.concat(waiting))]
            rows, limit = len(waiting[0]), PAIRS + 2 * len(waiting[0])
    if waiting:
        yield spanning(pd.concat(waiting))


def spanning(pairs: pd.DataFrame) -> pd.DataFrame:
    """A spanning forest of the pairs."""
    names, graph = _graph(pairs)
    tree = minimum_spanning_tree(graph).tocoo()
    return pd.DataFrame({"left": names[tree.row], "right": names[tree.col]})


def components(pairs: pd.DataFrame) -> pd.DataFrame:
    """The connected components of `pairs` (left, right): representative and component (int64)."""
    names, graph = _graph(pairs)
    labels = connected_components(graph, directed=False)[1] if len(names) else np.zeros(0)
    return pd.DataFrame({"representative": names, "component": labels.astype(np.int64)})


def _graph(pairs: pd.DataFrame) -> tuple[np.ndarray, coo_array]:
    """The distinct representatives, object (n,), and the pairs as a matrix (n, n) over them."""
    names, index = np.unique(pairs[["left", "right"]].to_numpy(dtype=str).ravel(), return_inverse=True)
    ends = index.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(len(names), len(names)))
    return names.astype(object), graph
