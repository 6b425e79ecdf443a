"""Which weights stay: criteria that score them, and the choice by score in exact numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np

from wdyn.errors import MisuseError

Array = np.ndarray[Any, np.dtype[Any]]
Criterion = Literal["magnitude", "magnitude_increase", "movement", "random"]
Norm = Literal["l1", "l2"]

_SCORES: dict[str, Callable[[Array, Array], Array]] = {
    "magnitude": lambda trained, start: np.abs(trained),
    "magnitude_increase": lambda trained, start: np.abs(trained) - np.abs(start),
    "movement": lambda trained, start: np.abs(trained - start),
}


def scores(criterion: Criterion, trained: Array, start: Array, *, rng: np.random.Generator) -> Array:
    """How much speaks for keeping each weight.

    Args:
        criterion: `magnitude` |w|, `magnitude_increase` |w| - |w0|, `movement` |w - w0|, or `random`.
        trained: w, real, of any shape.
        start: w0, of the same shape, from where the training began.
        rng: for `random`.

    Returns:
        Float64 of that shape.

    Raises:
        MisuseError: there is no such criterion, or a score is not a number.

    Source:
        Han et al., Learning both weights and connections (2015), for magnitude; Zhou et al., Deconstructing lottery
        tickets (2019), for increase and movement. Movement here is the distance moved, not the gradient-based score of
        the same name by Sanh et al. (2020).
    """
    if criterion == "random":
        return np.asarray(rng.random(trained.shape))
    _check_known(criterion)
    return _ranked(_SCORES[criterion](trained.astype(np.float64), start.astype(np.float64)))


def unit_scores(
    criterion: Criterion, trained: Array, start: Array, *, norm: Norm, axis: int, rng: np.random.Generator
) -> Array:
    """How much speaks for keeping each whole unit: the same criteria with the norm of its weights for the magnitude.

    Args:
        criterion: as for `scores`: ‖w‖, ‖w‖ - ‖w0‖, ‖w - w0‖, or `random`.
        trained: w, of the whole parameter.
        start: w0, of the same shape.
        norm: `l1` sums absolute values, `l2` takes the root of the squares' sum.
        axis: the axis that counts units.
        rng: for `random`.

    Returns:
        One float64 for each unit.

    Raises:
        MisuseError: as for `scores`.

    Source:
        Li et al., Pruning filters for efficient convnets (2016): filters by the sum of their absolute weights.
    """
    if criterion == "random":
        return np.asarray(rng.random(trained.shape[axis]))
    _check_known(criterion)
    moved = trained.astype(np.float64) - start if criterion == "movement" else trained
    found = _norms(moved, norm, axis)
    if criterion == "magnitude_increase":
        found = found - _norms(start, norm, axis)
    return _ranked(found)


def _norms(values: Array, norm: Norm, axis: int) -> Array:
    rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1).astype(np.float64)
    found: Array = np.linalg.norm(rows, ord=1 if norm == "l1" else 2, axis=1)
    return found


def _check_known(criterion: str) -> None:
    if criterion not in get_args(Criterion):
        raise MisuseError(f"no criterion {criterion!r}. There are: {', '.join(get_args(Criterion))}.")


def _ranked(found: Array) -> Array:
    """The scores, if they can be ranked."""
    if bad := int(np.isnan(found).sum()):
        raise MisuseError(f"{bad:,} scores are not numbers, so they cannot be ranked. Did the training diverge?")
    return found


def highest(values: Array, alive: Array, keep: int) -> Array:
    """The so many highest scores among those that are still there.

    Args:
        values: real, no NaN, of any shape.
        alive: bool of that shape; what is False stays False.
        keep: how many stay, at most as many as there are.

    Returns:
        Bool of that shape with exactly `keep` True. Of equal scores the one with the lower index goes first.

    Raises:
        MisuseError: fewer are there than should stay.
    """
    places = np.flatnonzero(alive)
    go = len(places) - keep
    if go < 0:
        raise MisuseError(f"{keep:,} should stay, but only {len(places):,} are left.")
    chosen = alive.copy()
    if go:
        found = values.ravel()[places]
        threshold = np.partition(found, go - 1)[go - 1]  # the highest score that goes
        below = found < threshold
        level = np.flatnonzero(found == threshold)[: go - int(below.sum())]
        below[level] = True
        chosen.ravel()[places[below]] = False
    return chosen


def highest_of_all(values: Mapping[str, Array], alive: Mapping[str, Array], keep: int) -> dict[str, Array]:
    """As `highest`, over several arrays together; of equal scores the one in the earlier array goes first.

    Args:
        values: name to scores.
        alive: the same names to bool arrays of the same shapes.
        keep: how many stay in all.

    Returns:
        Name to bool array.
    """
    flat = highest(
        np.concatenate([each.ravel() for each in values.values()]),
        np.concatenate([alive[name].ravel() for name in values]),
        keep,
    )
    ends = np.cumsum([each.size for each in values.values()])[:-1]
    return {name: part.reshape(values[name].shape) for name, part in zip(values, np.split(flat, ends), strict=True)}
