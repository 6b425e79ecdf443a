"""How low average linkage joins rows: what random layers are simulated for, small ones all at once."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._groups import Mode, merge_tree

TOGETHER = 32
"""Rows up to which many layers at once are faster than one tree after the other."""


def lowest_joins(cosine: Array, mode: Mode) -> Array:
    """Lowest height at which at least so many rows are together, in each of many layers.

    Args:
        cosine: (B, N, N) symmetric, in [-1, 1], N at least 2.
        mode: as for `merge_tree`.

    Returns:
        (B, N - 1) float64 for sizes 2 to N, rising.
    """
    if cosine.shape[1] > TOGETHER:
        return np.array([_of_tree(merge_tree(each, mode)) for each in cosine])
    return _of_layers(1.0 - (np.abs(cosine) if mode == "line" else cosine))


def _of_tree(tree: Array) -> Array:
    largest = np.maximum.accumulate(tree[:, 3])
    return np.asarray(tree[np.searchsorted(largest, np.arange(2, len(tree) + 2)), 2])


def _of_layers(distance: Array) -> Array:
    """From distances (B, N, N), which are overwritten."""
    layers, count = np.arange(len(distance)), distance.shape[1]
    distance[:, range(count), range(count)] = np.inf
    sizes = np.ones((len(distance), count), dtype=np.int64)
    lowest = np.full((len(distance), count + 1), np.inf)
    for _ in range(count - 1):
        one, other = np.divmod(distance.reshape(len(distance), -1).argmin(axis=1), count)
        height = distance[layers, one, other]
        together = _join(distance, sizes, one, other)
        lowest[layers, together] = np.minimum(lowest[layers, together], height)
    return np.asarray(np.minimum.accumulate(lowest[:, :1:-1], axis=1)[:, ::-1])


def _join(distance: Array, sizes: Array, one: Array, other: Array) -> Array:
    """Put the rows `other` (B,) to the rows `one`, where they are gone for good; (B,) rows that are then together."""
    layers = np.arange(len(distance))
    weight, more = sizes[layers, one], sizes[layers, other]
    means = weight[:, None] * distance[layers, one] + more[:, None] * distance[layers, other]
    means /= (weight + more)[:, None]
    distance[layers, one] = distance[layers, :, one] = means
    distance[layers, other] = distance[layers, :, other] = np.inf
    sizes[layers, one] = weight + more
    return np.asarray(weight + more)
