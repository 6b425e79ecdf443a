"""A small still picture of a chart, as SVG, for readers without scripts.

Colours are the page's own, so it follows light and dark. Every name is clipped and escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
)
from wdyn.analyses._groups import spaced
from wdyn.report.static_marks import (
    GROUPS,
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    across_of,
    axis_frame,
    axis_labels,
    colour_of,
    digit,
    end_numbers,
    extent_of,
    image_of,
    legend_of,
    path_of,
    scaled,
    strokes_of,
    upward,
    word_at,
    xml_text,
)
from wdyn.report.static_pixels import Array, pixels, sheet
from wdyn.report.words import clip, number

DRAWN_LINES, DRAWN_PLACES = 8, 60
DRAWN_DOTS, DRAWN_EDGES = 256, 150
DRAWN_BARS, DRAWN_TIMES = 12, 24


def first_picture(charts: Sequence[Chart]) -> tuple[int, str]:
    """Place of the first chart that can be drawn, and its picture; (-1, "") where there is none.

    Args:
        charts: of one section.
    """
    drawn = ((at, static_picture(chart)) for at, chart in enumerate(charts))
    return next(((at, svg) for at, svg in drawn if svg), (-1, ""))


def static_picture(chart: Chart) -> str:
    """SVG of at most 10 KB; charts through time are drawn at their last step. Empty where nothing can be drawn.

    Args:
        chart: any of the vocabulary; a table is none to draw.
    """
    draw = _DRAWN.get(type(chart))
    body = draw(chart) if draw else ""
    if not body:
        return ""
    of = "" if chart.layer is None else f" · {xml_text(chart.layer, 40)}"
    name = xml_text(chart.title, 80) + of
    return f'<svg class="still" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{name}</title>{body}</svg>'


def _lines(chart: Lines) -> str:
    labels = list(chart.y)[:DRAWN_LINES]
    x = scaled(np.asarray(chart.x, dtype=np.float64), chart.x_scale)
    whole = [scaled(np.asarray(chart.y[label], dtype=np.float64), chart.y_scale) for label in labels]
    at = [_places(values) for values in whole]
    y = [values[k] for values, k in zip(whole, at, strict=True)]
    flat = [scaled(np.array([value]), chart.y_scale)[0] for value in chart.reference.values() if not np.ndim(value)]
    limits = extent_of([*y, np.array(flat[:4])])
    if limits is None or not len(x):
        return ""
    across = across_of(x, x[0], x[-1])
    dashed = "".join(
        path_of(
            [f"M{LEFT} {digit(upward(value, *limits))}H{WIDTH - RIGHT}"], "stroke:var(--muted);stroke-dasharray:5 4"
        )
        for value in flat[:4]
        if np.isfinite(value)
    )
    drawn = [
        path_of(strokes_of(across[at[k]], upward(values, *limits)), f"stroke:{colour_of(k)};stroke-width:1.8")
        for k, values in enumerate(y)
    ]
    low, high = (10.0**limit if chart.y_scale == "log" else limit for limit in limits)
    words = end_numbers(chart.x[0], chart.x[-1], low, high) + axis_labels(chart.x_label, chart.y_label)
    return axis_frame() + dashed + "".join(drawn) + words + legend_of(labels)


def _places(values: Array) -> Array:
    """Places of a line to draw; of one with few values those that it has."""
    there = np.flatnonzero(np.isfinite(values))
    there = there if 2 * len(there) < len(values) else np.arange(len(values))
    return there[spaced(len(there), DRAWN_PLACES)]


def _curves(chart: CurvesThroughTime) -> str:
    if not len(chart.steps):
        return ""
    title, both = chart.y_label, {"values": chart.values[-1], chart.expected_label: chart.expected[-1]}
    return _lines(Lines(title, chart.x, both, chart.x_label, f"{title}, step {number(int(chart.steps[-1]))}"))


def _bars(chart: Bars) -> str:
    labels, names = list(chart.y)[:4], [str(name) for name in chart.categories[:DRAWN_BARS]]
    values = [np.asarray(chart.y[label], dtype=np.float64)[:DRAWN_BARS] for label in labels]
    limits = extent_of([*values, np.zeros(1)])
    if limits is None or not names:
        return ""
    slot = (WIDTH - LEFT - RIGHT) / len(names)
    wide, zero, drawn = 0.8 * slot / len(labels), upward(0.0, *limits), []
    for k, series in enumerate(values):
        for c, top in enumerate(upward(series, *limits)):
            if np.isfinite(top):
                place = f'x="{digit(LEFT + slot * (c + 0.1) + wide * k)}" y="{digit(min(top, zero))}"'
                size = f'width="{digit(wide)}" height="{digit(abs(top - zero))}"'
                drawn.append(f'<rect {place} {size} style="fill:{colour_of(k)}"/>')
    letters = max(int(slot / 6.5), 2)
    under = [word_at(clip(name, letters), LEFT + slot * (c + 0.5), HEIGHT - 21) for c, name in enumerate(names)]
    words = end_numbers(None, None, *limits) + axis_labels(chart.x_label, chart.y_label)
    return axis_frame() + "".join(drawn + under) + words + legend_of(labels)


def _heat_map(chart: HeatMap) -> str:
    values = np.asarray(chart.coloured)
    values = values[spaced(len(values), 64)][:, spaced(values.shape[1], 96)]
    found = extent_of([values])
    if found is None:
        return ""
    ends = (-max(map(abs, found)), max(map(abs, found))) if chart.is_diverging else found
    image = pixels(values, *ends, scale="diverging" if chart.is_diverging else "sequential")
    first, last = (chart.x[0], chart.x[-1]) if chart.columns is None else (None, None)
    if chart.categorical:
        image, ends = pixels(np.where(np.isnan(values), np.nan, values % GROUPS), 0, GROUPS - 1, scale="kinds"), found
    meaning = f"{clip(chart.colour_label, 44)}: {number(float(ends[0]))} to {number(float(ends[1]))}"
    return image_of(image, stretch=True) + end_numbers(first, last, None, None) + axis_labels(chart.x_label, meaning)


def _matrix(chart: MatrixThroughTime) -> str:
    if not len(chart.steps) or not len(chart.members):
        return ""
    at = spaced(len(chart.members), 72)
    image = pixels(np.asarray(chart.values)[-1][np.ix_(at, at)], chart.low, chart.high, scale="diverging")
    meaning = f"{clip(chart.value_label, 44)}: {number(float(chart.low))} to {number(float(chart.high))}"
    return image_of(image) + axis_labels(f"step {number(int(chart.steps[-1]))}", meaning)


def _images(chart: ImagesThroughTime) -> str:
    images = np.asarray(chart.images)
    if not images.size:
        return ""
    image = sheet(images[-1, :, 0], -chart.limit, chart.limit)
    meaning = f"{clip(chart.value_label, 44)}: {number(-float(chart.limit))} to {number(float(chart.limit))}"
    return image_of(image) + axis_labels(f"step {number(int(chart.steps[-1]))}", meaning)


def _points(chart: PointsThroughTime) -> str:
    if not len(chart.steps):
        return ""
    dots = _dots(np.asarray(chart.xy)[-1], np.asarray(chart.groups))
    words = axis_labels(f"step {number(int(chart.steps[-1]))}", f"colour: {chart.group_label}")
    return dots[1] + words if dots else ""


def _graph(chart: GraphThroughTime) -> str:
    dots = _dots(np.asarray(chart.xy), np.asarray(chart.groups)) if len(chart.steps) else None
    if not dots:
        return ""
    (x, y), drawn = dots
    edges = chart.edges[-1]
    order = np.argsort(-np.asarray(edges.weight), kind="stable")[:DRAWN_EDGES]
    ends = [(int(edges.i[k]), int(edges.j[k])) for k in order]
    lines = [
        f"M{digit(x[i])} {digit(y[i])}L{digit(x[j])} {digit(y[j])}"
        for i, j in ends
        if np.isfinite(x[[i, j]]).all() and np.isfinite(y[[i, j]]).all()
    ]
    words = axis_labels(f"step {number(int(chart.steps[-1]))}", f"the {len(lines)} strongest edges")
    return path_of(lines, "stroke:var(--none);stroke-width:.7") + drawn + words


def _lifelines(chart: Lifelines) -> str:
    sizes, middles = np.asarray(chart.sizes, dtype=np.float64), np.asarray(chart.middles)
    if not sizes.size:
        return ""
    at = spaced(len(sizes), DRAWN_TIMES)
    across, most = across_of(at.astype(float), 0, max(len(sizes) - 1, 1)), middles[-1] + sizes[:, -1].max() / 2 + 1
    bands = []
    for k, group in enumerate(chart.groups):
        low, high = (upward(most - middles[k] + side * sizes[at, k] / 2, 0, most) for side in (-1, 1))
        edge = [*zip(across, high, strict=True), *zip(across[::-1], low[::-1], strict=True)]
        outline = "L".join(f"{digit(a)} {digit(b)}" for a, b in edge)
        bands.append(f'<path d="M{outline}Z" style="fill:{colour_of(int(group))}"/>')
    words = end_numbers(chart.steps[0], chart.steps[-1], None, None)
    return axis_frame() + "".join(bands) + words + axis_labels("step", "neurons of each group")


def _dots(xy: Array, groups: Array) -> tuple[tuple[Array, Array], str] | None:
    """Places of all points in the picture, and the points, a path for each colour."""
    limits = extent_of([xy[:, 0]]), extent_of([xy[:, 1]]) if len(xy) else None
    if limits[0] is None or limits[1] is None:
        return None
    x, y = across_of(xy[:, 0], *limits[0]), upward(xy[:, 1], *limits[1])
    drawn, shown = [], spaced(len(xy), DRAWN_DOTS)
    for group in np.unique(groups):
        own = [i for i in shown if groups[i] == group and np.isfinite(x[i]) and np.isfinite(y[i])]
        style = f"stroke:{colour_of(int(group))};stroke-width:5;stroke-linecap:round"
        drawn.append(path_of([f"M{digit(x[i])} {digit(y[i])}h0" for i in own], style))
    return (x, y), "".join(drawn)


_DRAWN: dict[type, Callable[[Any], str]] = {
    Lines: _lines,
    CurvesThroughTime: _curves,
    Bars: _bars,
    HeatMap: _heat_map,
    MatrixThroughTime: _matrix,
    PointsThroughTime: _points,
    GraphThroughTime: _graph,
    Lifelines: _lifelines,
    ImagesThroughTime: _images,
}
