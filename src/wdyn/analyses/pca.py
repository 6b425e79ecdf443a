"""Neuron paths in the plane of their two principal axes: the instant alternative to `umap`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Array, Chart
from wdyn.analyses._embedding import (
    MOST_STEPS,
    Embedding,
    at_places,
    embedding_fields,
    picture,
    points_chart,
    quality_chart,
)
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._paths import Paths, gather, shuffled_in_time
from wdyn.analyses._principal import principal
from wdyn.analyses._spec import Analysis, measured

if TYPE_CHECKING:
    from wdyn.store.run import Run

DRAWS = 5


@dataclass(frozen=True)
class Pca(Embedding):
    """Centred principal components of all directions of a layer, all shown steps together.

    Attributes:
        explained: (L, 2) float64 in [0, 1], share of the variance along each axis.
        by_chance: (L, 2) float64, the same for as many random directions that stand still, mean of five draws; NaN
            where no neuron is live at the last step. Directions that move gain variance over it by their common drift.
    """

    explained: np.ndarray = measured("layer", "index")
    by_chance: np.ndarray = measured("layer", "index")


def components(paths: Paths, *, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two principal components of the points, each counted as often as a neuron is there.

    Args:
        paths: the points.
        rng: for the randomised search in large layers.

    Returns:
        (P, 2) float64 coordinates and (2,) shares of variance.
    """
    if not len(paths.points):
        return np.empty((0, 2)), np.zeros(2)
    visits = np.bincount(paths.place[paths.place >= 0]).astype(np.float64)
    found = principal(paths.points, visits, 2, rng=rng)
    return found.coordinates, found.explained


def chance_explained(count: int, inputs: int, *, rng: np.random.Generator) -> Array:
    """Expected shares of variance along the two first axes of random directions.

    Args:
        count: N, number of directions.
        inputs: D, their dimension.
        rng: draws them.

    Returns:
        (2,) float64, mean of five draws; NaN for no direction.
    """
    if not count:
        return np.full(2, np.nan)
    shares = np.zeros(2)
    for _ in range(DRAWS):
        drawn = rng.standard_normal((count, inputs), dtype=np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        shares += principal(drawn, np.ones(count), 2, rng=rng).explained / DRAWS
    return shares


def compute(run: Run, *, seed: int = 0, progress: Callable[[float], object] | None = None) -> Pca:
    """Project the neurons of every layer at up to 30 steps.

    Args:
        run: the run.
        seed: for the control, the null and the randomised search in large layers.
        progress: called with the share of the work done.

    Returns:
        The pictures. A layer's picture does not depend on the other layers.
    """
    shown = run.steps[shown_steps(run.steps, MOST_STEPS)]
    chosen = run.select(steps=shown)
    pictures, explained, by_chance = {}, [], []
    for i, layer in enumerate(run.layers):
        rng = np.random.default_rng(seed)
        paths = gather(chosen, layer)
        coordinates, shares = components(paths, rng=rng)
        explained.append(shares)
        by_chance.append(chance_explained(int((paths.place[-1] >= 0).sum()), run.layers[layer].columns, rng=rng))
        control = at_places(shuffled_in_time(paths, rng=rng), coordinates)
        pictures[layer] = picture(paths, at_places(paths, coordinates), "pca", control=control, rng=rng)
        if progress:
            progress((i + 1) / len(run.layers))
    return Pca(
        **embedding_fields(run, shown, seed, pictures),
        explained=np.reshape(explained, (-1, 2)),
        by_chance=np.reshape(by_chance, (-1, 2)),
    )


def charts(result: Pca) -> list[Chart]:
    """One picture per layer, and how far to trust them."""
    pictures = [
        points_chart(result, layer, title="Neuron paths, principal components", method=_method(result, j))
        for j, layer in enumerate(result.layers)
    ]
    return [*pictures, quality_chart(result)]


def _method(result: Pca, j: int) -> str:
    return (
        f"Centred principal components of the neurons' directions, all steps together: the two axes hold "
        f"{result.explained[j].sum():.1%} of the variance, {result.by_chance[j].sum():.1%} for random directions "
        "that stand still."
    )


ANALYSIS = Analysis(
    title="Neuron paths (PCA)",
    compute=compute,
    charts=charts,
    reading=(
        "Each point is a neuron's direction at one step, projected onto the plane in which the directions of the layer "
        "at all shown steps vary most (Pearson, On lines and planes of closest fit, 1901). Compare the share of "
        "variance with that of random directions: a share near it means that the plane shows next to nothing."
    ),
    when="quick",
)
