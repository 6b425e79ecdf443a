"""A UMAP of each step, tied to that of the step before: neurons stay unless their neighbourhood changes.

Neighbours attract within a step and neurons repel within a step. A neuron starts from its place at the shown step
before and is tied to it, so the pictures of all steps share one coordinate system. In one UMAP of all steps together
(`_joint`) a neuron's places at different steps repel one another, and time becomes the longest axis of the picture.
Ties to the step after as well would be calmer, but step 0 would know what comes, and paths that are none would come
out nearly as calm: 1.6 times the motion for steps in random order, where it is 3 times now (LeNet-300-100, Adam).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._embedding import MIN_DIST, near
from wdyn.analyses._paths import Paths
from wdyn.analyses._principal import principal
from wdyn.analyses._umap_library import library

FEWEST = 10
"""Distinct neurons that a picture needs at some step; among fewer there are no neighbourhoods to speak of."""

# Weight of a tie; that of the nearest neighbour is 1. Measured on LeNet-300-100: at 1 trustworthiness falls by 0.02, at
# 0.5 it stays and neurons move a sixth farther from step to step.
TIE = 0.7
EPOCHS = 200
RATE = 0.25  # UMAP's learning rate is 1; starting lower is calmer and no less true
REPULSIONS = 2.5  # UMAP repels 5 times for each edge, whose two ends it moves; here one end moves


class Graph(NamedTuple):
    """The neighbourhood graph of one step.

    Attributes:
        rows: (n,) int64, tracks that have a place at this step.
        head: (E,) int32, one end of each edge, counted along `rows`; each edge is there in both directions.
        tail: (E,) int32, the other end.
        weight: (E,) float32 in (0, 1].
    """

    rows: Array
    head: Array
    tail: Array
    weight: Array


def enough(paths: Paths) -> bool:
    """Whether there are at least ten distinct neurons at some step."""
    return any(len(np.unique(row[row >= 0])) >= FEWEST for row in paths.place)


def aligned(paths: Paths, *, seed: int, progress: Callable[[float], object] | None = None) -> Array:
    """Place the neurons at all steps, one step after the other.

    The first step starts from its principal components. A neuron that comes to life later starts anywhere.

    Args:
        paths: the neurons' directions.
        seed: of all random draws.
        progress: called with the share of the work done.

    Returns:
        (T, n, 2) float64 coordinates, NaN where a neuron has no place. Those of a step do not depend on later steps,
        nor on the order of neurons; neurons that always coincide share their places.

    Source:
        The loss of McInnes, Healy & Melville, UMAP, arXiv:1802.03426 (2018), with umap-learn's own optimisation; the
        ties follow umap-learn's AlignedUMAP, which has no precomputed neighbours, ties to later steps as well, and
        compiles anew for each layer.
    """
    # distinct neurons in an order that is not theirs
    tracks, of_neuron = np.unique(paths.place, axis=1, return_inverse=True)
    rng = np.random.default_rng(seed)
    xy = np.full((*tracks.shape, 2), np.nan, dtype=np.float32)
    now = np.full((tracks.shape[1], 2), np.nan, dtype=np.float32)  # the last place of each neuron
    for t, graph in enumerate(_graphs(paths.points, tracks)):
        if t == 0 or (tracks[t] != tracks[t - 1]).any():  # else all stand still, in the picture too
            unplaced = graph.rows[np.isnan(now[graph.rows, 0])]
            now[unplaced] = _start(paths.points[tracks[t, unplaced]], now, rng)
            tied = np.flatnonzero(tracks[t - 1, graph.rows] >= 0) if t else unplaced[:0]
            now[graph.rows] = _settled(now[graph.rows], graph, tied, rng)
        xy[t, graph.rows] = now[graph.rows]
        if progress:
            progress((t + 1) / len(tracks))
    return np.asarray(xy[:, of_neuron.ravel()], dtype=np.float64)


def _start(unit: Array, now: Array, rng: np.random.Generator) -> Array:
    """(n, 2) float32: principal components of the rows if they are the first, else somewhere among those placed."""
    placed = now[np.isfinite(now[:, 0])]
    if len(placed):
        return rng.normal(placed.mean(axis=0), max(placed.std(), 1.0), (len(unit), 2)).astype(np.float32)
    if not len(unit):
        return now[:0]
    xy = principal(unit, np.ones(len(unit)), 2, rng=rng).coordinates
    xy += rng.normal(scale=1e-4 * (np.abs(xy).max() or 1.0), size=xy.shape)  # no two at one place
    size = np.ptp(xy, axis=0)
    return np.asarray(10 * (xy - xy.min(axis=0)) / np.where(size > 0, size, 1), dtype=np.float32)  # as UMAP scales it


def _graphs(points: Array, tracks: Array) -> list[Graph]:
    steps = [np.flatnonzero(row >= 0) for row in tracks]
    none = np.empty(0, dtype=np.int32)
    graphs = [Graph(rows, none, none, none.astype(np.float32)) for rows in steps]
    for size in {
        len(rows) for rows in steps if near(len(rows))
    }:  # mostly one, and calls of umap-learn are slow to start
        alike = [t for t, rows in enumerate(steps) if len(rows) == size]
        lists = [_nearest(points[tracks[t, steps[t]]]) for t in alike]
        nearest = np.concatenate([found + i * size for i, (found, _) in enumerate(lists)])
        distance = np.concatenate([found for _, found in lists])
        make = library().fuzzy_simplicial_set
        together = make(  # asked for as UMAP itself does, so that both use what was compiled once
            nearest, nearest.shape[1], None, "cosine", knn_indices=nearest, knn_dists=distance, return_dists=False
        )[0]
        for i, t in enumerate(alike):
            own = slice(i * size, (i + 1) * size)
            block = together[own, own].tocoo()
            graphs[t] = Graph(steps[t], block.row, block.col, block.data)
    return graphs


def _nearest(unit: Array) -> tuple[Array, Array]:
    """(n, 1 + near(n)) nearest rows of each row, itself first, and their cosine distances; ties go to the lower row."""
    wide = unit.astype(np.float64)
    distance = np.maximum(1.0 - wide @ wide.T, 0.0)
    np.fill_diagonal(distance, -1.0)  # before its equals
    nearest = np.argsort(distance, axis=1, kind="stable")[:, : near(len(unit)) + 1]
    np.fill_diagonal(distance, 0.0)
    return nearest, np.take_along_axis(distance, nearest, axis=1)


def _settled(places: Array, graph: Graph, tied: Array, rng: np.random.Generator) -> Array:
    """Where neurons of one step come to rest.

    Args:
        places: (n, 2) float32, where they start, along `graph.rows`.
        graph: their neighbourhoods.
        tied: (m,) which of them are held near their start; those starts stand still and do not repel.
        rng: draws which neurons repel.

    Returns:
        (n, 2) float32.
    """
    count = len(places)
    head = np.append(graph.head, tied.astype(np.int32))
    tail = np.append(graph.tail, np.arange(count, count + len(tied), dtype=np.int32))
    weight = np.append(graph.weight, np.full(len(tied), TIE)).astype(np.float64)
    if not len(weight):
        return places
    together = np.append(places, places[tied], axis=0)
    state = rng.integers(-(2**31) + 1, 2**31 - 1, 3)
    library().optimize_layout_euclidean(
        together, together, head, tail, EPOCHS, count, weight.max() / weight, *_curve(), state,
        initial_alpha=RATE, negative_sample_rate=REPULSIONS, move_other=False,
    )  # fmt: skip
    return together[:count]


@functools.cache
def _curve() -> tuple[float, float]:
    """UMAP's a and b: attraction and repulsion balance near MIN_DIST."""
    a, b = library().find_ab_params(1.0, MIN_DIST)
    return float(a), float(b)
