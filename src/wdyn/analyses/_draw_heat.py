"""Draw a heat map into matplotlib axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import HeatMap
from wdyn.analyses._drawn_text import plain, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_heat_map(chart: HeatMap, ax: Axes, at: int) -> None:
    """Kinds in colours of their own, everything else on a scale; `at` is of no use here."""
    from wdyn.analyses._draw import NAMED, name_ticks

    if chart.categorical:
        _kinds(chart, ax)
    else:
        _graded(chart, ax)
    if chart.columns is not None:
        name_ticks(ax, [str(name) for name in chart.columns])
    else:
        columns = np.unique(np.linspace(0, len(chart.x) - 1, 5).round().astype(int))
        ax.set_xticks(columns, [str(chart.x[i]) for i in columns])
    rows = np.unique(np.linspace(0, len(chart.rows) - 1, 6 if chart.columns is None else NAMED).round().astype(int))
    ax.set_yticks(rows, [wrapped(chart.rows[i], 24) for i in rows])
    spaced = " (shown steps, evenly spaced)" if chart.columns is None else ""
    ax.set(xlabel=plain(chart.x_label) + spaced, ylabel=wrapped(chart.row_label, 36))


def _kinds(chart: HeatMap, ax: Axes) -> None:
    """A colour for each kind; after the last colour the first comes again."""
    from matplotlib.colors import ListedColormap

    from wdyn.analyses._draw import COLOURS

    shown = np.ma.masked_invalid(chart.values) % len(COLOURS)
    colours = ListedColormap(COLOURS)
    ax.imshow(shown, aspect="auto", interpolation="nearest", vmin=-0.5, vmax=len(COLOURS) - 0.5, cmap=colours)


def _graded(chart: HeatMap, ax: Axes) -> None:
    from wdyn.analyses._draw import NAMED

    shown = chart.coloured
    finite = np.abs(shown[np.isfinite(shown)])
    limit = finite.max(initial=0.0) or 1.0
    low = -limit if chart.is_diverging else finite.min(initial=limit)
    image = ax.imshow(
        np.ma.masked_invalid(shown), aspect="auto", interpolation="nearest", vmin=low, vmax=limit,
        cmap="RdBu_r" if chart.is_diverging else "viridis",
    )  # fmt: skip
    ax.figure.colorbar(image, ax=ax, label=wrapped(chart.colour_label, 32))
    if chart.columns is not None and max(chart.values.shape, default=0) <= NAMED:
        _cell_numbers(chart, ax, limit)


def _cell_numbers(chart: HeatMap, ax: Axes, limit: float) -> None:
    """The values themselves, where cells are few enough to hold them."""
    for (row, column), shown in np.ndenumerate(chart.coloured):
        if np.isfinite(shown):
            light = abs(shown) > 0.6 * limit if chart.is_diverging else shown < 0.5 * limit
            text = f"{chart.values[row, column]:.3g}"
            ax.text(column, row, text, ha="center", va="center", fontsize=6, color="white" if light else "black")
