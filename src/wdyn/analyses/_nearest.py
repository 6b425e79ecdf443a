"""The nearest neurons of each neuron, and how near the nearest of as many random directions comes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array

NEAREST = 5
BOUND = 0.95


class Nearest(NamedTuple):
    """The nearest rows of each row, nearest first.

    Attributes:
        rows: (N, K) int32 row numbers, -1 where there are fewer than K others, or the row itself is not live.
        cosine: (N, K) float32 in [-1, 1]; NaN there.
    """

    rows: Array
    cosine: Array


def nearest(cosine: Array, live: Array, count: int = NEAREST) -> Nearest:
    """The live rows of largest cosine to each live row.

    Args:
        cosine: (N, N) symmetric; rows and columns that are not live are not looked at.
        live: (N,) bool.
        count: K, how many; ties go to the lower row.

    Returns:
        Those of every row. Takes time N² K and one more matrix of that size.
    """
    rows = np.full((len(live), count), -1, dtype=np.int32)
    values = np.full((len(live), count), np.nan, dtype=np.float32)
    left, every = np.where(live, cosine, -np.inf), np.arange(len(live))
    np.fill_diagonal(left, -np.inf)
    for k in range(min(count, int(live.sum()) - 1)):
        best = left.argmax(axis=1)
        rows[live, k], values[live, k] = best[live], cosine[every, best][live]
        left[every, best] = -np.inf
    return Nearest(rows, values)


def nearest_by_chance(count: int, inputs: int, *, bound: float = BOUND) -> float:
    """The cosine that the nearest of random directions stays below in 95 of 100 cases.

    Of independent uniform directions, (1 + cos) / 2 to a given one follows a Beta((D-1)/2, (D-1)/2) law, and the N - 1
    cosines are independent, so the largest of them is below c with probability P(cos < c)^(N-1).

    Args:
        count: N, number of directions, the given one included.
        inputs: D, their dimension.
        bound: the share of cases.

    Returns:
        Float in [-1, 1], exact; NaN for fewer than two directions. 1 where there is one input: all cosines are 1 or -1.

    Source:
        Muirhead, Aspects of Multivariate Statistical Theory (1982), theorem 1.5.7, for the law of one cosine.
    """
    if count < 2:
        return float("nan")
    if inputs < 2:
        return 1.0
    from scipy.special import betaincinv

    half = (inputs - 1) / 2
    beyond = -float(np.expm1(np.log(bound) / (count - 1)))  # chance of a single cosine above it
    return 1.0 - 2.0 * float(betaincinv(half, half, beyond))
