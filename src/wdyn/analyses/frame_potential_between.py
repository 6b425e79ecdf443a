"""Frame potential between runs: whether the neurons of one run use the directions that those of another run use."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Chart, Lines, Table
from wdyn.analyses._neurons import Array, alive, unit_rows
from wdyn.analyses._runs import distinct_names, in_common
from wdyn.analyses._spec import Analysis, Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Run


class Joint(NamedTuple):
    """Frame potential of two sets of neurons stacked, which is `first + second + 2 * cross`.

    Attributes:
        first: frame potential of the first set, in [N, N**2].
        second: of the second, in [M, M**2].
        cross: sum of squared cosines between a neuron of the first and one of the second, in [0, N * M].
    """

    first: float
    second: float
    cross: float


class CrossNull(NamedTuple):
    """Moments of `Joint.cross` where all directions are independent and uniform."""

    mean: Array
    variance: Array


@dataclass(frozen=True)
class FramePotentialBetween(Result):
    """Two runs' neurons in one Gram matrix, for each pair of runs; NaN where a run has no live neuron.

    Attributes:
        runs: R names.
        pairs: P positions in `runs`, two each, along the `index` axis.
        cross: sum of squared cosines between the neurons of the two runs.
        normalised: cross / (N * M), their mean, in [0, 1].
        overlap: cross over the geometric mean of the two runs' own potentials, in [0, 1]: 1 where both use the same
            directions with the same weights, whichever neuron does.
        z: standard deviations of `cross` above its mean for independent uniform directions.
        null_mean: mean of `normalised` under independent uniform directions.
        null_deviation: its standard deviation.
    """

    runs: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    cross: Array = measured("index", "step", "layer")
    normalised: Array = measured("index", "step", "layer")
    overlap: Array = measured("index", "step", "layer")
    z: Array = measured("index", "step", "layer", unit="standard deviations")
    null_mean: Array = measured("index", "step", "layer")
    null_deviation: Array = measured("index", "step", "layer")


def joint_frame_potential(a: Array, b: Array) -> Joint:
    """Frame potential of two sets of rows and of the pairs between them.

    Args:
        a: (N, D) real, one neuron per row; only directions matter.
        b: (M, D) real, the same number of inputs.

    Returns:
        The three sums. Takes time (N + M) * D * min(N + M, D).

    Raises:
        MisuseError: a row has zero norm or is not finite.
    """
    first, second = unit_rows(a), unit_rows(b)
    if len(first) + len(second) > first.shape[1]:  # the Gram matrices of the inputs are smaller: tr(AA' BB') = ...
        frames = first.T @ first, second.T @ second
        return Joint(*(float(np.vdot(x, y)) for x, y in ((frames[0],) * 2, (frames[1],) * 2, frames)))
    stacked = np.concatenate([first, second])
    gram, n = stacked @ stacked.T, len(first)
    return Joint(*(float(np.vdot(part, part)) for part in (gram[:n, :n], gram[n:, n:], gram[:n, n:])))


def cross_null(first: Array | int, second: Array | int, inputs: int) -> CrossNull:
    """Exact moments of the sum over pairs between two sets when all directions are independent and uniform.

    A pair's squared cosine follows Beta(1/2, (d - 1)/2); any two pairs are independent, even if they share a neuron.

    Args:
        first: N, number of directions in one set, of any shape.
        second: M, in the other, of the same shape.
        inputs: d, at least 1.

    Returns:
        Mean and variance, of that shape.
    """
    pairs, d = np.asarray(first, dtype=np.float64) * second, float(inputs)
    return CrossNull(pairs / d, pairs * 2 * (d - 1) / (d * d * (d + 2)))


def compute(runs: Sequence[Run], *, progress: Callable[[float], object] | None = None) -> FramePotentialBetween:
    """Joint frame potential of each pair of runs, in the layers and at the steps that all of them have.

    Args:
        runs: at least two. Layers match by name and number of inputs.
        progress: is told the share that is done, in [0, 1].

    Returns:
        All numbers, with their null.

    Raises:
        MisuseError: fewer than two runs, or no layer or no step in common.
    """
    names, steps = in_common(runs, "the frame potential between runs")
    layers = {name: runs[0].layers[name].columns for name in names}
    pairs = tuple(itertools.combinations(range(len(runs)), 2))
    shape = len(pairs), len(steps), len(layers)
    numbers = {name: np.full(shape, np.nan) for name in ("cross", "overlap", "mean", "deviation", "count")}
    chosen = [run.select(steps=steps) for run in runs]
    for j, (layer, inputs) in enumerate(layers.items()):
        for i, rows in enumerate(zip(*(_live(run, layer) for run in chosen), strict=True)):
            for p, (a, b) in enumerate(pairs):
                if len(rows[a]) and len(rows[b]):
                    joint, law = joint_frame_potential(rows[a], rows[b]), cross_null(len(rows[a]), len(rows[b]), inputs)
                    overlap = joint.cross / np.sqrt(joint.first * joint.second)
                    values = joint.cross, overlap, law.mean, np.sqrt(law.variance), len(rows[a]) * len(rows[b])
                    for name, value in zip(numbers, values, strict=True):
                        numbers[name][p, i, j] = value
            if progress is not None:
                progress((j * len(steps) + i + 1) / (len(layers) * len(steps)))
    cross, overlap, mean, deviation, count = numbers.values()
    z = np.divide(cross - mean, deviation, out=np.full(shape, np.nan), where=deviation > 0)
    called = tuple(distinct_names(runs))
    return FramePotentialBetween(
        run=" and ".join(called), steps=steps, layers=tuple(layers), runs=called, pairs=pairs,
        cross=cross, normalised=cross / count, overlap=overlap, z=z,
        null_mean=mean / count, null_deviation=deviation / count,
    )  # fmt: skip


def _live(run: Run, layer: str) -> Iterator[Array]:
    """The live rows of each step; one block of each run is in memory."""
    for _, block in run.blocks(layer):
        for vectors, live in zip(block, alive(block), strict=True):
            yield vectors[live]


def charts(result: FramePotentialBetween) -> list[Chart]:
    """For each pair of runs the mean squared cosine against its null and z, then a table of the ends."""
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
    return [*found, _ends(result)]


def _lines(result: FramePotentialBetween, values: Array, title: str, label: str, **more: Any) -> Lines:
    y = dict(zip(result.layers, values.T, strict=True))
    return Lines(title=title, x=result.steps, y=y, x_label="optimizer step", y_label=label, **more)


def _ends(result: FramePotentialBetween) -> Table:
    """One row per pair of runs and layer."""
    places = [(p, j) for p in range(len(result.pairs)) for j in range(len(result.layers))]
    columns: dict[str, list[Any]] = {
        "runs": [" and ".join(result.runs[r] for r in result.pairs[p]) for p, _ in places],
        "layer": [result.layers[j] for _, j in places],
    }
    for name, values in (("overlap", result.overlap), ("z", result.z)):
        for end, i in (("first", 0), ("last", -1)):
            columns[f"{name}, {end}"] = [float(values[p, i, j]) for p, j in places]
    return Table(title=f"Step {result.steps[0]} against step {result.steps[-1]}", columns=columns)


ANALYSIS = Analysis(
    title="Frame potential between runs",
    compute=compute,
    charts=charts,
    takes="runs",
    reading=(
        "The squared cosines between the neurons of two runs, set against independent random directions: inside the "
        "band the runs have nothing to do with one another. Two runs from one initialisation agree from birth, so read "
        "the change since the first step. Overlap is 1 where both use the same directions, whichever neuron does."
    ),
)
