"""Copies or bystanders: damage of aligned units together against the sum of what each does alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Array, Bars, Chart, Lines, Table
from wdyn.analyses._copies import BYSTANDER, CARRIER, CLASSES, COPY
from wdyn.analyses._evaluate import Evaluator
from wdyn.analyses._groups import spaced
from wdyn.analyses._redundancy_layer import CLAIM, LEVEL, SETS, Measured, UnitsAt, measure
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses.norms import movement, origin_of

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_UNITS = 1024  # looked at in a place
MOST_VARIANTS = 20_000  # chance sets scored in all, at each step
LISTED = 20
BINS = 20
PADDED = (*SETS, "pair_cosine", "pair_synergy")


@dataclass(frozen=True)
class Redundancy(Result):
    """Damage is the rise of the loss when the outputs of units are 0; `layers` are the places looked at.

    A set is a group of aligned units (`clusters`, mode `ray`), or a pair of nearest units that is closer than random
    directions come and no group. Synergy is the damage of a set less the sum of the damages of its members. Sets come
    by falling size, pairs after the groups; what is not there or was not tested is NaN.

    Attributes:
        shown: (T,) int64, the first and the last step, or the only one.
        neurons: layer to (n,) int64, the units looked at: all, or 1,024 evenly spaced.
        left_out: layer or place to the reason why its units are not looked at.
        sets: layer to the sets of each shown step, each the numbers of its units.
        seed: of the chance sets.
        intact_loss: of the network as it was recorded.
        intact_score: the same for the score.
        rise: rise of the loss without the unit.
        rise_error: its standard error over the examples.
        drop: drop of the score without the unit.
        group: group of the unit, 0 for the largest, -1 for none.
        kind: 3 a copy: in a set of synergy beyond chance; 2 a bystander: never trained (see `norms`), or no damage
            beyond its standard error, alone and with its group; 1 a carrier: more damage than any unit at the first
            step; 0 other; -1 where the damage is not known. A copy is nothing else, a carrier no bystander.
        never_trained: 1 for a unit still at its start at the last step; NaN where there is one step only.
        set_size: units in the set.
        set_sum: sum of the damages of its members.
        set_rise: damage of the set.
        set_rise_error: its standard error over the examples.
        set_drop: drop of the score without the set.
        set_synergy: set_rise - set_sum.
        set_drop_synergy: the same for the drop of the score.
        set_by_chance: mean synergy of sets of units that are not aligned and do about as much damage, see
            `chance_sets` and `chance_synergies`.
        set_high_by_chance: their 99 % quantile.
        set_chance: chance of a synergy as large among them.
        set_corrected: the same, corrected for the number of sets tested (Holm).
        pair_cosine: cosine of nearest and of random pairs.
        pair_synergy: synergy of each.
        aligned: number of sets.
        tested: number of sets tested: as many of the first as chance can be drawn for, see `compute`.
        redundant: number of sets of copies.
        copies: number of units.
        carriers: number of units.
        bystanders: number of units.
    """

    shown: Array
    neurons: dict[str, Array]
    left_out: dict[str, str]
    sets: dict[str, list[list[Array]]]
    seed: int
    intact_loss: Array = measured("shown")
    intact_score: Array = measured("shown")
    rise: dict[str, Array] = measured("layer", "shown", "neuron")
    rise_error: dict[str, Array] = measured("layer", "shown", "neuron")
    drop: dict[str, Array] = measured("layer", "shown", "neuron")
    group: dict[str, Array] = measured("layer", "shown", "neuron")
    kind: dict[str, Array] = measured("layer", "shown", "neuron")
    never_trained: dict[str, Array] = measured("layer", "neuron")
    set_size: dict[str, Array] = measured("layer", "shown", "index", unit="neurons")
    set_sum: dict[str, Array] = measured("layer", "shown", "index")
    set_rise: dict[str, Array] = measured("layer", "shown", "index")
    set_rise_error: dict[str, Array] = measured("layer", "shown", "index")
    set_drop: dict[str, Array] = measured("layer", "shown", "index")
    set_synergy: dict[str, Array] = measured("layer", "shown", "index")
    set_drop_synergy: dict[str, Array] = measured("layer", "shown", "index")
    set_by_chance: dict[str, Array] = measured("layer", "shown", "index")
    set_high_by_chance: dict[str, Array] = measured("layer", "shown", "index")
    set_chance: dict[str, Array] = measured("layer", "shown", "index")
    set_corrected: dict[str, Array] = measured("layer", "shown", "index")
    pair_cosine: dict[str, Array] = measured("layer", "shown", "index")
    pair_synergy: dict[str, Array] = measured("layer", "shown", "index")
    aligned: Array = measured("shown", "layer")
    tested: Array = measured("shown", "layer")
    redundant: Array = measured("shown", "layer")
    copies: Array = measured("shown", "layer", unit="neurons")
    carriers: Array = measured("shown", "layer", unit="neurons")
    bystanders: Array = measured("shown", "layer", unit="neurons")


def compute(
    run: Run, *, evaluate: Evaluator, seed: int = 0, progress: Callable[[float], object] | None = None
) -> Redundancy:
    """Take units away, alone and together, at the first and the last step.

    To stand out among m sets at a level of 0.01 a set must win against 100 m - 1 chance sets. Of a budget of 20,000
    such sets each place gets an equal share; the sets that it does not suffice for are measured, not tested.

    Args:
        run: the run.
        evaluate: its network, which runs again.
        seed: of the chance sets.
        progress: called with the share of the work done.

    Returns:
        Damages, synergies and what each unit is.
    """
    shown = run.steps[sorted({0, len(run.steps) - 1})]
    layers, left_out = _usable(run, evaluate)
    neurons = {layer: spaced(run.layers[layer].rows, MOST_UNITS) for layer in layers}
    still = {layer: _never_trained(run, layer)[neurons[layer]] for layer in layers}
    most = max(1, int(np.sqrt(MOST_VARIANTS / max(1, len(layers)) * LEVEL)))
    found: dict[str, list[Measured]] = {layer: [] for layer in layers}
    intact = np.empty((2, len(shown)))
    for t, step in enumerate(shown.tolist()):
        network = evaluate.at(step)
        whole = network.scores({})
        intact[:, t] = whole.loss[0], whole.score[0]
        for j, layer in enumerate(layers):
            place = UnitsAt(
                network, layer, run.layers[layer].rows, neurons[layer], run.neurons(layer, step)[neurons[layer]],
                still[layer] == 1 if t else np.zeros(len(neurons[layer]), dtype=bool),
            )  # fmt: skip
            limit = float(found[layer][0].numbers["rise"].max()) if t else np.inf
            # a place's numbers do not depend on the other places, but for how many sets are tested
            found[layer].append(measure(place, most=most, limit=limit, rng=np.random.default_rng([seed, t])))
            if progress:
                progress((t * len(layers) + j + 1) / (len(layers) * len(shown)))
    return Redundancy(
        run=run.name, steps=run.steps, layers=tuple(layers), shown=shown, neurons=neurons, left_out=left_out, seed=seed,
        sets={layer: [[neurons[layer][rows] for rows in one.sets] for one in each] for layer, each in found.items()},
        intact_loss=intact[0], intact_score=intact[1], never_trained=still, **_assemble(found, len(shown)),
    )  # fmt: skip


def _usable(run: Run, evaluate: Evaluator) -> tuple[list[str], dict[str, str]]:
    """Layers whose rows are the units of a place, in the order of the forward pass, and why others are not."""
    layers = [n for n, place in evaluate.places.items() if n in run.layers and run.layers[n].rows == place.units]
    reasons = {name: "its units are not the rows of a layer" for name in evaluate.places if name not in layers}
    no_place = "its rows are no units that can go"
    return layers, reasons | {
        name: evaluate.left_out.get(name, reasons.get(name, no_place)) for name in run.layers if name not in layers
    }


def _never_trained(run: Run, layer: str) -> Array:
    """(N,) float64: 1 for units still at their start at the last step, else 0; NaN for all where there is no other."""
    if len(run.steps) == 1:
        return np.full(run.layers[layer].rows, np.nan)
    first, last = (run.neurons(layer, int(step)) for step in (run.steps[0], run.steps[-1]))
    return np.asarray(movement(last[None], origin_of(first), None).still[0], dtype=np.float64)


def _assemble(found: dict[str, list[Measured]], count: int) -> dict[str, Any]:
    """The fields by layer, padded with NaN to the longest step, and the counts."""
    names = ("rise", "rise_error", "drop", "group", "kind", *PADDED)
    fields: dict[str, Any] = {
        name: {layer: _padded([one.numbers[name] for one in each]) for layer, each in found.items()} for name in names
    }
    counts = {
        "aligned": [[len(one.sets) for one in each] for each in found.values()],
        "tested": [[np.isfinite(one.numbers["set_chance"]).sum() for one in each] for each in found.values()],
        "redundant": [[(one.numbers["set_corrected"] <= CLAIM).sum() for one in each] for each in found.values()],
    } | {
        name: [[(one.numbers["kind"] == kind).sum() for one in each] for each in found.values()]
        for name, kind in (("copies", COPY), ("carriers", CARRIER), ("bystanders", BYSTANDER))
    }
    return fields | {n: np.array(c, dtype=np.int64).reshape(len(found), count).T for n, c in counts.items()}


def _padded(rows: list[Array]) -> Array:
    longest = max(len(row) for row in rows)
    if all(len(row) == longest for row in rows):
        return np.asarray(np.stack(rows))
    wide = [np.pad(row.astype(np.float64), (0, longest - len(row)), constant_values=np.nan) for row in rows]
    return np.asarray(np.stack(wide))


def charts(result: Redundancy) -> list[Chart]:
    """What the units are, synergy by cosine, and the sets of each layer."""
    of_layers: list[Chart] = []
    for layer in result.layers:
        of_layers += [*_by_cosine(result, layer), _sets(result, layer)]
    return [*([_kinds(result)] if result.layers else []), _counts(result), *of_layers]


def _kinds(result: Redundancy) -> Bars:
    last = {layer: kinds[-1] for layer, kinds in result.kind.items()}
    return Bars(
        title=f"What the units are at step {result.shown[-1]}", categories=result.layers,
        y={name: np.array([(kinds == k).sum() for kinds in last.values()]) for k, name in enumerate(CLASSES)},
        x_label="layer", y_label="units",
    )  # fmt: skip


def _counts(result: Redundancy) -> Table:
    left_out = list(result.left_out)
    columns: dict[str, Any] = {"layer": [*result.layers, *left_out]}
    blank = [np.nan] * len(left_out)
    columns["units"] = [len(result.neurons[layer]) for layer in result.layers] + blank
    for heading in ("aligned", "tested", "redundant", "copies", "carriers", "bystanders"):
        for t, step in enumerate(result.shown.tolist()):
            label = f"sets {heading}" if heading in ("aligned", "tested", "redundant") else heading
            columns[f"{label}, step {step}"] = getattr(result, heading)[t].tolist() + blank
    columns["never trained"] = [result.never_trained[layer].sum() for layer in result.layers] + blank
    columns["left out"] = [""] * len(result.layers) + list(result.left_out.values())
    return Table(title="Aligned units, and what the units of each layer are", columns=columns)


def _by_cosine(result: Redundancy, layer: str) -> list[Lines]:
    known = np.isfinite(result.pair_synergy[layer])
    return [_pairs(result, layer, t, known[t]) for t in range(len(result.shown)) if known[t].any()]


def _pairs(result: Redundancy, layer: str, t: int, known: Array) -> Lines:
    cosine, found = result.pair_cosine[layer][t][known], result.pair_synergy[layer][t][known]
    width = np.clip(np.floor((cosine + 1) * BINS / 2), 0, BINS - 1)
    bins = [width == one for one in np.unique(width)]  # only those with a pair, so that the line has no gaps
    low, middle, high = (np.array([np.quantile(found[here], share) for here in bins]) for share in (0.1, 0.5, 0.9))
    return Lines(
        title=f"Do aligned units do more damage together? Pairs by their cosine at step {result.shown[t]}", layer=layer,
        x=np.array([cosine[here].mean() for here in bins]), y={"median": middle}, bands={"median": (low, high)},
        reference={"no synergy": 0.0}, x_label="cosine of the pair", y_label="loss rise, both less sum of each",
        band_label="10 to 90 % of pairs",
    )  # fmt: skip


def _sets(result: Redundancy, layer: str) -> Table:
    sets = result.sets[layer][-1][:LISTED]
    columns: dict[str, Any] = {
        "units": [", ".join(map(str, rows[:10].tolist())) + (", ..." if len(rows) > 10 else "") for rows in sets]
    }
    for heading, name in {
        "size": "size", "loss rise together": "rise", "standard error": "rise_error", "sum of each": "sum",
        "synergy": "synergy", "by chance": "by_chance", "99 % by chance": "high_by_chance", "score drop": "drop",
        "score drop, synergy": "drop_synergy", "chance, corrected": "corrected",
    }.items():  # fmt: skip
        columns[heading] = getattr(result, f"set_{name}")[layer][-1][: len(sets)].tolist()
    title = f"{len(sets)} of {result.aligned[-1, result.layers.index(layer)]} sets of aligned units"
    return Table(title=f"{title} at step {result.shown[-1]}", columns=columns, layer=layer)


def findings(result: Redundancy) -> Iterator[Finding]:
    """Whether aligned units are copies, at the first and the last step."""
    for t, step in enumerate(result.shown.tolist()):
        for j, layer in enumerate(result.layers):
            if not np.isfinite(result.rise[layer][t]).all():
                continue
            kinds = ", ".join(f"{getattr(result, name)[t, j]} {name}" for name in ("copies", "carriers", "bystanders"))
            text = f"{layer}: {_told(result, t, j)}; of {len(result.neurons[layer])} units: {kinds}"
            yield Finding(layer, step, text, bool(result.redundant[t, j]), LEVEL)


def _told(result: Redundancy, t: int, j: int) -> str:
    count, tested, aligned = (int(numbers[t, j]) for numbers in (result.redundant, result.tested, result.aligned))
    if not aligned:
        return "no aligned units that could be copies"
    if not tested:
        return f"{aligned} set{'s' * (aligned > 1)} of aligned units, without others to compare with"
    of = f"{tested} sets of aligned units" + (f" tested, out of {aligned}," if tested < aligned else "")
    return f"{count or 'none'} of {of} do more damage together than one by one, beyond chance"


ANALYSIS = Analysis(
    title="Copies or bystanders",
    compute=compute,
    charts=charts,
    findings=findings,
    when="asked",
    needs=frozenset({"layers", "evaluate"}),
    reading=(
        "The outputs of units are set to 0 (Morcos et al. 2018), one by one and together. Aligned units that do more "
        "damage together than the sum of each, and more so than sets of units that are not aligned but do as much "
        "damage alone, are copies: each stands in for the others. A carrier does more damage alone than any unit of "
        "the first step; a bystander never trained, or does none that can be told from 0, alone and with its group. "
        "Chances are corrected for the number of sets (Holm 1979)."
    ),
)
