"""Frame potential: how strongly the neurons of a layer align, against what independent directions would give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Chart, Lines, Table
from wdyn.analyses._neurons import Array, directions, every_block, pieces, unit_rows
from wdyn.analyses._spec import Analysis, Result, measured
from wdyn.analyses._uniform import null, tail_probability

if TYPE_CHECKING:
    from wdyn.store.run import Run

# All pairs of neurons are compared where that is about as cheap as the potential alone; else so many even ones.
COMPARED = 512


@dataclass(frozen=True)
class FramePotential(Result):
    """Alignment of the neurons of each layer at each step; NaN where no neuron is live.

    Attributes:
        potential: FP, the sum of squared cosines over all ordered pairs of live neurons, in [floor, n**2].
        normalised: FP / n**2, in [1 / min(n, D), 1]; 1 when all neurons lie on one line.
        over_floor: FP / floor, at least 1; 1 is perfectly spread.
        z: standard deviations above the mean of independent uniform directions; NaN where that mean has no spread
            (one neuron or one input).
        tail_probability: chance of a potential at least this large under independent uniform directions, in [0, 1].
        effective_directions: n**2 / FP, in [1, min(n, D)].
        unnormalised_potential: the same sum over inner products of the rows as they are.
        mean_cosine: mean |cosine| over pairs of different neurons; over `COMPARED` evenly spaced ones where a layer has
            more neurons than that and than inputs.
        live: number n of neurons with a direction.
        dead: number of all-zero rows.
        non_finite: number of rows with NaN or infinity.
        null_mean: mean of FP / n**2 under independent uniform directions.
        null_deviation: its standard deviation.
        floor: lowest possible FP / n**2.
        collapse: FP / C**2 = 1 / (C - 1) of a simplex of C rows, for the last layer; NaN for the others, and where
            the simplex would not fit into D inputs.
    """

    potential: Array = measured("step", "layer")
    normalised: Array = measured("step", "layer")
    over_floor: Array = measured("step", "layer")
    z: Array = measured("step", "layer", unit="standard deviations")
    tail_probability: Array = measured("step", "layer")
    effective_directions: Array = measured("step", "layer")
    unnormalised_potential: Array = measured("step", "layer", unit="weight^4")
    mean_cosine: Array = measured("step", "layer")
    live: Array = measured("step", "layer", unit="neurons")
    dead: Array = measured("step", "layer", unit="neurons")
    non_finite: Array = measured("step", "layer", unit="neurons")
    null_mean: Array = measured("step", "layer")
    null_deviation: Array = measured("step", "layer")
    floor: Array = measured("step", "layer")
    collapse: Array = measured("layer")


class Alignment(NamedTuple):
    """Sums over the pairs of live rows at each of B steps, each (B,): see `FramePotential` for their meaning."""

    potential: Array
    unnormalised_potential: Array
    mean_cosine: Array
    live: Array
    dead: Array
    non_finite: Array


def frame_potential(vectors: Array) -> float:
    """Sum of squared cosines over all ordered pairs of rows, each row with itself included.

    Args:
        vectors: (N, D) real, one neuron per row. Only directions matter, so no unit.

    Returns:
        Float in [max(N, N**2 / D), N**2]. Takes time N * D * min(N, D).

    Raises:
        MisuseError: a row has zero norm or is not finite, hence no direction.

    Source:
        Benedetto & Fickus, Finite normalized tight frames, Adv. Comput. Math. 18 (2003).
        Ours first scales each row to length one.
    """
    return float(_potential(unit_rows(vectors)))


def alignment(block: Array) -> Alignment:
    """Frame potential and its relatives at many steps at once; rows without direction are left out and counted.

    Args:
        block: (B, N, D) real.

    Returns:
        (B,) arrays; the sums are NaN where no row is live, `mean_cosine` also where only one is.
    """
    unit, norms, live = directions(block)
    count, dead, non_finite = live.sum(axis=-1), (norms == 0).sum(axis=-1), np.isnan(norms).sum(axis=-1)
    norms = np.where(live, norms, 0.0)
    n, d = unit.shape[-2:]
    with np.errstate(over="ignore", invalid="ignore"):  # a sum past 1.8e308 is infinite
        if n <= max(d, COMPARED):
            sums = _all_pairs(unit, norms, live)
        else:
            even = np.linspace(0, n - 1, COMPARED).round().astype(np.int64)
            sample = _all_pairs(unit[:, even], norms[:, even], live[:, even])
            sums = _potential(unit), _potential(unit * norms[..., None]), sample[2]
    potential, unnormalised, mean_cosine = (np.where(count > 0, each, np.nan) for each in sums)
    return Alignment(potential, unnormalised, mean_cosine, count, dead, non_finite)


def _all_pairs(unit: Array, norms: Array, live: Array) -> tuple[Array, Array, Array]:
    """Potential, un-normalised potential and mean |cosine|, each (B,), from the Gram matrix of the rows."""
    count, squares = live.sum(axis=-1), norms * norms
    cosines = np.abs(unit @ unit.swapaxes(-1, -2))  # (B, N, N)
    np.einsum("bii->bi", cosines)[...] = 0.0  # a row with itself is exactly 1 and added below
    total = cosines.sum(axis=(-1, -2))
    cosines *= cosines
    potential = count + cosines.sum(axis=(-1, -2))
    crossed = (cosines @ squares[..., None])[..., 0]  # (B, N)
    unnormalised = ((squares + crossed) * squares).sum(axis=-1)
    pairs = count * (count - 1)
    return potential, unnormalised, np.divide(total, pairs, out=np.full(len(total), np.nan), where=pairs > 0)


def _potential(rows: Array) -> Array:
    """Sum of squared inner products of (..., N, D) rows, from the smaller of the two Gram matrices."""
    n, d = rows.shape[-2:]
    gram = rows.swapaxes(-1, -2) @ rows if d < n else rows @ rows.swapaxes(-1, -2)
    return np.asarray(np.einsum("...ij,...ij->...", gram, gram))


def compute(run: Run, *, progress: Callable[[float], object] | None = None) -> FramePotential:
    """Frame potential of every layer at every recorded step.

    Args:
        run: the run to analyse.
        progress: is told the share that is done, in [0, 1].

    Returns:
        All numbers, with their null.
    """
    size = len(run.steps), len(run.layers)
    table = {name: np.full(size, np.nan) for name in Alignment._fields}
    for j, _, at, block in every_block(run, progress):
        n, d = block.shape[1:]
        for part, piece in pieces(block, max(n * d, min(n, max(d, COMPARED)) ** 2)):
            for name, values in alignment(piece)._asdict().items():
                table[name][at + part.start : at + part.stop, j] = values
    return _against_chance(run, table)


def _against_chance(run: Run, table: dict[str, Array]) -> FramePotential:
    potential, count = table.pop("potential"), table.pop("live")
    columns = [layer.columns for layer in run.layers.values()]
    laws = [null(count[:, j], d) for j, d in enumerate(columns)]
    mean, variance, skewness = (np.stack(moment, axis=1) for moment in zip(*laws, strict=True))
    deviation = np.sqrt(variance)
    pairs = np.where(count > 0, count, np.nan) ** 2
    floor = np.maximum(count, pairs / np.array(columns))
    z = np.divide(potential - mean, deviation, out=np.full(mean.shape, np.nan), where=deviation > 0)
    whole = {name: table.pop(name).astype(np.int64) for name in ("dead", "non_finite")}
    return FramePotential(
        run=run.name, steps=run.steps, layers=tuple(run.layers),
        potential=potential, normalised=potential / pairs, over_floor=potential / floor,
        z=z, tail_probability=tail_probability(z, skewness), effective_directions=pairs / potential,
        live=count.astype(np.int64), **whole, **table,
        null_mean=mean / pairs, null_deviation=deviation / pairs, floor=floor / pairs, collapse=_collapse(run),
    )  # fmt: skip


def _collapse(run: Run) -> Array:
    """(L,) frame potential / C**2 of a simplex of the last layer's C rows; NaN where there can be none."""
    values = np.full(len(run.layers), np.nan)
    *_, last = run.layers.values()
    if 2 <= last.rows <= last.columns + 1:
        values[-1] = 1 / (last.rows - 1)
    return values


