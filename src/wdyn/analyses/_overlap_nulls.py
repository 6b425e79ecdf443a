"""Three things that make masks overlap without any common finding, each as a null with its mean, z and chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._hypergeometric import hypergeometric_tail, strata_moments, strata_tail
from wdyn.analyses._overlap import Overlap
from wdyn.analyses._uniform import tail_probability

STRATUM = 16  # weights of nearly one magnitude that a mask might as well have swapped
DRAWS = 9_999
MOST_SIDES = 8  # inputs are told apart by so many levels of survivors in each mask
KIND_SIZE = 512  # weights of one kind of input at least, else magnitudes in a stratum would be far apart
FEW_UNITS = 32  # up to so many, permutations are drawn; beyond, the law with the exact moments is as good
BATCH = 1 << 22  # numbers at a time


class Chance(NamedTuple):
    """What a null says of an overlap.

    Attributes:
        expected: weights kept by both, on average.
        z: standard deviations of the null that the overlap is above it; NaN where the null leaves no choice.
        p: chance of an overlap at least as large; NaN likewise.
    """

    expected: float
    z: float
    p: float


NO_CHANCE = Chance(np.nan, np.nan, np.nan)


def uniform_chance(found: Overlap) -> Chance:
    """One mask keeps as many weights anywhere in the layer.

    Args:
        found: counts of one layer.

    Returns:
        From the hypergeometric law, exact.
    """
    places = np.array([found.places]), np.array([found.first]), np.array([found.second])
    _, variance = strata_moments(*places)
    if not variance > 0:
        return NO_CHANCE
    p = hypergeometric_tail(found.both, found.first, found.second, found.places)
    return Chance(found.expected, (found.both - found.expected) / float(np.sqrt(variance)), p)


def units_chance(first: Array, second: Array, *, rng: np.random.Generator) -> Chance:
    """The units of one mask change places: does the same unit keep the same inputs, beyond what all units do?

    With G[i, j] the inputs that unit i keeps in one mask and unit j in the other, the overlap is Σ G[i, π(i)].

    Args:
        first: (N, D) bool, a unit per row.
        second: (N, D) bool.
        rng: draws 9,999 permutations for up to 32 units. Beyond, the chance is that of the gamma law with the null's
            exact mean, variance and skewness.

    Returns:
        Mean and z from the exact moments; p is (1 + draws at least as large) / 10,000, or from that law.

    Source:
        Hoeffding, A combinatorial central limit theorem, Ann. Math. Stat. 22 (1951), for mean and variance; with d the
        doubly centred G, the third central moment is N / ((N - 1)(N - 2)) Σ d³.
    """
    shared = first.astype(np.float32) @ second.astype(np.float32).T  # exact: counts below 2**24
    n = len(shared)
    mean, observed = float(shared.sum(dtype=np.float64)) / n, float(np.trace(shared, dtype=np.float64))
    centred = shared - shared.mean(axis=0, dtype=np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    variance = float(np.sum(centred**2)) / max(n - 1, 1)
    if n < 2 or variance < 1e-9:  # permuting changes nothing
        return NO_CHANCE
    z = (observed - mean) / float(np.sqrt(variance))
    if n <= FEW_UNITS:
        return Chance(mean, z, _drawn(shared, observed, rng))
    skewness = n / ((n - 1) * (n - 2)) * float(np.sum(centred**3)) / variance**1.5
    between = z - 0.5 / np.sqrt(variance)  # counts are whole, the law is not
    return Chance(mean, z, float(tail_probability(np.array(between), np.array(skewness))))


def initial_chance(first: Array, second: Array, order: Array) -> Chance:
    """Both masks follow the magnitudes that they were born with and what is common to all units, else they are random.

    Weights are put into strata of 16 that have nearly one initial magnitude, and whose inputs keep nearly as many
    weights, in the one mask and in the other: without that, inputs that are dead in both would pass for a common
    finding. Given how many weights of a stratum each mask keeps, any are as good.

    Args:
        first: (N, D) bool, a unit per row.
        second: (N, D) bool.
        order: (N * D,) int, places in a flattened mask by rising initial magnitude.

    Returns:
        Exact for these strata, from the law of a sum of hypergeometric numbers.
    """
    kinds = _alike_inputs(first, second)
    # all that is known of a weight in one byte, since large layers are read in a random order
    known = (kinds << 2) + (first.view(np.uint8) << 1) + second.view(np.uint8)
    by_magnitude = known.ravel()[order]
    ordered = by_magnitude[np.argsort(by_magnitude >> 2, kind="stable")]  # kind by kind
    starts = _stratum_starts(np.bincount(kinds) * len(first))
    sizes = np.diff(starts, append=len(ordered))
    a = np.add.reduceat(ordered >> 1 & 1, starts, dtype=np.int64)
    b = np.add.reduceat(ordered & 1, starts, dtype=np.int64)
    expected, variance = strata_moments(sizes, a, b)
    if not variance > 0:
        return NO_CHANCE
    both = int(np.count_nonzero(first & second))
    return Chance(expected, (both - expected) / float(np.sqrt(variance)), strata_tail(both, sizes, a, b))


def _alike_inputs(first: Array, second: Array) -> Array:
    """(D,) uint8 below 64: kinds of inputs that keep nearly as many weights in both masks; few in a small layer."""
    inputs = first.shape[1]
    sides = int(np.clip(np.sqrt(first.size / KIND_SIZE), 1, min(MOST_SIDES, np.sqrt(inputs))))
    kinds = np.zeros(inputs, dtype=np.uint8)
    by_second = second.sum(axis=0)
    for i, alike in enumerate(np.array_split(np.argsort(first.sum(axis=0), kind="stable"), sides)):
        for j, more in enumerate(np.array_split(alike[np.argsort(by_second[alike], kind="stable")], sides)):
            kinds[more] = i * sides + j
    return kinds


def _stratum_starts(kind_sizes: Array) -> Array:
    """Where each stratum starts; none reaches over two kinds."""
    ends = np.cumsum(kind_sizes)
    return np.concatenate([np.arange(end - size, end, STRATUM) for end, size in zip(ends, kind_sizes, strict=True)])


def _drawn(shared: Array, observed: float, rng: np.random.Generator) -> float:
    n, flat, reached = len(shared), shared.ravel(), 0
    at_once = max(1, BATCH // n)
    for start in range(0, DRAWS, at_once):
        size = min(at_once, DRAWS - start)
        orders = rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)
        reached += int(np.count_nonzero(flat[orders + n * np.arange(n)].sum(axis=1) >= observed))
    return (1 + reached) / (1 + DRAWS)
