"""Groups of aligned neurons in each layer through training, their number decided against random directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._cluster_charts import charts
from wdyn.analyses._cluster_findings import findings
from wdyn.analyses._group_chance import chance_heights
from wdyn.analyses._group_summary import summary
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import (
    FALSE_CLAIM,
    MOST_ROWS,
    Method,
    Mode,
    chance_distance,
    cosines,
    persistent,
    spaced,
)
from wdyn.analyses._lifelines import Event, counts, lifelines
from wdyn.analyses._neurons import directions, shown_steps
from wdyn.analyses._spec import Analysis, Result, measured
from wdyn.analyses._stability import stability_of_neurons
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_STEPS = 60


@dataclass(frozen=True)
class Clusters(Result):
    """Groups in mode `ray` (1 - cos) and `line` (1 - |cos|, opposite neurons together).

    By average linkage a group is two or more neurons joined closer than as many random directions join so many of them,
    with probability 99 % for all sizes together; the more neurons, the farther apart they may be. In layers of more
    than 320 neurons its parts are closer on average than any two random directions are, and by HDBSCAN each neuron has
    another that close. Neurons without a group count as groups of one in `*_effective`.

    Attributes:
        method: `average` or `hdbscan`.
        shown: (T,) int64, the steps looked at, at most 60.
        neurons: layer to (n,) int64, the neurons looked at: all, or 2,048 evenly spaced.
        events: layer to what happened to groups in mode `ray`.
        rows: neurons of the layer.
        live: those looked at that have a direction.
        ray_cosine: cosine above which two neurons are a group; NaN where no claim is possible.
        line_cosine: the same for |cosine|.
        ray_half_cosine: mean cosine at the last join of a group, above which half of the live neurons are one.
        line_half_cosine: the same for |cosine|.
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
        peak: the shown step with the largest group on a line, the first of these.
        peak_groups: groups on lines at that step, held to 1 % over all shown steps together.
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
    ray_half_cosine: np.ndarray = measured("shown", "layer")
    line_half_cosine: np.ndarray = measured("shown", "layer")
    peak: np.ndarray = measured("layer", unit="step")
    peak_groups: np.ndarray = measured("layer")
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
    cosine: dict[Mode, Array]  # (T, 2): for two neurons, for half of them
    members: dict[Mode, Array]  # (T, n)
    events: list[Event]
    peak: tuple[int, int]  # position of the step, groups there
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
    needed = {mode: np.array([_cosines(n, inputs, mode, method) for n in live.tolist()]) for mode in members}
    lasting = {mode: persistent(labels) for mode, labels in members.items()}
    rng = np.random.default_rng(seed)  # a layer's numbers do not depend on the other layers
    ends = [
        stability_of_neurons(chosen.neurons(layer, int(chosen.steps[t]))[neurons], lasting["ray"][t], method, rng=rng)
        for t in (0, -1)
    ]
    peak = _peak(chosen, layer, members["line"], neurons=neurons, method=method)
    return _Found(neurons, live, needed, lasting, lifelines(lasting["ray"], live), peak, ends)


def _cosines(count: int, inputs: int, mode: Mode, method: Method) -> tuple[float, float]:
    """Cosine that two neurons need to be a group, and half of them; NaN where that is never claimed."""
    if method == "average":
        heights = chance_heights(count, inputs, mode)
    else:
        heights = np.full(count + 1, chance_distance(count, inputs, mode))
    distances = (heights[min(2, count)], heights[max(min(2, count), count // 2)])
    two, half = (1.0 - float(distance) if distance else np.nan for distance in distances)
    return two, half


def _peak(chosen: Run, layer: str, members: Array, *, neurons: Array, method: Method) -> tuple[int, int]:
    """The step with the largest group on a line, and the groups there by a rule for that many steps together."""
    at = int(np.argmax([np.bincount(labels[labels >= 0], minlength=1).max() for labels in members]))
    if members[at].max() < 0:
        return at, 0
    vectors = chosen.neurons(layer, int(chosen.steps[at]))[neurons]
    unit, _, live = directions(vectors)
    level = FALSE_CLAIM / len(members)
    return at, int(groups_at(cosines(unit), live, vectors.shape[1], "line", method=method, level=level).max() + 1)


def _assemble(run: Run, method: Method, shown: Array, found: dict[str, _Found]) -> Clusters:
    shape = len(shown), len(found)
    layers, each = tuple(found), tuple(found.values())
    numbers: dict[str, Any] = {}
    for mode in get_args(Mode):
        groups, share, largest, effective = _summaries(shape, found, mode)
        numbers |= {
            f"{mode}_cosine": _columns(shape, [one.cosine[mode][:, 0] for one in each]),
            f"{mode}_half_cosine": _columns(shape, [one.cosine[mode][:, 1] for one in each]),
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
        live=_columns(shape, [one.live for one in each]),
        peak=np.array([shown[one.peak[0]] for one in each], dtype=np.int64),
        peak_groups=np.array([one.peak[1] for one in each], dtype=np.int64), **numbers,
    )  # fmt: skip


def _columns(shape: tuple[int, ...], columns: list[Array]) -> Array:
    return np.stack(columns, axis=1) if columns else np.empty(shape)


def _summaries(shape: tuple[int, int], found: dict[str, _Found], mode: Mode) -> Array:
    """(4, T, L) float64, the fields of `Summary`."""
    rows = [[summary(*pair) for pair in zip(f.members[mode], f.live, strict=True)] for f in found.values()]
    return np.array(rows, dtype=np.float64).reshape(shape[1], shape[0], 4).T


ANALYSIS = Analysis(
    title="Groups of aligned neurons",
    compute=compute,
    charts=charts,
    findings=findings,
    reading=(
        "A group is two or more neurons joined by average linkage on the cosine distance closer than random directions "
        "join as many: these show any group, of whatever size, in 1 of 100 layers (simulated; one bound on the chance "
        "of all sizes, Westfall & Young 1993). Many neurons may be farther apart than two. Of groups within groups "
        "those are shown that together lie farthest below chance. Layers of more than 320 neurons, and HDBSCAN, hold "
        "all sizes against pairs (closed form, Beta distribution of the cosine). Neurons that condense onto few "
        "directions form few groups (Zhou et al., Towards understanding the condensation of neural networks at "
        "initial training, 2022). "
        "Comes back: mean Jaccard index with its best match when half of the inputs are left out (after Hennig "
        "2007). Groups of consecutive steps are linked by half of the smaller one's members: a group with no link "
        "to the step before is born, with several merged; with none to the step after it dies, with several it "
        "splits."
    ),
)
