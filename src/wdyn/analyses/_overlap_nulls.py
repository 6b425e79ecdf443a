"""Two things that make masks overlap without any common finding, each as a null: their size, and what all units do.

The third, the magnitudes that both were born with, is `_overlap_births`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._hypergeometric import hypergeometric_tail
from wdyn.analyses._overlap import Overlap, chance_variance
from wdyn.analyses._uniform import tail_probability

DRAWS = 9_999
FEW_UNITS = 32  # up to so many, permutations are drawn; beyond, the law with the exact moments is as good
BATCH = 1 << 22  # numbers at a time
EXACT = 24  # bits of a whole number that float32 holds


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
    variance = chance_variance(found)
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
    shared = shared_inputs(first, second)
    n = len(shared)
    mean, observed = float(shared.sum()) / n, float(np.trace(shared))
    centred = shared - shared.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    variance = float(np.vdot(centred, centred)) / max(n - 1, 1)
    if n < 2 or variance < 1e-9:  # permuting changes nothing
        return NO_CHANCE
    z = (observed - mean) / float(np.sqrt(variance))
    if n <= FEW_UNITS:
        return Chance(mean, z, _drawn(shared, observed, rng))
    skewness = n / ((n - 1) * (n - 2)) * float(np.vdot(centred * centred, centred)) / variance**1.5
    between = z - 0.5 / np.sqrt(variance)  # counts are whole, the law is not
    return Chance(mean, z, float(tail_probability(np.array(between), np.array(skewness))))


def shared_inputs(first: Array, second: Array) -> Array:
    """Inputs that a unit of one mask and a unit of the other both keep.

    Args:
        first: (N, D) bool, a unit per row.
        second: (N, D) bool.

    Returns:
        (N, N) int64, exact. Several units of `first` go into one number, each its own digits of it, as many as
        float32 holds without rounding: where units keep up to 255 inputs a third of the products is left.
    """
    bits = int(min(mask.sum(axis=1).max(initial=1) for mask in (first, second))).bit_length()
    units, together = len(first), max(1, EXACT // bits)
    groups = -(-units // together)
    digits = np.zeros((groups, first.shape[1]), dtype=np.float32)
    for k in range(together):
        rows = first[k * groups : (k + 1) * groups]
        digits[: len(rows)] += rows * np.float32(1 << k * bits)
    products = (digits @ second.astype(np.float32).T).astype(np.int64)
    each = [products >> k * bits & (1 << bits) - 1 for k in range(together)]
    return np.concatenate(each)[:units]


def _drawn(shared: Array, observed: float, rng: np.random.Generator) -> float:
    n, flat, reached = len(shared), shared.ravel(), 0
    at_once = max(1, BATCH // n)
    for start in range(0, DRAWS, at_once):
        size = min(at_once, DRAWS - start)
        orders = rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)
        reached += int(np.count_nonzero(flat[orders + n * np.arange(n)].sum(axis=1) >= observed))
    return (1 + reached) / (1 + DRAWS)
