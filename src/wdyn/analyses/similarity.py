"""Cosine between all neurons of each layer through time, rows in cluster order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import MOST_ROWS, cosines, leaf_order, persistent, spaced
from wdyn.analyses._nearest import NEAREST, nearest, nearest_by_chance
from wdyn.analyses._neurons import directions, shown_steps
from wdyn.analyses._similarity_charts import charts
from wdyn.analyses._spec import Analysis, Finding, Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_STEPS = 60
FEWEST_STEPS = 12
SIDES = (256, 128, 64, 32)
MOST_BYTES = 40_000_000  # some 3 MB of a page
LEVEL = 0.025  # of layers of random directions lie above the band of 95 %


@dataclass(frozen=True)
class Similarity(Result):
    """Cosines of each layer's neurons at the shown steps.

    Rows of a matrix are neurons, or in larger layers blocks of neighbours in the order of rows. All matrices together
    stay within 40 MB: runs with many layers show fewer steps, then coarser blocks. The matrices are no `measured`
    numbers, since millions of cosines are better computed again than read from a table.

    Attributes:
        shown: (T,) int64, the steps shown, at most 60.
        neurons: layer to (n,) int64, neurons in the order of rows: the leaves of average linkage at the last step
            (mode `ray`), dead ones last. All, or 2,048 evenly spaced.
        members: layer to M lists of the neurons that a row of the matrix stands for, M at most 256.
        matrices: layer to (T, M, M) float32 in [-1, 1], symmetric, means over pairs of two different neurons; NaN where
            there is no such pair with both live, but 1 where a row is one live neuron and meets itself.
        groups: layer to (T, M) int64, group that more than half of a row's neurons are in, -1 for none.
        neighbours: layer to (T, n, 5) int32, the nearest of the neurons looked at, nearest first, as places in
            `neurons`; -1 where there are fewer, or the neuron has no direction.
        neighbour_cosines: layer to (T, n, 5) float32, their cosines; NaN there.
        rows: (L,) int64, neurons of the layer.
        live: (T, L) int64, neurons looked at that have a direction.
        mean_cosine: (T, L) float64 in [0, 1], mean |cosine| over pairs of different live neurons; NaN without a pair.
        chance_low: (T, L) float64, lower end of the band that holds `mean_cosine` of random directions in 95 of 100
            cases (normal approximation, exact mean and variance).
        chance_high: (T, L) float64, its upper end.
        chance_nearest: (T, L) float64, the cosine that the nearest of as many random directions stays below in 95 of
            100 cases (exact).
    """

    shown: np.ndarray
    neurons: dict[str, np.ndarray]
    members: dict[str, list[list[int]]]
    matrices: dict[str, np.ndarray]
    groups: dict[str, np.ndarray]
    neighbours: dict[str, np.ndarray]
    neighbour_cosines: dict[str, np.ndarray]
    rows: np.ndarray = measured("layer")
    live: np.ndarray = measured("shown", "layer")
    mean_cosine: np.ndarray = measured("shown", "layer")
    chance_low: np.ndarray = measured("shown", "layer")
    chance_high: np.ndarray = measured("shown", "layer")
    chance_nearest: np.ndarray = measured("shown", "layer")


def mean_absolute_cosine(cosine: Array, live: Array) -> float:
    """Mean |cosine| over pairs of different live rows.

    Args:
        cosine: (N, N) symmetric, zero in rows and columns that are not live.
        live: (N,) bool.

    Returns:
        Float in [0, 1]; NaN for fewer than two live rows.
    """
    count = int(live.sum())
    if count < 2:
        return np.nan
    return float((np.abs(cosine).sum() - np.abs(np.diagonal(cosine)).sum()) / (count * (count - 1)))


def chance_cosine(count: int, inputs: int) -> tuple[float, float]:
    """Mean |cosine| of independent uniform random directions.

    |cos| has mean Γ(D/2) / (√π Γ((D+1)/2)) and mean square 1/D; the pairs of a layer are independent two by two, so the
    variance of their mean is that of one, divided by their number.

    Args:
        count: N, number of directions.
        inputs: D, their dimension.

    Returns:
        Expectation and standard deviation; NaN for fewer than two directions.

    Source:
        Moments of the Beta(1/2, (D-1)/2) distribution of cos² (Muirhead, Aspects of Multivariate Statistical Theory,
        1982, theorem 1.5.7).
    """
    if count < 2:
        return np.nan, np.nan
    mean = math.exp(math.lgamma(inputs / 2) - math.lgamma((inputs + 1) / 2)) / math.sqrt(math.pi)
    return mean, math.sqrt(max(1 / inputs - mean**2, 0.0) / (count * (count - 1) / 2))


def block_means(cosine: Array, live: Array, starts: Array) -> Array:
    """Mean cosine between blocks of consecutive rows, a row with itself left out.

    Args:
        cosine: (N, N) symmetric, zero in rows and columns that are not live.
        live: (N,) bool.
        starts: (M,) int64 increasing, first row of each block.

    Returns:
        (M, M) float32; NaN where no two different live rows meet, 1 where a block's only row is live and meets itself.
    """
    sums = np.add.reduceat(np.add.reduceat(cosine, starts, axis=0), starts, axis=1)
    count = np.add.reduceat(live.astype(np.int64), starts)
    pairs = np.outer(count, count)
    single = np.diff(np.append(starts, len(live))) == 1
    own = np.where(single, 0, count)  # a row meets itself only where it is the whole block
    places = np.arange(len(starts)), np.arange(len(starts))
    sums[places] -= own
    pairs[places] -= own
    means = np.divide(sums, pairs, out=np.full(sums.shape, np.nan), where=pairs > 0)
    return np.asarray(np.clip(means, -1.0, 1.0), dtype=np.float32)


def plan(rows: list[int], steps: int) -> tuple[int, int]:
    """Size of the matrices and number of steps that stay within 40 MB.

    Args:
        rows: neurons of each layer.
        steps: number of recorded steps, at least 1.

    Returns:
        Largest number of rows of a matrix, and number of steps to show.
    """
    for side in SIDES:
        affordable = MOST_BYTES // max(1, sum(4 * min(n, side) ** 2 for n in rows))
        if affordable >= min(FEWEST_STEPS, steps):
            break
    return side, max(2, min(MOST_STEPS, affordable))


def compute(run: Run, *, progress: Callable[[float], object] | None = None) -> Similarity:
    """Cosine matrices of every layer at up to 60 steps.

    Args:
        run: the run.
        progress: called with the share of the work done.

    Returns:
        The matrices; dead rows are blank in them and counted by `live`.
    """
    side, at_most = plan([layer.rows for layer in run.layers.values()], len(run.steps))
    shown = run.steps[shown_steps(run.steps, at_most)]
    chosen = run.select(steps=shown)
    found = {}
    for i, layer in enumerate(run.layers):
        found[layer] = _layer(chosen, layer, side)
        if progress:
            progress((i + 1) / len(run.layers))
    return _assemble(run, shown, found)


class _Found(NamedTuple):
    neurons: Array  # (n,)
    members: list[list[int]]
    matrices: Array  # (T, M, M)
    groups: Array  # (T, M)
    neighbours: Array  # (T, n, 5)
    neighbour_cosines: Array  # (T, n, 5)
    numbers: Array  # (T, 5): live, mean_cosine, chance_low, chance_high, chance_nearest


def _layer(chosen: Run, layer: str, side: int) -> _Found:
    inputs, steps = chosen.layers[layer].columns, len(chosen.steps)
    neurons = _row_order(chosen, layer)
    size = math.ceil(len(neurons) / side)  # of every block but the last: means over unequal numbers look unlike
    starts = np.arange(0, len(neurons), size)
    blocks = np.split(np.arange(len(neurons)), starts[1:])
    matrices = np.empty((steps, len(blocks), len(blocks)), dtype=np.float32)
    labels, numbers = np.empty((steps, len(neurons)), dtype=np.int64), np.empty((steps, 5))
    near = np.empty((steps, len(neurons), NEAREST), dtype=np.int32)
    near_cosines = np.empty(near.shape, dtype=np.float32)
    for at, block in chosen.blocks(layer):
        for t, vectors in enumerate(block, start=at):
            unit, _, live = directions(vectors[neurons])
            cosine = cosines(unit)
            matrices[t] = block_means(cosine, live, starts)
            labels[t] = groups_at(cosine, live, inputs, "ray")
            mean, deviation = chance_cosine(int(live.sum()), inputs)
            band = mean - 1.96 * deviation, mean + 1.96 * deviation
            near[t], near_cosines[t] = nearest(cosine, live)
            by_chance = nearest_by_chance(int(live.sum()), inputs)
            numbers[t] = live.sum(), mean_absolute_cosine(cosine, live), *band, by_chance
    members = [neurons[block].tolist() for block in blocks]
    labels = persistent(labels)
    groups = np.stack([_majority(labels[:, block]) for block in blocks], axis=1)
    return _Found(neurons, members, matrices, groups, near, near_cosines, numbers)


def _row_order(chosen: Run, layer: str) -> Array:
    neurons = spaced(chosen.layers[layer].rows, MOST_ROWS)
    unit, _, live = directions(chosen.neurons(layer, int(chosen.steps[-1]))[neurons])
    return np.asarray(neurons[leaf_order(cosines(unit), live)])


def _majority(labels: Array) -> Array:
    """(T,) the label that more than half of each row of (T, B) has, else -1."""
    middle = np.sort(labels, axis=1)[:, labels.shape[1] // 2]  # a majority covers the middle
    return np.where((labels == middle[:, None]).sum(axis=1) * 2 > labels.shape[1], middle, -1)


def _assemble(run: Run, shown: Array, found: dict[str, _Found]) -> Similarity:
    numbers = np.array([each.numbers for each in found.values()]).reshape(len(found), len(shown), 5)
    live, mean_cosine, low, high, by_chance = numbers.T
    by_layer: dict[str, Any] = {
        name: {layer: getattr(each, name) for layer, each in found.items()}
        for name in ("neurons", "members", "matrices", "groups", "neighbours", "neighbour_cosines")
    }
    rows = np.array([run.layers[layer].rows for layer in found], dtype=np.int64)
    return Similarity(
        run=run.name, steps=run.steps, layers=tuple(found), shown=shown, rows=rows, live=live.astype(np.int64),
        mean_cosine=mean_cosine, chance_low=low, chance_high=high, chance_nearest=by_chance, **by_layer,
    )  # fmt: skip


def findings(result: Similarity) -> Iterator[Finding]:
    """Whether neurons are more alike than random directions, at the first and the last step."""
    for at in sorted({0, len(result.shown) - 1}):
        for layer, mean, high in zip(result.layers, result.mean_cosine[at], result.chance_high[at], strict=True):
            if np.isfinite(mean):
                alike = bool(mean > high)
                text = (
                    f"{layer}: mean |cosine| {mean:.3g}, {'above' if alike else 'not above'} that of random directions"
                )
                yield Finding(layer, int(result.shown[at]), text, alike, LEVEL)


ANALYSIS = Analysis(
    title="Similarity of neurons",
    compute=compute,
    charts=charts,
    reading=(
        "Rows and columns are neurons in the order in which average linkage joins them at the last step, the same at "
        "all steps, so blocks that appear on the diagonal are groups that form. The band around a line holds the mean "
        "|cosine| of as many random directions in 95 of 100 cases (exact moments, Muirhead 1982). The card of a picked "
        "neuron names the nearest ones, beside what the nearest of as many random directions stays below."
    ),
    findings=findings,
)
