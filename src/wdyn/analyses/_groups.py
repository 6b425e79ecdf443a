"""Trees of neurons, groups cut from them, and what becomes of groups through time; shared by several analyses.

Average linkage joins the two closest groups again and again, and the first join is the closest pair of all. So if a
layer of random directions has, with probability 99 %, no pair closer than some distance, cutting the tree at that
distance finds, with the same probability, no group in it. `_grouping` says which groups are claimed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from wdyn.analyses._charts import Array

Mode = Literal["ray", "line"]
Method = Literal["average", "hdbscan"]

FALSE_CLAIM = 0.01
"""Chance that a layer of random directions shows any group at one step."""

MOST_ROWS = 2048
"""Rows looked at in a layer: their cosines and the tree then take 100 MB and a fraction of a second per step."""

# Rows of float32 weights that point the same way differ by this much after rounding: below it a distance says nothing.
ROUNDING = 1e-12
FARTHEST = 2.0  # the largest cosine distance


def spaced(count: int, at_most: int) -> Array:
    """Evenly spaced positions, all of them where they are few enough.

    Args:
        count: how many there are.
        at_most: how many to keep, at least 1.

    Returns:
        (min(count, at_most),) int64, increasing, the first and the last among them.
    """
    return np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64)


def cosines(unit: Array) -> Array:
    """Cosine between each two rows of length one.

    Args:
        unit: (N, D) float64; a row of zeros gives zeros.

    Returns:
        (N, N) float64 in [-1, 1], symmetric.
    """
    gram: Array = unit @ unit.T
    return np.clip(gram, -1.0, 1.0, out=gram)


def merge_tree(cosine: Array, mode: Mode) -> Array:
    """Average linkage (UPGMA) on the cosine distance.

    Args:
        cosine: (N, N) symmetric, in [-1, 1].
        mode: `ray` for the distance 1 - cos, in which opposite neurons are farthest apart; `line` for 1 - |cos|, in
            which they are together.

    Returns:
        (N - 1, 4) float64 in SciPy's form, heights increasing: two parts, their mean distance, size of the union.

    Source:
        Sokal & Michener, A statistical method for evaluating systematic relationships (1958).
    """
    if len(cosine) < 2:
        return np.empty((0, 4))
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    distance = 1.0 - (np.abs(cosine) if mode == "line" else cosine)
    return np.asarray(linkage(squareform(distance, checks=False), "average"))


def chance_distance(count: int, inputs: int, mode: Mode, *, pairs: float = FALSE_CLAIM) -> float:
    """Cosine distance that no two of some random directions undercut, with probability of at least 99 %.

    For independent uniform directions (1 - cos) / 2 follows a Beta((D-1)/2, (D-1)/2) distribution. Pairs are
    independent two by two, so the expected number of pairs below the returned distance is exactly `pairs`, and the
    chance of any is at most that. Weights drawn from a cube, as by most initialisations, have directions that are
    not quite uniform: measured 2.3 % instead of 1 % for 64 neurons of 9 inputs, no excess seen from 25 inputs on.

    Args:
        count: N, number of directions.
        inputs: D, their dimension.
        mode: as for `merge_tree`.
        pairs: expected number of pairs below the distance; more than the default only to see what chance groups are
            like.

    Returns:
        Distance in (0, 2]; 0 where no group can be told from chance: fewer than two neurons, a single input (all
        cosines are 1 or -1), or so many neurons of two inputs that the distance drowns in rounding.
    """
    if count < 2 or inputs < 2:
        return 0.0
    from scipy.special import betaincinv

    half = (inputs - 1) / 2
    tail = min(pairs / (count * (count - 1) / 2), 1.0)
    distance = 2.0 * float(betaincinv(half, half, tail / 2 if mode == "line" else tail))
    return distance if distance > ROUNDING else 0.0


def cut(tree: Array, distance: float) -> Array:
    """Groups of at least two rows that were joined at or below a height.

    Args:
        tree: (N - 1, 4) from `merge_tree`.
        distance: the height; 0 gives no group.

    Returns:
        (N,) int64, 0 for the largest group, then by falling size and rising first row; -1 for a row on its own.
    """
    count, joins = len(tree) + 1, int(np.searchsorted(tree[:, 2], distance, side="right"))
    if not joins or distance <= 0:
        return np.full(count, -1)
    parts = np.arange(count + joins)
    for join in range(joins - 1, -1, -1):  # from the last union down to its rows
        parts[tree[join, :2].astype(np.int64)] = parts[count + join]
    return by_size(parts[:count])


def average(cosine: Array, mode: Mode, distance: float) -> Array:
    """Groups by average linkage, the same as from `cut` and `merge_tree` and mostly in a fraction of the time.

    Two groups whose rows are closer than the distance on average have two rows that are, so rows without such another
    are left out: among random directions, nearly always all.

    Args:
        cosine: (N, N) symmetric, in [-1, 1].
        mode: as for `merge_tree`.
        distance: as for `cut`.

    Returns:
        (N,) int64 as from `cut`.
    """
    labels = np.full(len(cosine), -1)
    if distance <= 0:
        return labels
    close = (np.abs(cosine) if mode == "line" else cosine) >= 1.0 - distance - ROUNDING
    rows = np.flatnonzero(np.count_nonzero(close, axis=1) > 1)  # each is close to itself
    if len(rows):
        labels[rows] = cut(merge_tree(cosine[np.ix_(rows, rows)], mode), distance)
    return labels


def by_size(parts: Array) -> Array:
    """Number the parts of two rows or more.

    Args:
        parts: (N,) int, part of each row; negative for a row on its own.

    Returns:
        (N,) int64, 0 for the largest part, then by falling size and rising first row; -1 for a row on its own.
    """
    _, first, inverse, sizes = np.unique(parts, return_index=True, return_inverse=True, return_counts=True)
    alone = (parts < 0) | (sizes[inverse] < 2)
    order = np.lexsort((first, -np.where(parts[first] < 0, 0, sizes)))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.where(alone, -1, rank[inverse])


def dense(cosine: Array, mode: Mode, distance: float) -> Array:
    """Groups of two rows or more by HDBSCAN, which need not be round: each member is close to some other member.

    Only rows that have another within the distance are looked at, so random directions make a group no more often than
    they make one close pair: a row in a group is there with the row closest to it. A pair of stand-ins, as far away as
    opposite neurons are, lets HDBSCAN find that all rows are one group; its own switch for that drops most members.

    Args:
        cosine: (N, N) symmetric, in [-1, 1].
        mode: as for `merge_tree`.
        distance: what counts as close; 0 gives no group.

    Returns:
        (N,) int64 as from `cut`.

    Source:
        Campello, Moulavi & Sander, Density-based clustering based on hierarchical density estimates (2013).
    """
    apart = np.maximum(1.0 - (np.abs(cosine) if mode == "line" else cosine), ROUNDING)  # HDBSCAN divides by distances
    close = apart <= distance
    np.fill_diagonal(close, False)
    labels, rows = np.full(len(cosine), -1), np.flatnonzero(close.any(axis=1))
    if not len(rows):
        return labels
    from sklearn.cluster import HDBSCAN

    padded = np.pad(apart[np.ix_(rows, rows)], (0, 2), constant_values=FARTHEST)
    padded[-2:, -2:] = FARTHEST / 2
    found = HDBSCAN(min_cluster_size=2, min_samples=2, metric="precomputed", copy=True).fit(padded)
    labels[rows] = found.labels_[:-2]
    return by_size(labels)


def leaf_order(cosine: Array, live: Array) -> Array:
    """Rows in the order of the tree's leaves (mode `ray`), dead rows at the end.

    Args:
        cosine: (N, N) from `cosines`.
        live: (N,) bool.

    Returns:
        (N,) int64, a permutation.
    """
    rows, dead = np.flatnonzero(live), np.flatnonzero(~live)
    if len(rows) < 2:
        return np.concatenate([rows, dead])
    from scipy.cluster.hierarchy import leaves_list

    leaves = leaves_list(merge_tree(cosine[np.ix_(rows, rows)], "ray"))
    return np.concatenate([rows[leaves], dead])


def persistent(labels: Array) -> Array:
    """Number groups so that one keeps its number, hence its colour, from step to step.

    Goes backwards from the last step, whose numbers stay, so analyses that show different steps agree there.

    Args:
        labels: (T, N) int64, groups of each step on their own, -1 for none.

    Returns:
        (T, N) int64. A group continues the one of the next step that it shares most members with, at least half of
        the smaller of the two; pairs are matched one to one, with most shared members in all. A group that continues
        none gets a number of its own.
    """
    numbered = labels.copy()
    fresh = int(labels[-1:].max(initial=-1)) + 1
    for t in range(len(labels) - 2, -1, -1):
        names = _names(labels[t], numbered[t + 1], fresh)
        fresh = max(fresh, int(names.max(initial=-1)) + 1)
        numbered[t] = np.where(labels[t] < 0, -1, np.append(names, -1)[labels[t]])
    return numbered


def _names(labels: Array, known: Array, fresh: int) -> Array:
    """(K,) number for each group of `labels`, continuing those of `known` where they match."""
    from scipy.optimize import linear_sum_assignment

    numbers, column = np.unique(known, return_inverse=True)
    shared = np.zeros((int(labels.max(initial=-1)) + 1, len(numbers)), dtype=np.int64)
    both = (labels >= 0) & (known >= 0)
    np.add.at(shared, (labels[both], column[both]), 1)
    sizes = np.bincount(labels[labels >= 0], minlength=len(shared))
    smaller = np.minimum(sizes[:, None], np.bincount(column))
    shared[2 * shared < smaller] = 0
    names = np.full(len(shared), -1)
    rows, columns = linear_sum_assignment(shared, maximize=True)
    matched = shared[rows, columns] > 0
    names[rows[matched]] = numbers[columns[matched]]
    new = names < 0
    names[new] = fresh + np.arange(new.sum())
    return names
