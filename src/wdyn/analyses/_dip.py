"""Hartigan's dip: how far a set of numbers is from having a single peak, against what chance gives."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._neurons import Array

CHANCES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0001)

# Number n of values to the sizes of sqrt(n) times the dip that n independent uniform numbers exceed with these chances:
# simulated, a million samples each up to n = 100, 200,000 up to 1,000 and 50,000 for 5,000.
EXCEEDED = {
    4: (0.250, 0.315, 0.375, 0.414, 0.448, 0.464, 0.474, 0.484, 0.489, 0.496),
    5: (0.272, 0.360, 0.395, 0.417, 0.433, 0.439, 0.443, 0.446, 0.446, 0.447),
    6: (0.301, 0.366, 0.390, 0.404, 0.439, 0.471, 0.496, 0.522, 0.537, 0.573),
    7: (0.312, 0.361, 0.382, 0.423, 0.464, 0.487, 0.506, 0.524, 0.535, 0.556),
    8: (0.314, 0.355, 0.401, 0.436, 0.470, 0.489, 0.506, 0.527, 0.548, 0.604),
    10: (0.309, 0.376, 0.412, 0.442, 0.477, 0.504, 0.528, 0.555, 0.572, 0.621),
    12: (0.316, 0.381, 0.416, 0.451, 0.490, 0.515, 0.536, 0.564, 0.585, 0.639),
    15: (0.324, 0.386, 0.426, 0.460, 0.499, 0.526, 0.551, 0.580, 0.601, 0.663),
    20: (0.328, 0.395, 0.434, 0.470, 0.511, 0.540, 0.566, 0.597, 0.621, 0.685),
    30: (0.337, 0.405, 0.447, 0.483, 0.526, 0.555, 0.583, 0.616, 0.639, 0.711),
    50: (0.345, 0.416, 0.459, 0.496, 0.542, 0.572, 0.601, 0.637, 0.664, 0.744),
    100: (0.355, 0.427, 0.471, 0.511, 0.558, 0.591, 0.622, 0.660, 0.688, 0.769),
    200: (0.362, 0.435, 0.480, 0.520, 0.568, 0.603, 0.635, 0.674, 0.703, 0.774),
    500: (0.368, 0.443, 0.489, 0.530, 0.579, 0.613, 0.647, 0.690, 0.718, 0.797),
    1000: (0.371, 0.447, 0.494, 0.535, 0.585, 0.621, 0.653, 0.695, 0.725, 0.831),
    5000: (0.376, 0.452, 0.499, 0.541, 0.594, 0.630, 0.664, 0.704, 0.730, 0.866),
}


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


def dip_probability(found: float, count: int) -> float:
    """Chance of a dip at least this large where the values have a single peak.

    The uniform distribution stands for all of these, as the hardest to tell from two peaks: norms of freshly drawn
    weights, which crowd in the middle, show a small probability far less often than it says.

    Args:
        found: the dip.
        count: n, number of values.

    Returns:
        Float in [0.0001, 1], interpolated in a simulated table; 0.0001 means that or less. 1 for fewer
        than 4 values, NaN for none.

    Source:
        Hartigan & Hartigan (1985), section 5: the uniform null.
    """
    if count < 4:
        return 1.0 if count else np.nan
    sizes = np.array(list(EXCEEDED))
    columns = np.array(list(EXCEEDED.values())).T  # (chances, sizes)
    # the size changes with 1 / sqrt(n), in which it is close to a straight line
    limits = [np.interp(-(count**-0.5), -(sizes**-0.5), column) for column in columns]
    return float(np.exp(np.interp(found * count**0.5, [0.0, *limits], np.log([1.0, *CHANCES]))))


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
