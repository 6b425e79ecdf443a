"""Frame potential: how strongly the neurons of a layer align, against what independent directions would give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._alignment import alignment, compared
from wdyn.analyses._charts import Chart, Lines, Table
from wdyn.analyses._leave_one_out import removal_curves
from wdyn.analyses._neuron_maps import neuron_map, shown_positions
from wdyn.analyses._neurons import Array, every_block, live_rows, pieces, unit_rows
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses._uniform import null, tail_probability

if TYPE_CHECKING:
    from wdyn.store.run import Run

SUMS = ("potential", "unnormalised_potential", "mean_cosine", "live", "dead", "non_finite")
CURVES = ("largest_first", "smallest_first", "random_order")
ENDS = ("at_start", "at_end")
LEVEL = 0.01  # of layers of independent directions whose neurons count as aligned
SHARE = "share in the frame potential (standard deviations above chance)"
CHANCE = "independent directions, ± 2 sd"


@dataclass(frozen=True)
class FramePotential(Result):
    """Alignment of the neurons of each layer at each step; NaN where no neuron is live.

    Attributes:
        shown: (T,) int64, the steps at which single neurons are kept: at most 200, fewer for wide networks.
        potential: FP, the sum of squared cosines over all ordered pairs of live neurons, in [floor, n**2].
        normalised: FP / n**2, in [1 / min(n, D), 1]; 1 when all neurons lie on one line.
        over_floor: FP / floor, at least 1; 1 is perfectly spread.
        z: standard deviations above the mean of independent uniform directions; NaN where that mean has no spread
            (one neuron or one input).
        tail_probability: chance of a potential at least this large under independent uniform directions, in [0, 1].
        effective_directions: n**2 / FP, in [1, min(n, D)].
        unnormalised_potential: the same sum over inner products of the rows as they are.
        mean_cosine: mean |cosine| over pairs of different neurons, of `compared` evenly spaced ones.
        live: number n of neurons with a direction.
        dead: number of all-zero rows.
        non_finite: number of rows with NaN or infinity.
        null_mean: mean of FP / n**2 under independent uniform directions.
        null_deviation: its standard deviation.
        floor: lowest possible FP / n**2.
        collapse: FP / C**2 = 1 / (C - 1) of a simplex of C rows, for the model's last layer if it is linear; NaN for
            the others, and where the simplex would not fit into D inputs.
        compared: number of neurons that `mean_cosine` looks at: all, or 512 of layers with more than that and than
            inputs.
        share: by how much the neuron's absence would lower FP, in [1, 2n - 1]; NaN where it has no direction.
        largest_first_at_start: FP / floor of the neurons that remain after 0 to n - 1 removals at the first step, each
            of the neuron with the largest share. Of more than 2,048 neurons as many evenly spaced ones.
        smallest_first_at_start: with the smallest share first.
        random_order_at_start: mean over all orders.
        largest_first_at_end: as above, at the last step; the same for the two below.
        smallest_first_at_end: with the smallest share first.
        random_order_at_end: mean over all orders.
    """

    shown: Array
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
    compared: Array = measured("layer", unit="neurons")
    share: Mapping[str, Array] = measured("layer", "shown", "neuron")
    largest_first_at_start: Mapping[str, Array] = measured("layer", "index")
    smallest_first_at_start: Mapping[str, Array] = measured("layer", "index")
    random_order_at_start: Mapping[str, Array] = measured("layer", "index")
    largest_first_at_end: Mapping[str, Array] = measured("layer", "index")
    smallest_first_at_end: Mapping[str, Array] = measured("layer", "index")
    random_order_at_end: Mapping[str, Array] = measured("layer", "index")


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
    unit = unit_rows(vectors)  # (N, D) float64
    gram = unit.T @ unit if unit.shape[1] < len(unit) else unit @ unit.T  # same Frobenius norm, so take the smaller
    return float(np.einsum("ij,ij->", gram, gram))


def compute(run: Run, *, bias: bool = False, progress: Callable[[float], object] | None = None) -> FramePotential:
    """Frame potential of every layer at every recorded step.

    Args:
        run: the run to analyse.
        bias: count each neuron's bias as one more input, in layers that have one.
        progress: is told the share that is done, in [0, 1].

    Returns:
        All numbers, with their null.
    """
    size, positions = (len(run.steps), len(run.layers)), shown_positions(run)
    table = {name: np.full(size, np.nan) for name in SUMS}
    share = {name: np.full((len(positions), layer.rows), np.nan) for name, layer in run.layers.items()}
    for j, layer, at, block in every_block(run, progress, bias=bias):
        n, d = block.shape[1:]
        for part, piece in pieces(block, max(n * d, compared(n, d) ** 2)):
            here = slice(at + part.start, at + part.stop)
            places = np.flatnonzero((positions >= here.start) & (positions < here.stop))
            sums = alignment(piece, shares=places.size > 0)
            share[layer][places] = sums.share[positions[places] - here.start]
            for name in SUMS:
                table[name][here, j] = getattr(sums, name)
    inputs = [layer.columns + (bias and layer.bias is not None) for layer in run.layers.values()]
    numbers: dict[str, Any] = _against_chance(table, np.array(inputs)) | _curves(run, bias=bias)
    return FramePotential(
        run=run.name, steps=run.steps, layers=tuple(run.layers), shown=run.steps[positions],
        share=share, collapse=_collapse(run), **numbers,
        compared=np.array([compared(layer.rows, d) for layer, d in zip(run.layers.values(), inputs, strict=True)]),
    )  # fmt: skip


def _against_chance(table: dict[str, Array], inputs: Array) -> dict[str, Any]:
    """The sums, each (S, L), and what they mean for layers of (L,) inputs."""
    potential, count = table["potential"], table["live"]
    laws = [null(count[:, j], d) for j, d in enumerate(inputs.tolist())]
    mean, variance, skewness = (np.stack(moment, axis=1) for moment in zip(*laws, strict=True))
    deviation = np.sqrt(variance)
    pairs = np.where(count > 0, count, np.nan) ** 2
    floor = np.maximum(count, pairs / inputs)
    z = np.divide(potential - mean, deviation, out=np.full(mean.shape, np.nan), where=deviation > 0)
    whole = {name: table[name].astype(np.int64) for name in ("live", "dead", "non_finite")}
    return table | whole | {
        "normalised": potential / pairs, "over_floor": potential / floor, "effective_directions": pairs / potential,
        "z": z, "tail_probability": tail_probability(z, skewness),
        "null_mean": mean / pairs, "null_deviation": deviation / pairs, "floor": floor / pairs,
    }  # fmt: skip


def _curves(run: Run, *, bias: bool) -> dict[str, dict[str, Array]]:
    curves: dict[str, dict[str, Array]] = {f"{curve}_{end}": {} for end in ENDS for curve in CURVES}
    for end, step in zip(ENDS, run.steps[[0, -1]].tolist(), strict=True):
        for _, layer, _, block in every_block(run.select(steps=[step]), None, bias=bias):
            for curve, values in zip(CURVES, removal_curves(live_rows(block[0])), strict=True):
                curves[f"{curve}_{end}"][layer] = values
    return curves


def _collapse(run: Run) -> Array:
    """(L,) frame potential / C**2 of a simplex of C rows where the layer may be a classifier of C classes, else NaN."""
    values, last = np.full(len(run.layers), np.nan), run.meta["layers"][-1]["name"]
    for j, layer in enumerate(run.layers.values()):
        if layer.name == last and layer.kind == "Linear" and 2 <= layer.rows <= layer.columns + 1:
            values[j] = 1 / (layer.rows - 1)
    return values


def charts(result: FramePotential) -> list[Chart]:
    """All layers against their null bands, z, directions, a table; per layer the neurons' own shares."""
    low, high = (result.null_mean + side * result.null_deviation for side in (-2, 2))
    bands = {layer: (low[:, j], high[:, j]) for j, layer in enumerate(result.layers)}
    overview = _lines(result, result.normalised, "frame potential / N²", bands=bands, y_scale="log", band_label=CHANCE)
    overall: list[Chart] = [
        _lines(result, result.z, "standard deviations above chance", reference={"chance": 0.0, "2 sd": 2.0}),
        _lines(
            result,
            result.effective_directions,
            "effective number of directions, N² / FP",
            band_label=CHANCE,
            bands={layer: (1 / high, 1 / low) for layer, (low, high) in bands.items()},
        ),
        _first_and_last(result),
    ]
    single: list[Chart] = []
    for layer in result.layers:
        single += [neuron_map(result, layer, _share_z(result, layer), label=SHARE, diverging=True)]
        single += [_removals(result, layer)]
    return [overview, *(_one_layer(result, j, bands) for j in range(len(result.layers))), *overall, *single]


