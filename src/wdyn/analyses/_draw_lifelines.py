"""Draw groups through time as bands and bridges into matplotlib axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Lifelines

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_lifelines(chart: Lifelines, ax: Axes, at: int) -> None:
    """One band per group, its number at its beginning; `at` is of no use here."""
    from wdyn.analyses._draw import COLOURS

    middles, columns = chart.middles, np.arange(len(chart.steps))
    for k, group in enumerate(chart.groups):
        colour, half = COLOURS[int(group) % len(COLOURS)], chart.sizes[:, k] / 2.0
        shown = _whole(half > 0)
        low, high = middles[k] - half, middles[k] + half
        ax.fill_between(columns, low, high, where=shown, color=colour, alpha=0.8, linewidth=0)
        for first in np.flatnonzero((half > 0) & ~np.r_[False, half[:-1] > 0]):
            ax.vlines(first, low[first], high[first], color=colour, linewidth=1.5)
        start = int(np.argmax(half > 0))
        ax.text(start - 0.2, middles[k], str(group), ha="right", va="center", fontsize=6)
    for each in chart.bridges:
        wide = each.neurons / 2.0
        ends = middles[[each.before, each.after]]
        colour = COLOURS[int(chart.groups[each.before]) % len(COLOURS)]
        ax.fill_between([each.at - 1, each.at], ends - wide, ends + wide, color=colour, alpha=0.3, linewidth=0)
    ticks = np.unique(np.linspace(0, len(columns) - 1, 5).round().astype(int))
    ax.set_xticks(ticks, [str(chart.steps[i]) for i in ticks])
    ax.set(xlabel="optimizer step (shown steps, evenly spaced)", ylabel="neurons in groups", yticks=[])
    ax.invert_yaxis()


def _whole(there: np.ndarray) -> np.ndarray:
    """Steps where the group is; a band that ends tapers to nothing at the next step, so it is included."""
    return np.asarray(there | np.r_[False, there[:-1]])
