"""Neuron paths in one seeded UMAP picture per layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array, Chart
from wdyn.analyses._embedding import (
    MOST_STEPS,
    NEIGHBOURS,
    Embedding,
    embedding_fields,
    picture,
    points_chart,
    quality_chart,
)
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._paths import Paths, gather
from wdyn.analyses._principal import principal
from wdyn.analyses._spec import Analysis

if TYPE_CHECKING:
    from wdyn.store.run import Run

LIST = NEIGHBOURS + 3  # a point itself, its neuron's previous and next position, neighbours of the same step
MIN_DIST = 0.1
EPOCHS = 200
FARTHEST = 2.0  # the largest cosine distance


@dataclass(frozen=True)
class Umap(Embedding):
    """UMAP of all directions of a layer, all shown steps together.

    `method` is `pca` where a layer has under 4 neurons, under 15 distinct points or all its points on a line: that is
    too little for a neighbour graph.
    """


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


def layout(paths: Paths, *, seed: int) -> tuple[Array, str]:
    """Place the points in the plane.

    Args:
        paths: the points.
        seed: of UMAP's random draws.

    Returns:
        (P, 2) float64 coordinates, and `umap` or `pca` for how they were found.

    Source:
        McInnes, Healy & Melville, UMAP, arXiv:1802.03426 (2018).
    """
    if not len(paths.points):
        return np.empty((0, 2)), "pca"
    visits = np.bincount(paths.place[paths.place >= 0]).astype(np.float64)
    start = principal(paths.points, visits, 2, rng=np.random.default_rng(seed)).coordinates
    spread = np.ptp(start, axis=0)
    if len(paths.neurons) < 4 or len(start) < LIST + 2 or spread.min() <= 1e-6 * spread.max():
        return start, "pca"
    return _umap(start, neighbours(paths), seed), "umap"


def _umap(start: Array, near: Neighbours, seed: int) -> Array:
    with warnings.catch_warnings():
        # we place no further points and draw no ParametricUMAP, which is what these two are about
        warnings.filterwarnings("ignore", r"precomputed_knn\[2\]", UserWarning)
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
        from umap import UMAP

        model = UMAP(
            n_neighbors=LIST,
            min_dist=MIN_DIST,
            n_epochs=EPOCHS,
            init=start,
            precomputed_knn=(near.points, near.distance.astype(np.float32)),
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(start), dtype=np.float64)


def compute(run: Run, *, seed: int = 0, progress: Callable[[float], object] | None = None) -> Umap:
    """Lay out the neurons of every layer at up to 30 steps.

    Args:
        run: the run.
        seed: of all random draws; the same seed, run and version give the same picture.
        progress: called with the share of the work done.

    Returns:
        The pictures. A layer's picture does not depend on the other layers, nor on the order of its neurons.
    """
    shown = run.steps[shown_steps(run.steps, MOST_STEPS)]
    chosen = run.select(steps=shown)
    pictures = {}
    for i, layer in enumerate(run.layers):
        paths = gather(chosen, layer)
        pictures[layer] = picture(paths, *layout(paths, seed=seed), rng=np.random.default_rng(seed))
        if progress:
            progress((i + 1) / len(run.layers))
    return Umap(**embedding_fields(run, shown, seed, pictures))


def charts(result: Umap) -> list[Chart]:
    """One picture per layer, and how far to trust them."""
    pictures = [
        points_chart(result, layer, title="Neuron paths, UMAP", method=_method(result, layer))
        for layer in result.layers
    ]
    return [*pictures, quality_chart(result)]


def _method(result: Umap, layer: str) -> str:
    if result.method[layer] == "pca":
        return "Too few distinct points for UMAP: these are the two principal components of the neurons' directions."
    return (
        f"UMAP of the neurons' directions, all steps together: {NEIGHBOURS} nearest neurons of the same step by cosine "
        f"and each neuron's own previous and next position; min_dist {MIN_DIST}, {EPOCHS} epochs from principal "
        f"components, seed {result.seed}."
    )


ANALYSIS = Analysis(
    title="Neuron paths (UMAP)",
    compute=compute,
    charts=charts,
    reading=(
        "Each point is a neuron's direction at one step; near points are aligned neurons, a trail is one neuron's way. "
        "Only neighbourhoods mean something: distances between far points and the sizes of clumps do not "
        "(McInnes, Healy & Melville, UMAP, 2018). Trustworthiness says how much of the neighbourhoods is true."
    ),
    when="full",
)
