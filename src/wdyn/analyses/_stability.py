"""How often a group of neurons comes back when half of their inputs are left out, and how often chance groups do."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import Method, by_size, cosines
from wdyn.analyses._neurons import alive, directions

MOST_ROWS = 512
"""Live neurons of a layer up to which stability is measured: the null groups several hundred random layers."""

HALVES = 50
RANDOM_LAYERS = 20
RANDOM_HALVES = 10


def best_overlap(groups: Array, others: Array) -> Array:
    """For each group, the Jaccard index with the one of `others` that is most like it.

    Args:
        groups: (N,) int, group of each neuron numbered from 0 without gaps, -1 for none.
        others: (N,) int, likewise.

    Returns:
        (K,) float64 in [0, 1]: members in both, divided by members in either; 0 where `others` has no group.
    """
    shared = np.zeros((int(groups.max(initial=-1)) + 1, int(others.max(initial=-1)) + 1))
    both = (groups >= 0) & (others >= 0)
    np.add.at(shared, (groups[both], others[both]), 1.0)
    size, other_size = (np.bincount(each[each >= 0]) for each in (groups, others))
    either = size[:, None] + other_size - shared
    return np.asarray((shared / either).max(axis=1, initial=0.0))


def stability(
    vectors: Array,
    groups: Array,
    method: Method,
    *,
    rng: np.random.Generator,
    halves: int = HALVES,
    pairs: float | None = None,
) -> Array:
    """Mean Jaccard index between each group and its best match where a random half of the inputs is seen.

    Each half is grouped by the same rule, held against random directions of so many inputs.

    Args:
        vectors: (N, D) real, one neuron per row.
        groups: (N,) int, groups in mode `ray`, numbered from 0 without gaps, -1 for none.
        method: how they were found.
        rng: draws the halves.
        halves: how many.
        pairs: as for `groups_at`.

    Returns:
        (K,) float64 in [0, 1]; NaN with fewer than four inputs, whose halves have no two to compare.

    Source:
        Hennig, Cluster-wise assessment of cluster stability, Computational Statistics & Data Analysis 52 (2007), with
        halves of the inputs in place of resampled points, so that no neuron is missing or doubled.
    """
    count, half = int(groups.max(initial=-1)) + 1, vectors.shape[1] // 2
    if half < 2:
        return np.full(count, np.nan)
    total = np.zeros(count)
    for _ in range(halves):
        seen = vectors.take(rng.permutation(vectors.shape[1])[:half], axis=1)  # row by row, which an index is not
        unit, _, live = directions(seen)
        found = groups_at(cosines(unit), live, half, "ray", method=method, pairs=pairs, of_inputs=vectors.shape[1])
        total += best_overlap(groups, found)
    return total / halves


def stability_by_chance(count: int, inputs: int, joins: int, method: Method, *, rng: np.random.Generator) -> float:
    """The most stable group of 20 layers of random directions, grouped until they show about as many joins.

    Args:
        count: N, number of directions.
        inputs: D, their dimension.
        joins: neurons in groups less the number of groups, at least 1: the pairs of random directions expected below
            the distance at which they are grouped here, with all inputs as with half of them.
        method: how to group.
        rng: draws directions and halves.

    Returns:
        Float in [0, 1], which groups of random directions exceed in about 1 of 21 layers; NaN with fewer than four
        inputs.
    """
    if inputs < 4:
        return np.nan
    highest = 0.0
    for _ in range(RANDOM_LAYERS):
        vectors = rng.standard_normal((count, inputs))
        unit, _, live = directions(vectors)
        groups = groups_at(cosines(unit), live, inputs, "ray", method=method, pairs=joins)
        found = stability(vectors, groups, method, rng=rng, halves=RANDOM_HALVES, pairs=joins)
        highest = max(highest, found.max(initial=0.0))
    return highest


def stability_of_neurons(
    vectors: Array, labels: Array, method: Method, *, rng: np.random.Generator
) -> tuple[Array, float]:
    """Stability of each neuron's group at one step, and that of groups of random directions.

    Args:
        vectors: (N, D) real.
        labels: (N,) int, group of each neuron (mode `ray`) under any number, -1 for none.
        method: how they were found.
        rng: draws halves and random layers.

    Returns:
        (N,) float64, NaN for a neuron without a group, and one number; all NaN where there is no group, or more than
        512 live neurons.
    """
    groups, live = by_size(labels), int(alive(vectors).sum())
    grouped, each = groups >= 0, np.full(len(labels), np.nan)
    if not grouped.any() or live > MOST_ROWS:
        return each, np.nan
    each[grouped] = stability(vectors, groups, method, rng=rng)[groups[grouped]]
    joins = int(grouped.sum() - groups.max() - 1)
    return each, stability_by_chance(live, vectors.shape[1], joins, method, rng=rng)
