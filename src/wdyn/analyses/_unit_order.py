"""The order of one network's hidden units that fits those of another best, by their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdyn.analyses._chain_of_layers import plain_chain
from wdyn.analyses._charts import Array
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run

State = Mapping[str, Array]
MOST_SWEEPS = 100  # a few suffice; each one raises the similarity or is the last
_NORMS = ("aten.batch_norm.", "aten._native_batch_norm_legit_no_training.", "aten.instance_norm.")
_STATISTICS = ("running_mean", "running_var")  # follow from the weights, in units of their own


class Units(NamedTuple):
    """The units of a hidden layer.

    Attributes:
        weight: name of the layer's weight.
        size: N.
        own: names of all tensors whose first axis counts them: weight, bias, and those of a normalisation.
        reader: name of the next layer's weight, in which each of them has as many columns, side by side.
    """

    weight: str
    size: int
    own: tuple[str, ...]
    reader: str


def hidden_units(run: Run) -> list[Units]:
    """The hidden layers of a run whose layers form a plain chain, in order.

    Raises:
        MisuseError: they do not, see `plain_chain`.
    """
    layers = [run.layers[link.layer] for link in plain_chain(run)]
    normed = _normed(run, [layer.parameter for layer in layers])
    found = []
    for layer, after in pairwise(layers):
        bias = () if layer.bias is None else (layer.bias,)
        own = (layer.parameter, *bias, *normed[layer.parameter])
        found.append(Units(layer.parameter, layer.rows, own, after.parameter))
    return found


def _normed(run: Run, weights: Sequence[str]) -> dict[str, list[str]]:
    """The tensors of normalisations that follow each layer and have an entry for each of its units."""
    found: dict[str, list[str]] = {weight: [] for weight in weights}
    program, current = run.program or {}, ""
    for _, operation, arguments, _, _ in program["nodes"]:
        nodes = [each["node"] for each in arguments if isinstance(each, dict) and "node" in each]
        names = [program["tensors"][node] for node in nodes if node in program["tensors"]]
        current = next((name for name in names if name in found), current)
        if operation.startswith(_NORMS) and current:
            found[current] += names
    return found


def matching_order(first: State, second: State, layers: Sequence[Units]) -> list[Array]:
    """Orders of the second network's units that bring its weights close to the first's.

    Layer by layer the order of one layer's units is the best one for what comes in and goes out, given those of its
    neighbours, until none changes: coordinate ascent on the inner product of the two networks' weights.

    Args:
        first: name to tensor.
        second: likewise.
        layers: hidden layers, from `hidden_units`.

    Returns:
        For each layer (N,) which of the second's units takes each place.

    Raises:
        MisuseError: a weight is not finite, so that it fits nothing.

    Source:
        Ainsworth, Hayase & Srinivasa, Git Re-Basin: merging models modulo permutation symmetries, ICLR (2023), weight
        matching. Here layers go in their own order, not at random.
    """
    from scipy.optimize import linear_sum_assignment

    orders = [np.arange(units.size) for units in layers]
    for _ in range(MOST_SWEEPS):
        changed = False
        for i, units in enumerate(layers):
            others = [np.arange(each.size) if i == j else orders[j] for j, each in enumerate(layers)]
            similarity = _similarity(first, reordered(second, layers, others), units)
            if not np.isfinite(similarity).all():
                raise MisuseError(f"weights of {units.weight} are not finite, so they fit nothing")
            _, best = linear_sum_assignment(similarity, maximize=True)
            places = np.arange(units.size)
            if similarity[places, best].sum() > similarity[places, orders[i]].sum() * (1 + 1e-12) + 1e-12:
                orders[i], changed = best, True
        if not changed:
            break
    return orders


def reordered(state: State, layers: Sequence[Units], orders: Sequence[Array]) -> dict[str, Array]:
    """The same network with the hidden units of its layers in another order; what it computes stays the same.

    Args:
        state: name to tensor; those of the layers, and any others.
        layers: hidden layers.
        orders: for each (N,), which unit takes each place.
    """
    found = dict(state)
    for units, order in zip(layers, orders, strict=True):
        for name in units.own:
            found[name] = found[name][order]
        reader = found[units.reader]
        found[units.reader] = reader.reshape(len(reader), units.size, -1)[:, order].reshape(reader.shape)
    return found


def _similarity(first: State, second: State, units: Units) -> Array:
    """(N, N) inner products of what the units of both networks read, add and hand on."""
    total = np.zeros((units.size, units.size))
    for name in units.own:
        if not name.endswith(_STATISTICS):
            a, b = (state[name].reshape(units.size, -1).astype(np.float64) for state in (first, second))
            total += a @ b.T
    readers = (state[units.reader] for state in (first, second))
    a, b = (np.moveaxis(r.reshape(len(r), units.size, -1), 1, 0).reshape(units.size, -1) for r in readers)
    return np.asarray(total + a.astype(np.float64) @ b.astype(np.float64).T)
