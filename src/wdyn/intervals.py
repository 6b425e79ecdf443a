"""Means over seeds with their intervals, and differences of two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wdyn.scores import Array

Values = Sequence[float] | Array


class Interval(NamedTuple):
    """A mean or difference with both ends of its 95 % interval; the ends are NaN where there are too few values."""

    value: float
    low: float
    high: float


def mean_interval(values: Values) -> Interval:
    """Mean of independent values with Student's interval.

    Args:
        values: (n,) float; NaN are left out.

    Returns:
        NaN where there is none, and an interval from two on.

    Source:
        Student, The probable error of a mean (1908).
    """
    mean, variance, n = _moments(values)
    return _around(mean, variance / n if n else np.nan, n - 1)


def welch_interval(first: Values, second: Values) -> Interval:
    """Mean of one sample minus that of another of another variance.

    Args:
        first: (n,) float; NaN are left out.
        second: (m,) float.

    Returns:
        NaN where a sample is empty; an interval where both have two values at least.

    Source:
        Welch, The generalization of Student's problem when several different population variances are involved (1947).
    """
    a, b = _moments(first), _moments(second)
    if not a[2] or not b[2]:
        return Interval(np.nan, np.nan, np.nan)
    parts = np.array([a[1] / a[2], b[1] / b[2]])
    total = float(parts.sum())
    if not total > 0:  # equal values have no spread, one value no known one
        return _around(a[0] - b[0], total, min(a[2], b[2]) - 1)
    return _around(a[0] - b[0], total, total**2 / float(np.sum(parts**2 / np.array([a[2] - 1, b[2] - 1]))))


def _moments(values: Values) -> tuple[float, float, int]:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    n = len(known)
    return float(known.mean()) if n else np.nan, float(known.var(ddof=1)) if n > 1 else np.nan, n


def _around(middle: float, variance: float, freedom: float) -> Interval:
    if not freedom > 0 or not np.isfinite(variance):
        return Interval(middle, np.nan, np.nan)
    from scipy.special import stdtrit

    side = float(stdtrit(freedom, 0.975)) * float(np.sqrt(variance))
    return Interval(middle, middle - side, middle + side)
