"""Neurons of a layer at some steps as distinct points on the unit sphere; shared by `pca` and `umap`."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import MOST_ROWS, cosines, spaced
from wdyn.analyses._neurons import directions

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_POINTS = 20_000
MOST_NUMBERS = 2**26
"""Largest array of points, 0.25 GB."""


class Paths(NamedTuple):
    """Where the neurons of a layer are at some steps.

    Attributes:
        neurons: (n,) int64, numbers of the neurons followed, increasing.
        points: (P, D) float32, distinct directions of length one, in an order that is not the neurons' order.
        place: (T, n) int64, the point at which a neuron is at a step; -1 where it is dead or not finite.
        norms: (T, n) float64, length of the neuron; NaN where it is not finite.
        groups: (n,) int64, group of aligned neurons (mode `ray`) at the last step; -1 for none.
    """

    neurons: Array
    points: Array
    place: Array
    norms: Array
    groups: Array


def gather(chosen: Run, layer: str) -> Paths:
    """Collect the directions of a layer's neurons at every step of a run.

    Neurons that coincide, with one another or with themselves at another step, share a point. More than 20,000 points
    (or 2²⁶ numbers) are avoided by following fewer neurons, evenly spaced.

    Args:
        chosen: a run of the steps wanted.
        layer: name of a layer of it.

    Returns:
        The paths.
    """
    steps, rows, inputs = len(chosen.steps), chosen.layers[layer].rows, chosen.layers[layer].columns
    candidates = spaced(rows, MOST_ROWS)
    at_most = max(1, min(MOST_POINTS // steps, MOST_NUMBERS // (steps * inputs)))
    followed = spaced(len(candidates), at_most)
    neurons = candidates[followed]
    stack = np.empty((steps, len(neurons), inputs), dtype=np.float32)
    norms, live = np.empty(stack.shape[:2]), np.empty(stack.shape[:2], dtype=bool)
    for at, block in chosen.blocks(layer):
        for t, vectors in enumerate(block, start=at):
            stack[t], norms[t], live[t] = directions(vectors[neurons])
    points, place = distinct(stack, live)
    groups = _last_groups(vectors[candidates])[followed]
    return Paths(neurons, points, place, norms, groups)


def shuffled_in_time(paths: Paths, *, rng: np.random.Generator) -> Paths:
    """The same directions with each neuron's steps in a random order of its own: paths that are none.

    Args:
        paths: the paths.
        rng: draws the orders, which do not depend on the order of neurons.

    Returns:
        The paths with another `place`, whose columns are not in the order of the other fields.
    """
    in_order = paths.place[:, np.lexsort(paths.place)]
    return paths._replace(place=rng.permuted(in_order, axis=0))


def distinct(stack: Array, live: Array) -> tuple[Array, Array]:
    """Each distinct row once.

    Args:
        stack: (T, N, D) float32; -0 becomes 0 in place.
        live: (T, N) bool, rows that count.

    Returns:
        (P, D) float32 distinct live rows, in an order that depends on nothing but the rows, and (T, N) int64 their
        places, -1 for dead rows.
    """
    stack += np.float32(0.0)  # -0 + 0 is 0
    place = np.full(live.shape, -1)
    where = np.argwhere(live)
    # sorting digests instead of rows needs no further copy of them; 128 bits do not collide
    digests = np.array([blake2b(stack[t, n], digest_size=16).digest() for t, n in where], dtype="V16")
    _, first, place[live] = np.unique(digests, return_index=True, return_inverse=True)
    return stack[tuple(where[first].T)], place


def _last_groups(vectors: Array) -> Array:
    unit, _, live = directions(vectors)
    return groups_at(cosines(unit), live, vectors.shape[1], "ray")
