"""Norms: how long each neuron's vector is, how far it went from its start, and which neurons never moved or died."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Chart, Lines, Table
from wdyn.analyses._dip import dip, dip_probability
from wdyn.analyses._neuron_maps import neuron_map, shown_positions
from wdyn.analyses._neurons import Array, Directions, directions, every_block, pieces, quantiles, row_norms
from wdyn.analyses._spec import Analysis, Finding, Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Run

# A neuron is still at its start while its cosine to it exceeds the first and its norm changed by less than the second.
STILL_COSINE = 0.9
STILL_NORM = 0.1

SINGLE = ("norm", "distance", "cosine", "update")
SHARES = (0.1, 0.5, 0.9)
LEVEL = 0.01  # of layers whose norms have one peak count as having several


@dataclass(frozen=True)
class Norms(Result):
    """Length and movement of the neurons; NaN where a neuron is dead or not finite, or has no start to compare with.

    Attributes:
        shown: (T,) int64, the steps at which single neurons are kept: at most 200, fewer for wide networks.
        norm: length of each neuron's vector; 0 for a dead neuron.
        distance: length of its difference to the first recorded step.
        cosine: cosine to the first recorded step, in [-1, 1].
        update: length of its change since the recorded step before, over its norm there; NaN at the first step.
        norm_quantiles: 10, 50 and 90 % quantiles over the neurons, at every step; the same for the three below.
        distance_quantiles: of the distance.
        cosine_quantiles: of the cosine.
        update_quantiles: of the update.
        dip: Hartigan's dip of the norms of the live neurons, in [1 / (2n), 1/4]: their distance from having a single
            peak; NaN without a live neuron.
        dip_probability: chance of a dip at least this large where there is a single peak, in [0.0001, 1].
        dead: number of all-zero rows.
        non_finite: number of rows with NaN or infinity.
        still: number of neurons at their start: cosine above 0.9 and norm within 10 % of the first. All live ones at
            the first step; at the last, the neurons that never trained.
    """

    shown: Array
    norm: Mapping[str, Array] = measured("layer", "shown", "neuron", unit="weight")
    distance: Mapping[str, Array] = measured("layer", "shown", "neuron", unit="weight")
    cosine: Mapping[str, Array] = measured("layer", "shown", "neuron")
    update: Mapping[str, Array] = measured("layer", "shown", "neuron")
    norm_quantiles: Array = measured("step", "layer", "index", unit="weight")
    distance_quantiles: Array = measured("step", "layer", "index", unit="weight")
    cosine_quantiles: Array = measured("step", "layer", "index")
    update_quantiles: Array = measured("step", "layer", "index")
    dip: Array = measured("shown", "layer")
    dip_probability: Array = measured("shown", "layer")
    dead: Array = measured("step", "layer", unit="neurons")
    non_finite: Array = measured("step", "layer", unit="neurons")
    still: Array = measured("step", "layer", unit="neurons")


class Origin(NamedTuple):
    """The first recorded step of a layer: (N, D) float64 vectors and their directions."""

    vectors: Array
    directions: Directions


class Movement(NamedTuple):
    """Four (B, N) float64 arrays and one bool, see `Norms`."""

    norm: Array
    distance: Array
    cosine: Array
    update: Array
    still: Array


def origin_of(start: Array) -> Origin:
    """What `movement` compares with: (N, D) real vectors of the first recorded step."""
    return Origin(np.asarray(start, dtype=np.float64), directions(start))


def movement(block: Array, origin: Origin, before: Array | None) -> Movement:
    """Length of each neuron, its distance and cosine to the start, and its relative change from step to step.

    Args:
        block: (B, N, D) real, consecutive recorded steps.
        origin: `origin_of` the first recorded step.
        before: (N, D), the recorded step before the block; None where the block starts with the first.

    Returns:
        (B, N) arrays; NaN where a row is not finite, a cosine also where one is zero, an update also where there was
        nothing before. A neuron without cosine is not still.
    """
    wide, first_norm = np.asarray(block, dtype=np.float64), origin.directions.norms
    with np.errstate(over="ignore", invalid="ignore"):  # infinite rows and their differences become NaN
        norm, distance = row_norms(wide), row_norms(wide - origin.vectors)
        cosine, update = _cosine(wide, norm, origin.directions), _update(wide, norm, before)
        still = (cosine > STILL_COSINE) & (np.abs(norm - first_norm) < STILL_NORM * first_norm)
    return Movement(norm, distance, cosine, update, still)


def _cosine(wide: Array, norm: Array, first: Directions) -> Array:
    along = np.einsum("bnd,nd->bn", wide, first.unit)
    cosine = np.divide(along, norm, out=np.full(norm.shape, np.nan), where=first.live & (norm > 0))
    return np.asarray(np.clip(cosine, -1.0, 1.0))


def _update(wide: Array, norm: Array, before: Array | None) -> Array:
    update = np.full(norm.shape, np.nan)
    np.divide(row_norms(wide[1:] - wide[:-1]), norm[:-1], out=update[1:], where=norm[:-1] > 0)
    if before is not None:
        length = row_norms(before)
        np.divide(row_norms(wide[0] - before), length, out=update[0], where=length > 0)
    return update


def compute(run: Run, *, progress: Callable[[float], object] | None = None) -> Norms:
    """Length and movement of every neuron.

    Args:
        run: the run to analyse.
        progress: is told the share that is done, in [0, 1].

    Returns:
        Summaries at every recorded step, single neurons at the shown ones.
    """
    rows = {name: layer.rows for name, layer in run.layers.items()}
    positions = shown_positions(run)
    size = len(run.steps), len(rows)
    neurons = {key: {layer: np.full((len(positions), n), np.nan) for layer, n in rows.items()} for key in SINGLE}
    quantile = {f"{key}_quantiles": np.full((*size, len(SHARES)), np.nan) for key in SINGLE}
    counts = {key: np.zeros(size, dtype=np.int64) for key in ("dead", "non_finite", "still")}
    for j, layer, here, moved in _movements(run, progress):
        counts["dead"][here, j] = (moved.norm == 0).sum(axis=-1)
        counts["non_finite"][here, j] = np.isnan(moved.norm).sum(axis=-1)
        counts["still"][here, j] = moved.still.sum(axis=-1)
        places = np.flatnonzero((positions >= here.start) & (positions < here.stop))
        for key in SINGLE:
            values = getattr(moved, key)
            quantile[f"{key}_quantiles"][here, j] = np.stack(quantiles(values, SHARES), axis=-1)
            neurons[key][layer][places] = values[positions[places] - here.start]
    numbers: dict[str, Any] = neurons | quantile | counts | _dips(neurons["norm"])
    return Norms(run=run.name, steps=run.steps, layers=tuple(rows), shown=run.steps[positions], **numbers)


def _dips(norms: dict[str, Array]) -> dict[str, Array]:
    """Dip and its probability, each (T, L), of (T, N) norms of each layer."""
    live = [[now[now > 0] for now in values] for values in norms.values()]  # NaN is not above 0
    dips = np.array([[dip(now) if len(now) else np.nan for now in layer] for layer in live]).T
    chances = [
        [dip_probability(d, len(now)) for d, now in zip(*both, strict=True)] for both in zip(dips.T, live, strict=True)
    ]
    return {"dip": dips, "dip_probability": np.array(chances).T}


def _movements(run: Run, progress: Callable[[float], object] | None) -> Iterator[tuple[int, str, slice, Movement]]:
    """Position and name of the layer, positions of the steps, and how its neurons moved there.

    Only the first vectors of the layer and those of the step before are kept.
    """
    for j, layer, at, block in every_block(run, progress):
        if at == 0:
            origin, before = origin_of(block[0]), None
        for part, piece in pieces(block, block[0].size):
            yield j, layer, slice(at + part.start, at + part.stop), movement(piece, origin, before)
            before = np.array(piece[-1], dtype=np.float64)


def charts(result: Norms) -> list[Chart]:
    """Median and 10 to 90 % of the neurons for each quantity, the dip, one heat map per layer, a table of counts."""
    return [
        _lines(result, result.norm_quantiles, "norm of a neuron"),
        _lines(result, result.distance_quantiles, "distance to the first step"),
        _lines(result, result.cosine_quantiles, "cosine to the first step"),
        _lines(result, result.update_quantiles, "relative change per recorded step"),
        _peaks(result),
        *(neuron_map(result, layer, result.norm[layer], label="norm") for layer in result.layers),
        _counts(result),
    ]


def _lines(result: Norms, values: Array, label: str) -> Lines:
    low, middle, high = np.moveaxis(values, -1, 0)  # each (S, L)
    return Lines(
        title=f"{label[0].upper()}{label[1:]}, median and 10 to 90 %",
        x=result.steps, y=dict(zip(result.layers, middle.T, strict=True)),
        bands={layer: (low[:, j], high[:, j]) for j, layer in enumerate(result.layers)},
        x_label="optimizer step", y_label=label, band_label="10 to 90 % of the neurons",
    )  # fmt: skip


def _peaks(result: Norms) -> Lines:
    return Lines(
        title="Do the norms have one peak? Small where they form two groups",
        x=result.shown, y=dict(zip(result.layers, result.dip_probability.T, strict=True)),
        reference={"1 %": 0.01}, x_label="optimizer step", y_label="chance of such a dip with one peak", y_scale="log",
    )  # fmt: skip


def _counts(result: Norms) -> Table:
    trained = len(result.steps) > 1  # one step alone cannot show that a neuron never trained
    return Table(
        title=f"Neurons at step {result.steps[-1]}",
        columns={
            "layer": result.layers,
            "neurons": [result.norm[layer].shape[1] for layer in result.layers],
            "dead at the first step": result.dead[0].tolist(),
            "dead": result.dead[-1].tolist(),
            "not finite": result.non_finite[-1].tolist(),
            "never trained": result.still[-1].tolist() if trained else [np.nan] * len(result.layers),
            "median norm, first": result.norm_quantiles[0, :, 1].tolist(),
            "median norm, last": result.norm_quantiles[-1, :, 1].tolist(),
            "chance of the norms' dip with one peak": result.dip_probability[-1].tolist(),
            "median cosine to the start": result.cosine_quantiles[-1, :, 1].tolist(),
        },
    )


def findings(result: Norms) -> Iterator[Finding]:
    """Whether the norms fall into groups, at the first and the last step."""
    for at in sorted({0, len(result.shown) - 1}):
        for layer, chance in zip(result.layers, result.dip_probability[at], strict=True):
            if np.isfinite(chance):
                several = bool(chance < LEVEL)
                text = f"{layer}: the norms of the neurons have {'several peaks' if several else 'one peak'}"
                yield Finding(layer, int(result.shown[at]), text, several, LEVEL)


ANALYSIS = Analysis(
    title="Norms and movement",
    compute=compute,
    charts=charts,
    reading=(
        "Norm, distance to the first recorded step (the capacity of Neyshabur et al. 2018), cosine to it, and change "
        "from one recorded step to the next, for each neuron's weight vector. A neuron counts as never trained while "
        "its cosine to the start is above 0.9 and its norm within 10 % of the first; as dead if all its weights are 0. "
        "Whether the norms fall into two groups is told by Hartigan's dip against uniform numbers, the hardest null "
        "with one peak."
    ),
    findings=findings,
)
