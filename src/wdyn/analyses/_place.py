"""Steps that an embedding does not show, placed among those it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._embedding import NEIGHBOURS, Embedding
from wdyn.analyses._neurons import directions

if TYPE_CHECKING:
    from wdyn.store.run import Run

COINCIDE = 1e-12  # cosine distance below which only rounding tells two directions apart


def place(result: Embedding, run: Run, steps: Sequence[int]) -> dict[str, Array]:
    """Place neurons at further steps into an embedding that stays as it is.

    A neuron goes to the mean of the 10 nearest places at the shown steps just before and after, mostly its own, each
    weighted with one over its cosine distance (half the squared distance of the directions).

    Args:
        result: an embedding of the run, from `umap` or `pca`.
        run: the run, with the steps that the embedding shows.
        steps: recorded steps, in any order; one that is shown gets its own places.

    Returns:
        Layer to (len(steps), n, 2) float64 coordinates of the neurons `result.neurons[layer]`, NaN for those that are
        dead or not finite.

    Raises:
        NotFoundError: the run has no such layer or step.

    Source:
        Shepard, A two-dimensional interpolation function for irregularly-spaced data, ACM National Conference (1968).
    """
    return {layer: np.stack([_at(result, run, layer, int(step)) for step in steps]) for layer in result.layers}


def _at(result: Embedding, run: Run, layer: str, step: int) -> Array:
    neurons = result.neurons[layer]
    after = min(int(np.searchsorted(result.shown, step)), len(result.shown) - 1)
    around = list(range(max(after - 1, 0), after + 1))
    unit, _, live = directions(run.neurons(layer, step)[neurons])
    shown = [directions(run.neurons(layer, int(result.shown[t]))[neurons]).unit for t in around]
    places = result.xy[layer][around].reshape(-1, 2)
    known = np.isfinite(places).all(axis=1)
    xy = np.full((len(neurons), 2), np.nan)
    if known.any():
        xy[live] = _among(unit[live], np.concatenate(shown)[known], places[known])
    return xy


def _among(unit: Array, shown: Array, places: Array) -> Array:
    """(n, 2) weighted means of places (m, 2) for rows (n, D) among rows (m, D), all of length one."""
    distance = np.maximum(1.0 - unit @ shown.T, COINCIDE)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    weight = 1.0 / np.take_along_axis(distance, nearest, axis=1)
    weight /= weight.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("nk,nkd->nd", weight, places[nearest]))
