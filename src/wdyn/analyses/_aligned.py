"""A UMAP of each step, tied to those of the steps before and after: neurons stay unless their neighbourhood changes.

Neighbours attract within a step and neurons repel within a step. A neuron is tied to its own places at the shown steps
before and after it, so the pictures of all steps share one coordinate system. In one UMAP of all steps together
(`_joint`) a neuron's places at different steps repel one another, and time becomes the longest axis of the picture.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._embedding import MIN_DIST, near
from wdyn.analyses._paths import Paths
from wdyn.analyses._principal import principal

FEWEST = 10
"""Distinct neurons that a picture needs at some step; among fewer there are no neighbourhoods to speak of."""

# Weight of a tie; that of the nearest neighbour is 1 as well. Measured on LeNet-300-100: at 0.3 neurons move three
# times as far from step to step for the same trustworthiness, at 2 trustworthiness falls by 0.04.
TIE = 1.0
SWEEPS = 8
EPOCHS = 25
RATE = 0.5  # UMAP's learning rate is 1; starting lower is calmer and no less true
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
    """Place the neurons at all steps.

    Goes through the steps forwards and backwards in turn, with less and less freedom, and moves the neurons of one
    step at a time. All steps start from one layout, the principal components of the neurons' mean directions.

    Args:
        paths: the neurons' directions.
        seed: of all random draws.
        progress: called with the share of the work done.

    Returns:
        (T, n, 2) float64 coordinates, NaN where a neuron has no place. They do not depend on the order of neurons, and
        neurons that always coincide share their places.

    Source:
        The loss of McInnes, Healy & Melville, UMAP, arXiv:1802.03426 (2018), with umap-learn's own optimisation; the
        ties follow umap-learn's AlignedUMAP, which has no precomputed neighbours and compiles anew for each layer.
    """
    # distinct neurons in an order that is not theirs
    tracks, of_neuron = np.unique(paths.place, axis=1, return_inverse=True)
    changed = np.append(True, (tracks[1:] != tracks[:-1]).any(axis=1))
    tracks, of_step = tracks[changed], np.cumsum(changed) - 1  # steps at which all stand still share a picture
    rng = np.random.default_rng(seed)
    graphs = _graphs(paths.points, tracks)
    xy = np.repeat(_start(paths.points, tracks, rng)[None], len(tracks), axis=0)
    for sweep in range(SWEEPS):
        forwards = range(len(tracks))
        for t in forwards if sweep % 2 == 0 else reversed(forwards):
            _settle(xy, graphs, t, rate=RATE * (1 - sweep / SWEEPS), rng=rng)
        if progress:
            progress((sweep + 1) / SWEEPS)
    xy[tracks < 0] = np.nan
    return np.asarray(xy[np.ix_(of_step, of_neuron.ravel())], dtype=np.float64)


def _start(points: Array, tracks: Array, rng: np.random.Generator) -> Array:
    """(n, 2) float32: mean direction of each track, less that of all at the same step, along two principal axes."""
    total = np.zeros((tracks.shape[1], points.shape[1]), dtype=np.float32)
    for row in tracks:
        live = row >= 0
        if live.any():
            here = points[row[live]]
            total[live] += here - here.mean(axis=0)
    total /= np.maximum((tracks >= 0).sum(axis=0), 1)[:, None]
    xy = principal(total, np.ones(len(total)), 2, rng=rng).coordinates
    xy += rng.normal(scale=1e-4 * (np.abs(xy).max() or 1.0), size=xy.shape)  # no two at one place, no axis empty
    return np.asarray(10 * (xy - xy.min(axis=0)) / np.ptp(xy, axis=0), dtype=np.float32)  # as UMAP scales its start


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
        make = _library().fuzzy_simplicial_set
        together = make(nearest, nearest.shape[1], None, "cosine", knn_indices=nearest, knn_dists=distance)[0]
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


def _settle(xy: Array, graphs: list[Graph], t: int, *, rate: float, rng: np.random.Generator) -> None:
    """Move the neurons of step `t` in `xy` (T, n, 2), while those of the steps before and after stand still."""
    rows, head, tail, weight = graphs[t]
    places = xy[t, rows]
    for other in (t - 1, t + 1):
        if 0 <= other < len(graphs):
            _, tied, there = np.intersect1d(rows, graphs[other].rows, assume_unique=True, return_indices=True)
            head = np.append(head, tied.astype(np.int32))
            tail = np.append(tail, np.arange(len(places), len(places) + len(tied), dtype=np.int32))
            weight = np.append(weight, np.full(len(tied), TIE, dtype=np.float32))
            places = np.append(places, xy[other, graphs[other].rows[there]], axis=0)
    if len(weight):
        xy[t, rows] = _optimise(places, (head, tail, weight), len(rows), rate, rng)


def _optimise(
    places: Array, edges: tuple[Array, Array, Array], movable: int, rate: float, rng: np.random.Generator
) -> Array:
    """(movable, 2) float32: the first of the places after some epochs, in which only they move and only they repel."""
    head, tail, weight = edges
    epochs_between_visits, state = weight.max() / weight.astype(np.float64), rng.integers(-(2**31) + 1, 2**31 - 1, 3)
    _library().optimize_layout_euclidean(
        places, places, head, tail, EPOCHS, movable, epochs_between_visits, *_curve(), state,
        initial_alpha=rate, negative_sample_rate=REPULSIONS, move_other=False,
    )  # fmt: skip
    return places[:movable]


@functools.cache
def _curve() -> tuple[float, float]:
    """UMAP's a and b: attraction and repulsion balance near MIN_DIST."""
    a, b = _library().find_ab_params(1.0, MIN_DIST)
    return float(a), float(b)


@functools.cache
def _library() -> Any:
    """umap-learn's own parts, loaded when first needed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)  # for ParametricUMAP alone
        from umap import umap_
    return umap_
