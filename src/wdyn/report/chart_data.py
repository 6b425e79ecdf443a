"""Chart → JSON-able dict for the page's scripts, its numbers in blocks."""

from __future__ import annotations

from collections.abc import Callable
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
    Neighbours,
    PointsThroughTime,
    Table,
)
from wdyn.report.codec import Array, Blocks, Ref, extent, quantise, real
from wdyn.report.edge_data import edge_histories
from wdyn.report.plain import plain
from wdyn.report.thin import thin_columns, thin_lines

TABLE_ROWS = 500
SHADES = 31  # of an image: weights are noise to deflate, so what the eye cannot tell apart would cost the most

ChartData = dict[str, Any]


def chart_data(chart: Chart, blocks: Blocks) -> ChartData:
    """What the page's scripts need to draw a chart.

    Args:
        chart: any of the vocabulary.
        blocks: takes the numbers.

    Returns:
        Dict with `kind`, `title`, `layer` (None where it belongs to no single one) and the fields of its kind.

    Raises:
        ValueError: arrays of the chart that do not fit together.
        TypeError: not a chart.
    """
    encode = _ENCODERS.get(type(chart))
    if encode is None:
        raise TypeError(f"{type(chart).__name__} is no chart. There are: {', '.join(c.__name__ for c in _ENCODERS)}")
    kind, fields = encode(chart, blocks)
    return {"kind": kind, "title": chart.title, "layer": chart.layer} | fields


def _lines(chart: Lines, blocks: Blocks) -> tuple[str, ChartData]:
    x = np.asarray(chart.x, dtype=np.float64)
    y = {label: _along(values, x, label) for label, values in chart.y.items()}
    at = thin_lines(list(y.values())) if y else np.arange(len(x))

    def block(values: Array) -> Ref:
        return blocks.add(real(values[at]))

    lines = [{"label": label, "values": block(values)} for label, values in y.items()]
    bands = [
        {"label": label, "low": block(_along(low, x, label)), "high": block(_along(high, x, label))}
        for label, (low, high) in chart.bands.items()
    ]
    reference = [
        {"label": label, "values": block(_along(values, x, label)) if np.ndim(values) else plain(float(values))}
        for label, values in chart.reference.items()
    ]
    return "lines", {
        "x": block(x), "lines": lines, "bands": bands, "band_label": chart.band_label, "reference": reference,
        "x_label": chart.x_label, "y_label": chart.y_label, "x_scale": chart.x_scale, "y_scale": chart.y_scale,
        "points": len(x),
    }  # fmt: skip


def _bars(chart: Bars, blocks: Blocks) -> tuple[str, ChartData]:
    names = [str(name) for name in chart.categories]
    bars = [
        {"label": label, "values": blocks.add(real(_along(values, names, label)))} for label, values in chart.y.items()
    ]
    return "bars", {"categories": names, "bars": bars, "x_label": chart.x_label, "y_label": chart.y_label}


def _heat_map(chart: HeatMap, blocks: Blocks) -> tuple[str, ChartData]:
    values = np.asarray(chart.values, dtype=np.float64)
    _expect(values.shape == (len(chart.rows), len(chart.x)), f"heat map {chart.title!r}: rows and x do not fit values")
    at = thin_columns(*values.shape)
    low, high = extent(values)
    if chart.base is not None:
        _expect(np.shape(chart.base) == (len(chart.x),), f"heat map {chart.title!r}: base does not fit x")
    elif chart.diverging:
        low, high = -max(-low, high), max(-low, high)
    codes = quantise(values[:, at].T, low, high, np.uint16)  # time first
    return "heat", {
        "x": blocks.add(real(np.asarray(chart.x)[at])), "codes": blocks.add(codes, delta=True), "low": low,
        "high": high, "rows": plain(list(chart.rows)), "x_label": chart.x_label, "row_label": chart.row_label,
        "value_label": chart.value_label, "diverging": chart.diverging, "categorical": chart.categorical,
        "columns": len(chart.x),
        "base": None if chart.base is None else plain(np.asarray(chart.base)[at]), "colour_label": chart.colour_label,
        "names": None if chart.columns is None else [str(chart.columns[i]) for i in at],
    }  # fmt: skip


