"""Tails of the hypergeometric law, exact in double precision however far out."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array

REACH = 40.0  # standard deviations beyond which a law adds nothing to a sum of its own terms


def hypergeometric_tail(common: int, first: int, second: int, places: int) -> float:
    """Chance that two random sets have at least so many places in common.

    Args:
        common: how many they have.
        first: size of one set.
        second: size of the other.
        places: of which both are drawn.

    Returns:
        P(X >= common) in [0, 1], X ~ Hypergeometric(places, first, second), with a relative error of about 1e-12; 0
        only below the least float.

    Source:
        The ratio of neighbouring terms, (K₁ - x)(K₂ - x) / ((x + 1)(n - K₁ - K₂ + x + 1)), summed up from the mode.
    """
    fewest, most = max(0, first + second - places), min(first, second)
    if common <= fewest or common > most:
        return float(common <= fewest)
    mode = (first + 1) * (second + 1) // (places + 2)
    share = first * second / places
    reach = int(REACH * np.sqrt(share * (places - first) / places * (places - second) / places) + REACH)
    low, high = max(fewest, mode - reach), min(most, max(mode, common) + reach)
    if common <= low:
        return 1.0
    x = np.arange(low, high, dtype=np.float64)  # to the next
    up = np.log((first - x) * (second - x)) - np.log((x + 1) * (places - first - second + x + 1))
    terms = np.concatenate([[0.0], np.cumsum(up)])
    return min(1.0, float(np.exp(_log_sum(terms[common - low :]) - _log_sum(terms))))


def _log_sum(terms: Array) -> float:
    peak = float(terms.max())
    return peak + float(np.log(np.sum(np.exp(terms - peak))))
