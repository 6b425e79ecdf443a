"""The pipeline on one screen: run or runs → selected analyses → sections → page or JSON."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from wdyn.analyses import load, load_or_warn, names
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._runs import distinct_names
from wdyn.analyses._spec import Analysis
from wdyn.errors import MisuseError, RunFileError
from wdyn.places import default_comparison, default_report
from wdyn.report.jobs import KEPT_BYTES, Progress, compute_sections
from wdyn.report.provenance import comparison_provenance, provenance
from wdyn.report.sections import Evaluate, Given, Section
from wdyn.report.write import replacing
from wdyn.scores import Mode
from wdyn.store.reader import open_run
from wdyn.store.run import Run

Kind = Literal["html", "json"]
QUICK_STEPS = 40  # of which each stored band of steps that is touched has to be inflated whole


@dataclass(frozen=True)
class LogSpaced:
    """So many of the recorded steps, at least 2: denser early, the first and the last among them."""

    count: int


Steps = slice | Sequence[int] | LogSpaced


Render = Callable[[dict[str, Any], list[Section], list[int]], bytes]  # facts, sections, steps of the slider


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
    evaluate: Evaluate | None = None,
    mode: Mode = "zero",
    jobs: int = 1,
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
        steps: step numbers, a slice over them (recorded steps from start up to stop, every so many) or LogSpaced.
        quick: take the instant analyses in place of the slow ones, and at most 40 steps unless `steps` says which.
        seed: for everything random.
        evaluate: run -> evaluator, such as `wdyn.evaluator`; without it nothing that runs the network again is done.
        mode: what happens to a unit that goes, see `wdyn.scores.Mode`.
        jobs: number of processes; with 1 all is done in this one.
        out: path of the report; `reports/<run name>.<kind>` when None. Missing folders are made.
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
    command: str = "",
    progress: Progress | None = None,
) -> Path:
    """Compare runs and write one report file.

    Args:
        run_files: paths of at least two runs.
        kind: `html` is one self-contained page, `json` the numbers alone.
        only: names of the analyses to use; all that compare runs when empty.
        layers: glob or globs of layer names; all when None or empty.
        seed: for everything random.
        evaluate: run -> evaluator, as for `build_report`.
        jobs: number of processes.
        out: path of the report; `reports/<names joined by "-and-">.<kind>` when None.
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
    _check_several(files)
    render, chosen = _renderer(kind), choose_analyses(only, takes="runs")
    with ExitStack() as stack:
        wholes = [stack.enter_context(_opened(each, share=len(files))) for each in files]
        names = distinct_names(wholes)
        target = Path(out) if out is not None else default_comparison(names, f".{kind}")
        write = stack.enter_context(replacing(target, keep=files))
        runs = [_selected(each, layers, None) for each in wholes]
        sections = compute_sections(runs, chosen, given=Given(seed, evaluate), jobs=jobs, progress=progress)
        _tell_failures(" and ".join(names), sections)
        facts = comparison_provenance(wholes, runs, names=names, command=command, seed=seed)
        write(render(facts, sections, facts["steps"]))
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
    evaluate: Evaluate | None = None,
    mode: Mode = "zero",
    jobs: int = 1,
    progress: Progress | None = None,
) -> Iterator[Analysed]:
    """An open run with its findings; arguments and errors as for `build_report`."""
    chosen = choose_analyses(only, quick=quick)
    with _opened(run_file) as whole:
        run = _selected(whole, layers, LogSpaced(QUICK_STEPS) if quick and steps is None else steps)
        sections = compute_sections(
            run, chosen, given=Given(seed, None if quick and not only else evaluate, mode), jobs=jobs, progress=progress
        )
        _tell_failures(run_file, sections)
        yield Analysed(whole, run, sections)


@contextmanager
def _opened(run_file: str | Path, share: int = 1) -> Iterator[Run]:
    """An open run with something to analyse, one of so many that share the memory."""
    with open_run(run_file, keep=KEPT_BYTES // share) as run:
        if not len(run.steps):
            raise RunFileError(f"{run_file}: no step was recorded yet, so there is nothing to analyse")
        yield run


def _check_several(files: Sequence[Path]) -> None:
    if len(files) < 2:
        raise MisuseError(f"a comparison needs at least 2 runs, not {len(files)}")
    places = [each.resolve() for each in files]
    if twice := [file for file, place in zip(files, places, strict=True) if places.count(place) > 1]:
        raise MisuseError(f"{twice[0]} is given more than once. Give each run once.")


def _tell_failures(run_file: str | Path, sections: Sequence[Section]) -> None:
    """A page with a hole in it must not pass for a whole one, and one without any finding is none."""
    failed = [section for section in sections if section.status == "failed"]
    if failed and not any(section.status == "ok" for section in sections):
        raise RunFileError(f"{run_file}: no analysis could be made. {failed[0].title}: {failed[0].reason}")
    for section in failed:
        warnings.warn(f"{section.title} failed and is left out: {section.reason}", RuntimeWarning, stacklevel=4)


def choose_analyses(
    only: Sequence[str] = (), *, quick: bool = False, takes: Literal["run", "runs"] = "run"
) -> dict[str, Analysis]:
    """The analyses of a report, by name.

    Args:
        only: exactly these; the rules below do not apply to them.
        quick: leave out those marked `full`, take those marked `quick`. Those marked `asked` are left out either way.
        takes: those of one run, or those that compare `runs`.

    Raises:
        NotFoundError: no such analysis.
        MisuseError: one of `only` takes several runs where the report is about one, or the other way round.
    """
    if only:
        named = {name: load(name) for name in only}
        for name, analysis in named.items():
            if analysis.takes != takes:
                raise MisuseError(f"analysis {name!r} {_PURPOSE[analysis.takes]}, and this report {_PURPOSE[takes]}")
        return named
    found = {name: load_or_warn(name) for name in names()}
    skip = {"asked", "full" if quick else "quick"}
    return {name: a for name, a in found.items() if a is not None and a.takes == takes and a.when not in skip}


_PURPOSE = {"run": "is about one run", "runs": "compares several runs"}


def _selected(whole: Run, layers: str | Sequence[str] | None, steps: Steps | None) -> Run:
    chosen = whole.steps[shown_steps(whole.steps, steps.count)] if isinstance(steps, LogSpaced) else steps
    return whole.select(layers=layers or None, steps=chosen)


def _renderer(kind: Kind) -> Render:
    if kind == "json":
        from wdyn.report.json_report import render_json

        return lambda facts, sections, steps: render_json(facts, sections)
    if kind == "html":
        from wdyn.report.page import render_page

        return render_page
    raise MisuseError(f"no report of kind {kind!r}. There are: html, json")