def _matrix(chart: MatrixThroughTime, blocks: Blocks) -> tuple[str, ChartData]:
    values, steps, size = np.asarray(chart.values), np.asarray(chart.steps), len(chart.members)
    _expect(values.shape == (len(steps), size, size), f"matrix {chart.title!r}: steps and members do not fit values")
    upper = values[(slice(None), *np.triu_indices(size))]  # symmetric, so half of it is all of it
    codes = quantise(upper, chart.low, chart.high, np.uint8)
    groups = None if chart.groups is None else blocks.add(np.asarray(chart.groups, dtype=np.int32), delta=True)
    return "matrix", {
        "steps": plain(steps), "codes": blocks.add(codes, delta=True), "low": float(chart.low),
        "high": float(chart.high), "members": plain(chart.members), "value_label": chart.value_label, "groups": groups,
        "neighbours": None if chart.neighbours is None else _neighbours(chart.neighbours, chart, blocks),
    }  # fmt: skip


def _neighbours(near: Neighbours, chart: MatrixThroughTime, blocks: Blocks) -> ChartData:
    place, values, chance = np.asarray(near.place), np.asarray(near.values), np.asarray(near.chance)
    expected = (len(chart.steps), sum(map(len, chart.members)))
    _expect(place.shape == values.shape and place.shape[:2] == expected and chance.shape == expected[:1],
            f"matrix {chart.title!r}: neighbours do not fit steps and members")  # fmt: skip
    low, high = extent(values)
    return {
        "place": blocks.add(place.astype(np.int32), delta=True), "low": low, "high": high,
        "codes": blocks.add(quantise(values, low, high, np.uint8), delta=True),
        "chance": plain(chance), "chance_label": near.chance_label,
    }  # fmt: skip


def _points(chart: PointsThroughTime, blocks: Blocks) -> tuple[str, ChartData]:
    xy, steps, neurons = np.asarray(chart.xy, dtype=np.float64), np.asarray(chart.steps), np.asarray(chart.neurons)
    _expect(xy.shape == (len(steps), len(neurons), 2), f"points {chart.title!r}: steps and neurons do not fit xy")
    limits = [extent(xy[..., axis]) for axis in (0, 1)]
    codes = np.stack([quantise(xy[..., axis], *limits[axis], np.uint16) for axis in (0, 1)], axis=1)  # (T, 2, N)
    size = None
    if chart.size is not None:
        largest = extent(np.asarray(chart.size))[1]
        size = blocks.add(quantise(np.asarray(chart.size), 0.0, largest, np.uint8), delta=True)
    return "points", {
        "steps": plain(steps), "codes": blocks.add(codes, delta=True), "limits": limits,
        "neurons": blocks.add(neurons.astype(np.int32)), "groups": blocks.add(np.asarray(chart.groups, dtype=np.int32)),
        "group_label": chart.group_label, "caption": chart.caption, "size": size,
    }  # fmt: skip


def _images(chart: ImagesThroughTime, blocks: Blocks) -> tuple[str, ChartData]:
    images, neurons, channels = np.asarray(chart.images), np.asarray(chart.neurons), np.asarray(chart.channels)
    expected = (len(chart.steps), len(neurons), channels.shape[1])
    _expect(images.ndim == 5 and images.shape[:3] == expected and len(channels) == len(neurons),
            f"images {chart.title!r}: steps, neurons and channels do not fit")  # fmt: skip
    limit = float(chart.limit)
    return "images", {
        "steps": plain(np.asarray(chart.steps)), "size": list(images.shape[2:]), "neurons": plain(neurons),
        "codes": blocks.add(quantise(images, -limit, limit, np.uint8, shades=SHADES), delta=True), "shades": SHADES,
        "low": -limit, "high": limit, "channels": plain(channels), "channel_count": int(chart.channel_count),
        "value_label": chart.value_label, "caption": chart.caption,
    }  # fmt: skip


