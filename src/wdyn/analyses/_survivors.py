"""The weights that two masks both keep, and where in the layer masks keep them: signs, units, inputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._hypergeometric import hypergeometric_tail
from wdyn.analyses._overlap_bits import count
from wdyn.analyses._rank_correlation import FEWEST, PERMUTATIONS, ROUNDING, ranks


class Signs(NamedTuple):
    """Do the weights that both masks keep have the same sign in both networks?

    Attributes:
        agreement: share of them that do, in [0, 1]; NaN where both keep none.
        expected: where the signs of one network are dealt out among them at random.
        p: chance of at least this agreement then, exact.
    """

    agreement: float
    expected: float
    p: float


def sign_agreement(first: Array, second: Array, kept: Array) -> Signs:
    """Compare the signs of two networks at the weights that both keep.

    Args:
        first: (W,) uint64, a bit for each weight that is positive in one network, see `_overlap_bits`.
        second: likewise in the other.
        kept: likewise, weights that both keep.

    Returns:
        Agreement and its chance: with so many positive signs in each, the number positive in both is hypergeometric,
        and the agreement grows with it.
    """
    first, second = first & kept, second & kept
    n, a, b, both = (count(each) for each in (kept, first, second, first & second))
    if not n:
        return Signs(np.nan, np.nan, np.nan)
    expected = (a * b + (n - a) * (n - b)) / n**2
    return Signs((n - a - b + 2 * both) / n, expected, hypergeometric_tail(both, a, b, n))


def unit_correlations(survivors: Array, *, rng: np.random.Generator) -> tuple[Array, Array]:
    """Do masks kill the same units? Spearman's correlation of the survivors per unit, for all pairs of masks.

    Args:
        survivors: (R, N) weights kept of each unit by each of R masks.
        rng: draws 1,999 permutations of the units, the same for all pairs.

    Returns:
        (R, R) correlations in [-1, 1], and (R, R) chances of one as far from 0 when units are dealt to the counts at
        random, in [1/2000, 1]; NaN where a mask keeps as many of each unit, or there are fewer than four units.
    """
    runs, units = survivors.shape
    correlations, chances = np.full((2, runs, runs), np.nan)
    standard = np.array([ranks(each) - (units + 1) / 2 for each in survivors])
    lengths = np.sqrt((standard**2).sum(axis=1))
    usable = np.flatnonzero(lengths > 0)
    if units < FEWEST or not len(usable):
        return correlations, chances
    standard = standard[usable] / lengths[usable, None]
    found = np.clip(standard @ standard.T, -1.0, 1.0)
    orders = rng.permuted(np.tile(np.arange(units), (PERMUTATIONS, 1)), axis=1)
    reached = np.zeros(found.shape)
    for i, each in enumerate(standard):
        drawn = np.abs(each[orders] @ standard[i:].T)  # (1999, R - i)
        reached[i, i:] = (drawn >= np.abs(found[i, i:]) - ROUNDING).sum(axis=0)
    reached += np.triu(reached, 1).T  # one of two draws of the same null
    place = np.ix_(usable, usable)
    correlations[place], chances[place] = found, (1 + reached) / (1 + PERMUTATIONS)
    return correlations, chances
