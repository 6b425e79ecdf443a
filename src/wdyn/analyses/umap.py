"""Neuron paths in one seeded UMAP picture per layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from wdyn.analyses import _aligned, _joint
from wdyn.analyses._cache import cached
from wdyn.analyses._charts import Array, Chart
from wdyn.analyses._embedding import (
    MIN_DIST,
    MOST_STEPS,
    NEIGHBOURS,
    Embedding,
    Picture,
    at_places,
    embedding_fields,
    picture,
    points_chart,
    quality_chart,
)
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._paths import Paths, gather, shuffled_in_time
from wdyn.analyses._principal import principal
from wdyn.analyses._spec import Analysis
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run

Mode = Literal["aligned", "joint"]
Progress = Callable[[float], object]


@dataclass(frozen=True)
class Umap(Embedding):
    """UMAP of all directions of a layer at the shown steps, in one coordinate system.

    `method` is `pca` where a layer has under 10 distinct neurons at every step; in the mode `joint`, where it has under
    4 neurons, under 15 distinct points or all its points on a line. That is too little for a neighbour graph.

    Attributes:
        mode: `aligned` for a UMAP of each step, tied to that of the step before; `joint` for one of all steps.
    """

    mode: Mode = "aligned"


def layout(paths: Paths, *, seed: int, mode: Mode = "aligned", progress: Progress | None = None) -> tuple[Array, str]:
    """Place the neurons in the plane.

    Args:
        paths: their directions.
        seed: of all random draws.
        mode: as in `Umap`.
        progress: called with the share of the work done.

    Returns:
        (T, n, 2) float64 coordinates, NaN where a neuron has no place; and `umap` or `pca` for how they were found.
    """
    if mode == "aligned" and _aligned.enough(paths):
        return _aligned.aligned(paths, seed=seed, progress=progress), "umap"
    if not len(paths.points):
        return np.full((*paths.place.shape, 2), np.nan), "pca"
    visits = np.bincount(paths.place[paths.place >= 0]).astype(np.float64)
    start = principal(paths.points, visits, 2, rng=np.random.default_rng(seed)).coordinates
    spread = np.ptp(start, axis=0)
    few = mode == "aligned" or len(start) < _joint.LIST + 2
    if few or len(paths.neurons) < 4 or spread.min() <= 1e-6 * spread.max():
        return at_places(paths, start), "pca"
    return at_places(paths, _joint.joint(paths, start, seed=seed)), "umap"


def compute(run: Run, *, seed: int = 0, progress: Progress | None = None, mode: Mode = "aligned") -> Umap:
    """Lay out the neurons of every layer at up to 30 steps.

    The layout is kept in the user's cache folder: the same run, steps, seed and code take it from there.

    Args:
        run: the run.
        seed: of all random draws; the same seed, run and version give the same picture.
        progress: called with the share of the work done.
        mode: as in `Umap`. On LeNet-300-100 `aligned` was more trustworthy at every step.

    Returns:
        The pictures. A layer's picture does not depend on the other layers, nor on the order of its neurons.

    Raises:
        MisuseError: there is no such mode.
    """
    if mode not in get_args(Mode):
        raise MisuseError(f"no mode {mode!r} of UMAP. There are: {', '.join(get_args(Mode))}")
    shown = run.steps[shown_steps(run.steps, MOST_STEPS)]
    chosen = run.select(steps=shown)
    pictures = {}
    for i, layer in enumerate(run.layers):

        def advance(share: float, done: int = i) -> None:
            if progress:
                progress((done + share) / len(run.layers))

        pictures[layer] = _kept_picture(chosen, layer, seed, mode, advance)
        advance(1.0)
    return Umap(**embedding_fields(run, shown, seed, pictures), mode=mode)


def _kept_picture(chosen: Run, layer: str, seed: int, mode: Mode, progress: Progress) -> Picture:
    parameters = {"analysis": "umap", "layer": layer, "steps": chosen.steps.tolist(), "seed": seed, "mode": mode}

    def make() -> dict[str, Array]:
        made = _picture(chosen, layer, seed, mode, progress)
        return {name: np.asarray(each) for name, each in made._asdict().items()}

    found = cached(chosen, parameters, make)
    arrays = {name: each for name, each in found.items() if name != "method"}
    return Picture(str(found["method"]), **arrays)


def _picture(chosen: Run, layer: str, seed: int, mode: Mode, progress: Progress) -> Picture:
    rng = np.random.default_rng(seed)
    paths = gather(chosen, layer)
    xy, method = layout(paths, seed=seed, mode=mode, progress=lambda share: progress(share / 2))
    shuffled = shuffled_in_time(paths, rng=rng)
    control, _ = layout(shuffled, seed=seed, mode=mode, progress=lambda share: progress((1 + share) / 2))
    return picture(paths, xy, method, control=control, rng=rng)


def charts(result: Umap) -> list[Chart]:
    """One picture per layer, and how far to trust them."""
    pictures = [
        points_chart(result, layer, title="Neuron paths, UMAP", method=_method(result, layer))
        for layer in result.layers
    ]
    return [*pictures, quality_chart(result)]


def _method(result: Umap, layer: str) -> str:
    if result.method[layer] == "pca":
        return "Too few distinct neurons for UMAP: these are the two principal components of their directions."
    if result.mode == "joint":
        return (
            f"UMAP of the neurons' directions, all steps together: {NEIGHBOURS} nearest neurons of the same step by "
            f"cosine and each neuron's own previous and next position; min_dist {MIN_DIST}, {_joint.EPOCHS} epochs "
            f"from principal components, seed {result.seed}."
        )
    return (
        f"UMAP of the neurons' directions at each step: up to {NEIGHBOURS} nearest neurons by cosine, and each neuron "
        f"tied to its own place at the step before with weight {_aligned.TIE:g}; min_dist {MIN_DIST}, "
        f"{_aligned.EPOCHS} epochs from that place, at first from principal components, seed {result.seed}."
    )


ANALYSIS = Analysis(
    title="Neuron paths (UMAP)",
    compute=compute,
    charts=charts,
    reading=(
        "Each point is a neuron's direction at one step; near points are aligned neurons, a trail is one neuron's way. "
        "Only neighbourhoods mean something: distances between far points and the sizes of clumps do not "
        "(McInnes, Healy & Melville, UMAP, 2018). Trustworthiness says how much of the neighbourhoods is true. "
        "The method holds each neuron near its last place, so calm paths are partly its doing: compare their motion "
        "with that of steps in random order."
    ),
    when="full",
)
