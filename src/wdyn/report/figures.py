"""Charts → figure files for a paper: owns names, formats and determinism."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wdyn.analyses._charts import Chart, Table
from wdyn.errors import MisuseError
from wdyn.places import default_comparison, default_report
from wdyn.report.analysing import Steps, analysed, choose_analyses, compared, opened_runs
from wdyn.report.csv_tables import csv_bytes
from wdyn.report.jobs import Progress
from wdyn.report.panels import WIDTHS, Columns, columns_of, fill, height_of, paper_style, settle
from wdyn.report.sections import Evaluate, Section
from wdyn.report.write import replacing

DOTS_PER_INCH = 300
# the date and the program's version would make the bytes differ between equal runs
METADATA = {
    "pdf": {"CreationDate": None, "Producer": "wdyn", "Creator": "wdyn"},
    "svg": {"Date": None, "Creator": "wdyn"},
    "png": {"Software": "wdyn"},
}


def write_figures(
    run_files: str | Path | Sequence[str | Path],
    *,
    formats: Sequence[str] = ("pdf",),
    columns: Columns | None = None,
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
    """Write every chart of a run, or of a comparison of several, as figure files, and every table as CSV.

    Args:
        run_files: path of the run; several for what compares them.
        formats: any of `pdf`, `svg`, `png`.
        columns: width of the figures, 3.5 inches for 1 and 7.2 for 2; what suits each chart when None.
        only: names of the analyses to use; all that fit when empty.
        layers: glob or globs of layer names; all when None.
        steps: as for `build_report`; all when None. Of one run only.
        quick: take the instant analyses in place of the slow ones, and at most 40 steps unless `steps` says which. Of
            one run only.
        seed: for everything random.
        evaluate: as for `build_report`.
        jobs: number of processes; with 1 all is done in this one.
        out: folder; `reports/<run name>-figures` when None. Missing folders are made.
        progress: called with a label and the fraction done in [0, 1].

    Returns:
        Paths of the files. The same runs, seed and version give the same bytes.

    Raises:
        NotFoundError: no such analysis, layer or step.
        MisuseError: `steps` or `quick` with several runs, or one of them given twice.
        RunFileError: a run cannot be read or holds no step.
        OutputError: a file cannot be written; it was not left behind half.
    """
    files = [Path(each) for each in ([run_files] if isinstance(run_files, str | Path) else run_files)]
    if len(files) == 1:
        found = _of_one(
            files[0], only=only, layers=layers, steps=steps, quick=quick, seed=seed, evaluate=evaluate, jobs=jobs,
            progress=progress,
        )  # fmt: skip
    elif steps is not None or quick:
        raise MisuseError("a comparison takes each run as it was recorded: leave out steps and quick")
    else:
        found = _of_several(
            files, only=only, layers=layers, seed=seed, evaluate=evaluate, jobs=jobs, progress=progress
        )  # fmt: skip
    written = []
    with found as (folder, sections):
        for name, chart in _named_charts(sections):
            for ending in ["csv"] if isinstance(chart, Table) else formats:
                path = (Path(out) if out is not None else folder) / f"{name}.{ending}"
                with replacing(path, keep=files) as write:
                    write(
                        csv_bytes([chart.columns, *zip(*chart.columns.values(), strict=True)])
                        if isinstance(chart, Table)
                        else figure_bytes(chart, ending, columns)
                    )
                written.append(path)
    return written


Found = tuple[Path, list[Section]]  # default folder, what to draw


@contextmanager
def _of_one(
    run_file: Path,
    *,
    only: Sequence[str],
    layers: str | Sequence[str] | None,
    steps: Steps | None,
    quick: bool,
    seed: int,
    evaluate: Evaluate | None,
    jobs: int,
    progress: Progress | None,
) -> Iterator[Found]:
    with analysed(
        run_file, only=only, layers=layers, steps=steps, quick=quick, seed=seed, evaluate=evaluate, jobs=jobs,
        progress=progress,
    ) as found:  # fmt: skip
        yield default_report(run_file, "-figures"), found.sections


@contextmanager
def _of_several(
    run_files: Sequence[Path],
    *,
    only: Sequence[str],
    layers: str | Sequence[str] | None,
    seed: int,
    evaluate: Evaluate | None,
    jobs: int,
    progress: Progress | None,
) -> Iterator[Found]:
    chosen = choose_analyses(only, takes="runs")
    with opened_runs(run_files) as opened:
        found = compared(opened, chosen, layers=layers, seed=seed, evaluate=evaluate, jobs=jobs, progress=progress)
        yield default_comparison(opened.names, "-figures"), found.sections


def figure_bytes(chart: Chart, ending: str, columns: Columns | None = None) -> bytes:
    """One chart as the bytes of a `pdf`, `svg` or `png` file, the same for the same chart.

    Args:
        chart: anything but a table.
        ending: the format.
        columns: width; what suits the chart when None.
    """
    from matplotlib.figure import Figure

    columns = columns or columns_of(chart)
    width, target = WIDTHS[columns], io.BytesIO()
    with paper_style():
        figure = Figure(figsize=(width, height_of(chart, columns, width)), layout="constrained")
        fill(figure, chart, columns)
        settle(figure)
        figure.savefig(target, format=ending, dpi=DOTS_PER_INCH, metadata=METADATA[ending])
    return target.getvalue()


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
