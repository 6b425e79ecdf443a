"""Single neurons through time: at how many steps to keep them, and the heat map that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from wdyn.analyses._charts import HeatMap
from wdyn.analyses._neurons import Array, shown_steps

if TYPE_CHECKING:
    from wdyn.store.run import Run

SHOWN = 200
SHOWN_NUMBERS = 2**19  # neurons times shown steps, so that a wide network keeps fewer steps instead of filling memory
HEAT_ROWS = 256
HEAT_CELLS = 2**20  # all heat maps of an analysis together


class Shown(Protocol):
    """The part of a result that the maps need."""

    @property
    def layers(self) -> tuple[str, ...]:
        """L names."""

    @property
    def shown(self) -> Array:
        """(T,) steps."""


def shown_positions(run: Run) -> Array:
    """Positions of the steps at which single neurons are kept: at most 200, fewer for wide networks, at least 2."""
    neurons = sum(layer.rows for layer in run.layers.values())
    return shown_steps(run.steps, int(np.clip(SHOWN_NUMBERS // max(neurons, 1), 2, SHOWN)))


def neuron_map(result: Shown, layer: str, values: Array, *, label: str, diverging: bool = False) -> HeatMap:
    """A heat map of one layer, largest value at the last step first.

    Args:
        result: the result that the values belong to.
        layer: name of the layer.
        values: (T, N), one per shown step and neuron.
        label: what the values are, with unit.
        diverging: colour centred on zero.

    Returns:
        The map; where there are many neurons, of evenly spaced ranks.
    """
    at_most = int(np.clip(HEAT_CELLS // (len(result.shown) * len(result.layers)), 16, HEAT_ROWS))
    order = np.argsort(-values[-1], kind="stable")  # NaN comes last
    if values.shape[1] > at_most:
        order = order[np.linspace(0, values.shape[1] - 1, at_most).round().astype(np.int64)]
    which = f"{len(order)} of {values.shape[1]} neurons" if len(order) < values.shape[1] else "all neurons"
    return HeatMap(
        title=f"{label[0].upper()}{label[1:]} of {which}, largest at the end first",
        x=result.shown, values=values[:, order].T, rows=order.tolist(), layer=layer,
        x_label="optimizer step", row_label="neuron", value_label=label, diverging=diverging,
    )  # fmt: skip
