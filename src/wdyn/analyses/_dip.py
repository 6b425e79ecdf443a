"""Hartigan's dip: how far a set of numbers is from having a single peak, against what chance gives."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._neurons import Array


def dip(values: Array) -> float:
    """Largest distance between the distribution of the values and the closest one with a single peak.

    A distribution with a single peak has a distribution function that is convex up to the peak and concave after it.
    Between the greatest convex minorant and the least concave majorant of the empirical one the interval that can hold
    the peak shrinks until the distance between the two is no larger than what has to be paid outside of it.

    Args:
        values: (n,) real, finite, in any order; n at least 1.

    Returns:
        Float in [1 / (2n), 1/4]; blind to shift, scale and sign. Takes time n log n.

    Source:
        Hartigan & Hartigan, The dip test of unimodality, Annals of Statistics 13 (1985).
    """
    places, counts = np.unique(values, return_counts=True)
    after = np.cumsum(counts).astype(np.float64)  # values up to each place; the steps below are in counts
    before = after - counts
    paid, low, high = 1.0, 0, len(places) - 1
    while True:
        here = slice(low, high + 1)
        minorant, majorant = _corners(places[here], before[here]), _corners(places[here], -after[here])
        under = np.interp(places[here], places[here][minorant], before[here][minorant])
        over = np.interp(places[here], places[here][majorant], after[here][majorant])
        corners = np.union1d(minorant, majorant)
        widest = int(corners[np.argmax((over - under)[corners])])
        if low == high or over[widest] - under[widest] <= paid:  # a single place may hold any number
            return paid / (2 * float(after[-1]))
        start = int(minorant[np.searchsorted(minorant, widest, side="right") - 1])
        stop = int(majorant[np.searchsorted(majorant, widest)])
        left = (after[here] - under)[:start].max(initial=0.0)  # the ends themselves may still hold the peak
        right = (over - before[here])[stop + 1 :].max(initial=0.0)
        paid, low, high = max(paid, float(left), float(right)), low + start, low + stop


def _corners(x: Array, y: Array) -> Array:
    """Positions of the corners of the greatest convex function below some points, left to right."""
    xs, ys = x.tolist(), y.tolist()
    hull: list[int] = []
    for i, (here, height) in enumerate(zip(xs, ys, strict=True)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (ys[b] - ys[a]) * (here - xs[b]) < (height - ys[b]) * (xs[b] - xs[a]):
                break
            hull.pop()
        hull.append(i)
    return np.array(hull)
