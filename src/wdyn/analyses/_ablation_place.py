"""One place through time with its units taken away one by one; the work behind `ablation`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._copies import holm
from wdyn.analyses._evaluate import Evaluator, Mode, Place
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import cosines, spaced
from wdyn.analyses._importance import chance_of_exceeding, class_selectivity, important_from
from wdyn.analyses._leave_one_out import shares
from wdyn.analyses._neurons import directions, row_norms
from wdyn.analyses._rank_correlation import pairs, spearman, spearman_chance, spearman_interval
from wdyn.analyses._unit_damage import single_damages, vectors_of

if TYPE_CHECKING:
    from wdyn.store.run import Run

RELATED = ("norm", "distance", "group_size", "share", "selectivity")
CHECKED = 64  # units that go although their damage is estimated


class UnitsThroughTime(NamedTuple):
    """The units of one place at some steps.

    Attributes:
        run: the run.
        evaluate: its network.
        place: the place.
        neurons: (n,) the units looked at.
        shown: (T,) the steps.
        mode: how units go.
        estimate: whether most damages are estimated.
    """

    run: Run
    evaluate: Evaluator
    place: Place
    neurons: Array
    shown: Array
    mode: Mode
    estimate: bool


def measure(of: UnitsThroughTime, rng: np.random.Generator, advance: Callable[[int], None]) -> dict[str, Any]:
    """Every number of one place, by the name of its field.

    Args:
        of: the place.
        rng: draws permutations.
        advance: told the number of units done.

    Returns:
        Fields without the layer; `relation` is (5, 5): correlation, its two ends, chance and corrected chance of each
        of `RELATED`.
    """
    steps = [_at(of, int(step), advance) for step in of.shown]
    numbers: dict[str, Any] = {name: np.stack([each[name] for each in steps]) for name in steps[0]}
    numbers["class_drop"] = numbers["class_drop"][-1]
    rise = numbers["rise"]
    numbers["rank_with_last"] = np.array([spearman(row, rise[-1]) for row in rise])
    numbers["rank_with_before"] = np.array([np.nan, *(spearman(*two) for two in pairwise(rise))])
    numbers |= _against_the_start(rise, of.shown)
    activity = of.evaluate.at(int(of.shown[-1])).activity(of.place.name)
    numbers["selectivity"] = class_selectivity(activity.class_mean)[of.neurons]
    numbers["relation"] = _relations(rise[-1], [*_weights(of), numbers["selectivity"]], rng)
    return numbers


def _at(of: UnitsThroughTime, step: int, advance: Callable[[int], None]) -> dict[str, Any]:
    network, count = of.evaluate.at(step), len(of.neurons)
    taylor = np.asarray(network.taylor(of.place.name), dtype=np.float64)[of.neurons]
    checked = spaced(count, CHECKED) if of.estimate else np.arange(count)
    found = single_damages(network, of.place.name, of.neurons[checked], count=of.place.units, mode=of.mode)
    agreement = spearman(taylor[checked], found.rise)
    low, high = spearman_interval(agreement, pairs(taylor[checked], found.rise))
    numbers = {"rise": found.rise, "rise_error": found.error, "drop": found.drop, "class_drop": found.class_drop}
    if of.estimate:
        unknown = np.full(count, np.nan)
        numbers = {
            "rise": np.where(np.isfinite(taylor), taylor, np.nan), "rise_error": unknown, "drop": unknown,
            "class_drop": np.full((len(found.class_drop), count), np.nan),
        }  # fmt: skip
    advance(count)
    return numbers | {
        "taylor": taylor, "taylor_agreement": agreement, "taylor_agreement_low": low, "taylor_agreement_high": high,
    }  # fmt: skip


def _against_the_start(rise: Array, shown: Array) -> dict[str, Array]:
    """Units above every unit of the untrained network, as far as there is one."""
    known = np.isfinite(rise)
    if shown[0] != 0 or not known[0].any():
        nothing = np.full(len(shown), np.nan)
        return {
            "above": np.zeros(len(shown)), "above_by_chance": nothing, "important_from": np.full(rise.shape[1], np.nan),
        }  # fmt: skip
    limit = float(rise[0][known[0]].max())
    above = (rise > limit).sum(axis=1)
    control = int(known[0].sum())
    chance = [chance_of_exceeding(int(k), int(m), control) for k, m in zip(above, known.sum(axis=1), strict=True)]
    return {
        "above": above, "above_by_chance": np.where(known.any(axis=1) & (np.arange(len(shown)) > 0), chance, np.nan),
        "important_from": important_from(rise, limit, shown),
    }  # fmt: skip


def _weights(of: UnitsThroughTime) -> list[Array]:
    """Norm, distance from the start, size of the group and share in the frame potential, each (n,), at the last step.

    NaN for a unit without direction, or where the units are the rows of no layer.
    """
    count = len(of.neurons)
    first, last = (
        vectors_of(of.run, of.place.name, step=int(step), units=of.place.units)
        for step in (of.run.steps[0], of.shown[-1])
    )
    if first is None or last is None:
        return [np.full(count, np.nan)] * 4
    vectors = last[of.neurons]
    unit, norms, live = directions(vectors)
    with np.errstate(over="ignore", invalid="ignore"):
        distance = row_norms(np.asarray(vectors, dtype=np.float64) - first[of.neurons])
    labels = groups_at(cosines(unit), live, vectors.shape[1], "ray")
    sizes = np.bincount(labels[labels >= 0], minlength=1).astype(np.float64)
    group_size = np.where(live, np.where(labels >= 0, sizes[labels], 1.0), np.nan)
    share = np.full(count, np.nan)
    share[live] = shares(vectors[live])
    return [norms, distance, group_size, share]


def _relations(rise: Array, related: list[Array], rng: np.random.Generator) -> Array:
    correlation = np.array([spearman(rise, values) for values in related])
    ends = [spearman_interval(c, pairs(rise, v)) for c, v in zip(correlation.tolist(), related, strict=True)]
    chance = np.array([spearman_chance(rise, values, rng=rng) for values in related])
    return np.column_stack([correlation, np.array(ends), chance, holm(chance)])
