"""Names and step numbers → what a run has of them, or an error that says what it has instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from wdyn.errors import MisuseError, NotFoundError
from wdyn.store.layers import Layer
from wdyn.store.sources import Array

if TYPE_CHECKING:
    from wdyn.store.run import Run


def layer_of(run: Run, name: str) -> Layer:
    """The layer of that name."""
    if name not in run.layers:
        listed = ", ".join(f"{each.name} ({each.rows}, {each.columns})" for each in run.layers.values())
        has = f"It has: {listed}." if listed else "It has no layer that gives neuron rows."
        raise NotFoundError(f"{run.path}: no layer {name!r}. {has}{nearest(name, run.layers)}")
    return run.layers[name]


def layers_matching(run: Run, globs: str | Sequence[str] | None) -> list[Layer]:
    """Layers that a name or glob means, or any of several, in the run's order; all when None."""
    if globs is None:
        return list(run.layers.values())
    wanted: set[str] = set()
    for glob in [globs] if isinstance(globs, str) else globs:
        matched = {name for name in run.layers if name == glob or fnmatchcase(name, glob)}
        wanted |= matched or {layer_of(run, glob).name}
    return [each for name, each in run.layers.items() if name in wanted]


def positions_within(run: Run, steps: slice) -> Array:
    """Positions in `run.steps` of a slice over their numbers."""
    if steps.step is not None and steps.step < 1:
        raise MisuseError(f"steps go forward: {steps.step} is no number of steps to go on by. Give 1 or more.")
    low = -np.inf if steps.start is None else steps.start
    high = np.inf if steps.stop is None else steps.stop
    found = np.flatnonzero((run.steps >= low) & (run.steps < high))[:: steps.step]
    if not len(found):
        raise NotFoundError(f"{run.path}: no step there. It has {extent(run)}.")
    return found


def position_of(run: Run, step: int) -> int:
    """Position in `run.steps` of a step."""
    if not len(run.steps):
        raise NotFoundError(f"{run.path}: no step {step}. It has {extent(run)}.")
    place = int(np.searchsorted(run.steps, step))
    if place == len(run.steps) or run.steps[place] != step:
        near = run.steps[np.argmin(np.abs(run.steps - step))]
        raise NotFoundError(f"{run.path}: no step {step}. It has {extent(run)}; the nearest is {near}.")
    return place


def check_recorded(run: Run, names: Iterable[str]) -> None:
    """Raise where one of the names is no recorded tensor."""
    recorded = run.parameters
    if unknown := [name for name in names if name not in recorded]:
        raise NotFoundError(f"{run.path}: {unknown[0]!r} was not recorded.{nearest(unknown[0], recorded)}")


def extent(run: Run) -> str:
    """How many steps a run has, from which to which."""
    return f"{len(run.steps)} steps from {run.steps[0]} to {run.steps[-1]}" if len(run.steps) else "no step"


def nearest(name: str, names: Iterable[str]) -> str:
    """A question whether the name that is most like it was meant; empty where none is."""
    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
