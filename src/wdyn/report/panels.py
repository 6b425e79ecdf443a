"""One chart → a drawn figure of one or two columns, for files of their own and for the pages of a PDF report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from wdyn.analyses._charts import (
    Chart,
    GraphThroughTime,
    HeatMap,
    ImagesThroughTime,
    MatrixThroughTime,
    PointsThroughTime,
    Table,
)
from wdyn.analyses._groups import spaced

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

Columns = Literal[1, 2]
WIDTHS = {1: 3.5, 2: 7.2}  # inches, what most journals of the field ask for
PANELS = 4  # steps of a chart through time
THROUGH_TIME = MatrixThroughTime | PointsThroughTime | GraphThroughTime
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # embed TrueType fonts, which publishers require
    "svg.fonttype": "path",  # letters as outlines: an SVG has no other way to bring its font along
    "svg.hashsalt": "wdyn",  # otherwise the ids inside an SVG are random
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Our own style alone, whatever stands in the reader's matplotlibrc."""
    from matplotlib import style

    with style.context(["default", STYLE]):
        yield


def columns_of(chart: Chart) -> Columns:
    """How many columns a chart needs: two for a row of panels, a sheet of images, a table of named rows and columns."""
    named = isinstance(chart, HeatMap) and chart.columns is not None
    return 2 if named or isinstance(chart, THROUGH_TIME | ImagesThroughTime | Table) else 1


def height_of(chart: Chart, columns: Columns, width: float) -> float:
    """Height of a drawing in inches.

    Args:
        chart: what is drawn.
        columns: its width in columns.
        width: its width in inches.
    """
    if isinstance(chart, THROUGH_TIME):
        across = min(len(_shown(chart)), PANELS if columns == 2 else 2)
        return 0.4 + -(-len(_shown(chart)) // across) * min(width / across, width / 2)
    return 2.9


def fill(figure: FigureBase, chart: Chart, columns: Columns) -> None:
    """Draw a chart into an empty figure or part of one: one panel, or one per shown step of a chart through time."""
    from wdyn.analyses._draw import draw, title_of
    from wdyn.analyses._drawn_text import wrapped

    figure.suptitle(
        wrapped(title_of(chart), 52 * columns), fontsize=8
    )  # above all, so that it may be wider than the axes
    if not isinstance(chart, THROUGH_TIME):
        draw(chart, figure.add_subplot()).set_title("")
        return
    shown = _shown(chart)
    across = min(len(shown), PANELS if columns == 2 else 2)
    panels = figure.subplots(-(-len(shown) // across), across, squeeze=False).ravel()
    for ax, at in zip(panels, shown, strict=False):
        draw(chart, ax, at=int(at), alone=False)
        ax.set(title=f"step {chart.steps[at]}", xlabel="")
    for ax in panels[len(shown) :]:
        ax.remove()
    if isinstance(chart, MatrixThroughTime):
        figure.colorbar(panels[0].images[0], ax=panels[: len(shown)], label=wrapped(chart.value_label, 32), shrink=0.8)


def settle(figure: Figure) -> None:
    """Find the place of everything, once, rounded: the solver's last digits differ from run to run."""
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

    engine = figure.get_layout_engine()
    if engine is not None and figure.axes:
        engine.execute(figure)
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(np.round(part.bbox_relative.get_points(), 5))
    for ax in figure.findobj(Axes):
        ax.set_position(Bbox(np.round(ax.get_position(original=True).get_points(), 5)), which="original")


def _shown(chart: MatrixThroughTime | PointsThroughTime | GraphThroughTime) -> np.ndarray:
    """Positions of the steps that stand for all, the first and the last among them."""
    return spaced(len(chart.steps), PANELS)
