"""Frame potential between runs: whether the neurons of one run use the directions that those of another run use."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Chart, HeatMap, Lines, Table
from wdyn.analyses._false_discovery import adjusted
from wdyn.analyses._neurons import Array, live_rows, shown_steps, unit_rows
from wdyn.analyses._runs import distinct_names, in_common, in_step
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses._threads import at_once
from wdyn.analyses._turned_null import chance_of, turned_null

if TYPE_CHECKING:
    from wdyn.store.run import Run


MOST_STEPS = 60
FEW_PAIRS = 3  # with a curve of their own; more go into a map of each two runs
LEVEL = 0.01  # of claims that two runs share directions, at most so many on average are wrong


@dataclass(frozen=True)
class FramePotentialBetween(Result):
    """Two runs' neurons in one Gram matrix, for each pair of runs; NaN where a run has no live neuron.

    Attributes:
        runs: R names.
        pairs: P positions in `runs`, two each, along the `index` axis.
        shown: (T,) int64, the steps looked at, of those that all runs have: at most 60, with more than 10 pairs fewer,
            so that all together are at most 600.
        cross: sum of squared cosines between the neurons of the two runs.
        normalised: cross / (N * M), their mean, in [0, 1].
        overlap: cross over the geometric mean of the two runs' own potentials, in [0, 1]: 1 where both use the same
            directions with the same weights, whichever neuron does.
        z: standard deviations of `cross` above its mean where one of the runs is turned at random as a whole, which
            leaves both as aligned within themselves as they are; NaN where a turn changes nothing.
        chance: chance that a turn gives as large a `cross`, see `chance_of`; NaN there too.
        null_mean: mean of `normalised` over all turns.
        null_deviation: its standard deviation.
    """

    runs: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    shown: Array
    cross: Array = measured("index", "shown", "layer")
    normalised: Array = measured("index", "shown", "layer")
    overlap: Array = measured("index", "shown", "layer")
    z: Array = measured("index", "shown", "layer", unit="standard deviations")
    chance: Array = measured("index", "shown", "layer")
    null_mean: Array = measured("index", "shown", "layer")
    null_deviation: Array = measured("index", "shown", "layer")


def frame_potentials(sets: Sequence[Array]) -> Array:
    """Sums of squared cosines within and between sets of rows; those of all together are the stacked sets' potential.

    Args:
        sets: R of (N_r, D) real, one neuron per row, the same number of inputs; only directions matter.

    Returns:
        (R, R) float64, symmetric: on the diagonal each set's own frame potential, in [N, N**2], beside it the sum over
        the pairs between two sets, in [0, N * M]. Products have the precision of the rows, float32 at least, sums
        float64: of float32 rows, seven digits. Takes time R**2 * N**2 * D / 2, or R * N * D**2 where D < N.

    Raises:
        MisuseError: a row has zero norm or is not finite.
    """
    unit = [unit_rows(rows).astype(np.result_type(rows.dtype, np.float32)) for rows in sets]
    if sum(map(len, unit)) > len(unit) * unit[0].shape[1]:  # the Gram matrices of the inputs are smaller: tr(A'A B'B)
        frames = [rows.T @ rows for rows in unit]
        return _filled(frames, lambda a, b: a * b.astype(np.float64))
    return _filled(unit, lambda a, b: np.square(a @ b.T, dtype=np.float64))


def _filled(parts: Sequence[Array], products: Callable[[Array, Array], Array]) -> Array:
    found = np.empty((len(parts),) * 2)
    pairs = list(itertools.combinations_with_replacement(range(len(parts)), 2))
    sums = at_once(lambda pair: products(parts[pair[0]], parts[pair[1]]).sum(), pairs)
    for (a, b), value in zip(pairs, sums, strict=True):
        found[a, b] = found[b, a] = value
    return found


def compute(runs: Sequence[Run], *, progress: Callable[[float], object] | None = None) -> FramePotentialBetween:
    """Joint frame potential of each pair of runs, in the layers and at the steps that all of them have.

    Args:
        runs: at least two. Layers match by name and number of inputs.
        progress: is told the share that is done, in [0, 1].

    Returns:
        All numbers, with their null. In memory are the rows of one layer of all runs, a few steps at a time.

    Raises:
        MisuseError: fewer than two runs, or no layer or no step in common.
    """
    layers, steps = in_common(runs, "the frame potential between runs")
    pairs = tuple(itertools.combinations(range(len(runs)), 2))
    shown = steps[shown_steps(steps, max(2, min(MOST_STEPS, 10 * MOST_STEPS // len(pairs))))]
    sums = np.full((len(shown), len(layers), len(runs), len(runs)), np.nan)
    live = np.zeros((len(shown), len(layers), len(runs)), dtype=np.int64)
    for j, layer in enumerate(layers):
        for i, rows in enumerate(in_step(runs, layer, shown)):
            alive = [live_rows(each) for each in rows]
            live[i, j] = [len(each) for each in alive]
            known = np.flatnonzero(live[i, j])
            if len(known):
                sums[i, j][np.ix_(known, known)] = frame_potentials([alive[r] for r in known])
            if progress is not None:
                progress((j * len(shown) + i + 1) / (len(layers) * len(shown)))
    called, inputs = tuple(distinct_names(runs)), np.array([runs[0].layers[layer].columns for layer in layers])
    return FramePotentialBetween(
        run=" and ".join(called),
        steps=steps,
        layers=tuple(layers),
        runs=called,
        pairs=pairs,
        shown=shown,
        **_against_chance(sums, live, np.array(pairs).T, inputs),
    )


def _against_chance(sums: Array, live: Array, pairs: Array, inputs: Array) -> dict[str, Array]:
    """Every field of (P, T, L), of (T, L, R, R) sums and (T, L, R) neurons."""
    a, b = pairs
    cross, own = np.moveaxis(sums[..., a, b], -1, 0), np.moveaxis(np.diagonal(sums, axis1=-2, axis2=-1), -1, 0)
    n = np.moveaxis(live, -1, 0)
    count = np.where(np.isfinite(cross), n[a] * n[b], np.nan)
    law = turned_null(n[a], n[b], own[a], own[b], inputs)
    deviation = np.sqrt(law.variance)
    z = np.divide(cross - law.mean, deviation, out=np.full(cross.shape, np.nan), where=deviation > 0)
    return {
        "cross": cross,
        "normalised": cross / count,
        "overlap": cross / np.sqrt(own[a] * own[b]),
        "z": z,
        "chance": chance_of(z, inputs),
        "null_mean": law.mean / count,
        "null_deviation": deviation / count,
    }


def charts(result: FramePotentialBetween) -> list[Chart]:
    """Of up to 3 pairs the mean squared cosine against its null and z, of more a map of each layer; then the ends."""
    return [*(_curves(result) if len(result.pairs) <= FEW_PAIRS else _maps(result)), _ends(result)]


def _curves(result: FramePotentialBetween) -> list[Chart]:
    found: list[Chart] = []
    for p, (a, b) in enumerate(result.pairs):
        who, chance = f"{result.runs[a]} and {result.runs[b]}", {"chance": 0.0, "2 sd": 2.0}
        low, high = (result.null_mean[p] + side * result.null_deviation[p] for side in (-2, 2))
        bands = {layer: (low[:, j], high[:, j]) for j, layer in enumerate(result.layers)}
        square, overlap, z = result.normalised[p], result.overlap[p], result.z[p]
        found += [
            _lines(result, square, f"Mean squared cosine between {who}", "mean squared cosine", bands=bands),
            _lines(result, overlap, f"Overlap of directions of {who}", "cross / √(FP · FP)"),
            _lines(result, z, f"{who} against chance", "standard deviations above chance", reference=chance),
        ]
    return found


def _maps(result: FramePotentialBetween) -> list[Chart]:
    """Of each layer how far each two runs are above chance, at the last step."""
    found: list[Chart] = []
    for j, layer in enumerate(result.layers):
        square = np.full((len(result.runs),) * 2, np.nan)  # the diagonal stays blank: a run is itself
        for (a, b), z in zip(result.pairs, result.z[:, -1, j], strict=True):
            square[a, b] = square[b, a] = z
        found.append(
            HeatMap(
                title=f"Each two runs against chance at step {result.shown[-1]}", x=np.arange(len(square)),
                values=square, rows=list(result.runs), columns=list(result.runs), x_label="run", row_label="run",
                value_label="standard deviations above chance", diverging=True, layer=layer,
            )
        )  # fmt: skip
    return found


def _lines(result: FramePotentialBetween, values: Array, title: str, label: str, **more: Any) -> Lines:
    y = dict(zip(result.layers, values.T, strict=True))
    return Lines(title=title, x=result.shown, y=y, x_label="optimizer step", y_label=label, **more)


def _ends(result: FramePotentialBetween) -> Table:
    """One row per pair of runs and layer."""
    places = [(p, j) for p in range(len(result.pairs)) for j in range(len(result.layers))]
    columns: dict[str, list[Any]] = {
        "runs": [" and ".join(result.runs[r] for r in result.pairs[p]) for p, _ in places],
        "layer": [result.layers[j] for _, j in places],
    }
    for name, values in (("overlap", result.overlap), ("z", result.z), ("chance of that", result.chance)):
        for end, i in (("first", 0), ("last", -1)):
            columns[f"{name}, {end}"] = [float(values[p, i, j]) for p, j in places]
    return Table(title=f"Step {result.shown[0]} against step {result.shown[-1]}", columns=columns)


def findings(result: FramePotentialBetween) -> Iterator[Finding]:
    """Whether two runs share directions at the last step that they did not share at the first."""
    first, last = (adjusted(result.chance[:, i]) for i in (0, -1))
    for p, (a, b) in enumerate(result.pairs):
        for j, layer in enumerate(result.layers):
            if np.isfinite(result.chance[p, -1, j]):
                shared, before = bool(last[p, j] <= LEVEL), bool(first[p, j] <= LEVEL)
                yield Finding(
                    layer, int(result.shown[-1]),
                    f"{layer}: {result.runs[a]} and {result.runs[b]} {_verdict(result, (p, j), shared, before)}",
                    shared and not before, LEVEL,
                )  # fmt: skip


def _verdict(result: FramePotentialBetween, at: tuple[int, int], shared: bool, before: bool) -> str:
    p, j = at
    now = f"overlap {result.overlap[p, -1, j]:.3g}"
    if shared and before:
        start = f"{result.overlap[p, 0, j]:.3g} at step {result.shown[0]}"
        return f"share directions from the first step on, so nothing is claimed of training ({now}, {start})"
    if shared:
        return f"come to use the same directions ({now})"
    return f"share no more directions than turned at random ({now})"


ANALYSIS = Analysis(
    title="Frame potential between runs",
    compute=compute,
    charts=charts,
    takes="runs",
    findings=findings,
    reading=(
        "The frame potential (Benedetto & Fickus 2003) across runs: the squared cosines between the neurons of two, "
        "set against all that random turns of one of them give, which leave each run as aligned within itself as it is "
        "(exact moments, Collins & Sniady 2006). Inside the band of two standard deviations there is no sign that the "
        "runs share directions. Two runs from one initialisation agree from birth, so nothing is claimed of those. "
        "Overlap is 1 where both use the same directions, whichever neuron does."
    ),
)
