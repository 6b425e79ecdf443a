"""Curves through time → matplotlib: some of the steps in one picture, from dark to light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdyn.analyses._charts import CurvesThroughTime
from wdyn.analyses._drawn_text import plain, short, wrapped
from wdyn.analyses._groups import spaced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES = 4  # steps in one picture


def draw_curves(chart: CurvesThroughTime, ax: Axes, at: int) -> None:
    """The first step, the one at `at` and some between, and what chance gives at the latter."""
    from matplotlib import colormaps

    last = range(len(chart.steps))[at]
    marker = "o" if len(chart.x) == 1 else ""
    shown = spaced(last + 1, CURVES)
    for place, t in enumerate(shown):
        colour = colormaps["viridis"](0.85 * place / max(len(shown) - 1, 1))
        label = f"step {chart.steps[t]}"
        ax.plot(chart.x, chart.values[t], color=colour, label=label, linewidth=1.2, marker=marker, markersize=3)
    label = short(chart.expected_label)
    ax.plot(chart.x, chart.expected[last], color="black", linestyle="--", linewidth=0.8, label=label, marker=marker)
    ax.set(xlabel=plain(chart.x_label), ylabel=wrapped(chart.y_label, 36))
    ax.legend(frameon=False)
