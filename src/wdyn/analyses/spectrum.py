"""Spectrum: the singular values of each layer against those of random entries, and where its leading subspace goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._neurons import every_block, pieces, shown_steps
from wdyn.analyses._random_matrix import (
    angles_by_chance,
    participation_ratio_by_chance,
    stable_rank_by_chance,
)
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses._spectra import (
    LEADING,
    Decomposition,
    angles_between,
    bulk,
    decompose,
    orthonormal,
    relative,
)
from wdyn.analyses._spectrum_charts import charts

if TYPE_CHECKING:
    from wdyn.store.run import Run

SHOWN = 200
SHOWN_NUMBERS = 2**19  # singular values times shown steps
SHOWN_WORK = 2**39  # multiplications, about half a minute on one core: layers of thousands of neurons show fewer steps
BY_SIZE = 10  # an eigenvalue problem of size m takes as long as a Gram matrix of m rows in this many times m columns
LEVEL = 0.01  # of random matrices whose largest singular value counts as an outlier


@dataclass(frozen=True)
class Spectrum(Result):
    """Singular values of the weight matrix of each layer; NaN where no neuron is live.

    Dead rows change no singular value, rows with NaN or infinity are left out. By chance means: independent entries of
    equal variance and mean 0 in the live rows, as the usual initialisations draw them. An orthogonal initialisation is
    not of that kind: it has no outliers, and a stable rank and participation ratio above chance.

    Attributes:
        shown: (T,) int64, the steps looked at: at most 200, fewer for large networks.
        singular_values: layer to (T, min(N, D)) float64, falling.
        entry_deviation: standard deviation of the entries without the outliers.
        lower_edge: Marchenko-Pastur edge of the singular values, entry_deviation * |sqrt(D) - sqrt(N)|,
            with N and D less the number of outliers.
        upper_edge: entry_deviation * (sqrt(D) + sqrt(N)), likewise.
        outlier_above: what the largest of random singular values exceeds in 1 of 100 layers.
        outliers: number of singular values that exceeded it, one after the other.
        stable_rank: ||W||_F**2 / ||W||_2**2, in [1, min(N, D)].
        stable_rank_by_chance: 1 % quantile, middle and 99 % quantile of random entries.
        participation_ratio: (sum s**2)**2 / sum s**4, in [1, min(N, D)].
        participation_ratio_by_chance: the same three numbers.
        angles_to_first: layer to (T, k) float64, principal angles, smallest first, between the leading
            k = min(10, N, D) right singular directions and those of the first step; NaN beyond the smaller rank.
        angles_to_last: the same for the last step.
        mean_angle_by_chance: 1 % quantile, mean and 99 % quantile of the mean angle of random subspaces.
        smallest_angle_by_chance: the same for the smallest angle.
        live: number of rows with a direction.
        non_finite: number of rows left out.
        inputs: D.
    """

    shown: Array
    singular_values: Mapping[str, Array] = measured("layer", "shown", "index", unit="weight")
    entry_deviation: Array = measured("shown", "layer", unit="weight")
    lower_edge: Array = measured("shown", "layer", unit="weight")
    upper_edge: Array = measured("shown", "layer", unit="weight")
    outlier_above: Array = measured("shown", "layer", unit="weight")
    outliers: Array = measured("shown", "layer")
    stable_rank: Array = measured("shown", "layer")
    stable_rank_by_chance: Array = measured("shown", "layer", "index")
    participation_ratio: Array = measured("shown", "layer")
    participation_ratio_by_chance: Array = measured("shown", "layer", "index")
    angles_to_first: Mapping[str, Array] = measured("layer", "shown", "index", unit="degrees")
    angles_to_last: Mapping[str, Array] = measured("layer", "shown", "index", unit="degrees")
    mean_angle_by_chance: Array = measured("layer", "index", unit="degrees")
    smallest_angle_by_chance: Array = measured("layer", "index", unit="degrees")
    live: Array = measured("shown", "layer", unit="neurons")
    non_finite: Array = measured("shown", "layer", unit="neurons")
    inputs: Array = measured("layer")


def compute(run: Run, *, seed: int = 0, progress: Callable[[float], object] | None = None) -> Spectrum:
    """Singular values of every layer at up to 200 steps.

    Args:
        run: the run to analyse.
        seed: of the random subspaces that angles are compared with.
        progress: is told the share that is done, in [0, 1].

    Returns:
        All numbers, with what random entries give.
    """
    chosen = run.select(steps=run.steps[shown_steps(run.steps, _affordable(run))])
    count = len(chosen.steps)
    ranks = {name: min(layer.rows, layer.columns) for name, layer in run.layers.items()}
    values = {layer: np.full((count, rank), np.nan) for layer, rank in ranks.items()}
    first, last = ({layer: np.full((count, min(rank, LEADING)), np.nan) for layer, rank in ranks.items()} for _ in "fl")
    live, non_finite = (np.zeros((count, len(ranks)), dtype=np.int64) for _ in range(2))
    for j, layer, here, found in _decompositions(chosen, progress):
        if here.start == 0:
            last_step = decompose(chosen.neurons(layer, int(chosen.steps[-1])))
            ends = orthonormal(found.directions[0]), orthonormal(last_step.directions)
        values[layer][here] = np.where(found.live[:, None] > 0, found.values, np.nan)
        live[here, j], non_finite[here, j] = found.live, found.non_finite
        for t, directions in enumerate(found.directions, start=here.start):
            leading = orthonormal(directions)
            for angles, end in zip((first[layer], last[layer]), ends, strict=True):
                between = angles_between(leading, end)
                angles[t, : len(between)] = between
    return Spectrum(
        run=run.name, steps=run.steps, layers=tuple(ranks), shown=chosen.steps, singular_values=values,
        inputs=np.array([layer.columns for layer in run.layers.values()], dtype=np.int64),
        angles_to_first=first, angles_to_last=last, live=live, non_finite=non_finite,
        **_against_chance(run, values, live), **_angles_by_chance(run, seed),
    )  # fmt: skip


def _affordable(run: Run) -> int:
    """Number of steps to show, from what one step takes in memory and time."""
    numbers = work = 1
    for layer in run.layers.values():
        small, large = sorted((layer.rows, layer.columns))
        numbers += small
        work += small**2 * (large + BY_SIZE * small)
    return int(np.clip(min(SHOWN_NUMBERS // numbers, SHOWN_WORK // work), 2, SHOWN))


def _decompositions(
    chosen: Run, progress: Callable[[float], object] | None
) -> Iterator[tuple[int, str, slice, Decomposition]]:
    """Position and name of the layer, positions of the steps, and the spectra there."""
    for j, layer, at, block in every_block(chosen, progress):
        for part, piece in pieces(block, block[0].size):
            yield j, layer, slice(at + part.start, at + part.stop), decompose(piece)


def _against_chance(run: Run, values: Mapping[str, Array], live: Array) -> dict[str, Array]:
    """Every field of (T, L) or (T, L, 3) that follows from the singular values."""
    columns = [layer.columns for layer in run.layers.values()]
    tables: dict[str, list[Array]] = {}
    for d, n, singular in zip(columns, live.T, values.values(), strict=True):
        squares = relative(singular) ** 2
        found = bulk(singular, n, d)._asdict() | {
            "stable_rank": squares.sum(axis=1),
            "stable_rank_by_chance": stable_rank_by_chance(n, d),
            "participation_ratio": squares.sum(axis=1) ** 2 / (squares**2).sum(axis=1),
            "participation_ratio_by_chance": participation_ratio_by_chance(n, d),
        }
        for name, column in found.items():
            tables.setdefault(name, []).append(column)
    return {name: np.stack(each, axis=1) for name, each in tables.items()}


def _angles_by_chance(run: Run, seed: int) -> dict[str, Array]:
    """(L, 3) of the mean and of the smallest angle; a layer's numbers do not depend on the other layers."""
    tables: dict[str, list[Array]] = {"mean_angle_by_chance": [], "smallest_angle_by_chance": []}
    for layer in run.layers.values():
        k = min(layer.rows, layer.columns, LEADING)
        drawn = angles_by_chance(k, layer.columns, rng=np.random.default_rng(seed))
        for angles, table in zip((drawn.mean(axis=1), drawn[:, 0]), tables.values(), strict=True):
            table.append(np.insert(np.quantile(angles, (0.01, 0.99)), 1, angles.mean()))
    return {name: np.array(table) for name, table in tables.items()}


def findings(result: Spectrum) -> Iterator[Finding]:
    """Whether singular values exceed those of random entries, at the first and the last step."""
    for at in sorted({0, len(result.shown) - 1}):
        for layer, count, live in zip(result.layers, result.outliers[at].tolist(), result.live[at], strict=True):
            if live:
                text = f"{layer}: {count or 'no'} singular value{'s' * (count > 1)} beyond those of random entries"
                yield Finding(layer, int(result.shown[at]), text, bool(count), LEVEL)


ANALYSIS = Analysis(
    title="Spectrum",
    compute=compute,
    charts=charts,
    reading=(
        "Singular values of a layer of independent entries end at the Marchenko-Pastur edge (1967); one beyond the "
        "99 % line, which allows for the layer's size (Johnstone 2001), is not expected of such entries. Stable rank "
        "and participation ratio count directions in use. The angles tell how far the ten leading input directions "
        "stand from those of the first and last step: in the band, as far as random subspaces do. The slider shows all "
        "singular values of a step: noise lies on the dashed curve."
    ),
    findings=findings,
)
