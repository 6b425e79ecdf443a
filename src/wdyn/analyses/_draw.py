"""Draw one chart of the vocabulary into matplotlib axes; the page has its own drawing in the browser."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import (
    Bars,
    Chart,
    CurvesThroughTime,
    GraphThroughTime,
    HeatMap,
    ImagesThroughTime,
    Lifelines,
    Lines,
    MatrixThroughTime,
    PointsThroughTime,
    Table,
)
from wdyn.analyses._draw_curves import draw_curves
from wdyn.analyses._draw_heat import draw_heat_map
from wdyn.analyses._draw_lifelines import draw_lifelines
from wdyn.analyses._drawn_text import plain, short, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito (2008), safe for the common colour blindnesses, yellow left out as too light on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
NO_GROUP = "#9A9A9A"
DASHES = ("--", ":", "-.", (0, (8, 3)), (0, (1, 4)))
TABLE_ROWS = 12
NAMED = 12  # names along an axis at most, else every so many
LISTED = 8  # lines in a legend
DENSE = 200  # edges or trails, from which on they are pixels within a drawing: thousands of lines are slow to open
PAIRED = 36  # letters of the longest entry of a legend in two columns


def draw(chart: Chart, ax: Axes | None = None, *, at: int = -1, alone: bool = True) -> Axes:
    """Draw a chart.

    Args:
        chart: any chart of the vocabulary.
        ax: matplotlib axes; new ones of a figure of their own when omitted.
        at: for a chart through time, the position of the step to show; the last by default.
        alone: whether a matrix brings its own colour bar; panels of one figure share one.

    Returns:
        The axes drawn into.
    """
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(layout="constrained").add_subplot()
    ax.set_title(wrapped(title_of(chart), 52))
    _DRAWING[type(chart)](chart, ax, at)
    if alone and isinstance(chart, MatrixThroughTime):
        ax.figure.colorbar(ax.images[0], ax=ax, label=wrapped(chart.value_label, 32))
    return ax


def png(chart: Chart) -> bytes:
    """A chart as a picture of 6 by 4 inches; the same bytes each time."""
    from matplotlib.figure import Figure

    figure, file = Figure(figsize=(6, 4), layout="constrained"), io.BytesIO()
    draw(chart, figure.add_subplot())
    figure.savefig(file, format="png", dpi=110, metadata={"Software": "wdyn"})
    return file.getvalue()


def title_of(chart: Chart) -> str:
    """The chart's title, with its layer where it belongs to one."""
    return chart.title if chart.layer is None else f"{chart.title}: {chart.layer}"


