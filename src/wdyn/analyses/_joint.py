"""All steps of a layer in one UMAP: a point's neighbours are of its own step, and the neuron itself one step away."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._embedding import MIN_DIST, NEIGHBOURS
from wdyn.analyses._paths import Paths
from wdyn.analyses._umap_library import library

LIST = NEIGHBOURS + 3  # a point itself, its neuron's previous and next position, neighbours of the same step
EPOCHS = 200
FARTHEST = 2.0  # the largest cosine distance


class Neighbours(NamedTuple):
    """Nearest points of each point, itself first.

    Attributes:
        points: (P, K) int64; -1 where there are fewer.
        distance: (P, K) float64 cosine distance, rising along a row; 2 where there are fewer.
    """

    points: Array
    distance: Array


def neighbours(paths: Paths) -> Neighbours:
    """Each point's neighbours: the nearest neurons at the same step, and the same neuron one step before and after.

    Plain nearest neighbours among all steps would be a neuron's own positions only (measured on LeNet-300-100: 15 of
    15), and where the neurons lie relative to one another would be left to chance.

    Args:
        paths: the points, and which neuron is where.

    Returns:
        Up to 13 per point: itself, its own steps, then others by distance. Ties go to the lower point number.
    """
    edges = [*_own_steps(paths), *_same_step(paths)]
    first, second, distance, rank = (np.concatenate(column) for column in zip(*edges, strict=True))
    count = len(paths.points)
    _, once = np.unique(first * count + second, return_index=True)  # own steps come first, so they stay
    first, second, distance, rank = first[once], second[once], distance[once], rank[once]
    order = np.lexsort((second, distance, rank, first))
    first, second, distance = first[order], second[order], distance[order]
    position = np.arange(len(first)) - np.searchsorted(first, first) + 1
    kept = position < LIST
    index = np.full((count, LIST), -1)
    far = np.full((count, LIST), FARTHEST)
    index[:, 0], far[:, 0] = np.arange(count), 0.0
    index[first[kept], position[kept]] = second[kept]
    far[first[kept], position[kept]] = distance[kept]
    by_distance = np.argsort(far, axis=1, kind="stable")
    return Neighbours(np.take_along_axis(index, by_distance, axis=1), np.take_along_axis(far, by_distance, axis=1))


_Edges = tuple[Array, Array, Array, Array]  # from, to, distance, rank: 0 for the neuron's own steps, 1 for others


def _own_steps(paths: Paths) -> list[_Edges]:
    found = []
    for before, after in zip(paths.place[:-1], paths.place[1:], strict=True):
        moved = (before >= 0) & (after >= 0) & (before != after)
        one, other = before[moved], after[moved]
        apart = paths.points[one].astype(np.float64) - paths.points[other]
        distance = 0.5 * np.einsum("nd,nd->n", apart, apart)  # 1 - cos without its cancellation
        rank = np.zeros(len(one), dtype=np.int64)
        found += [(one, other, distance, rank), (other, one, distance, rank)]
    return found


def _same_step(paths: Paths) -> list[_Edges]:
    found = []
    for place in paths.place:
        here = np.unique(place[place >= 0])
        unit = paths.points[here].astype(np.float64)
        distance = np.maximum(1.0 - unit @ unit.T, 0.0)
        np.fill_diagonal(distance, np.inf)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(here) - 1)]
        one = np.repeat(here, nearest.shape[1])
        found.append((one, here[nearest].ravel(), np.take_along_axis(distance, nearest, 1).ravel(), np.ones_like(one)))
    return found


def joint(paths: Paths, start: Array, *, seed: int) -> Array:
    """Place the points of all steps together, so that points of different steps repel one another too.

    Args:
        paths: at least 15 points.
        start: (P, 2) places to begin with, not all on a line.
        seed: of UMAP's random draws.

    Returns:
        (P, 2) float64 coordinates.

    Source:
        McInnes, Healy & Melville, UMAP, arXiv:1802.03426 (2018).
    """
    near = neighbours(paths)
    with warnings.catch_warnings():
        # for placing further points, which we do not
        warnings.filterwarnings("ignore", r"precomputed_knn\[2\]", UserWarning)
        model = library().UMAP(
            n_neighbors=LIST,
            min_dist=MIN_DIST,
            n_epochs=EPOCHS,
            init=start,
            precomputed_knn=(near.points, near.distance.astype(np.float32)),
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(start), dtype=np.float64)
