"""One pair of networks: whether they can be joined, and what lies on the line between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._evaluate import Evaluator, Examples, Network
from wdyn.analyses._line import UNKNOWN, Height, between, height
from wdyn.analyses._unit_order import hidden_units, matching_order, reordered
from wdyn.errors import MisuseError, WdynError

if TYPE_CHECKING:
    from wdyn.store.run import Run

End = tuple["Run", int]  # a run and one of its steps
State = dict[str, Array]
LINES = ("", "recorded", "aligned")  # statistics recomputed; as recorded; recomputed, with units matched


class UnfitError(Exception):
    """Two networks that cannot be joined; the text says why."""


class Pair(NamedTuple):
    """What lies between two networks.

    Attributes:
        lines: (`loss` or `error`, one of LINES) to (A,) values.
        heights: the same to how high the line rises.
        same_start: whether two different runs begin with the same weights and masks.
        note: what a reader must know; mostly empty.
        not_aligned: why units were not matched; empty where they were.
    """

    lines: Mapping[tuple[str, str], Array]
    heights: Mapping[tuple[str, str], Height]
    same_start: bool
    note: str
    not_aligned: str


def measure(
    first: End,
    second: End,
    *,
    evaluate: Callable[[Run], Evaluator],
    shares: Array,
    progress: Callable[[float], object] | None,
) -> Pair:
    """Score the line between two networks; see `wdyn.analyses.barrier`.

    Args:
        first: a run and a step.
        second: likewise.
        evaluate: as for `barrier`.
        shares: (A,) points.
        progress: is told the share that is done.

    Raises:
        UnfitError: they cannot be joined.
        NotFoundError: a step was not recorded.
    """
    (base, step), evaluator = _base(first, second, evaluate)
    names = _names(evaluator, first[0], second[0])
    ends = [run.state(at, names) for run, at in (first, second)]
    network = evaluator.at(step)
    work = _Work(network, shares, progress)
    fresh = bool(network.statistics({}))
    scored = {"": work.line(ends[0], ends[1], fresh=fresh)}
    if fresh:
        scored["recorded"] = work.line(ends[0], ends[1], fresh=False)
    not_aligned = ""
    try:
        other = _aligned(base, ends)
        line = scored[""] if other is None else work.line(ends[0], other, fresh=fresh)
        _check_same(scored[""][-1], line[-1])
        scored["aligned"] = line
    except MisuseError as error:
        not_aligned = f"Units were not matched: {error}."
    if progress:
        progress(1.0)
    lines, heights = _summed(scored, shares)
    return Pair(lines, heights, _same_start(first[0], second[0]), _note(first, second, base), not_aligned)


def _aligned(base: Run, ends: Sequence[State]) -> State | None:
    """The second network with its units in the order that fits the first best; None where they are in it already."""
    layers = hidden_units(base)
    if missing := [name for units in layers for name in (*units.own, units.reader) if name not in ends[0]]:
        raise MisuseError(f"{missing[0]} is no floating-point tensor of both")
    orders = matching_order(ends[0], ends[1], layers)
    if all(np.array_equal(order, np.arange(len(order))) for order in orders):
        return None
    return reordered(ends[1], layers, orders)


def _check_same(before: Examples, after: Examples) -> None:
    """The order of units must not change what a network computes, whatever its program looks like."""
    if not np.allclose(before.loss, after.loss, rtol=1e-3, atol=1e-4, equal_nan=True):
        raise MisuseError("the network computes something else once they are in another order")


def _base(first: End, second: End, evaluate: Callable[[Run], Evaluator]) -> tuple[End, Evaluator]:
    """The end whose forward pass and data serve for both."""
    reasons = []
    for end in (first, second):
        try:
            return end, evaluate(end[0])
        except WdynError as error:
            reasons.append(str(error))
    raise UnfitError(" ".join(dict.fromkeys(reasons)))


def _names(evaluator: Evaluator, first: Run, second: Run) -> list[str]:
    """Tensors that move along the line: those that the forward pass reads, of floating type."""
    for name in evaluator.tensors:
        shapes = [run.parameters[name].shape if name in run.parameters else None for run in (first, second)]
        if shapes[0] != shapes[1]:
            has = " and ".join("none" if shape is None else str(tuple(shape)) for shape in shapes)
            raise UnfitError(f"{name} differs in shape ({has}), so there is no line between them")
    return [name for name in evaluator.tensors if "float" in first.parameters[name].dtype]


def _same_start(first: Run, second: Run) -> bool:
    """Whether two recordings begin with the same network, masks included; a run and its copy are one recording."""
    if first.meta.get("run_id") == second.meta.get("run_id") or first.steps[0] != 0 or second.steps[0] != 0:
        return False
    if first.parameters.keys() != second.parameters.keys():
        return False
    return all(
        first.state(0, [name])[name].tobytes() == second.state(0, [name])[name].tobytes() for name in first.parameters
    )


def _note(first: End, second: End, base: Run) -> str:
    runs = first[0], second[0]
    other = [run for run in runs if run is not base]
    if not other:
        return ""
    samples = [run.sample for run in (base, other[0])]
    parts = []
    if base.program != other[0].program:
        parts.append("forward pass")
    if not _equal(*samples):
        parts.append("recorded sample")
    return f"Their {' and '.join(parts)} differ: those of {base.name} serve both." if parts else ""


def _equal(a: tuple[Array, Array] | None, b: tuple[Array, Array] | None) -> bool:
    if a is None or b is None:
        return a is b
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


class _Work:
    """Scores lines and tells how far it is."""

    def __init__(self, network: Network, shares: Array, progress: Callable[[float], object] | None) -> None:
        self._network, self._shares = network, shares
        self._progress, self._done = progress or (lambda done: None), 0

    def line(self, first: State, second: State, *, fresh: bool) -> list[Examples]:
        """What each point gives on each example."""
        found = []
        for share in self._shares.tolist():
            tensors = between(first, second, share)
            if fresh:
                tensors |= self._network.statistics(tensors)
            found.append(self._network.each(tensors))
            self._done += 1
            self._progress(min(self._done / (len(LINES) * len(self._shares)), 1.0))
        return found


def _summed(
    scored: Mapping[str, list[Examples]], shares: Array
) -> tuple[dict[tuple[str, str], Array], dict[tuple[str, str], Height]]:
    lines: dict[tuple[str, str], Array] = {}
    heights: dict[tuple[str, str], Height] = {}
    for line in LINES:
        for what in ("loss", "error"):
            lines[what, line], heights[what, line] = np.full(len(shares), np.nan), UNKNOWN
        if line not in scored:
            continue
        values = np.stack([each.loss for each in scored[line]])
        lines["loss", line], heights["loss", line] = values.mean(axis=1), height(values, shares)
        if all(each.right is not None for each in scored[line]):
            wrong = np.stack([1 - each.right for each in scored[line] if each.right is not None])
            values = np.where(
                np.isnan(values), np.nan, wrong
            )  # of outputs that are no numbers the first class is taken
            lines["error", line], heights["error", line] = values.mean(axis=1), height(values, shares, resolution=1.0)
    return lines, heights
