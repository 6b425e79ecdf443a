"""What the squared cosines between two sets of neurons sum to when one set is turned at random as a whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._neurons import Array

TIGHT = 1e-5  # share of a frame potential that the precision of the rows does not tell from none


class TurnedNull(NamedTuple):
    """Moments of the sum of squared cosines between two sets of which one is turned at random as a whole."""

    mean: Array
    variance: Array


def turned_null(
    first: Array | int, second: Array | int, own_first: Array | float, own_second: Array | float, inputs: Array | int
) -> TurnedNull:
    """Exact moments of the sum over pairs between two sets where one is turned by a uniform random rotation.

    With A and B the sums of outer products of the unit rows, the sum is tr(A Q B Q'). Directions that are independent
    within a set, too, would be the wrong null: two runs whose neurons are aligned within each, as training makes them,
    would be called alike in a third of all cases.

    Args:
        first: N, number of directions in one set, of any shape.
        second: M, in the other, likewise.
        own_first: frame potential of the one set, likewise.
        own_second: of the other.
        inputs: d, at least 1, of a shape that fits.

    Returns:
        Mean and variance, of the common shape; the variance is 0 where all turns give the same.

    Source:
        Second moments of the Haar measure on the orthogonal group (Collins & Sniady 2006): of symmetric A and B without
        trace, tr(A Q B Q') has mean 0 and variance 2 tr(A A) tr(B B) / ((d - 1) (d + 2)).
    """
    n, m, d = (np.asarray(each, dtype=np.float64) for each in (first, second, inputs))
    spread = _spread(n, own_first, d) * _spread(m, own_second, d)
    return TurnedNull(n * m / d, 2 * spread / (np.maximum(d - 1, 1) * (d + 2)))


def _spread(count: Array, own: Array | float, inputs: Array) -> Array:
    """The frame potential beyond that of a tight frame, which looks the same however it is turned."""
    beyond = own - count**2 / inputs
    return np.asarray(np.where(beyond > TIGHT * own, beyond, 0.0))


def chance_of(z: Array, inputs: Array | int) -> Array:
    """Chance of a sum so many standard deviations above its mean where one set is turned at random.

    The law is that of one direction against another, of all the one of the heaviest tail: exact where each run points
    into a single direction, too large a chance where it uses many.

    Args:
        z: standard deviations above the mean.
        inputs: d, of a shape that fits.

    Returns:
        Of that shape, in [0, 1]; NaN where z is.
    """
    from scipy.stats import beta

    d = np.asarray(inputs, dtype=np.float64)
    square = 1 / d + z * np.sqrt(2 * (d - 1) / (d * d * (d + 2)))
    return np.asarray(np.where(np.isfinite(z), beta.sf(square, 0.5, np.maximum(d - 1, 1) / 2), np.nan))
