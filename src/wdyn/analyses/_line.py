"""How high the loss or the error of a network rises on the straight line between two others."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array

LEVEL = 0.01  # chance that an interval misses the true height, at most


class Height(NamedTuple):
    """How high a line rises.

    Attributes:
        barrier: largest value on the line minus the mean of its ends. At an end too, if the ends differ.
        low: lower end of the interval of the barrier that sampling examples gives.
        high: upper end.
        above_chord: largest value minus the straight line between the values at the ends; 0 or more.
    """

    barrier: float
    low: float
    high: float
    above_chord: float


UNKNOWN = Height(np.nan, np.nan, np.nan, np.nan)


def between(first: Mapping[str, Array], second: Mapping[str, Array], share: float) -> dict[str, Array]:
    """Tensors on the line between two sets of them.

    Args:
        first: name to floating-point array.
        second: the same names and shapes.
        share: 0 for the first, 1 for the second; both are given to the bit.

    Returns:
        Name to array of the first's type.
    """
    if share in (0.0, 1.0):
        return {name: (second if share else first)[name].astype(each.dtype) for name, each in first.items()}
    with np.errstate(invalid="ignore", over="ignore"):
        return {
            name: ((1 - share) * each.astype(np.float64) + share * second[name].astype(np.float64)).astype(each.dtype)
            for name, each in first.items()
        }


def height(values: Array, shares: Array, *, resolution: float = 0.0) -> Height:
    """How high a line rises, from the values of each example.

    The same examples stand at each point, so their differences to the mean of the two ends are paired, and the
    intervals of all points hold together (Bonferroni).

    Args:
        values: (A, B) loss, or error in [0, 1], of B examples at A points, the ends first and last.
        shares: (A,) where the points are, from 0 to 1.
        resolution: least standard deviation of one example's difference, as if a single one were apart by that.

    Returns:
        The height; NaN where a value is not finite, and an interval of NaN for fewer than two examples.

    Source:
        Barrier: Frankle, Dziugaite, Roy & Carbin, Linear mode connectivity and the lottery ticket hypothesis, ICML
        (2020). Above the chord: Entezari et al., The role of permutation invariance in linear mode connectivity, ICLR
        (2022).
    """
    if not np.isfinite(values).all():
        return UNKNOWN
    means, count = values.mean(axis=1), values.shape[1]
    gap = values - (values[0] + values[-1]) / 2
    above = float((means - (1 - shares) * means[0] - shares * means[-1]).max())
    rise = gap.mean(axis=1)
    if count < 2:
        return Height(float(rise.max()), np.nan, np.nan, above)
    error = np.maximum(gap.std(axis=1, ddof=1), resolution / np.sqrt(count)) / np.sqrt(count)
    reach = NormalDist().inv_cdf(1 - LEVEL / 2 / len(shares)) * error
    return Height(float(rise.max()), float((rise - reach).max()), float((rise + reach).max()), above)
