"""Do two quantities rank the same units alike? Spearman's correlation, its interval and its permutation test."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array

PERMUTATIONS = 1999
NORMAL = 1.959963984540054  # 97.5 % quantile of the normal law: intervals hold 95 %
FEWEST = 4  # of pairs: below, no interval exists
ROUNDING = 1e-9  # correlations closer than this are equal


def ranks(values: Array) -> Array:
    """Ranks from 1; equal values share the mean of theirs.

    Args:
        values: (N,) finite.

    Returns:
        (N,) float64.
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def spearman(first: Array, second: Array) -> float:
    """Correlation of the ranks of two quantities.

    Args:
        first: (N,) float.
        second: (N,) float; pairs that are not finite on both sides are left out.

    Returns:
        Float in [-1, 1]; NaN for fewer than four pairs, or where one side is constant.

    Source:
        Spearman, The proof and measurement of association between two things (1904).
    """
    pair = _standardised(first, second)
    return np.nan if pair is None else float(np.clip(pair[0] @ pair[1], -1.0, 1.0))


def spearman_interval(correlation: float, count: int) -> tuple[float, float]:
    """95 % interval of Spearman's correlation.

    Args:
        correlation: in [-1, 1]; NaN gives NaN.
        count: N, number of pairs.

    Returns:
        Both ends. A correlation of 1 counts as half a swap of two neighbours short of it, for the law has no width
        there.

    Source:
        Bonett & Wright, Sample size requirements for estimating Pearson, Kendall and Spearman correlations,
        Psychometrika 65 (2000): Fisher's z with variance (1 + r²/2)/(N - 3).
    """
    if count < FEWEST or not np.isfinite(correlation):
        return np.nan, np.nan
    most = 1 - 6 / (count * (count**2 - 1))
    middle = np.arctanh(np.clip(correlation, -most, most))
    side = NORMAL * np.sqrt((1 + correlation**2 / 2) / (count - 3))
    low, high = np.tanh(middle - side), np.tanh(middle + side)
    return float(min(low, correlation)), float(max(high, correlation))


def spearman_chance(first: Array, second: Array, *, rng: np.random.Generator) -> float:
    """Chance of a correlation as far from 0 when the units are dealt to the values at random.

    Args:
        first: (N,) float.
        second: (N,) float; as for `spearman`.
        rng: draws 1,999 permutations.

    Returns:
        Float in [1/2000, 1]; NaN where there is no correlation.
    """
    pair = _standardised(first, second)
    if pair is None:
        return np.nan
    drawn = rng.permuted(np.tile(pair[0], (PERMUTATIONS, 1)), axis=1) @ pair[1]
    as_far = (np.abs(drawn) >= abs(pair[0] @ pair[1]) - ROUNDING).sum()
    return float((1 + as_far) / (1 + PERMUTATIONS))


def pairs(first: Array, second: Array) -> int:
    """Number of pairs that are finite on both sides."""
    return int((np.isfinite(first) & np.isfinite(second)).sum())


def _standardised(first: Array, second: Array) -> tuple[Array, Array] | None:
    """Ranks of mean 0 and length 1, or None where there is no correlation."""
    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < FEWEST:
        return None
    sides = []
    for values in (first[both], second[both]):
        centred = ranks(values) - (both.sum() + 1) / 2
        length = np.sqrt(centred @ centred)
        if not length:
            return None
        sides.append(centred / length)
    return sides[0], sides[1]
