"""Analyses → sections, one after the other in this process or several at once in their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from glob import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wdyn.analyses import load
from wdyn.analyses._spec import Analysis
from wdyn.errors import MisuseError
from wdyn.report.sections import NOTHING, Given, Section, make_section, once
from wdyn.store.reader import open_run
from wdyn.store.run import Run

Progress = Callable[[str, float], object]

# Weights kept in memory after the first analysis read them, by all processes together: the others then read them ten
# times as fast, and with all else a report stays within 2 GB.
KEPT_BYTES = 1 << 29


def compute_sections(
    run: Run | Sequence[Run],
    chosen: Mapping[str, Analysis],
    *,
    given: Given = NOTHING,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Section]:
    """One section for each analysis, in their order.

    Args:
        run: the selected run, or several for analyses that compare runs.
        chosen: the analyses by name.
        given: what analyses may ask for; with several processes it must be picklable.
        jobs: number of processes. Each opens the file by itself and finds the analyses by their names.
        progress: called with a label and the fraction done in [0, 1].

    Returns:
        The sections, the same whatever the number of processes.

    Raises:
        MisuseError: no process, or one of several was killed.
    """
    if jobs < 1:
        raise MisuseError(f"{jobs} processes cannot do anything. Give at least 1.")
    tell = progress or _silent
    jobs = min(jobs, len(chosen))
    made = _here(run, chosen, given, tell) if jobs < 2 else _in_processes(run, chosen, given, jobs=jobs, tell=tell)
    tell("Writing", len(chosen) / (len(chosen) + 1))  # the one more is writing
    return [made[name] for name in chosen]


def _here(run: Run | Sequence[Run], chosen: Mapping[str, Analysis], given: Given, tell: Progress) -> dict[str, Section]:
    made, parts = {}, len(chosen) + 1
    given = replace(given, evaluate=once(given.evaluate))
    with _one_thread():
        for done, (name, analysis) in enumerate(chosen.items()):

            def advance(fraction: float, label: str = analysis.title, done: int = done) -> None:
                tell(label, (done + fraction) / parts)

            advance(0.0)
            made[name] = make_section(name, analysis, run, given=given, progress=advance)
    return made


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for BLAS.

    More gain little on matrices of this size, spin while they wait, which costs a multiple on a busy machine, and may
    add up in another order, so that the bytes of a report would depend on the number of cores.
    """
    import scipy.linalg  # noqa: F401, brings a BLAS of its own, and only what is loaded can be limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def _in_processes(
    run: Run | Sequence[Run], chosen: Mapping[str, Analysis], given: Given, *, jobs: int, tell: Progress
) -> dict[str, Section]:
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    made: dict[str, Section] = {}
    slow_first = sorted(chosen, key=lambda name: chosen[name].when != "full")
    view = [_view(each, jobs * len(run)) for each in run] if isinstance(run, Sequence) else _view(run, jobs)
    tasks = (delayed(_section)(view, name, given) for name in slow_first)
    tell(f"{len(chosen)} analyses in {jobs} processes", 0.0)
    try:
        with parallel_config(backend="loky", inner_max_num_threads=1):
            for section in Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")(tasks):
                made[section.name] = section
                tell(section.title, len(made) / (len(chosen) + 1))
    except BrokenProcessPool as error:
        raise MisuseError(f"one of {jobs} processes was killed, likely for want of memory. Take fewer.") from error
    finally:
        get_reusable_executor().shutdown(kill_workers=True)
    return made


class _View(NamedTuple):
    """What a process needs to open the selected run by itself."""

    path: Path
    layers: tuple[str, ...]
    steps: np.ndarray
    keep: int


def _view(run: Run, sharing: int) -> _View:
    return _View(run.path, tuple(run.layers), run.steps, KEPT_BYTES // sharing)


def _section(view: _View | list[_View], name: str, given: Given) -> Section:
    run = [_seen(each) for each in view] if isinstance(view, list) else _seen(view)
    return make_section(name, load(name), run, given=given)


def _seen(view: _View) -> Run:
    run = _opened(view.path, view.keep)
    return run.select(layers=[escape(layer) for layer in view.layers], steps=view.steps)


@cache
def _opened(path: Path, keep: int) -> Run:
    """The run, open as long as the process lives: its next analysis finds what is kept of the weights."""
    return open_run(path, keep=keep)


def _silent(label: str, fraction: float) -> None:
    """Progress that nobody watches."""
