"""The dip by its definition: a linear program for each place that the peak can have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linprog


def dip(values: Sequence[float]) -> float:
    """Smallest d for which some distribution function with a single peak stays within d of the empirical one."""
    return max(min(_with_peak_at(k, values) for k in range(len(set(values)))), 0.5 / len(values))


def _with_peak_at(peak: int, values: Sequence[float]) -> float:
    """Unknowns: the function just left of each place, at each place (they differ at the peak alone), and d."""
    x = sorted(set(values))
    n, m = len(values), len(x)
    left, at, d = range(m), range(m, 2 * m), 2 * m
    above, equal = [], []

    def at_most_zero(terms: dict[int, float], constant: float = 0.0) -> None:
        row = np.zeros(2 * m + 1)
        for unknown, factor in terms.items():
            row[unknown] += factor
        above.append((row, -constant))

    for k in range(m):
        at_most_zero({left[k]: 1, d: -1}, -sum(v < x[k] for v in values) / n)
        at_most_zero({left[k]: -1, d: -1}, sum(v < x[k] for v in values) / n)
        at_most_zero({at[k]: 1, d: -1}, -sum(v <= x[k] for v in values) / n)
        at_most_zero({at[k]: -1, d: -1}, sum(v <= x[k] for v in values) / n)
        if k == peak:
            at_most_zero({left[k]: 1, at[k]: -1})
        else:
            equal.append((left[k], at[k]))
    for k in range(m - 1):
        at_most_zero({at[k]: 1, left[k + 1]: -1})
    for k in range(1, m - 1):
        before, after = x[k] - x[k - 1], x[k + 1] - x[k]
        slopes = {left[k]: 1 / before, at[k - 1]: -1 / before, left[k + 1]: -1 / after, at[k]: 1 / after}
        if k != peak:
            sign = 1 if k < peak else -1  # slopes grow up to the peak and fall after it
            at_most_zero({unknown: sign * factor for unknown, factor in slopes.items()})
    matrix = np.zeros((len(equal), 2 * m + 1))
    for row, (one, other) in enumerate(equal):
        matrix[row, one], matrix[row, other] = 1, -1
    found = linprog(
        np.eye(2 * m + 1)[d], A_ub=np.array([row for row, _ in above]), b_ub=np.array([b for _, b in above]),
        A_eq=matrix if equal else None, b_eq=np.zeros(len(equal)) if equal else None, bounds=(0, 1),
    )  # fmt: skip
    return float(found.fun)
