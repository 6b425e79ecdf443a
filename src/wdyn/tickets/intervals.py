"""Means of a few trainings, with what chance leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate.

    Attributes:
        mean: the estimate.
        low: where the interval begins; minus infinity where too few values were there to tell.
        high: where it ends.
    """

    mean: float
    low: float
    high: float


def interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Mean of independent values with Student's t interval.

    Args:
        values: at least 1; with less than 2 the interval has no ends.
        level: share of such intervals that hold the true mean where values are normal, in (0, 1).

    Source:
        Student, The probable error of a mean, Biometrika 6 (1908).
    """
    found = np.asarray(values, np.float64)
    error = _variance(found) / len(found)
    return _around(float(found.mean()), error, len(found) - 1, level)


def difference(values: Sequence[float], others: Sequence[float], level: float = LEVEL) -> Interval:
    """Mean of the values minus mean of the others, with Welch's interval: their spreads may differ.

    Args:
        values: at least 1; with less than 2 on either side the interval has no ends.
        others: likewise.
        level: see `interval`.

    Source:
        Welch, The generalization of "Student's" problem when several different population variances are involved,
        Biometrika 34 (1947); degrees of freedom by Satterthwaite (1946).
    """
    sides = [np.asarray(each, np.float64) for each in (values, others)]
    errors = np.array([_variance(each) / len(each) for each in sides])
    below = [len(each) - 1 for each in sides]
    mean = float(sides[0].mean() - sides[1].mean())
    if min(below) < 1:
        return _around(mean, float("nan"), 0, level)
    total = float(errors.sum())
    # two sides without any spread: any number of degrees of freedom gives the same interval of no width
    freedom = total**2 / float(np.sum(errors**2 / below)) if total else sum(below)
    return _around(mean, total, freedom, level)


def _variance(values: np.ndarray) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else float("nan")


def _around(mean: float, squared_error: float, freedom: float, level: float) -> Interval:
    if not freedom > 0:
        return Interval(mean, -np.inf, np.inf)
    from scipy.stats import t

    half = float(t.ppf((1 + level) / 2, freedom)) * squared_error**0.5
    return Interval(mean, mean - half, mean + half)