def _lines(result: FramePotential, values: Array, label: str, **more: Any) -> Lines:
    y = dict(zip(result.layers, values.T, strict=True))
    return Lines(
        title=label[0].upper() + label[1:], x=result.steps, y=y, x_label="optimizer step", y_label=label, **more
    )


def _one_layer(result: FramePotential, j: int, bands: dict[str, tuple[Array, Array]]) -> Lines:
    layer = result.layers[j]
    reference: dict[str, Array | float] = {"floor": result.floor[:, j]}
    if np.isfinite(result.collapse[j]):
        reference["neural collapse, if this layer is the classifier"] = float(result.collapse[j])
    return Lines(
        title="Frame potential / N²", layer=layer, band_label=CHANCE,
        x=result.steps, y={layer: result.normalised[:, j]}, bands={layer: bands[layer]}, reference=reference,
        x_label="optimizer step", y_label="frame potential / N²",
    )  # fmt: skip


def _share_z(result: FramePotential, layer: str) -> Array:
    """(T, N) standard deviations of each neuron's share above its mean under independent uniform directions.

    That mean is 1 + 2(n - 1)/D and the variance 2/n of that of FP, since a share is twice the sum of n - 1 of the
    n(n - 1)/2 independent squared cosines; both follow from the null of the whole layer.
    """
    at, j = np.searchsorted(result.steps, result.shown), result.layers.index(layer)
    n, mean, deviation = (each[at, j, None] for each in (result.live, result.null_mean, result.null_deviation))
    excess = result.share[layer] - (2 * n * mean - 1)
    deviation = np.sqrt(2 / np.maximum(n, 1)) * deviation * n**2
    return np.asarray(np.divide(excess, deviation, out=np.full(excess.shape, np.nan), where=deviation > 0))


