"""Orders in which the units of a place, or of several places together, are taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._leave_one_out import take_away
from wdyn.analyses._neurons import directions

GREEDY = ("frame_potential", "inner_product", "unnormalised")
BY_WEIGHTS = tuple(f"{way}_{quantity}" for quantity in (*GREEDY, "norm") for way in ("max", "min"))
ORDERS = (*BY_WEIGHTS, "ablation", "taylor")
WORDS = {
    "max_frame_potential": "largest share in the frame potential first",
    "min_frame_potential": "smallest share in the frame potential first",
    "max_inner_product": "largest mean |cosine| first",
    "min_inner_product": "smallest mean |cosine| first",
    "max_unnormalised": "largest share in the un-normalised frame potential first",
    "min_unnormalised": "smallest share in the un-normalised frame potential first",
    "max_norm": "largest norm first",
    "min_norm": "smallest norm first",
    "ablation": "least damage alone first",
    "taylor": "least estimated damage first",
}


def removal_keys(vectors: Array | None, damage: Array, taylor: Array) -> dict[str, Array]:
    """What the units of one place are ordered by: of all units that remain, the one with the smallest key goes first.

    Keys of several places can be compared, which is how their units go together. Greedy orders are exact, with shares
    kept up to date while units go; their keys are positions, as shares of the place, so that all places lose units at
    the same pace. Norms are told in units of the root mean square norm of the place. Damages and their estimates are
    losses, the same everywhere.

    Args:
        vectors: (n, D) weight rows of the units, or None where they have none: then there are no orders by weights. A
            row without direction has a share of 0.
        damage: (n,) rise of the loss when a unit goes alone.
        taylor: (n,) its first-order estimate.

    Returns:
        Name of an order to (n,) float64.
    """
    keys = {} if vectors is None else _keys_by_weights(vectors)
    return keys | {"ablation": np.asarray(damage), "taylor": np.asarray(taylor)}


def order_of(keys: Sequence[Array]) -> Array:
    """The order that keys give; of equal keys the first place and unit goes first, and NaN last.

    Args:
        keys: (n,) of each place.

    Returns:
        (Σ n,) int64, positions in all units one place after the other.
    """
    return np.argsort(np.concatenate(keys), kind="stable")


def random_orders(count: int, units: int, *, rng: np.random.Generator) -> Array:
    """(count, units) int64, each row a random order."""
    return rng.permuted(np.tile(np.arange(units), (count, 1)), axis=1)


def together(keys: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The orders of all places together, those that every place has."""
    return {name: order_of([each[name] for each in keys]) for name in ORDERS if all(name in each for each in keys)}


def _keys_by_weights(vectors: Array) -> dict[str, Array]:
    unit, norms, _ = directions(vectors)
    cosine = unit @ unit.T
    scale = np.where(np.isfinite(norms), norms, 0.0)
    scale = scale / max(scale.max(initial=0.0), np.finfo(np.float64).tiny)  # so that squares of squares stay finite
    pairs = {
        "frame_potential": cosine**2,
        "inner_product": np.abs(cosine),
        "unnormalised": (cosine * scale[:, None] * scale) ** 2,
    }
    keys = {}
    for quantity in GREEDY:
        for way in ("max", "min"):
            order = take_away(pairs[quantity], largest=way == "max").order
            keys[f"{way}_{quantity}"] = np.empty(len(order))
            keys[f"{way}_{quantity}"][order] = (np.arange(len(order)) + 0.5) / len(order)
    size = np.sqrt((scale**2).mean()) or 1.0
    return keys | {"max_norm": -scale / size, "min_norm": scale / size}