def charts(result: FramePotential) -> list[Chart]:
    """All layers against their null bands, z, effective directions, mean |cosine|, one chart per layer, a table."""
    low, high = (result.null_mean + side * result.null_deviation for side in (-2, 2))
    bands = {layer: (low[:, j], high[:, j]) for j, layer in enumerate(result.layers)}
    overview = _lines(result, result.normalised, "frame potential / N²", bands=bands, y_scale="log")
    rest: list[Chart] = [
        _lines(result, result.z, "standard deviations above chance", reference={"chance": 0.0, "2 sd": 2.0}),
        _lines(result, result.effective_directions, "effective number of directions, N² / FP"),
        _lines(result, result.mean_cosine, "mean |cosine| of two neurons"),
        _first_and_last(result),
    ]
    return [overview, *(_one_layer(result, j, bands) for j in range(len(result.layers))), *rest]


def _lines(result: FramePotential, values: Array, label: str, **more: Any) -> Lines:
    y = dict(zip(result.layers, values.T, strict=True))
    return Lines(
        title=label[0].upper() + label[1:], x=result.steps, y=y, x_label="optimiser step", y_label=label, **more
    )


def _one_layer(result: FramePotential, j: int, bands: dict[str, tuple[Array, Array]]) -> Lines:
    layer = result.layers[j]
    reference: dict[str, Array | float] = {"floor": result.floor[:, j]}
    if np.isfinite(result.collapse[j]):
        reference["simplex of all rows (neural collapse)"] = float(result.collapse[j])
    return Lines(
        title="Frame potential / N², null band ± 2 sd", layer=layer,
        x=result.steps, y={layer: result.normalised[:, j]}, bands={layer: bands[layer]}, reference=reference,
        x_label="optimiser step", y_label="frame potential / N²",
    )  # fmt: skip


def _first_and_last(result: FramePotential) -> Table:
    """One row per layer at the first step, then one at the last."""
    ends = np.unique([0, len(result.steps) - 1])
    columns: dict[str, Any] = {"layer": result.layers * len(ends)}
    columns["step"] = np.repeat(result.steps[ends], len(result.layers)).tolist()
    for heading, values in {
        "live neurons": result.live, "dead": result.dead, "not finite": result.non_finite,
        "FP / N²": result.normalised, "z": result.z, "tail probability": result.tail_probability,
        "effective directions": result.effective_directions,
    }.items():  # fmt: skip
        columns[heading] = values[ends].ravel().tolist()
    return Table(title=f"Step {result.steps[0]} against step {result.steps[-1]}", columns=columns)


ANALYSIS = Analysis(
    title="Frame potential",
    compute=compute,
    charts=charts,
    reading=(
        "The frame potential is the sum of squared cosines over all pairs of neurons of a layer (Benedetto & Fickus "
        "2003): inside the band the neurons point as independent random directions do, above it they align, and at the "
        "floor they spread as evenly as they can. N² divided by it counts the directions in use; w and −w count as one."
    ),
)