def _lifelines(chart: Lifelines, blocks: Blocks) -> tuple[str, ChartData]:
    sizes = np.asarray(chart.sizes, dtype=np.int32)
    _expect(sizes.shape == (len(chart.steps), len(chart.groups)), f"lifelines {chart.title!r}: sizes do not fit")
    return "lifelines", {
        "steps": plain(np.asarray(chart.steps)), "groups": plain(np.asarray(chart.groups)), "caption": chart.caption,
        "sizes": blocks.add(sizes, delta=True), "middles": plain(chart.middles),
        "bridges": [[*map(int, each[:4]), float(f"{each.by_chance:.3g}")] for each in chart.bridges],
    }  # fmt: skip


def _curves(chart: CurvesThroughTime, blocks: Blocks) -> tuple[str, ChartData]:
    both = np.stack(
        [np.asarray(each, dtype=np.float64) for each in (chart.values, chart.expected)], axis=1
    )  # (T, 2, X)
    fits = both.shape == (len(chart.steps), 2, len(chart.x))
    _expect(fits, f"curves {chart.title!r}: steps and x do not fit values")
    low, high = extent(both)
    return "curves", {
        "steps": plain(np.asarray(chart.steps)), "x": blocks.add(real(chart.x)), "low": low, "high": high,
        "codes": blocks.add(quantise(both, low, high, np.uint16), delta=True), "expected_label": chart.expected_label,
        "x_label": chart.x_label, "y_label": chart.y_label,
    }  # fmt: skip


def _table(chart: Table, blocks: Blocks) -> tuple[str, ChartData]:
    columns = {heading: plain(list(values)) for heading, values in chart.columns.items()}
    rows = {len(values) for values in columns.values()}
    _expect(len(rows) <= 1, f"table {chart.title!r}: its columns differ in length")
    shown = [{"heading": heading, "values": values[:TABLE_ROWS]} for heading, values in columns.items()]
    return "table", {"columns": shown, "count": max(rows, default=0)}


def _graph(chart: GraphThroughTime, blocks: Blocks) -> tuple[str, ChartData]:
    steps, neurons, xy = np.asarray(chart.steps), np.asarray(chart.neurons), np.asarray(chart.xy)
    radius = np.asarray(chart.radius, dtype=np.float64)
    _expect(radius.shape == (len(steps), len(neurons)), f"graph {chart.title!r}: steps and neurons do not fit radius")
    live = np.where(radius > 0, radius, np.nan)  # a neuron without length has no direction either
    largest = extent(live)[1]
    edges, limits = edge_histories(chart), [extent(xy[:, axis]) for axis in (0, 1)]
    places = np.stack([quantise(xy[:, axis], *limits[axis], np.uint16) for axis in (0, 1)])  # (2, N)
    return "graph", {
        "steps": plain(steps), "neurons": blocks.add(neurons.astype(np.int32)),
        "radius": blocks.add(quantise(live, 0.0, largest, np.uint8), delta=True), "largest": largest,
        "pairs": blocks.add(edges.pairs.astype(np.int32), delta=True), "codes": blocks.add(edges.changes),
        "knots": edges.knots, "sigma": plain(chart.sigma), "places": blocks.add(places),
        "limits": limits, "groups": blocks.add(np.asarray(chart.groups, dtype=np.int32)),
        "group_label": chart.group_label, "runs": list(chart.runs), "caption": chart.caption,
        "chance": None if chart.chance is None else plain(np.asarray(chart.chance)),
    }  # fmt: skip


def _along(values: Any, axis: Any, label: str) -> Array:
    numbers = np.asarray(values, dtype=np.float64)
    _expect(numbers.shape == (len(axis),), f"{label!r} has shape {numbers.shape}, but its axis has {len(axis)} places")
    return numbers


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


_ENCODERS: dict[type, Callable[[Any, Blocks], tuple[str, ChartData]]] = {
    Lines: _lines,
    Bars: _bars,
    HeatMap: _heat_map,
    MatrixThroughTime: _matrix,
    PointsThroughTime: _points,
    GraphThroughTime: _graph,
    ImagesThroughTime: _images,
    CurvesThroughTime: _curves,
    Lifelines: _lifelines,
    Table: _table,
}
