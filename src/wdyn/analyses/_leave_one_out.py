"""What each neuron adds to the frame potential of its layer, and the order in which to take neurons away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._neurons import Array, unit_rows

# Shares that differ by less than this times N differ by rounding alone, and the neuron that comes first goes first.
TIE = 1e-12

# Rows of a layer that a curve is drawn for: their Gram matrix then takes 32 MB and the curve a fraction of a second.
CURVE_ROWS = 2048


class Removal(NamedTuple):
    """Neurons taken away one after another.

    Attributes:
        order: (N,) int64, row taken away first, second, ...
        potential: (N,) float64, frame potential before each of them goes; the last is 1, of a single neuron.
    """

    order: Array
    potential: Array


def shares(vectors: Array) -> Array:
    """By how much each neuron's absence would lower the frame potential.

    Args:
        vectors: (N, D) real, one neuron per row; only directions matter.

    Returns:
        (N,) float64 in [1, 2N - 1]: 1 for a neuron orthogonal to all others. Twice the sum of its squared cosines with
        all neurons, minus 1 for the pair that it forms with itself.

    Raises:
        MisuseError: a row has zero norm or is not finite.
    """
    return np.asarray(2.0 * _squared_cosines(vectors).sum(axis=1) - 1.0)


def greedy_order(vectors: Array, *, largest: bool) -> Removal:
    """Take away the neuron with the largest (or smallest) share, again and again, with shares kept up to date.

    Largest first leaves after every removal the lowest potential that taking away one neuron can reach; smallest first
    the highest. Takes one Gram matrix and then time and memory N**2: each removal subtracts one of its rows.

    Args:
        vectors: (N, D) real, one neuron per row; only directions matter.
        largest: which of the two.

    Returns:
        The order and the potential on the way. Equal shares go in order of rows; shares closer than `TIE` times N are
        equal, since rounding reaches that far.

    Raises:
        MisuseError: a row has zero norm or is not finite.
    """
    return take_away(_squared_cosines(vectors), largest=largest)


def random_order_potential(potential: float, count: int) -> Array:
    """Mean frame potential on the way when neurons are taken away in random order, exact.

    Each pair of the N neurons is among m of them with probability m(m - 1) / (N(N - 1)).

    Args:
        potential: of all N neurons.
        count: N.

    Returns:
        (N,) float64, before each removal.
    """
    remaining = np.arange(count, 0, -1, dtype=np.float64)
    return remaining + (potential - count) * remaining * (remaining - 1) / max(count * (count - 1), 1)


def removal_curves(vectors: Array) -> tuple[Array, Array, Array]:
    """Frame potential over its floor while neurons go one by one: largest share first, smallest first, at random.

    Args:
        vectors: (N, D) real, N may be 0; only directions matter. Of more than `CURVE_ROWS` rows as many even ones.

    Returns:
        Three (n,) float64 arrays, after 0 to n - 1 removals, at least 1; the last is the exact mean over all orders.

    Raises:
        MisuseError: a row has zero norm or is not finite.
    """
    rows = vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), CURVE_ROWS)).round().astype(np.int64)]
    remaining = np.arange(len(rows), 0, -1, dtype=np.float64)
    floor = np.maximum(remaining, remaining**2 / rows.shape[1])
    squares = _squared_cosines(rows)
    largest, smallest = (take_away(squares, largest=way).potential for way in (True, False))
    at_random = random_order_potential(float(largest[0]), len(rows)) if len(rows) else remaining
    return largest / floor, smallest / floor, at_random / floor


def take_away(pairs: Array, *, largest: bool) -> Removal:
    """Take away the row with the largest (or smallest) share in a sum over all ordered pairs, again and again.

    Args:
        pairs: (N, N) symmetric, none negative, no entry above the root of the product of its row's and its column's
            diagonal entry: squared cosines, |cosines|, squared inner products.
        largest: which of the two.

    Returns:
        The order, and the sum before each removal; equal shares go in order of rows, see `greedy_order`.
    """
    own = np.diagonal(pairs).copy()
    left = pairs.sum(axis=1)  # (N,) of each row with those that remain
    first, beyond = (np.max, -np.inf) if largest else (np.min, np.inf)
    order, falls = np.empty(len(left), dtype=np.int64), np.empty(len(left))
    margin = TIE * len(left) * np.sqrt(own) * np.sqrt(own.max(initial=0.0))
    for turn in range(len(left)):
        half = left - own / 2  # of each row's share
        best = first(half)
        close = half >= best - margin if largest else half <= best + margin
        order[turn] = row = int(close.argmax())
        falls[turn] = 2.0 * left[row] - own[row]
        left -= pairs[row]
        left[row] = beyond
    return Removal(order, np.cumsum(falls[::-1])[::-1])


def _squared_cosines(vectors: Array) -> Array:
    unit = unit_rows(vectors)
    squares: Array = unit @ unit.T
    return np.multiply(squares, squares, out=squares)
