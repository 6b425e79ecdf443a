"""Groups of aligned neurons in each layer through training, their number decided against random directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from wdyn.analyses._charts import Array, Chart, Lines, Table
from wdyn.analyses._group_summary import largest_groups, summary
from wdyn.analyses._groups import (
    FALSE_CLAIM,
    MOST_ROWS,
    Method,
    Mode,
    chance_distance,
    cosines,
    groups_at,
    persistent,
    spaced,
)
from wdyn.analyses._lifelines import Event, counts, lifeline_charts, lifelines
from wdyn.analyses._neurons import directions, shown_steps
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses._stability import stability_of_neurons
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_STEPS = 60


@dataclass(frozen=True)
class Clusters(Result):
    """Groups in mode `ray` (1 - cos) and `line` (1 - |cos|, opposite neurons together).

    By average linkage a group is two or more neurons whose parts are, on average, closer than any two of as many random
    directions come with probability 99 %; by HDBSCAN each neuron of it has another that close. Neurons without a group
    count as groups of one in `*_effective`.

    Attributes:
        method: `average` or `hdbscan`.
        shown: (T,) int64, the steps looked at, at most 60.
        neurons: layer to (n,) int64, the neurons looked at: all, or 2,048 evenly spaced.
        events: layer to what happened to groups in mode `ray`.
        rows: neurons of the layer.
        live: those looked at that have a direction.
        ray_cosine: cosine that groups were found with; NaN where no claim is possible.
        line_cosine: the same for |cosine|.
        ray_groups: number of groups.
        line_groups: the same on lines.
        ray_share: in [0, 1], share of live neurons in groups; NaN where none is live.
        line_share: the same on lines.
        ray_largest: neurons in the largest group, 0 where there is none.
        line_largest: the same on lines.
        ray_effective: n²/Σ size², groups of equal size that would be as concentrated; NaN where none is live.
        line_effective: the same on lines.
        ray_members: layer to (T, n) int64, group of each neuron, the same number through time; -1 for none.
        line_members: the same on lines.
        births: groups (mode `ray`) linked with none of the shown step before, see `lifelines`; 0 at the first step.
        deaths: groups of the shown step before that are linked with none.
        merges: groups linked with several of the shown step before.
        splits: groups of the shown step before that are linked with several.
        first_stability: layer to (n,) float64 in [0, 1], mean Jaccard index of the neuron's group (mode `ray`, first
            step) with its best match when half of the inputs are left out; NaN without a group, with fewer than 4
            inputs or more than 512 live neurons.
        last_stability: the same at the last step.
        first_stability_by_chance: stability of the most stable group in 20 layers of random directions; NaN likewise.
        last_stability_by_chance: the same at the last step.
    """

    method: Method
    shown: np.ndarray
    neurons: dict[str, np.ndarray]
    events: dict[str, list[Event]]
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
    births: np.ndarray = measured("shown", "layer")
    deaths: np.ndarray = measured("shown", "layer")
    merges: np.ndarray = measured("shown", "layer")
    splits: np.ndarray = measured("shown", "layer")
    first_stability: dict[str, np.ndarray] = measured("layer", "neuron")
    last_stability: dict[str, np.ndarray] = measured("layer", "neuron")
    first_stability_by_chance: np.ndarray = measured("layer")
    last_stability_by_chance: np.ndarray = measured("layer")


def compute(
    run: Run, *, method: Method = "average", seed: int = 0, progress: Callable[[float], object] | None = None
) -> Clusters:
    """Find the groups of every layer at up to 60 steps.

    Args:
        run: the run.
        method: `average` linkage, or `hdbscan` for groups that need not be round.
        seed: of the random halves and random layers that stability is measured with.
        progress: called with the share of the work done.

    Returns:
        The groups; dead rows are in none and counted by `live`.

    Raises:
        MisuseError: no such method.
    """
    if method not in get_args(Method):
        raise MisuseError(f"no method {method!r} to find groups with. There are: {', '.join(get_args(Method))}")
    shown = run.steps[shown_steps(run.steps, MOST_STEPS)]
    chosen = run.select(steps=shown)
    found = {}
    for i, layer in enumerate(run.layers):
        found[layer] = _layer(chosen, layer, method, seed)
        if progress:
            progress((i + 1) / len(run.layers))
    return _assemble(run, method, shown, found)


class _Found(NamedTuple):
    neurons: Array  # (n,)
    live: Array  # (T,)
    cosine: dict[Mode, Array]  # (T,)
    members: dict[Mode, Array]  # (T, n)
    events: list[Event]
    stability: list[tuple[Array, float]]  # first and last step: (n,) and by chance


def _layer(chosen: Run, layer: str, method: Method, seed: int) -> _Found:
    rows, inputs, count = chosen.layers[layer].rows, chosen.layers[layer].columns, len(chosen.steps)
    neurons = spaced(rows, MOST_ROWS)
    live = np.zeros(count, dtype=np.int64)
    members: dict[Mode, Array] = {mode: np.full((count, len(neurons)), -1) for mode in ("ray", "line")}
    for at, block in chosen.blocks(layer):
        for t, vectors in enumerate(block, start=at):
            unit, _, live_now = directions(vectors[neurons])
            cosine = cosines(unit)
            live[t] = live_now.sum()
            for mode, labels in members.items():
                labels[t] = groups_at(cosine, live_now, inputs, mode, method=method)
    cosine_needed = {mode: np.array([_cosine(n, inputs, mode) for n in live.tolist()]) for mode in members}
    lasting = {mode: persistent(labels) for mode, labels in members.items()}
    rng = np.random.default_rng(seed)  # a layer's numbers do not depend on the other layers
    ends = [
        stability_of_neurons(chosen.neurons(layer, int(chosen.steps[t]))[neurons], lasting["ray"][t], method, rng=rng)
        for t in (0, -1)
    ]
    return _Found(neurons, live, cosine_needed, lasting, lifelines(lasting["ray"], live), ends)


def _cosine(count: int, inputs: int, mode: Mode) -> float:
    distance = chance_distance(count, inputs, mode)
    return 1.0 - distance if distance else np.nan


def _assemble(run: Run, method: Method, shown: Array, found: dict[str, _Found]) -> Clusters:
    shape = len(shown), len(found)
    layers, each = tuple(found), tuple(found.values())
    numbers: dict[str, Any] = {}
    for mode in get_args(Mode):
        groups, share, largest, effective = _summaries(shape, found, mode)
        numbers |= {
            f"{mode}_cosine": _columns(shape, [one.cosine[mode] for one in each]),
            f"{mode}_groups": groups.astype(np.int64), f"{mode}_share": share,
            f"{mode}_largest": largest.astype(np.int64), f"{mode}_effective": effective,
            f"{mode}_members": {layer: one.members[mode] for layer, one in found.items()},
        }  # fmt: skip
    happened = _columns((*shape, 4), [counts(one.events, len(shown)) for one in each])
    for k, field in enumerate(("births", "deaths", "merges", "splits")):
        numbers[field] = happened[..., k].astype(np.int64)
    for end, at in (("first", 0), ("last", -1)):
        numbers[f"{end}_stability"] = {layer: one.stability[at][0] for layer, one in found.items()}
        numbers[f"{end}_stability_by_chance"] = np.array([one.stability[at][1] for one in each], dtype=np.float64)
    return Clusters(
        run=run.name, steps=run.steps, layers=layers, method=method, shown=shown,
        neurons={layer: one.neurons for layer, one in found.items()},
        events={layer: one.events for layer, one in found.items()},
        rows=np.array([run.layers[layer].rows for layer in layers], dtype=np.int64),
        live=_columns(shape, [one.live for one in each]), **numbers,
    )  # fmt: skip


def _columns(shape: tuple[int, ...], columns: list[Array]) -> Array:
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
        _lines(result, "Effective groups per live neuron", effective, "effective groups / live neurons"),
        _thresholds(result),
        *(chart for j, layer in enumerate(result.layers) for chart in _of_layer(result, j, layer)),
    ]


def _of_layer(result: Clusters, j: int, layer: str) -> list[Chart]:
    members, neurons = result.ray_members[layer], result.neurons[layer]
    largest = largest_groups(
        f"Largest groups at step {result.shown[-1]}", layer, members[-1], neurons=neurons,
        stability=result.last_stability[layer], by_chance=float(result.last_stability_by_chance[j]),
    )  # fmt: skip
    return [largest, *lifeline_charts(layer, result.shown, members, neurons=neurons, events=result.events[layer])]


def _lines(result: Clusters, title: str, values: Array, label: str) -> Lines:
    chance = 1.0 if "Effective" in title else 0.0
    return Lines(
        title=title,
        x=result.shown,
        y=dict(zip(result.layers, values.T, strict=True)),
        x_label="optimizer step",
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


def findings(result: Clusters) -> Iterator[Finding]:
    """Whether there are groups that random directions do not form, at the first and the last step."""
    for at in sorted({0, len(result.shown) - 1}):
        for layer, count, live in zip(result.layers, result.ray_groups[at].tolist(), result.live[at], strict=True):
            if live:
                text = f"{layer}: {count or 'no'} group{'s' * (count != 1)} of aligned neurons beyond chance"
                yield Finding(layer, int(result.shown[at]), text, bool(count), FALSE_CLAIM)


ANALYSIS = Analysis(
    title="Groups of aligned neurons",
    compute=compute,
    charts=charts,
    findings=findings,
    reading=(
        "A group is two or more neurons joined by average linkage on the cosine distance (or HDBSCAN), cut where a "
        "layer of random directions would show any group in 1 of 100 cases (closed form, Beta distribution of the "
        "cosine with a Bonferroni bound over pairs). Neurons that condense onto few directions form few large "
        "groups (Zhou et al., Towards understanding the condensation of neural networks at initial training, 2022). "
        "Comes back: mean Jaccard index with its best match when half of the inputs are left out (after Hennig "
        "2007). Groups of consecutive steps are linked by half of the smaller one's members: a group with no link "
        "to the step before is born, with several merged; with none to the step after it dies, with several it "
        "splits."
    ),
)
