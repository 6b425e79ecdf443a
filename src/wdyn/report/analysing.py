"""Runs → findings: which analyses, of which layers and steps, and what each of them gave."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from wdyn.analyses import load, load_or_warn, names
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._runs import distinct_names
from wdyn.analyses._spec import Analysis
from wdyn.errors import MisuseError, RunFileError
from wdyn.report.jobs import KEPT_BYTES, Progress, compute_sections
from wdyn.report.sections import Evaluate, Given, Section
from wdyn.scores import Mode
from wdyn.store.reader import open_run
from wdyn.store.run import Run

QUICK_STEPS = 40  # of which each stored band of steps that is touched has to be inflated whole


@dataclass(frozen=True)
class LogSpaced:
    """So many of the recorded steps, at least 2: denser early, the first and the last among them."""

    count: int


Steps = slice | Sequence[int] | LogSpaced


class Analysed(NamedTuple):
    """A run with its findings: as recorded, as selected, and one section per analysis."""

    whole: Run
    run: Run
    sections: list[Section]


class Opened(NamedTuple):
    """Runs to be compared, as recorded, with the names that tell them apart."""

    wholes: list[Run]
    names: list[str]


class Compared(NamedTuple):
    """Runs with what tells them apart: as selected, and one section per analysis."""

    runs: list[Run]
    sections: list[Section]


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
def opened_runs(run_files: Sequence[str | Path]) -> Iterator[Opened]:
    """At least two runs, none of them twice; errors as for `build_comparison`."""
    files = [Path(each) for each in run_files]
    _check_several(files)
    with ExitStack() as stack:
        wholes = [stack.enter_context(_opened(each, share=len(files))) for each in files]
        yield Opened(wholes, distinct_names(wholes))


def compared(
    opened: Opened,
    chosen: dict[str, Analysis],
    *,
    layers: str | Sequence[str] | None = None,
    seed: int = 0,
    evaluate: Evaluate | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Compared:
    """What the analyses of several runs find; arguments and errors as for `build_comparison`."""
    runs = [_selected(each, layers, None) for each in opened.wholes]
    sections = compute_sections(runs, chosen, given=Given(seed, evaluate), jobs=jobs, progress=progress)
    _tell_failures(" and ".join(opened.names), sections)
    return Compared(runs, sections)


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
