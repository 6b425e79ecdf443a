"""Charts → figure files for a paper: owns size, style and determinism."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Chart, GraphThroughTime, HeatMap, MatrixThroughTime, PointsThroughTime, Table
from wdyn.places import REPORTS
from wdyn.report.build import Steps, analysed
from wdyn.report.jobs import Progress
from wdyn.report.sections import Evaluate, Section
from wdyn.report.write import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ONE_COLUMN, TWO_COLUMNS = 3.5, 7.2  # inches, the widths that most journals of the field ask for
PANELS = 4
DOTS_PER_INCH = 300
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # embed TrueType fonts, which publishers require
    "svg.hashsalt": "wdyn",  # otherwise the ids inside an SVG are random
}
# the date and the program's version would make the bytes differ between equal runs
METADATA = {
    "pdf": {"CreationDate": None, "Producer": "wdyn", "Creator": "wdyn"},
    "svg": {"Date": None, "Creator": "wdyn"},
    "png": {"Software": "wdyn"},
}


def write_figures(
    run_file: str | Path,
    *,
    formats: Sequence[str] = ("pdf",),
    only: Sequence[str] = (),
    layers: str | Sequence[str] | None = None,
    steps: Steps | None = None,
    quick: bool = False,
    seed: int = 0,
    evaluate: Evaluate | None = None,
    jobs: int = 1,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write every chart of a run's analyses as figure files, and every table as CSV.

    Args:
        run_file: path of the run.
        formats: any of `pdf`, `svg`, `png`.
        only: names of the analyses to use; all that fit when empty.
        layers: glob or globs of layer names; all when None.
        steps: as for `build_report`; all when None.
        quick: take the instant analyses in place of the slow ones, and at most 40 steps unless `steps` says which.
        seed: for everything random.
        evaluate: as for `build_report`.
        jobs: number of processes; with 1 all is done in this one.
        out: folder; `reports/<run name>-figures` when None. Missing folders are made.
        progress: called with a label and the fraction done in [0, 1].

    Returns:
        Paths of the files. The same run, seed and version give the same bytes.

    Raises:
        NotFoundError: no such analysis, layer or step.
        RunFileError: the run cannot be read or holds no step.
        OutputError: a file cannot be written; it was not left behind half.
    """
    run_file = Path(run_file)
    folder = Path(out) if out is not None else REPORTS / f"{run_file.stem}-figures"
    written = []
    with analysed(
        run_file,
        only=only,
        layers=layers,
        steps=steps,
        quick=quick,
        seed=seed,
        evaluate=evaluate,
        jobs=jobs,
        progress=progress,
    ) as found:
        for name, chart in _named_charts(found.sections):
            for ending in ["csv"] if isinstance(chart, Table) else formats:
                path = folder / f"{name}.{ending}"
                with replacing(path, keep=run_file) as write:
                    write(_csv(chart) if isinstance(chart, Table) else figure_bytes(chart, ending))
                written.append(path)
    return written


def figure_bytes(chart: Chart, ending: str) -> bytes:
    """One chart as the bytes of a `pdf`, `svg` or `png` file, the same for the same chart."""
    from matplotlib import rc_context

    target = io.BytesIO()
    with rc_context(STYLE):
        _figure(chart).savefig(target, format=ending, dpi=DOTS_PER_INCH, metadata=METADATA[ending])
    return target.getvalue()


def _figure(chart: Chart) -> Figure:
    """A figure of one panel, or of a row of panels where the chart runs through time."""
    from matplotlib.figure import Figure

    from wdyn.analyses._draw import draw, title_of, wrapped

    if isinstance(chart, MatrixThroughTime | PointsThroughTime | GraphThroughTime):
        shown = np.unique(np.linspace(0, len(chart.steps) - 1, PANELS).round().astype(int))
        figure = Figure(figsize=(TWO_COLUMNS, 0.4 + TWO_COLUMNS / PANELS), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(shown)))
        for ax, at in zip(panels, shown, strict=True):
            draw(chart, ax, at=int(at), alone=False)
            ax.set(title=f"step {chart.steps[at]}", xlabel="")
        if isinstance(chart, MatrixThroughTime):
            figure.colorbar(panels[0].images[0], ax=panels, label=wrapped(chart.value_label, 32), shrink=0.8)
        figure.suptitle(wrapped(title_of(chart), 110), fontsize=8)
        return figure
    width = TWO_COLUMNS if isinstance(chart, HeatMap) else ONE_COLUMN
    figure = Figure(figsize=(width, 2.9), layout="constrained")
    draw(chart, figure.add_subplot())
    return figure


def _csv(table: Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(zip(*table.columns.values(), strict=True))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _named_charts(sections: Sequence[Section]) -> Iterator[tuple[str, Chart]]:
    """Each chart that holds something, with a file name that says what it is; the number keeps equal titles apart."""
    for section in sections:
        for number, chart in enumerate(section.charts, start=1):
            if isinstance(chart, Table) and not any(map(len, chart.columns.values())):
                continue
            words = [section.name, f"{number:02}", chart.title, chart.layer or ""]
            yield "-".join(filter(None, map(_slug, words))), chart


def _slug(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_.]+", "-", text).strip("-.")[:60]
