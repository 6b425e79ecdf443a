"""What each unit carries: how much worse the network does without it, and how that came about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._ablation_charts import CHARTS
from wdyn.analyses._ablation_place import RELATED, UnitsThroughTime, measure
from wdyn.analyses._charts import Array, Chart
from wdyn.analyses._evaluate import Evaluator, Mode
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses._unit_damage import recorded, told, usable

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_STEPS = 16
MOST_VARIANTS = 20_000  # units times steps, so that a wide network shows fewer steps
LEVEL = 0.01  # of places whose units carry no more than those of the untrained network in which that is claimed
RELATIONS = ("", "_low", "_high", "_chance", "_corrected")


@dataclass(frozen=True)
class Ablation(Result):
    """Damage is the rise of the loss, and the drop of the score, when a unit goes; `layers` are the places.

    Attributes:
        shown: (T,) int64, the steps looked at: at most 16, fewer for wide networks.
        neurons: layer to (n,) int64, the units looked at: all, or 2,048 evenly spaced.
        recorded: places that are layers of the run.
        left_out: layer or place to the reason why its units are not looked at.
        mode: how units went, see `wdyn.scores.Mode`.
        score_name: what the score is; empty where there is only a loss.
        estimated: whether `rise` is the first-order estimate.
        seed: of the permutations.
        units: of the place, in all.
        intact_loss: of the network as it was recorded.
        intact_score: the same for the score.
        rise: rise of the loss without the unit; NaN where a loss is not finite.
        rise_error: its standard error over the examples; NaN for estimates.
        drop: drop of the score without the unit; NaN for estimates.
        class_drop: layer to (C, n), drop of the accuracy on each class at the last step.
        selectivity: class selectivity at the last step, see `class_selectivity`.
        taylor: first-order estimate of the rise when the unit's output becomes 0.
        taylor_agreement: rank correlation of the estimate with the measured rise, of 64 evenly spaced units where the
            rest is estimated.
        taylor_agreement_low: lower end of its 95 % interval.
        taylor_agreement_high: upper end.
        rank_with_last: rank correlation of the rises with those of the last step.
        rank_with_before: with those of the shown step before; NaN at the first.
        above: number of units whose rise exceeds that of every unit of the untrained network.
        above_by_chance: chance of as many, if the rises were exchangeable with those of the untrained network; NaN at
            the first step, and everywhere unless that is step 0.
        important_from: first shown step from which on a unit is among these to the end; NaN for never.
        relation: rank correlation of the rise at the last step with what the key says: `norm`, `distance` from the
            start, `group_size` (see `clusters`, mode `ray`), `share` in the frame potential, `selectivity`.
        relation_low: lower end of its 95 % interval.
        relation_high: upper end.
        relation_chance: chance of a correlation as far from 0, by permutation.
        relation_corrected: the same, corrected for the number of relations of the place (Holm).
    """

    shown: Array
    neurons: dict[str, Array]
    recorded: tuple[str, ...]
    left_out: dict[str, str]
    mode: Mode
    score_name: str
    estimated: bool
    seed: int
    units: Array = measured("layer", unit="units")
    intact_loss: Array = measured("shown")
    intact_score: Array = measured("shown")
    rise: dict[str, Array] = measured("layer", "shown", "neuron")
    rise_error: dict[str, Array] = measured("layer", "shown", "neuron")
    drop: dict[str, Array] = measured("layer", "shown", "neuron")
    class_drop: dict[str, Array] = measured("layer", "index", "neuron")
    selectivity: dict[str, Array] = measured("layer", "neuron")
    taylor: dict[str, Array] = measured("layer", "shown", "neuron")
    taylor_agreement: Array = measured("shown", "layer")
    taylor_agreement_low: Array = measured("shown", "layer")
    taylor_agreement_high: Array = measured("shown", "layer")
    rank_with_last: Array = measured("shown", "layer")
    rank_with_before: Array = measured("shown", "layer")
    above: Array = measured("shown", "layer", unit="units")
    above_by_chance: Array = measured("shown", "layer")
    important_from: dict[str, Array] = measured("layer", "neuron", unit="steps")
    relation: dict[str, Array] = measured("metric", "layer")
    relation_low: dict[str, Array] = measured("metric", "layer")
    relation_high: dict[str, Array] = measured("metric", "layer")
    relation_chance: dict[str, Array] = measured("metric", "layer")
    relation_corrected: dict[str, Array] = measured("metric", "layer")


def compute(
    run: Run,
    *,
    evaluate: Evaluator,
    mode: Mode = "zero",
    steps_shown: int | None = None,
    estimate: bool = False,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
) -> Ablation:
    """Take every unit away, one at a time, at some steps.

    Args:
        run: the run.
        evaluate: its network, which runs again.
        mode: what happens to a unit that goes.
        steps_shown: number of steps to look at, at least 2; by default 16, or fewer so that at most 20,000 variants of
            the network are scored.
        estimate: take the first-order estimate for the rise of the loss, for networks too large to take every unit
            away; 64 units of each place go all the same, to measure how well it agrees.
        seed: of the permutations.
        progress: called with the share of the work done.

    Returns:
        Damages, and what they go with.
    """
    neurons, left_out = usable(run, evaluate, mode)
    units = sum(len(each) for each in neurons.values())
    affordable = MOST_STEPS if estimate else MOST_VARIANTS // max(units, 1)
    at_most = steps_shown or int(np.clip(affordable, 2, MOST_STEPS))
    shown = run.steps[shown_steps(run.steps, max(at_most, 2))]
    intact = [evaluate.at(int(step)).scores({}) for step in shown]
    advance = told(progress, len(shown) * units)
    found = {}
    for name, looked_at in neurons.items():
        place = UnitsThroughTime(run, evaluate, evaluate.places[name], looked_at, shown, mode, estimate)
        # a place's numbers do not depend on the other places
        found[name] = measure(place, np.random.default_rng(seed), advance)
    return Ablation(
        run=run.name, steps=run.steps, layers=tuple(neurons), shown=shown, neurons=neurons,
        recorded=recorded(run, neurons), left_out=left_out, mode=mode, score_name=evaluate.score_name,
        estimated=estimate, seed=seed,
        units=np.array([evaluate.places[name].units for name in neurons], dtype=np.int64),
        intact_loss=np.array([each.loss[0] for each in intact], dtype=np.float64),
        intact_score=np.array([each.score[0] for each in intact], dtype=np.float64),
        **_assemble(found, len(shown)),
    )  # fmt: skip


def _assemble(found: dict[str, dict[str, Any]], count: int) -> dict[str, Any]:
    """Fields by layer, with the layers as second axis, and the relations by name."""
    fields: dict[str, Any] = {
        name: {layer: numbers[name] for layer, numbers in found.items()}
        for name in ("rise", "rise_error", "drop", "class_drop", "selectivity", "taylor", "important_from")
    }
    for name in ("taylor_agreement", "taylor_agreement_low", "taylor_agreement_high", "rank_with_last",
                 "rank_with_before", "above", "above_by_chance"):  # fmt: skip
        fields[name] = np.array([numbers[name] for numbers in found.values()]).reshape(len(found), count).T
    fields["above"] = fields["above"].astype(np.int64)
    for i, end in enumerate(RELATIONS):
        fields[f"relation{end}"] = {
            f"relation_{name}{end}": np.array([numbers["relation"][k][i] for numbers in found.values()])
            for k, name in enumerate(RELATED)
        }
    return fields


def charts(result: Ablation) -> list[Chart]:
    """Which units carry most and since when; how stable that is and what it goes with."""
    return [chart for make in CHARTS for chart in make(result)]


def findings(result: Ablation) -> Iterator[Finding]:
    """Whether units carry more than those of the untrained network, at the first and the last step."""
    for t in sorted({0, len(result.shown) - 1}):
        for j, layer in enumerate(result.layers):
            significant = bool(result.above_by_chance[t, j] <= LEVEL)
            yield Finding(layer, int(result.shown[t]), f"{layer}: {_told(result, t, j)}", significant, LEVEL)


def _told(result: Ablation, t: int, j: int) -> str:
    rise = result.rise[result.layers[j]]
    if not np.isfinite(rise[t]).any():
        return "the loss without its units is not finite"
    raises, raise_ = ("is estimated to raise", "are estimated to raise") if result.estimated else ("raises", "raise")
    if np.isnan(result.above_by_chance[t, j]):
        most = f"the unit that carries most {raises} the loss by {np.nanmax(rise[t]):.2g} when it goes"
        return most + ("" if t == 0 else "; there is no untrained network to compare with, so no claim")
    count, of, limit = result.above[t, j], int(np.isfinite(rise[t]).sum()), np.nanmax(rise[0])
    beyond = "" if result.above_by_chance[t, j] <= LEVEL else ", no more than chance could give"
    return (
        f"{count} of {of} units {raise_} the loss by more when they go than any unit of the untrained network "
        f"({limit:.2g}){beyond}"
    )


ANALYSIS = Analysis(
    title="What each unit carries",
    compute=compute,
    charts=charts,
    findings=findings,
    when="full",
    needs=frozenset({"layers", "evaluate"}),
    reading=(
        "Every unit is taken away, one at a time (Morcos et al. 2018), and the network scored. A unit is important "
        "from the step on from which its loss rise stays above that of every unit of the untrained network; that so "
        "many units are above them all has an exact chance if nothing had changed (Rosenbaum 1965). Class "
        "selectivity is (μmax - μ-max)/(μmax + μ-max) of the mean activity by class. The estimate is the first-order "
        "one of Molchanov et al. (2017), and its agreement is measured. Rank correlations are Spearman's with 95 % "
        "intervals (Bonett & Wright 2000) and chances by permutation, corrected for their number (Holm 1979)."
    ),
)