def colours(count: int) -> list[str]:
    """A colour for each of `count` series: distinct ones, or shades of one scale where there are more than seven."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](0.9 * i / (count - 1))) for i in range(count)]


def _lines(chart: Lines, ax: Axes, at: int) -> None:
    x = log_positions(chart.x) if chart.x_scale == "log" else chart.x
    marker = "o" if len(x) == 1 else ""  # a single step would be an invisible line
    for colour, (label, values) in zip(colours(len(chart.y)), chart.y.items(), strict=True):
        ax.plot(x, values, color=colour, label=short(label), marker=marker, markersize=3, linewidth=1.2)
        if label in chart.bands:
            _band(ax, x, chart.bands[label], colour)
    for label, band in chart.bands.items():
        if label not in chart.y:
            _band(ax, x, band, NO_GROUP)
    for dashes, (label, value) in zip(cycle(DASHES), chart.reference.items(), strict=False):
        level = np.broadcast_to(value, x.shape)
        ax.plot(x, level, color="black", linestyle=dashes, linewidth=0.8, label=short(label), marker=marker)
    ax.set(xlabel=plain(chart.x_label), ylabel=wrapped(chart.y_label, 36))
    ax.set(xscale=chart.x_scale, yscale=chart.y_scale)
    if len(chart.y) + len(chart.reference) + len(chart.bands) > 1:
        _legend(ax, series=len(chart.y), band_label=chart.band_label if chart.bands else None)


def _band(ax: Axes, x: np.ndarray, band: tuple[np.ndarray, np.ndarray], colour: str) -> None:
    low, high = band
    if len(x) == 1:  # an area of no width would be invisible
        ax.vlines(x, low, high, color=colour, alpha=0.35, linewidth=6)
    else:
        ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)


def _legend(ax: Axes, *, series: int, band_label: str | None = None, room: float = 5) -> None:
    """Below the axes, where it covers no line; of many series, which are shaded in order, some."""
    from matplotlib.patches import Patch

    entries = ax.get_legend_handles_labels()[0]
    if series > LISTED:
        some = np.unique(np.linspace(0, series - 1, LISTED - 2).round().astype(int))
        rest = Patch(color="none", label=f"and {series - len(some)} between, shaded in order")
        entries = [*(entries[i] for i in some), rest, *entries[series:]]
    if band_label is not None:
        entries.append(Patch(color=NO_GROUP, alpha=0.4, linewidth=0, label=plain(band_label)))
    longest = max((len(str(each.get_label())) for each in entries), default=0)
    ax.legend(
        handles=entries, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=room,
        ncols=2 if len(entries) > 1 and longest <= PAIRED else 1, frameon=False, fontsize=6, handlelength=2.6,
    )  # fmt: skip


def _bars(chart: Bars, ax: Axes, at: int) -> None:
    width, place, shades = 0.8 / len(chart.y), np.arange(len(chart.categories)), colours(len(chart.y))
    for i, (label, values) in enumerate(chart.y.items()):
        ax.bar(place + (i - (len(chart.y) - 1) / 2) * width, values, width, color=shades[i], label=short(label))
    turned = name_ticks(ax, [str(category) for category in chart.categories])
    ax.set(xlabel=plain(chart.x_label), ylabel=wrapped(chart.y_label, 36))
    if len(chart.y) > 1:
        _legend(ax, series=len(chart.y), room=14 if turned else 5)


def name_ticks(ax: Axes, names: list[str]) -> bool:
    """Names along the x axis, all of a few, else five of them; whether they had to be turned."""
    at = np.arange(len(names)) if len(names) <= NAMED else np.linspace(0, len(names) - 1, 5).round().astype(int)
    turned = len(at) * max((len(names[i]) for i in at), default=0) > 4 * NAMED
    labels = [short(names[i], 20) if turned else plain(names[i]) for i in at]
    ax.set_xticks(at, labels, rotation=45 if turned else 0, ha="right" if turned else "center", rotation_mode="anchor")
    return turned


def _matrix(chart: MatrixThroughTime, ax: Axes, at: int) -> None:
    ax.imshow(chart.values[at], vmin=chart.low, vmax=chart.high, cmap="RdBu_r", interpolation="nearest")
    ax.set_title(f"{ax.get_title()}, step {chart.steps[at]}")
    ax.set(xticks=[], yticks=[], xlabel="neurons in cluster order")


def _points(chart: PointsThroughTime, ax: Axes, at: int) -> None:
    from matplotlib.collections import LineCollection

    last = range(len(chart.steps))[at]
    colour = [_group_colour(group) for group in chart.groups]
    trails = np.swapaxes(chart.xy[: last + 1], 0, 1)
    ax.add_collection(
        LineCollection(
            list(trails), colors=colour, alpha=0.25, linewidths=0.5, zorder=1, rasterized=len(trails) > DENSE
        )
    )
    size = 12.0 if chart.size is None else 4 + 20 * _share(chart.size[last], chart.size)
    across, up = chart.xy[last].T
    ax.scatter(across, up, s=size, c=colour, linewidths=0, zorder=2)
    ax.set_title(f"{ax.get_title()}, step {chart.steps[last]}")
    ax.set(xticks=[], yticks=[], xlabel=f"colour: {plain(chart.group_label)}")
    ax.set_aspect("equal", adjustable="datalim")


def _graph(chart: GraphThroughTime, ax: Axes, at: int) -> None:
    from matplotlib.collections import LineCollection

    last = range(len(chart.steps))[at]
    edges = chart.edges[last]
    strength = np.clip((edges.weight - chart.lowest) / (1.0 - chart.lowest), 0.0, 1.0)
    order = np.argsort(strength, kind="stable")  # the strongest on top
    lines = np.stack([chart.xy[edges.i], chart.xy[edges.j]], axis=1)[order]
    shades = np.column_stack([np.zeros((len(order), 3)), 0.05 + 0.6 * strength[order]])
    ax.add_collection(
        LineCollection(
            list(lines), colors=shades, linewidths=0.4 + strength[order], zorder=1, rasterized=len(lines) > DENSE
        )
    )
    size = (1.5 + 6 * _share(chart.radius[last], chart.radius)) ** 2  # in matplotlib an area
    live = np.isfinite(chart.radius[last]) & (chart.radius[last] > 0)
    colour = np.array([_group_colour(group) for group in chart.groups])
    across, up = chart.xy[live].T
    ax.scatter(across, up, s=size[live], c=colour[live].tolist(), linewidths=0, zorder=2)
    ax.set_title(f"{ax.get_title()}, step {chart.steps[last]}")
    ax.set(xticks=[], yticks=[], xlabel=f"colour: {plain(chart.group_label)}")
    ax.set_aspect("equal", adjustable="datalim")


def _images(chart: ImagesThroughTime, ax: Axes, at: int) -> None:
    """A contact sheet, rows of neurons in order, about one and a half times as wide as high."""
    step, (count, tiles, height, width) = range(len(chart.steps))[at], chart.images.shape[1:]
    across = max(1, min(count, round(np.sqrt(1.5 * count * (height + 1) / (tiles * width + 1)))))
    down = -(-count // across)
    sheet = np.full((down * across, height + 1, tiles * width + 1), np.nan)
    sheet[:count, :height, : tiles * width] = np.moveaxis(chart.images[step], 1, 2).reshape(count, height, -1)
    whole = sheet.reshape(down, across, height + 1, -1).swapaxes(1, 2).reshape(down * (height + 1), -1)[:-1, :-1]
    limit = chart.limit or 1.0
    image = ax.imshow(np.ma.masked_invalid(whole), vmin=-limit, vmax=limit, cmap="RdBu_r", interpolation="nearest")
    ax.set(xticks=[], yticks=[], xlabel=f"step {chart.steps[step]}")
    ax.figure.colorbar(image, ax=ax, label=wrapped(chart.value_label, 32), shrink=0.7)


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
    """A table cell: numbers to four significant digits, a dash for none, everything else as it is."""
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return "–"
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
    HeatMap: draw_heat_map,
    MatrixThroughTime: _matrix,
    PointsThroughTime: _points,
    GraphThroughTime: _graph,
    ImagesThroughTime: _images,
    CurvesThroughTime: draw_curves,
    Lifelines: draw_lifelines,
    Table: _table,
}
