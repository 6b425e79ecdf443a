"""The chart vocabulary: plain dataclasses that say what to draw, never how.

The page draws them in the browser and the figures module with matplotlib, so an analysis file needs neither.
Every chart may belong to one layer (`layer`), which the page's layer picker then follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from wdyn.analyses._charts_through_time import (
    Array,
    Bridge,
    CurvesThroughTime,
    Edges,
    GraphThroughTime,
    ImagesThroughTime,
    Lifelines,
    MatrixThroughTime,
    Neighbours,
    PointsThroughTime,
)

__all__ = [  # whoever describes or draws a chart takes it from here
    "Array",
    "Bars",
    "Bridge",
    "Chart",
    "CurvesThroughTime",
    "Edges",
    "GraphThroughTime",
    "HeatMap",
    "ImagesThroughTime",
    "Lifelines",
    "Lines",
    "MatrixThroughTime",
    "Neighbours",
    "PointsThroughTime",
    "Scale",
    "Table",
]

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Lines:
    """One or more quantities along a common axis.

    Attributes:
        title: what is shown, without the layer's name.
        x: (S,) increasing, mostly optimizer steps.
        y: label to (S,) values; NaN leaves a gap. A label that is a layer's name follows the layer picker.
        x_label: axis label with unit.
        y_label: axis label with unit.
        bands: label of a line to (low, high), each (S,), mostly where chance would put that line.
        reference: label to (S,) values or one number, drawn dashed: a bound, a floor, a published value.
        x_scale: a log axis shows step 0 at half of the first positive step.
        y_scale: `log` only for positive values.
        layer: the one layer that all lines belong to, if they do.
        band_label: what the bands are.
    """

    title: str
    x: Array
    y: Mapping[str, Array]
    x_label: str
    y_label: str
    bands: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    reference: Mapping[str, Array | float] = field(default_factory=dict)
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"
    layer: str | None = None
    band_label: str = "expected by chance"


@dataclass(frozen=True)
class Bars:
    """One value per category, in several series.

    Attributes:
        title: what is shown.
        categories: C labels.
        y: label of a series to (C,) values.
        x_label: axis label.
        y_label: axis label with unit.
        layer: the layer it belongs to, if one.
    """

    title: str
    categories: Sequence[str]
    y: Mapping[str, Array]
    x_label: str
    y_label: str
    layer: str | None = None


@dataclass(frozen=True)
class HeatMap:
    """One value per row and step, drawn as colour; or per row and column of any other kind.

    Attributes:
        title: what is shown.
        x: (S,) optimizer steps; where columns have names, their numbers.
        values: (R, S); NaN is left blank.
        rows: (R,) labels, mostly neuron numbers.
        x_label: axis label.
        row_label: what a row is.
        value_label: what the colour means, with unit.
        diverging: colour centred on zero.
        layer: the layer it belongs to, if one.
        columns: (S,) names of the columns, where they are no steps.
        base: (S,) what the colours of each column are measured from, where columns have levels of their own.
        base_label: what that is.
        categorical: values are numbers of kinds, such as groups: each has a colour of its own, and no order.
    """

    title: str
    x: Array
    values: Array
    rows: Sequence[Any]
    x_label: str
    row_label: str
    value_label: str
    diverging: bool = False
    layer: str | None = None
    columns: Sequence[Any] | None = None
    base: Array | None = None
    base_label: str = ""
    categorical: bool = False

    @property
    def coloured(self) -> Array:
        """(R, S) what the colours show."""
        return np.asarray(self.values if self.base is None else self.values - self.base, dtype=np.float64)

    @property
    def is_diverging(self) -> bool:
        """Whether the colours are centred on zero."""
        return self.diverging or self.base is not None

    @property
    def colour_label(self) -> str:
        """What the colours mean."""
        return self.value_label if self.base is None else f"{self.value_label} minus {self.base_label}"


@dataclass(frozen=True)
class Table:
    """Plain rows.

    Attributes:
        title: what is listed.
        columns: heading to values, all of one length.
        layer: the layer it belongs to, if one.
    """

    title: str
    columns: Mapping[str, Sequence[Any]]
    layer: str | None = None


Chart = (
    Lines | Bars | HeatMap | MatrixThroughTime | PointsThroughTime | GraphThroughTime | CurvesThroughTime | Lifelines
    | ImagesThroughTime | Table
)  # fmt: skip
