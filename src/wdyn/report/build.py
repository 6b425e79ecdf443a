"""The pipeline on one screen: run or runs → selected analyses → sections → page or JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from wdyn.errors import MisuseError
from wdyn.places import default_comparison, default_report
from wdyn.report.analysing import Steps, analysed, choose_analyses, compared, opened_runs
from wdyn.report.csv_tables import write_tables
from wdyn.report.jobs import Progress
from wdyn.report.provenance import comparison_provenance, provenance
from wdyn.report.sections import Evaluate, Section
from wdyn.report.write import replacing
from wdyn.scores import Mode

Kind = Literal["html", "pdf", "json"]
Render = Callable[[dict[str, Any], list[Section], list[int]], bytes]  # facts, sections, steps of the slider


def build_report(
    run_file: str | Path,
    *,
    kind: Kind = "html",
    only: Sequence[str] = (),
    layers: str | Sequence[str] | None = None,
    steps: Steps | None = None,
    quick: bool = False,
    seed: int = 0,
    evaluate: Evaluate | None = None,
    mode: Mode = "zero",
    jobs: int = 1,
    out: str | Path | None = None,
    tables: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> Path:
    """Analyse a run and write one report file.

    Args:
        run_file: path of the run.
        kind: `html` is one self-contained page, `pdf` the same on paper, `json` the numbers alone.
        only: names of the analyses to use; all that fit when empty.
        layers: glob or globs of layer names; all when None or empty.
        steps: step numbers, a slice over them (recorded steps from start up to stop, every so many) or LogSpaced.
        quick: take the instant analyses in place of the slow ones, and at most 40 steps unless `steps` says which.
        seed: for everything random.
        evaluate: run -> evaluator, such as `wdyn.evaluator`; without it nothing that runs the network again is done.
        mode: what happens to a unit that goes, see `wdyn.scores.Mode`.
        jobs: number of processes; with 1 all is done in this one.
        out: path of the report; `reports/<run name>.<kind>` when None. Missing folders are made.
        tables: whether to write the numbers as CSV too, one file per analysis, in `<name of the report>-tables`.
        command: the command line, shown in the provenance.
        progress: called with a label and the fraction done in [0, 1].

    Returns:
        Path of the report. The same run, seed and version give the same bytes, whatever the number of processes.

    Raises:
        NotFoundError: no such analysis, layer or step.
        MisuseError: no such kind, an analysis of several runs, too many processes for the memory, or the report would
            lie in the run's own place.
        RunFileError: the run cannot be read or holds no step.
        OutputError: the report cannot be written; nothing was left behind.
    """
    run_file = Path(run_file)
    render = _renderer(kind)
    target = Path(out) if out is not None else default_report(run_file, f".{kind}")
    with (
        replacing(target, keep=run_file) as write,
        analysed(
            run_file,
            only=only,
            layers=layers,
            steps=steps,
            quick=quick,
            seed=seed,
            evaluate=evaluate,
            mode=mode,
            jobs=jobs,
            progress=progress,
        ) as found,
    ):
        facts = provenance(found.whole, found.run, command=command, seed=seed)
        write(render(facts, found.sections, found.run.steps.tolist()))
        if tables:
            write_tables(target, found.sections, keep=[run_file])
    return target


def build_comparison(
    run_files: Sequence[str | Path],
    *,
    kind: Kind = "html",
    only: Sequence[str] = (),
    layers: str | Sequence[str] | None = None,
    seed: int = 0,
    evaluate: Evaluate | None = None,
    jobs: int = 1,
    out: str | Path | None = None,
    tables: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> Path:
    """Compare runs and write one report file.

    Args:
        run_files: paths of at least two runs.
        kind: `html` is one self-contained page, `pdf` the same on paper, `json` the numbers alone.
        only: names of the analyses to use; all that compare runs when empty.
        layers: glob or globs of layer names; all when None or empty.
        seed: for everything random.
        evaluate: run -> evaluator, as for `build_report`.
        jobs: number of processes.
        out: path of the report; `reports/<names joined by "-and-">.<kind>` when None.
        tables: whether to write the numbers as CSV too, one file per analysis, in `<name of the report>-tables`.
        command: the command line, shown in the provenance.
        progress: called with a label and the fraction done in [0, 1].

    Returns:
        Path of the report. The same runs in the same order, seed and version give the same bytes.

    Raises:
        NotFoundError: no such analysis, or a run has no such layer.
        MisuseError: fewer than two runs, one given twice, no such kind, an analysis of a single run, too many
            processes for the memory, or the report would lie in a run's own place.
        RunFileError: a run cannot be read or holds no step.
        OutputError: the report cannot be written; nothing was left behind.
    """
    files = [Path(each) for each in run_files]
    render, chosen = _renderer(kind), choose_analyses(only, takes="runs")
    with opened_runs(files) as opened:
        target = Path(out) if out is not None else default_comparison(opened.names, f".{kind}")
        with replacing(target, keep=files) as write:
            found = compared(opened, chosen, layers=layers, seed=seed, evaluate=evaluate, jobs=jobs, progress=progress)
            facts = comparison_provenance(opened.wholes, found.runs, names=opened.names, command=command, seed=seed)
            write(render(facts, found.sections, facts["steps"]))
            if tables:
                write_tables(target, found.sections, keep=files)
    return target


def _renderer(kind: Kind) -> Render:
    if kind == "json":
        from wdyn.report.json_report import render_json

        return lambda facts, sections, steps: render_json(facts, sections)
    if kind == "pdf":
        from wdyn.report.pdf_report import render_pdf

        return render_pdf
    if kind == "html":
        from wdyn.report.page import render_page

        return render_page
    raise MisuseError(f"no report of kind {kind!r}. There are: html, pdf, json")
