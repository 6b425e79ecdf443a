"""What `pruning_curves` draws."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Array, Lines, Table
from wdyn.analyses._orders import ORDERS, WORDS

if TYPE_CHECKING:
    from wdyn.analyses.pruning_curves import PruningCurves

SAID = {1.0: "better than random", -1.0: "worse than random", 0.0: "not told apart"}
RANDOM = "random"


def at(result: PruningCurves, field: str, order: str) -> Array:
    """One field of one order."""
    values: Array = getattr(result, field)[f"{field}_{order}"]
    return values


def summary(result: PruningCurves) -> Table:
    """The best order of each place at each step."""
    columns: dict[str, list[Any]] = {
        "layer": [], "step": [], "units": [], "best order": [], "verdict": [], "area": [], "random area": [],
        f"units that go before {what_is_lost(result)}": [], "random, median": [],
    }  # fmt: skip
    for j, layer in enumerate(result.layers):
        for t, step in enumerate(result.shown.tolist()):
            best = best_order(result, t, j)
            values = [
                layer, step, looked_at(result, j), WORDS[best] if best else "", _verdict(result, best, t, j),
                _number(result, "area", best, t, j), float(result.random_area[t, j]),
                _number(result, "spared", best, t, j), float(result.random_spared[t, j]),
            ]  # fmt: skip
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    return Table(title=f"The best order of each layer, by the area under its curve of the {judged(result)}",
                 columns=columns)  # fmt: skip


def left_out(result: PruningCurves) -> list[Table]:
    """Places that are not looked at, if there are any."""
    if not result.left_out:
        return []
    columns = {"layer": list(result.left_out), "left out": list(result.left_out.values())}
    return [Table(title="Layers whose units are not looked at", columns=columns)]


def of_place(result: PruningCurves, j: int) -> Iterator[Lines | Table]:
    """Curves of one place at each step, and a table of its orders at the last."""
    layer = result.layers[j]
    known = layer if layer in result.recorded else None
    ending = "" if known else f": {layer}"
    curve = "score" if result.score_name else "loss"
    largest_first = [name for name in ORDERS if name.startswith("max_")]  # more curves in one chart are not told apart
    for (t, step), names in product(
        enumerate(result.shown.tolist()), (set(ORDERS) - set(largest_first), largest_first)
    ):
        keep = np.isfinite(result.removed[j])
        y = {WORDS[name]: at(result, curve, name)[t, j, keep] for name in ORDERS
             if name in names and np.isfinite(at(result, curve, name)[t, j]).any()}  # fmt: skip
        which = "largest" if names is largest_first else "smallest"
        y[RANDOM] = getattr(result, f"random_{curve}")[t, j, keep]
        band = tuple(getattr(result, f"random_{curve}_{end}")[t, j, keep] for end in ("low", "high"))
        intact = float((result.intact_score if result.score_name else result.intact_loss)[t])
        yield Lines(
            title=f"{judged(result).capitalize()} while units go, {which} first, step {step}{ending}", layer=known,
            x=result.removed[j, keep], y=y, bands={RANDOM: (band[0], band[1])}, reference={"intact": intact},
            x_label="units gone", y_label=judged(result),
            band_label=f"lowest to highest of {result.random_orders} random orders",
        )  # fmt: skip
    yield _orders(result, j, known, ending)


def _orders(result: PruningCurves, j: int, known: str | None, ending: str) -> Table:
    names = [name for name in ORDERS if np.isfinite(at(result, "area", name)[-1, j])]
    columns: dict[str, Any] = {"order": [WORDS[name] for name in names]}
    columns["verdict"] = [_verdict(result, name, -1, j) for name in names]
    for heading, field in {
        "area": "area", "standard error, at most": "area_error", "chance": "chance", "chance, corrected": "corrected",
        f"units that go before {what_is_lost(result)}": "spared",
    }.items():  # fmt: skip
        columns[heading] = [_number(result, field, name, -1, j) for name in names]
    between = f"{result.random_area_low[-1, j]:.4g} to {result.random_area_high[-1, j]:.4g}"
    title = f"Orders at step {result.shown[-1]}; 99 % of random orders have an area from {between}{ending}"
    return Table(title=title, columns=columns, layer=known)


def best_order(result: PruningCurves, t: int, j: int) -> str:
    """The order with the best area, the first of equals; empty where no area is known."""
    areas = np.array([at(result, "area", name)[t, j] for name in ORDERS])
    if not np.isfinite(areas).any():
        return ""
    return ORDERS[int(np.nanargmax(areas) if result.score_name else np.nanargmin(areas))]


def judged(result: PruningCurves) -> str:
    """The name of what curves are judged by."""
    return result.score_name or "loss"


def what_is_lost(result: PruningCurves) -> str:
    """What may be lost at most, in words."""
    return "0.01 of accuracy is lost" if result.score_name == "accuracy" else "1 % of the loss of all is lost"


def looked_at(result: PruningCurves, j: int) -> str:
    """How many units go, of how many."""
    count, of = int(np.nanmax(result.removed[j])), int(result.units[j])
    return str(of) if count == of else f"{count} of {of} evenly spaced units"


def _verdict(result: PruningCurves, name: str, t: int, j: int) -> str:
    return SAID.get(_number(result, "verdict", name, t, j), "not known")


def _number(result: PruningCurves, field: str, name: str, t: int, j: int) -> float:
    return float(at(result, field, name)[t, j]) if name else np.nan
