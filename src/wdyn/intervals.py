"""Means over seeds with their intervals, and differences of two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wdyn.scores import Array

Values = Sequence[float] | Array


class Interval(NamedTuple):
    """A mean or difference with both ends of its 95 % interval.

    The ends are NaN where there are too few values, or all are equal: of 200 examples, two seeds often get the same
    share right, and a training without chance gives one value under all seeds. Neither makes it certain.
    """

    value: float
    low: float
    high: float


def mean_interval(values: Values) -> Interval:
    """Mean of independent values with Student's interval.

    Args:
        values: (n,) float; what is not finite is left out.

    Returns:
        NaN where there is none, and an interval from two on that are not all equal.

    Source:
        Student, The probable error of a mean (1908).
    """
    mean, variance, n = _moments(values)
    return _around(mean, variance / n if n else np.nan, n - 1)


def welch_interval(first: Values, second: Values) -> Interval:
    """Mean of one sample minus that of another of another variance.

    Args:
        first: (n,) float; what is not finite is left out.
        second: (m,) float.

    Returns:
        NaN where a sample is empty; an interval where both have two values at least, not all equal in both.

    Source:
        Welch, The generalization of Student's problem when several different population variances are involved (1947).
    """
    a, b = _moments(first), _moments(second)
    if not a[2] or not b[2]:
        return Interval(np.nan, np.nan, np.nan)
    parts = np.array([a[1] / a[2], b[1] / b[2]])
    total = float(parts.sum())
    if not total > 0:  # of one value, or of equal ones, the spread is not known
        return Interval(a[0] - b[0], np.nan, np.nan)
    return _around(a[0] - b[0], total, total**2 / float(np.sum(parts**2 / np.array([a[2] - 1, b[2] - 1]))))


def _moments(values: Values) -> tuple[float, float, int]:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    n = len(known)
    if not n:
        return np.nan, np.nan, 0
    spread = float(known.var(ddof=1)) if n > 1 else np.nan
    return float(known.mean()), 0.0 if n > 1 and np.ptp(known) == 0 else spread, n  # else what rounding leaves


def _around(middle: float, variance: float, freedom: float) -> Interval:
    if not freedom > 0 or not 0 < variance < np.inf:
        return Interval(middle, np.nan, np.nan)
    from scipy.special import stdtrit

    side = float(stdtrit(freedom, 0.975)) * float(np.sqrt(variance))
    return Interval(middle, middle - side, middle + side)
