"""Draw one chart of the vocabulary into matplotlib axes; the page has its own drawing in the browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Bars, Chart, HeatMap, Lines, MatrixThroughTime, PointsThroughTime, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito (2008), safe for the common colour blindnesses, yellow left out as too light on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
NO_GROUP = "#9A9A9A"
TABLE_ROWS = 12


def draw(chart: Chart, ax: Axes | None = None, *, at: int = -1) -> Axes:
    """Draw a chart.

    Args:
        chart: any chart of the vocabulary.
        ax: matplotlib axes; new ones of a figure of their own when omitted.
        at: for a chart through time, the position of the step to show; the last by default.

    Returns:
        The axes drawn into.
    """
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(layout="constrained").add_subplot()
    ax.set_title(chart.title if chart.layer is None else f"{chart.title}: {plain(chart.layer)}")
    _DRAWING[type(chart)](chart, ax, at)
    return ax


def plain(text: object) -> str:
    """The text with the signs that matplotlib would read as mathematics made literal."""
    return str(text).replace("$", r"\$")


def colours(count: int) -> list[str]:
    """A colour for each of `count` series, repeating after seven."""
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _lines(chart: Lines, ax: Axes, at: int) -> None:
    x = log_positions(chart.x) if chart.x_scale == "log" else chart.x
    marker = "o" if len(x) == 1 else ""  # a single step would be an invisible line
    for colour, (label, values) in zip(colours(len(chart.y)), chart.y.items(), strict=True):
        ax.plot(x, values, color=colour, label=plain(label), marker=marker, linewidth=1.2)
        if label in chart.bands:
            ax.fill_between(x, *chart.bands[label], color=colour, alpha=0.18, linewidth=0)
    for label, (low, high) in chart.bands.items():
        if label not in chart.y:
            ax.fill_between(x, low, high, color=NO_GROUP, alpha=0.3, linewidth=0, label=plain(label))
    for label, value in chart.reference.items():
        ax.plot(x, np.broadcast_to(value, x.shape), color="black", linestyle="--", linewidth=0.8, label=plain(label))
    ax.set(xlabel=plain(chart.x_label), ylabel=plain(chart.y_label), xscale=chart.x_scale, yscale=chart.y_scale)
    if len(chart.y) + len(chart.reference) + len(chart.bands) > 1:
        ax.legend(frameon=False, fontsize="small")


def _bars(chart: Bars, ax: Axes, at: int) -> None:
    width, place = 0.8 / len(chart.y), np.arange(len(chart.categories))
    for i, (label, values) in enumerate(chart.y.items()):
        ax.bar(place + (i - (len(chart.y) - 1) / 2) * width, values, width, color=colours(i + 1)[i], label=plain(label))
    ax.set_xticks(place, [plain(category) for category in chart.categories])
    ax.set(xlabel=plain(chart.x_label), ylabel=plain(chart.y_label))
    if len(chart.y) > 1:
        ax.legend(frameon=False, fontsize="small")


def _heat_map(chart: HeatMap, ax: Axes, at: int) -> None:
    finite = np.abs(chart.values[np.isfinite(chart.values)])
    limit = finite.max(initial=0.0) or 1.0
    low = -limit if chart.diverging else min(0.0, np.nanmin(chart.values, initial=0.0))
    image = ax.imshow(
        np.ma.masked_invalid(chart.values), aspect="auto", interpolation="nearest", vmin=low, vmax=limit,
        cmap="RdBu_r" if chart.diverging else "viridis",
    )  # fmt: skip
    columns = np.unique(np.linspace(0, len(chart.x) - 1, 5).round().astype(int))
    ax.set_xticks(columns, [str(chart.x[i]) for i in columns])
    ax.set(xlabel=plain(chart.x_label), ylabel=plain(chart.row_label))
    ax.figure.colorbar(image, ax=ax, label=plain(chart.value_label))


def _matrix(chart: MatrixThroughTime, ax: Axes, at: int) -> None:
    image = ax.imshow(chart.values[at], vmin=chart.low, vmax=chart.high, cmap="RdBu_r", interpolation="nearest")
    ax.set_title(f"{ax.get_title()}, step {chart.steps[at]}")
    ax.set(xticks=[], yticks=[], xlabel="neurons in cluster order")
    ax.figure.colorbar(image, ax=ax, label=plain(chart.value_label))


def _points(chart: PointsThroughTime, ax: Axes, at: int) -> None:
    last = range(len(chart.steps))[at]
    for neuron, group in enumerate(chart.groups):
        ax.plot(*chart.xy[: last + 1, neuron].T, color=_group_colour(group), alpha=0.25, linewidth=0.5, zorder=1)
    size = 12.0 if chart.size is None else 4 + 20 * _share(chart.size[last], chart.size)
    across, up = chart.xy[last].T
    ax.scatter(across, up, s=size, c=[_group_colour(g) for g in chart.groups], linewidths=0, zorder=2)
    ax.set_title(f"{ax.get_title()}, step {chart.steps[last]}")
    ax.set(xticks=[], yticks=[], xlabel=f"colour: {plain(chart.group_label)}")
    ax.set_aspect("equal", adjustable="datalim")


def _table(chart: Table, ax: Axes, at: int) -> None:
    ax.axis("off")
    rows = list(zip(*chart.columns.values(), strict=True))[:TABLE_ROWS]
    text = [[plain(cell_text(cell)) for cell in row] for row in rows] or [[""] * len(chart.columns)]
    table = ax.table(text, colLabels=[plain(heading) for heading in chart.columns], loc="center", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(7)


def log_positions(x: np.ndarray) -> np.ndarray:
    """Positions for a log axis, with step 0 at half of the first positive step."""
    positive = x[x > 0]
    return np.where(x > 0, x, positive.min() / 2 if positive.size else 1.0).astype(float)


def cell_text(value: object) -> str:
    """A table cell: numbers to four significant digits, everything else as it is."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)


def _share(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    top = np.nanmax(of, initial=0.0)
    return np.nan_to_num(values / top) if top > 0 else np.zeros_like(values)


def _group_colour(group: int) -> str:
    return NO_GROUP if group < 0 else COLOURS[int(group) % len(COLOURS)]


_DRAWING: dict[type, Callable[[Any, Axes, int], None]] = {
    Lines: _lines,
    Bars: _bars,
    HeatMap: _heat_map,
    MatrixThroughTime: _matrix,
    PointsThroughTime: _points,
    Table: _table,
}