def _removals(result: FramePotential, layer: str) -> Lines:
    """What remains when neurons go one by one, at the first step and at the last."""
    lines = {
        curve: {
            f"{curve.replace('_', ' ')}, step {step}": getattr(result, f"{curve}_{end}")[layer]
            for end, step in zip(ENDS, result.steps[[0, -1]].tolist(), strict=True)
        }
        for curve in CURVES
    }
    length = max(len(values) for both in lines.values() for values in both.values())
    for both in lines.values():
        both.update({name: np.append(v, np.full(length - len(v), np.nan)) for name, v in both.items()})
    rows = _rows(result)[result.layers.index(layer)]
    of = f", of {length} of {rows}" if length < rows else ""
    return Lines(
        title=f"Frame potential / floor of the neurons that remain{of}",
        layer=layer, x=np.arange(length), y=lines["largest_first"] | lines["smallest_first"],
        reference=lines["random_order"], x_label="neurons removed, by share", y_label="frame potential / floor",
    )  # fmt: skip


def _rows(result: FramePotential) -> Array:
    """(L,) neurons of each layer."""
    return np.asarray((result.live + result.dead + result.non_finite)[0])


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


def findings(result: FramePotential) -> Iterator[Finding]:
    """Whether neurons align more than independent directions do, at the first and the last step."""
    for at in sorted({0, len(result.steps) - 1}):
        for layer, z, chance in zip(result.layers, result.z[at], result.tail_probability[at], strict=True):
            if np.isfinite(z):
                aligned = bool(chance < LEVEL)
                text = f"{layer}: neurons {'' if aligned else 'do not '}align, {z:+.1f} standard deviations from chance"
                yield Finding(layer, int(result.steps[at]), text, aligned, LEVEL, float(z))


ANALYSIS = Analysis(
    title="Frame potential",
    compute=compute,
    charts=charts,
    reading=(
        "The frame potential is the sum of squared cosines over all pairs of neurons of a layer (Benedetto & Fickus "
        "2003): inside the band the neurons point as independent random directions do, above it they align, and at the "
        "floor they spread as evenly as they can. N² divided by it counts the directions in use; w and −w count as "
        "one. A neuron's share is what the potential falls by without it. Few neurons carry the alignment where the "
        "potential falls faster than the dashed mean over random orders, at the last step but not at the first."
    ),
    findings=findings,
)
