"""The similarity graph of neurons: distances, edge weights, the tree of closest pairs, connected components."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._groups import ROUNDING, by_size

LOWEST_CUTOFF = math.exp(-1)
"""Weight of an edge as long as the mean distance: the least that is kept."""


class Pairs(NamedTuple):
    """Some pairs of nodes.

    Attributes:
        i: (E,) int64, one node.
        j: (E,) int64, the other, not i.
        cosine: (E,) float64.
    """

    i: Array
    j: Array
    cosine: Array


def half_distance(cosine: Array) -> Array:
    """(1 - cos) / 2, in [0, 1]: 0 for the same direction, 1/2 for orthogonal ones, 1 for opposite ones."""
    return np.asarray((1.0 - cosine) / 2.0)


def edge_weights(distance: Array, sigma: float) -> Array:
    """Weight of an edge, exp(-distance² / sigma²).

    Args:
        distance: any shape, from `half_distance`.
        sigma: mean distance, at least 0. Where it is 0 but for rounding all neurons coincide, and all weights are 1.

    Returns:
        float64 in [0, 1].
    """
    if sigma <= ROUNDING:
        return np.ones_like(distance)
    return np.asarray(np.exp(-((distance / sigma) ** 2)))


def cosine_at(cutoff: float, sigma: float) -> float:
    """The cosine of two neurons whose edge has that weight, 1 - 2 sigma sqrt(ln(1 / cutoff)).

    Args:
        cutoff: weight in (0, 1].
        sigma: as for `edge_weights`.

    Returns:
        Float, at most 1; below -1 where even opposite neurons have a heavier edge.
    """
    return 1.0 - 2.0 * sigma * math.sqrt(math.log(1.0 / cutoff))


def closest_tree(cosine: Array) -> Pairs:
    """Tree over all nodes whose edges have the largest sum of cosines (maximum spanning tree).

    Two nodes are connected by edges above a cutoff exactly where they are by edges of the tree above it, so it holds
    the connected components at all cutoffs.

    Args:
        cosine: (N, N) symmetric.

    Returns:
        N - 1 pairs in the order in which the tree grows from node 0; ties go to the lower node number.

    Source:
        Prim, Shortest connection networks and some generalizations, Bell System Technical Journal 36 (1957).
    """
    count = len(cosine)
    i, j = np.zeros((2, max(count - 1, 0)), dtype=np.int64)
    weight = np.zeros(len(i))
    outside = np.arange(count) > 0
    best, nearest = np.where(outside, cosine[0], -np.inf) if count else np.empty(0), np.zeros(count, dtype=np.int64)
    for k in range(len(i)):
        new = int(best.argmax())
        i[k], j[k], weight[k] = nearest[new], new, best[new]
        outside[new] = False
        best[new] = -np.inf
        closer = outside & (cosine[new] > best)
        best[closer], nearest[closer] = cosine[new, closer], new
    return Pairs(i, j, weight)


def strongest(cosine: Array, tree: Pairs, at_most: int) -> Pairs:
    """The closest pairs of nodes, and the pairs of the tree.

    Args:
        cosine: (N, N) symmetric.
        tree: from `closest_tree`.
        at_most: number of closest pairs; the tree's may come on top. Ties go to the lower node numbers.

    Returns:
        Pairs with i < j, by i, then j.
    """
    count = len(cosine)
    i, j = np.triu_indices(count, 1)
    kept = np.zeros((count, count), dtype=bool)
    closest = np.argsort(-cosine[i, j], kind="stable")[:at_most]
    kept[i[closest], j[closest]] = True
    kept[np.minimum(tree.i, tree.j), np.maximum(tree.i, tree.j)] = True
    i, j = np.nonzero(kept)
    return Pairs(i, j, cosine[i, j])


def components(tree: Pairs, count: int, cosine: float) -> Array:
    """Connected components of two nodes or more.

    Args:
        tree: from `closest_tree`.
        count: N, number of nodes.
        cosine: nodes at least that close have an edge; NaN for no edge at all.

    Returns:
        (N,) int64, 0 for the largest, then by falling size and rising first node; -1 for a node on its own.
    """
    parent = list(range(count))
    kept = tree.cosine >= cosine
    for i, j in zip(tree.i[kept].tolist(), tree.j[kept].tolist(), strict=True):
        parent[_root(parent, i)] = _root(parent, j)
    return by_size(np.array([_root(parent, node) for node in range(count)], dtype=np.int64))


def joining_cosines(tree: Pairs, count: int) -> Array:
    """The cutoffs at which components join and the largest grows, as the cutoff falls.

    Args:
        tree: from `closest_tree`.
        count: N, number of nodes.

    Returns:
        (2, max(N - 1, 0)) float64, falling: where the k-th join happens, and where the largest component reaches
        k + 1 nodes.
    """
    order = np.argsort(-tree.cosine, kind="stable")
    joins = tree.cosine[order]
    reached = np.searchsorted(_largest(tree, order, count), np.arange(2, count + 1))
    return np.stack([joins, joins[reached]])


def component_curves(joining: Array, cutoffs: Array) -> Array:
    """Number of connected components and size of the largest against the cutoff.

    Args:
        joining: (2, M) from `joining_cosines`.
        cutoffs: (C,) cosines; nodes at least that close have an edge.

    Returns:
        (2, C) int64, for M + 1 nodes.
    """
    joined, grown = (joining[:, :, None] >= cutoffs).sum(axis=1)
    return np.stack([joining.shape[1] + 1 - joined, 1 + grown])


def _largest(tree: Pairs, order: Array, count: int) -> Array:
    """(N - 1,) size of the largest component after each edge."""
    parent, size, largest = list(range(count)), [1] * count, [1]
    for i, j in zip(tree.i[order].tolist(), tree.j[order].tolist(), strict=True):
        one, other = _root(parent, i), _root(parent, j)
        parent[one] = other
        size[other] += size[one]
        largest.append(max(largest[-1], size[other]))
    return np.array(largest[1:], dtype=np.int64)


def _root(parent: list[int], node: int) -> int:
    while parent[node] != node:
        parent[node] = node = parent[parent[node]]
    return node
