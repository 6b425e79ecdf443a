"""Do two groupings of the same things agree? The adjusted Rand index and its permutation test."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array

PERMUTATIONS = 199


def adjusted_rand(first: Array, second: Array) -> float:
    """Agreement of two groupings over pairs of things, 0 on average for groupings of these sizes drawn at random.

    Args:
        first: (N,) int, group of each, -1 for a group of its own.
        second: (N,) int, likewise.

    Returns:
        Float, at most 1; NaN where either has no group, since there is nothing to agree on.

    Source:
        Hubert & Arabie, Comparing partitions, Journal of Classification 2 (1985).
    """
    together = [_pairs(each[each >= 0]) for each in (first, second)]
    if not all(together):
        return np.nan
    expected = together[0] * together[1] / (len(first) * (len(first) - 1) / 2)
    most = sum(together) / 2
    return 1.0 if most == expected else float((_shared(first, second) - expected) / (most - expected))


def agreement_by_chance(first: Array, second: Array, *, rng: np.random.Generator) -> float:
    """Chance that groups of these sizes agree as well when neurons are dealt to them at random.

    Args:
        first: (N,) int, group of each, -1 for a group of its own.
        second: (N,) int, likewise.
        rng: draws 199 permutations of one of the groupings.

    Returns:
        Float in [1/200, 1]: permutations that agree as well, this order included, over 200; NaN where either has no
        group.
    """
    if not all(_pairs(each[each >= 0]) for each in (first, second)):
        return np.nan
    observed = _shared(first, second)  # the index rises with it, all else being fixed
    as_good = sum(_shared(rng.permutation(first), second) >= observed for _ in range(PERMUTATIONS))
    return (1 + as_good) / (1 + PERMUTATIONS)


def _shared(first: Array, second: Array) -> float:
    """Number of pairs that are together in both."""
    both = (first >= 0) & (second >= 0)
    return _pairs(first[both] * (int(second.max(initial=0)) + 1) + second[both])


def _pairs(labels: Array) -> float:
    """Number of pairs with the same label, none negative."""
    sizes = np.bincount(labels).astype(np.float64)
    return float((sizes * (sizes - 1) / 2).sum())
