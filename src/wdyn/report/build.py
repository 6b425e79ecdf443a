"""The pipeline on one screen: run → selected analyses → sections → page or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from wdyn.analyses import load, load_or_warn, names
from wdyn.analyses._spec import Analysis
from wdyn.errors import MisuseError, NotFoundError, RunFileError
from wdyn.places import default_report
from wdyn.report.provenance import provenance
from wdyn.report.sections import Section, make_section
from wdyn.report.write import replacing
from wdyn.store.reader import open_run
from wdyn.store.run import Run

Kind = Literal["html", "json"]
Progress = Callable[[str, float], object]
Steps = slice | Sequence[int]


class Analysed(NamedTuple):
    """A run with its findings: as recorded, as selected, and one section per analysis."""

    whole: Run
    run: Run
    sections: list[Section]


def build_report(
    run_file: str | Path,
    *,
    kind: Kind = "html",
    only: Sequence[str] = (),
    layers: str | Sequence[str] | None = None,
    steps: Steps | None = None,
    quick: bool = False,
    seed: int = 0,
    out: str | Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Path:
    """Analyse a run and write one report file.

    Args:
        run_file: path of the run.
        kind: `html` is one self-contained page, `json` the numbers alone.
        only: names of the analyses to use; all that fit when empty.
        layers: glob or globs of layer names; all when None or empty.
        steps: slice by step numbers (of the recorded steps from start up to stop, every so many), or step numbers.
        quick: take the instant analyses in place of the slow ones.
        seed: for everything random.
        out: path of the report; `reports/<run name>.<kind>` when None. Missing folders are made.
        command: the command line, shown in the provenance.
        progress: called with a label and the fraction done in [0, 1].

    Returns:
        Path of the report. The same run, seed and version give the same bytes.

    Raises:
        NotFoundError: no such analysis, layer or step.
        MisuseError: no such kind, an analysis of several runs, or the report would lie in the run's own place.
        RunFileError: the run cannot be read or holds no step.
        OutputError: the report cannot be written; nothing was left behind.
    """
    run_file = Path(run_file)
    render = _renderer(kind)
    target = Path(out) if out is not None else default_report(run_file, f".{kind}")
    with (
        replacing(target, keep=run_file) as write,
        analysed(run_file, only=only, layers=layers, steps=steps, quick=quick, seed=seed, progress=progress) as found,
    ):
        facts = provenance(found.whole, found.run, command=command, seed=seed)
        write(render(facts, found))
    return target


@contextmanager
def analysed(
    run_file: str | Path,
    *,
    only: Sequence[str] = (),
    layers: str | Sequence[str] | None = None,
    steps: Steps | None = None,
    quick: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Iterator[Analysed]:
    """An open run with its findings; arguments and errors as for `build_report`."""
    chosen = choose_analyses(only, quick=quick)
    with open_run(run_file) as whole:
        if not len(whole.steps):
            raise RunFileError(f"{run_file}: no step was recorded yet, so there is nothing to analyse")
        run = whole.select(layers=layers or None, steps=_step_numbers(whole, steps))
        yield Analysed(whole, run, _sections(run, chosen, seed, progress or _silent))


def choose_analyses(only: Sequence[str] = (), *, quick: bool = False) -> dict[str, Analysis]:
    """The analyses of a report on one run, by name.

    Args:
        only: exactly these; the rules below do not apply to them.
        quick: leave out those marked `full`, take those marked `quick`.

    Raises:
        NotFoundError: no such analysis.
        MisuseError: one of `only` takes several runs.
    """
    if only:
        named = {name: load(name) for name in only}
        for name, analysis in named.items():
            if analysis.takes == "runs":
                raise MisuseError(f"analysis {name!r} compares several runs, and this report is about one")
        return named
    found = {name: load_or_warn(name) for name in names()}
    skip = "full" if quick else "quick"
    return {name: a for name, a in found.items() if a is not None and a.takes == "run" and a.when != skip}


def _step_numbers(run: Run, steps: Steps | None) -> Sequence[int] | None:
    if not isinstance(steps, slice):
        return steps
    low = -np.inf if steps.start is None else steps.start
    high = np.inf if steps.stop is None else steps.stop
    numbers: list[int] = run.steps[(run.steps >= low) & (run.steps < high)][:: steps.step].tolist()
    if not numbers:
        raise NotFoundError(f"{run.path}: no recorded step there. It has steps {run.steps[0]} to {run.steps[-1]}")
    return numbers


def _sections(run: Run, chosen: dict[str, Analysis], seed: int, progress: Progress) -> list[Section]:
    sections, parts = [], len(chosen) + 1  # the one more is writing
    for done, (name, analysis) in enumerate(chosen.items()):

        def advance(fraction: float, label: str = analysis.title, done: int = done) -> None:
            progress(label, (done + fraction) / parts)

        advance(0.0)
        sections.append(make_section(name, analysis, run, seed=seed, progress=advance))
    progress("Writing", len(chosen) / parts)
    return sections


def _renderer(kind: Kind) -> Callable[[dict[str, Any], Analysed], bytes]:
    if kind == "json":
        from wdyn.report.json_report import render_json

        return lambda facts, found: render_json(facts, found.sections)
    if kind == "html":
        from wdyn.report.page import render_page

        return lambda facts, found: render_page(facts, found.sections, found.run.steps.tolist())
    raise MisuseError(f"no report of kind {kind!r}. There are: html, json")


def _silent(label: str, fraction: float) -> None:
    """Progress that nobody watches."""
