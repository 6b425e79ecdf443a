"""Pruning curves: how long the network holds while units go one by one, in ten orders against random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array, Chart
from wdyn.analyses._curves import LEVEL, Units, points_of
from wdyn.analyses._evaluate import Evaluator, Mode
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._orders import ORDERS, WORDS, order_of, random_orders, removal_keys, together
from wdyn.analyses._pruning_charts import at, best_order, left_out, looked_at, of_place, summary, what_is_lost
from wdyn.analyses._pruning_place import CURVES, OF_ORDERS, OF_RANDOM, Target, measure
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses._unit_damage import recorded, single_damages, told, usable, vectors_of
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run

RANDOM_ORDERS = 20
STEPS = 3
MOST_VARIANTS = 20_000  # points of all curves: many places get few points each
FEWEST_POINTS, MOST_POINTS = 11, 101
ALL = "all layers together"


@dataclass(frozen=True)
class PruningCurves(Result):
    """Score and loss while units go one by one, without retraining; `layers` are the places, and all together.

    Dicts go by order, such as `area_min_norm`; NaN for an order that the place does not have. Areas are under the curve
    of the score over the share of units gone, or of the loss where there is no score.

    Attributes:
        shown: (T,) int64, the steps looked at: first, middle and last by default.
        recorded: places that are layers of the run.
        left_out: layer or place to the reason why its units are not looked at.
        mode: how units go, see `wdyn.scores.Mode`.
        score_name: what the score is; empty where there is only a loss.
        random_orders: how many there are.
        seed: of the random orders.
        units: of the place, in all; at most 2,048 evenly spaced of them go.
        removed: number of units gone at each point of a curve, NaN beyond its last.
        intact_loss: of the network as it was recorded.
        intact_score: the same for the score.
        score: along each order.
        loss: along each order.
        random_score: mean over the random orders.
        random_score_low: lowest of them.
        random_score_high: highest.
        random_loss: mean over the random orders.
        random_loss_low: lowest of them.
        random_loss_high: highest.
        area: under each order's curve.
        area_error: its standard error over the examples, at most: as if all points erred together.
        random_area: mean over the random orders.
        random_area_low: 99 % of random orders have an area between this (prediction interval).
        random_area_high: and this.
        chance: of a random order that is as far from their mean, see `verdicts`.
        corrected: the same, corrected for the number of orders (Holm).
        verdict: 1 better than random, -1 worse, 0 not told apart.
        spared: units that can go before 0.01 of accuracy is lost, to the unit; where the score is no accuracy,
            before 1 % of what the loss rises by when all are gone. See `spared` of `_curves`.
        random_spared: median over the random orders.
    """

    shown: Array
    recorded: tuple[str, ...]
    left_out: dict[str, str]
    mode: Mode
    score_name: str
    random_orders: int
    seed: int
    units: Array = measured("layer", unit="units")
    removed: Array = measured("layer", "index", unit="units")
    intact_loss: Array = measured("shown")
    intact_score: Array = measured("shown")
    score: dict[str, Array] = measured("metric", "shown", "layer", "index")
    loss: dict[str, Array] = measured("metric", "shown", "layer", "index")
    random_score: Array = measured("shown", "layer", "index")
    random_score_low: Array = measured("shown", "layer", "index")
    random_score_high: Array = measured("shown", "layer", "index")
    random_loss: Array = measured("shown", "layer", "index")
    random_loss_low: Array = measured("shown", "layer", "index")
    random_loss_high: Array = measured("shown", "layer", "index")
    area: dict[str, Array] = measured("metric", "shown", "layer")
    area_error: dict[str, Array] = measured("metric", "shown", "layer")
    random_area: Array = measured("shown", "layer")
    random_area_low: Array = measured("shown", "layer")
    random_area_high: Array = measured("shown", "layer")
    chance: dict[str, Array] = measured("metric", "shown", "layer")
    corrected: dict[str, Array] = measured("metric", "shown", "layer")
    verdict: dict[str, Array] = measured("metric", "shown", "layer")
    spared: dict[str, Array] = measured("metric", "shown", "layer", unit="units")
    random_spared: Array = measured("shown", "layer", unit="units")


class _Plan(NamedTuple):
    run: Run
    evaluate: Evaluator
    mode: Mode
    neurons: dict[str, Array]  # name of a place to the units that go
    groups: dict[str, tuple[str, ...]]  # layer of the result to its places
    random: dict[str, Array]  # to (R, n)
    points: dict[str, Array]  # to (P,)


def compute(
    run: Run,
    *,
    evaluate: Evaluator,
    mode: Mode = "zero",
    steps_shown: int = STEPS,
    random: int = RANDOM_ORDERS,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
) -> PruningCurves:
    """Take the units of each place away one by one, and those of all layers together.

    Together, layers lose units at the same pace in greedy orders; norms count in units of the layer's root mean square
    norm; damages are losses, the same everywhere.

    Args:
        run: the run.
        evaluate: its network, which runs again.
        mode: what happens to a unit that goes.
        steps_shown: number of steps to look at, at least 2.
        random: number of random orders, at least 20.
        seed: of the random orders, which are the same at all steps.
        progress: called with the share of the work done.

    Returns:
        Curves, areas and verdicts.

    Raises:
        MisuseError: too few random orders.
    """
    if random < RANDOM_ORDERS:
        raise MisuseError(f"{random} random orders make no band. Give at least {RANDOM_ORDERS}.")
    shown = run.steps[shown_steps(run.steps, max(steps_shown, 2))]
    neurons, reasons = usable(run, evaluate, mode)
    plan = _planned(run, evaluate, mode, neurons, len(shown), random, seed)
    points = sum((len(ORDERS) + random) * len(each) for each in plan.points.values())
    advance = told(progress, len(shown) * points)
    intact = [evaluate.at(int(step)).scores({}) for step in shown]
    found = [_at(plan, int(step), advance) for step in shown]
    if progress is not None:
        progress(1.0)
    return PruningCurves(
        run=run.name, steps=run.steps, layers=tuple(plan.groups), shown=shown, recorded=recorded(run, neurons),
        left_out=reasons, mode=mode, score_name=evaluate.score_name, random_orders=random, seed=seed,
        units=np.array([sum(evaluate.places[p].units for p in each) for each in plan.groups.values()], dtype=np.int64),
        intact_loss=np.array([each.loss[0] for each in intact], dtype=np.float64),
        intact_score=np.array([each.score[0] for each in intact], dtype=np.float64), **_assemble(plan, found),
    )  # fmt: skip


def _planned(
    run: Run, evaluate: Evaluator, mode: Mode, neurons: dict[str, Array], steps: int, random: int, seed: int
) -> _Plan:
    """Which units go together, in which random orders, and at how many points each curve is scored."""
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in neurons}
    rows = tuple(n for n in neurons if n in run.layers and run.layers[n].rows == evaluate.places[n].units)
    if len(rows) > 1:
        groups[ALL] = rows
    counts = {name: sum(len(neurons[place]) for place in places) for name, places in groups.items()}
    most = MOST_VARIANTS // max((len(ORDERS) + random) * len(groups) * steps, 1)
    at_most = int(np.clip(most, FEWEST_POINTS, MOST_POINTS))
    return _Plan(
        run, evaluate, mode, neurons, groups,
        # a place's numbers do not depend on the other places, but for how many points its curves have
        {name: random_orders(random, count, rng=np.random.default_rng(seed)) for name, count in counts.items()},
        {name: points_of(count, at_most) for name, count in counts.items()},
    )  # fmt: skip


def _at(plan: _Plan, step: int, advance: Callable[[int], None]) -> dict[str, dict[str, Any]]:
    """The numbers of each layer of the result at one step."""
    network, keys = plan.evaluate.at(step), {}
    for name, units in plan.neurons.items():
        count = plan.evaluate.places[name].units
        vectors = vectors_of(plan.run, name, step=step, units=count)
        damage = single_damages(network, name, units, count=count, mode=plan.mode).rise
        taylor = np.asarray(network.taylor(name), dtype=np.float64)[units]
        keys[name] = removal_keys(None if vectors is None else vectors[units], damage, taylor)
    found = {}
    for name, places in plan.groups.items():
        units_of = Units(
            network, [(place, plan.evaluate.places[place].units) for place in places],
            [plan.neurons[place] for place in places], plan.mode,
        )  # fmt: skip
        one = {order: order_of([key]) for order, key in keys[places[0]].items()} if len(places) == 1 else None
        orders = one or together([keys[place] for place in places])
        target = Target(
            units_of, orders, plan.random[name], plan.points[name], plan.evaluate.score_name, plan.evaluate.examples
        )
        found[name] = measure(target, advance)
    return found


def _assemble(plan: _Plan, found: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Fields with their axes; curves padded with NaN to the longest."""
    longest = max((len(points) for points in plan.points.values()), default=0)

    def padded(values: Any) -> Array:
        wide = np.atleast_1d(np.asarray(values, dtype=np.float64))
        return np.pad(wide, (0, longest - len(wide)), constant_values=np.nan)

    def stacked(get: Callable[[dict[str, Any]], Any], *, curve: bool) -> Array:
        rows = [[padded(get(now[name])) if curve else get(now[name]) for name in plan.groups] for now in found]
        shape = (len(found), len(plan.groups), longest) if curve else (len(found), len(plan.groups))
        return np.array(rows, dtype=np.float64).reshape(shape)

    fields: dict[str, Any] = {
        field: {
            f"{field}_{order}": stacked(lambda now, f=field, o=order: now[f][o], curve=field in CURVES)  # type: ignore[misc]
            for order in ORDERS
        }
        for field in OF_ORDERS
    }
    for field in OF_RANDOM:
        fields[field] = stacked(lambda now, f=field: now[f], curve=False)  # type: ignore[misc]
    for field in (f"random_{curve}{end}" for curve in CURVES for end in ("", "_low", "_high")):
        fields[field] = stacked(lambda now, f=field: now[f], curve=True)  # type: ignore[misc]
    removed = [padded(points) for points in plan.points.values()]
    return fields | {"removed": np.array(removed, dtype=np.float64).reshape(len(plan.groups), longest)}


