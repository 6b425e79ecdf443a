"""Groups of aligned neurons in each layer through training, their number decided against random directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array, Chart, Lines, Table
from wdyn.analyses._groups import MOST_ROWS, Mode, chance_distance, cosines, groups_at, persistent, spaced
from wdyn.analyses._neurons import directions, shown_steps
from wdyn.analyses._spec import Analysis, Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_STEPS = 60
LISTED = 10


@dataclass(frozen=True)
class Clusters(Result):
    """Groups by average linkage, in mode `ray` (1 - cos) and `line` (1 - |cos|, opposite neurons together).

    A group is two or more neurons whose parts are, on average, closer than any two of as many random directions come
    with probability 99 %. Neurons without a group count as groups of one in `*_effective`.

    Attributes:
        shown: (T,) int64, the steps looked at, at most 60.
        rows: (L,) int64, neurons of the layer.
        neurons: layer to (n,) int64, the neurons looked at: all, or 2,048 evenly spaced.
        live: (T, L) int64, those of them that have a direction.
        ray_cosine: (T, L) float64, mean cosine that the parts of a group exceed; NaN where no claim is possible.
        line_cosine: (T, L) float64, the same for |cosine|.
        ray_groups: (T, L) int64, number of groups.
        line_groups: (T, L) int64.
        ray_share: (T, L) float64 in [0, 1], share of live neurons in groups; NaN where none is live.
        line_share: (T, L) float64.
        ray_largest: (T, L) int64, neurons in the largest group, 0 where there is none.
        line_largest: (T, L) int64.
        ray_effective: (T, L) float64, n²/Σ size², groups of equal size that would be as concentrated; NaN if none live.
        line_effective: (T, L) float64.
        ray_members: layer to (T, n) int64, group of each neuron, the same number through time; -1 for none.
        line_members: layer to (T, n) int64.
    """

    shown: np.ndarray
    neurons: dict[str, np.ndarray]
    rows: np.ndarray = measured("layer")
    live: np.ndarray = measured("shown", "layer")
    ray_cosine: np.ndarray = measured("shown", "layer")
    line_cosine: np.ndarray = measured("shown", "layer")
    ray_groups: np.ndarray = measured("shown", "layer")
    line_groups: np.ndarray = measured("shown", "layer")
    ray_share: np.ndarray = measured("shown", "layer")
    line_share: np.ndarray = measured("shown", "layer")
    ray_largest: np.ndarray = measured("shown", "layer")
    line_largest: np.ndarray = measured("shown", "layer")
    ray_effective: np.ndarray = measured("shown", "layer")
    line_effective: np.ndarray = measured("shown", "layer")
    ray_members: dict[str, np.ndarray] = measured("layer", "shown", "neuron")
    line_members: dict[str, np.ndarray] = measured("layer", "shown", "neuron")


class Summary(NamedTuple):
    """What one step's groups amount to.

    Attributes:
        groups: their number.
        share: share of live neurons in them, NaN where none is live.
        largest: size of the largest, 0 where there is none.
        effective: n²/Σ size² with neurons on their own as groups of one, NaN where none is live.
    """

    groups: int
    share: float
    largest: int
    effective: float


def summary(labels: Array, live: int) -> Summary:
    """Count the groups of one step.

    Args:
        labels: (N,) int, group of each neuron, -1 for none.
        live: number of neurons that have a direction.

    Returns:
        The counts.

    Source:
        The effective number is the inverse Simpson index (Simpson, Measurement of diversity, Nature 163, 1949).
    """
    sizes = np.unique(labels[labels >= 0], return_counts=True)[1]
    if not live:
        return Summary(0, np.nan, 0, np.nan)
    grouped = int(sizes.sum())
    effective = live**2 / (int((sizes**2).sum()) + live - grouped)
    return Summary(len(sizes), grouped / live, int(sizes.max(initial=0)), effective)


def compute(run: Run, *, progress: Callable[[float], object] | None = None) -> Clusters:
    """Find the groups of every layer at up to 60 steps.

    Args:
        run: the run.
        progress: called with the share of the work done.

    Returns:
        The groups; dead rows are in none and counted by `live`.
    """
    shown = run.steps[shown_steps(run.steps, MOST_STEPS)]
    chosen = run.select(steps=shown)
    found = {}
    for i, layer in enumerate(run.layers):
        found[layer] = _layer(chosen, layer, len(shown))
        if progress:
            progress((i + 1) / len(run.layers))
    return _assemble(run, shown, found)


class _Found(NamedTuple):
    neurons: Array  # (n,)
    live: Array  # (T,)
    cosine: dict[Mode, Array]  # (T,)
    members: dict[Mode, Array]  # (T, n)


def _layer(chosen: Run, layer: str, count: int) -> _Found:
    rows, inputs = chosen.layers[layer].rows, chosen.layers[layer].columns
    neurons = spaced(rows, MOST_ROWS)
    live = np.zeros(count, dtype=np.int64)
    members: dict[Mode, Array] = {mode: np.full((count, len(neurons)), -1) for mode in ("ray", "line")}
    for at, block in chosen.blocks(layer):
        for t, vectors in enumerate(block, start=at):
            unit, _, alive = directions(vectors[neurons])
            cosine = cosines(unit)
            live[t] = alive.sum()
            for mode, labels in members.items():
                labels[t] = groups_at(cosine, alive, inputs, mode)
    cosine_needed = {mode: np.array([_cosine(n, inputs, mode) for n in live.tolist()]) for mode in members}
    return _Found(neurons, live, cosine_needed, {mode: persistent(labels) for mode, labels in members.items()})


def _cosine(count: int, inputs: int, mode: Mode) -> float:
    distance = chance_distance(count, inputs, mode)
    return 1.0 - distance if distance else np.nan


def _assemble(run: Run, shown: Array, found: dict[str, _Found]) -> Clusters:
    shape = len(shown), len(found)
    ray, line = _summaries(shape, found, "ray"), _summaries(shape, found, "line")
    return Clusters(
        run=run.name,
        steps=run.steps,
        layers=tuple(found),
        shown=shown,
        neurons={layer: each.neurons for layer, each in found.items()},
        rows=np.array([run.layers[layer].rows for layer in found], dtype=np.int64),
        live=_columns(shape, [each.live for each in found.values()]),
        ray_cosine=_columns(shape, [each.cosine["ray"] for each in found.values()]),
        line_cosine=_columns(shape, [each.cosine["line"] for each in found.values()]),
        ray_groups=ray[0].astype(np.int64),
        line_groups=line[0].astype(np.int64),
        ray_share=ray[1],
        line_share=line[1],
        ray_largest=ray[2].astype(np.int64),
        line_largest=line[2].astype(np.int64),
        ray_effective=ray[3],
        line_effective=line[3],
        ray_members={layer: each.members["ray"] for layer, each in found.items()},
        line_members={layer: each.members["line"] for layer, each in found.items()},
    )


def _columns(shape: tuple[int, int], columns: list[Array]) -> Array:
    return np.stack(columns, axis=1) if columns else np.empty(shape)


def _summaries(shape: tuple[int, int], found: dict[str, _Found], mode: Mode) -> Array:
    """(4, T, L) float64, the fields of `Summary`."""
    rows = [[summary(*pair) for pair in zip(f.members[mode], f.live, strict=True)] for f in found.values()]
    return np.array(rows, dtype=np.float64).reshape(shape[1], shape[0], 4).T


def charts(result: Clusters) -> list[Chart]:
    """Numbers of groups, shares, effective numbers; what counts as aligned; the largest groups."""
    effective = np.divide(
        result.ray_effective, result.live, out=np.full(result.live.shape, np.nan), where=result.live > 0
    )
    return [
        _lines(result, "Groups of aligned neurons", result.ray_groups, "groups (opposite neurons apart)"),
        _lines(result, "Groups on a common line", result.line_groups, "groups (opposite neurons together)"),
        _lines(result, "Neurons in groups", result.ray_share, "share of live neurons"),
        _lines(result, "Effective number of groups", effective, "effective groups / live neurons"),
        _thresholds(result),
        *(_largest(result, layer) for layer in result.layers),
    ]


def _lines(result: Clusters, title: str, values: Array, label: str) -> Lines:
    chance = 1.0 if "Effective" in title else 0.0
    return Lines(
        title=title,
        x=result.shown,
        y=dict(zip(result.layers, values.T, strict=True)),
        x_label="optimiser step",
        y_label=label,
        reference={"random directions (99 %)": chance},
    )


def _thresholds(result: Clusters) -> Table:
    looked_at = [len(result.neurons[layer]) for layer in result.layers]
    return Table(
        title="What counts as a group at the last step (random directions show one in 1 of 100 layers)",
        columns={
            "layer": list(result.layers),
            "neurons": [f"{n} of {rows}" for n, rows in zip(looked_at, result.rows, strict=True)],
            "live": result.live[-1].tolist(),
            "cosine above": _claims(result.ray_cosine[-1]),
            "|cosine| above": _claims(result.line_cosine[-1]),
            "groups": result.ray_groups[-1].tolist(),
            "groups on a line": result.line_groups[-1].tolist(),
            "largest": result.ray_largest[-1].tolist(),
        },
    )


def _claims(needed: Array) -> list[float | str]:
    return ["no claim possible" if np.isnan(value) else float(value) for value in needed]


def _largest(result: Clusters, layer: str) -> Table:
    labels, neurons = result.ray_members[layer][-1], result.neurons[layer]
    members = [neurons[labels == group] for group in range(min(LISTED, labels.max(initial=-1) + 1))]
    return Table(
        title=f"Largest groups at step {result.shown[-1]}",
        columns={
            "group": list(range(len(members))),
            "neurons": [len(each) for each in members],
            "first members": [", ".join(map(str, each[:LISTED])) for each in members],
        },
        layer=layer,
    )


ANALYSIS = Analysis(
    title="Groups of aligned neurons",
    compute=compute,
    charts=charts,
    reading=(
        "A group is two or more neurons joined by average linkage on the cosine distance, cut where a layer of random "
        "directions would show any group in 1 of 100 cases (closed form, Beta distribution of the cosine with a "
        "Bonferroni bound over pairs). Neurons that condense onto few directions form few large groups "
        "(Zhou et al., Towards understanding the condensation of neural networks at initial training, 2022)."
    ),
)
