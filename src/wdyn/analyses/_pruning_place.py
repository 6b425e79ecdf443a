"""The curves of one place, or of all places together, at one step; the work behind `pruning_curves`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._curves import Units, area, curves, spared, verdicts
from wdyn.analyses._orders import ORDERS

CURVES = ("score", "loss")
OF_ORDERS = ("score", "loss", "area", "area_error", "chance", "corrected", "verdict", "spared")
OF_RANDOM = ("random_area", "random_area_low", "random_area_high", "random_spared")


class Target(NamedTuple):
    """Units that go one by one.

    Attributes:
        units: the units.
        orders: name of an order to (n,) positions.
        random: (R, n), random orders.
        points: (P,) numbers of units gone.
        score_name: as of the evaluator.
        examples: as of the evaluator.
    """

    units: Units
    orders: Mapping[str, Array]
    random: Array
    points: Array
    score_name: str
    examples: int


def measure(target: Target, told: Callable[[int], None]) -> dict[str, Any]:
    """Every number of one place at one step.

    Args:
        target: what goes.
        told: told the number of variants done.

    Returns:
        Fields of `PruningCurves` without the step and the place: those of `OF_ORDERS` by order, NaN for an order that
        the place does not have.
    """
    names = [name for name in ORDERS if name in target.orders]
    orders = np.concatenate([np.stack([target.orders[name] for name in names]), target.random])
    found = curves(target.units, orders, target.points, told)
    judged = found.score if target.score_name else found.loss
    areas, known = area(judged, target.points), len(names)
    against = verdicts(areas[:known], areas[known:], larger_is_better=bool(target.score_name))
    accuracy = target.score_name == "accuracy"
    left = spared(target.units, orders, target.points, found, accuracy=accuracy, told=told)
    errors = _point_errors(target, judged, found.error)
    of_orders = {
        "score": found.score[:known], "loss": found.loss[:known], "area": areas[:known],
        "area_error": area(errors[:known], target.points), "chance": against.chance, "corrected": against.corrected,
        "verdict": against.verdict, "spared": left[:known],
    }  # fmt: skip
    numbers: dict[str, Any] = {
        field: {name: values[names.index(name)] if name in names else np.full_like(values[0], np.nan)
                for name in ORDERS}
        for field, values in of_orders.items()
    }  # fmt: skip
    for curve in CURVES:
        drawn = getattr(found, curve)[known:]
        numbers |= {
            f"random_{curve}": drawn.mean(axis=0), f"random_{curve}_low": drawn.min(axis=0),
            f"random_{curve}_high": drawn.max(axis=0),
        }  # fmt: skip
    return numbers | {
        "random_area": against.mean, "random_area_low": against.low, "random_area_high": against.high,
        "random_spared": float(np.median(left[known:])),
    }  # fmt: skip


def _point_errors(target: Target, judged: Array, loss_error: Array) -> Array:
    """(O, P) standard error over the examples of each point; NaN for the user's own metric."""
    if not target.score_name:
        return loss_error
    if target.score_name != "accuracy":
        return np.full(judged.shape, np.nan)
    return np.asarray(np.sqrt(np.clip(judged * (1 - judged), 0.0, None) / target.examples))
