"""A few numbers of each chart as plain rows, for readers without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

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
from wdyn.analyses._groups import spaced
from wdyn.report.words import value_words

ROWS = 12
LISTED = 50


class StaticTable(NamedTuple):
    """Headings and rows of text; `layer` is None where the chart belongs to no single one."""

    title: str
    layer: str | None
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def static_table(chart: Chart) -> StaticTable:
    """The gist of a chart in at most 12 rows, or 50 where the rows are things and not places along an axis.

    Args:
        chart: any of the vocabulary.
    """
    found, rows = _GIST[type(chart)](chart)
    headings = tuple(map(str, found))
    words = tuple(tuple(value_words(_python(v), h) for v, h in zip(row, headings, strict=True)) for row in rows)
    return StaticTable(chart.title, chart.layer, headings, words)


Gist = tuple[Iterable[str], Iterable[Sequence[Any]]]


def _lines(chart: Lines) -> Gist:
    at = _spread(len(chart.x))
    columns = [np.asarray(chart.x)[at]] + [np.asarray(values)[at] for values in chart.y.values()]
    return [chart.x_label, *chart.y], zip(*columns, strict=True)


def _bars(chart: Bars) -> Gist:
    rows = zip(chart.categories, *chart.y.values(), strict=True)
    return [chart.x_label, *chart.y], list(rows)[:LISTED]


def _heat_map(chart: HeatMap) -> Gist:
    if chart.columns is not None:
        at = _spread(len(chart.columns))
        rows = [[label, *np.asarray(values)[at]] for label, values in zip(chart.rows, chart.values, strict=True)]
        return [chart.row_label, *(str(chart.columns[i]) for i in at)], rows[:LISTED]
    return _spread_of(chart.x_label, np.asarray(chart.x), np.asarray(chart.values).T)


def _matrix(chart: MatrixThroughTime) -> Gist:
    above = np.triu_indices(len(chart.members), 1)
    return _spread_of("step", np.asarray(chart.steps), np.asarray(chart.values)[(slice(None), *above)])


def _points(chart: PointsThroughTime) -> Gist:
    groups, sizes = np.unique(np.asarray(chart.groups), return_counts=True)
    return [chart.group_label, "neurons"], list(zip(groups, sizes, strict=True))[:LISTED]


def _graph(chart: GraphThroughTime) -> Gist:
    rows = [(step, len(edges.weight)) for step, edges in zip(chart.steps, chart.edges, strict=True)]
    return ["step", "edges"], [rows[at] for at in _spread(len(rows))]


def _images(chart: ImagesThroughTime) -> Gist:
    return _spread_of("step", np.asarray(chart.steps), np.asarray(chart.images).reshape(len(chart.steps), -1))


def _curves(chart: CurvesThroughTime) -> Gist:
    """The last step."""
    at = _spread(len(chart.x))
    columns = [np.asarray(each)[..., at] for each in (chart.x, chart.values[-1], chart.expected[-1])]
    headings = [chart.x_label, f"{chart.y_label}, step {chart.steps[-1]}", chart.expected_label]
    return headings, zip(*columns, strict=True)


def _lifelines(chart: Lifelines) -> Gist:
    at = _spread(len(chart.steps))
    columns = [np.asarray(chart.steps)[at], *np.asarray(chart.sizes)[at].T]
    return ["step", *(f"neurons of group {group}" for group in chart.groups)], zip(*columns, strict=True)


def _table(chart: Table) -> Gist:
    return list(chart.columns), list(zip(*chart.columns.values(), strict=True))[:LISTED]


def _spread_of(label: str, x: Any, values: Any) -> Gist:
    """Least, median and largest value at places along the axis."""
    rows = []
    for at in _spread(len(x)):
        finite = values[at][np.isfinite(values[at])]
        rows.append([x[at], *(np.quantile(finite, (0.0, 0.5, 1.0)) if finite.size else (None,) * 3)])
    return [label, "lowest", "median", "highest"], rows


def _spread(size: int) -> Any:
    return spaced(size, ROWS)


def _python(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


_GIST: dict[type, Callable[[Any], Gist]] = {
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