def charts(result: PruningCurves) -> list[Chart]:
    """The best order of each layer, and the curves."""
    curves = (chart for j in range(len(result.layers)) for chart in of_place(result, j))
    return [summary(result), *left_out(result), *curves]


def findings(result: PruningCurves) -> Iterator[Finding]:
    """Whether any order is better than random ones, at the first and the last step; before training, no claim."""
    for t in sorted({0, len(result.shown) - 1}):
        step = int(result.shown[t])
        for j, layer in enumerate(result.layers):
            best = best_order(result, t, j)
            better = bool(best) and at(result, "verdict", best)[t, j] == 1
            yield Finding(layer, step, f"{layer}: {_told(result, t, j, best)}", better and step > 0, LEVEL)


def _told(result: PruningCurves, t: int, j: int, best: str) -> str:
    if not best:
        return "the network without its units gives no finite numbers"
    better = at(result, "verdict", best)[t, j] == 1
    said = "holds better than random orders" if better else "is not told apart from random orders"
    at_start = ", which is no claim before training" if better and result.shown[t] == 0 else ""
    return (
        f"{WORDS[best]} {said}{at_start}: {at(result, 'spared', best)[t, j]:.0f} of {looked_at(result, j)} units go "
        f"before {what_is_lost(result)}, {result.random_spared[t, j]:.0f} at random"
    )


ANALYSIS = Analysis(
    title="Pruning curves",
    compute=compute,
    charts=charts,
    findings=findings,
    when="asked",
    needs=frozenset({"layers", "evaluate"}),
    reading=(
        "Units go one by one, without retraining, and the network is scored after each (Morcos et al. 2018). Greedy "
        "orders take the unit whose absence lowers the frame potential (Benedetto & Fickus 2003), the mean |cosine| or "
        "the un-normalised frame potential most, or least, with shares kept up to date. An order is better or worse "
        "than random where its area lies outside of the prediction interval of random orders (Hahn & Meeker 1991), "
        "with chances corrected for the number of orders (Holm 1979). A verdict holds for one layer; that of another "
        "may be the opposite."
    ),
)
