"""Two networks of one shape are equal only up to the order of their units: which unit of one is which of the other?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from wdyn.analyses._chain_of_layers import Link
from wdyn.analyses._charts import Array

ROW_STRATUM = 16  # units that keep nearly as many weights
FEWEST_STRATA, LEAST_STRATUM = 8, 4  # smaller ones in small layers, else large and small units would exchange


class Alignment(NamedTuple):
    """How a layer of the second network is put in the order of the first.

    Attributes:
        rows: (N,) the unit of the second that stands at each place.
        columns: (D,) its inputs likewise.
    """

    rows: Array
    columns: Array

    def of(self, values: Array) -> Array:
        """(N, D) of the second network in the order of the first."""
        return np.asarray(values[np.ix_(self.rows, self.columns)])


def matched(first: Array, second: Array) -> Array:
    """The unit of the second network that is most like each of the first, each taken once.

    Args:
        first: (N, D) real, a unit per row.
        second: (N, D) real, inputs in the order of the first.

    Returns:
        (N,) int, for which the sum of the inner products is largest, so that of the squared distances least.

    Source:
        Ashmore & Gashler, A method for finding similarity between multi-layer perceptrons by forward bipartite
        alignment (2015); Ainsworth et al., Git re-basin (2023), call it matching weights.
    """
    from scipy.optimize import linear_sum_assignment

    products = np.nan_to_num(first) @ np.nan_to_num(second).T
    return np.asarray(linear_sum_assignment(products, maximize=True)[1])


def align_chain(
    chain: Sequence[Link], first: Callable[[str], Array], second: Callable[[str], Array]
) -> dict[str, Alignment]:
    """Match the units of two networks layer by layer, from the inputs on; the outputs of the last stay what they are.

    Args:
        chain: the layers, see `plain_chain` of `_chain_of_layers`.
        first: name of a layer to its (N, D) weights in the first network.
        second: likewise; the same shapes.

    Returns:
        Name of each layer to its alignment. It computes the same function as before in that order.
    """
    found: dict[str, Alignment] = {}
    units: Array | None = None
    for i, link in enumerate(chain):
        rows = second(link.layer)
        columns = np.arange(rows.shape[1]) if units is None else expanded(units, link.block)
        last = i == len(chain) - 1
        units = np.arange(len(rows)) if last else matched(first(link.layer), rows[:, columns])
        found[link.layer] = Alignment(units, columns)
    return found


def expanded(units: Array, block: int) -> Array:
    """The order of columns that follows from an order of units, of which each has so many columns."""
    return np.asarray((units[:, None] * block + np.arange(block)).ravel())


def without_units(weights: Array, kept: Array, *, rng: np.random.Generator) -> tuple[Array, Array]:
    """A layer whose units are no units any more: in each input, weights with their marks change hands among units.

    Only units that keep nearly as many weights exchange, so that large and small ones stay so: 16 together,
    in layers of fewer than 128 units an eighth of them, but four at least.

    Args:
        weights: (N, D).
        kept: (N, D) bool, the marks that go with the weights.
        rng: of the exchange.

    Returns:
        Weights and marks; each input has the same ones as before.
    """
    by_size = np.argsort(kept.sum(axis=1), kind="stable")
    small = min(FEWEST_STRATA, len(weights) // LEAST_STRATUM)
    groups = max(1, len(weights) // ROW_STRATUM, small)
    group = np.arange(len(weights)) * groups // len(weights)
    order = np.argsort(group[:, None] + rng.random(weights.shape), axis=0)
    exchanged = np.empty_like(order)
    exchanged[by_size] = by_size[order]
    return np.take_along_axis(weights, exchanged, axis=0), np.take_along_axis(kept, exchanged, axis=0)
