"""Loss and error on the straight line between two runs, or two steps of one: whether they lie in one basin."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._barrier_pairs import LINES, Pair, UnfitError, measure
from wdyn.analyses._charts import Array, Chart, Lines, Table
from wdyn.analyses._evaluate import Evaluator
from wdyn.analyses._line import LEVEL
from wdyn.analyses._runs import distinct_names
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run

STABLE = 0.02  # barrier of the error below which Frankle et al. (2020) call two networks linearly connected
WAY = "way from the first network (0) to the second (1)"
MOST_PAIRS = 15  # more, and only the lines that go out from the first network are scored
MOST_CHARTS = 6  # pairs with charts of their own


@dataclass(frozen=True)
class Barrier(Result):
    """Each pair of networks and the line between them; NaN where a number is not finite or does not apply.

    `steps` is empty, since a line has none; `shown` says where on it the points are: 0 is the pair's first network, 1
    its second.

    Attributes:
        runs: R names, each with its step where steps were given.
        pairs: P positions in `runs`, two each, along the `index` axis.
        at: the step of each of `runs`.
        shown: (A,) float64 from 0 to 1.
        left_out: pair to the reason why it has no line.
        notes: pair to what a reader must know of it.
        same_start: (P,) bool, whether two different recordings begin with the same weights, to the bit, and masks.
        not_aligned: pair to the reason why its units were not matched.
        loss: along the line, statistics of normalisation layers recomputed at each point where there are any.
        error: share of the examples that are wrong, likewise; NaN where targets are no classes.
        loss_recorded: the same with the running statistics on the line too; NaN without normalisation layers.
        error_recorded: likewise.
        loss_aligned: as `loss`, to the second network with its units in the order that fits the first best.
        error_aligned: likewise.
        loss_barrier: highest loss on the line minus the mean of its ends.
        loss_barrier_low: lower end of its 99 % interval over the examples.
        loss_barrier_high: upper end.
        loss_above_chord: highest loss above the straight line between those of the ends.
        loss_barrier_recorded: barrier of `loss_recorded`.
        loss_barrier_aligned: barrier of `loss_aligned`.
        error_barrier: the same for the error.
        error_barrier_low: likewise.
        error_barrier_high: likewise.
        error_above_chord: likewise.
        error_barrier_recorded: likewise.
        error_barrier_aligned: likewise.
    """

    runs: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    at: tuple[int, ...]
    shown: Array
    left_out: dict[str, str]
    notes: dict[str, str]
    same_start: Array
    not_aligned: dict[str, str]
    loss: Array = measured("index", "shown")
    error: Array = measured("index", "shown")
    loss_recorded: Array = measured("index", "shown")
    error_recorded: Array = measured("index", "shown")
    loss_aligned: Array = measured("index", "shown")
    error_aligned: Array = measured("index", "shown")
    loss_barrier: Array = measured("index")
    loss_barrier_low: Array = measured("index")
    loss_barrier_high: Array = measured("index")
    loss_above_chord: Array = measured("index")
    loss_barrier_recorded: Array = measured("index")
    loss_barrier_aligned: Array = measured("index")
    error_barrier: Array = measured("index")
    error_barrier_low: Array = measured("index")
    error_barrier_high: Array = measured("index")
    error_above_chord: Array = measured("index")
    error_barrier_recorded: Array = measured("index")
    error_barrier_aligned: Array = measured("index")

    def name(self, pair: int) -> str:
        """Both networks of a pair."""
        return " and ".join(self.runs[each] for each in self.pairs[pair])


def compute(
    runs: Sequence[Run],
    *,
    evaluate: Callable[[Run], Evaluator],
    steps: Sequence[int] | None = None,
    points: int = 11,
    progress: Callable[[float], object] | None = None,
) -> Barrier:
    """The line between each pair of networks.

    Args:
        runs: at least two; the same one twice, with `steps`, for two steps of it. Of more than six, only the lines
            from the first to each other one.
        evaluate: gives the network of a run that runs again, such as `wdyn.evaluator`. Of each pair the first run's is
            used for both ends, or the second's where the first has none.
        steps: one for each of `runs`; the last one recorded when omitted.
        points: how many on the line, the ends among them, from 3.
        progress: is told the share that is done, in [0, 1].

    Returns:
        Lines and their heights.

    Raises:
        MisuseError: fewer than two runs, steps or points that make no sense, or no two that can be joined.
        NotFoundError: a step was not recorded.
    """
    if len(runs) < 2 or points < 3:
        raise MisuseError(f"a barrier needs at least 2 runs and 3 points, not {len(runs)} and {points}.")
    if steps is not None and len(steps) != len(runs):
        raise MisuseError(f"{len(runs)} runs need {len(runs)} steps, not {len(steps)}.")
    at = [int(run.steps[-1]) for run in runs] if steps is None else list(steps)
    names = tuple(_names(runs, at if steps is not None else None))
    shares = np.linspace(0.0, 1.0, points)
    wanted = list(itertools.combinations(range(len(runs)), 2))
    found: dict[tuple[int, int], Pair] = {}
    left_out: dict[str, str] = {}
    if len(wanted) > MOST_PAIRS:
        wanted = [(a, b) for a, b in wanted if a == 0]
        left_out["all other pairs"] = f"of more than {MOST_PAIRS} pairs only those with the first run; give fewer runs"
    for number, (a, b) in enumerate(wanted):
        one = (lambda done, number=number: progress((number + done) / len(wanted))) if progress else None
        try:
            ends = (runs[a], at[a]), (runs[b], at[b])
            found[a, b] = measure(*ends, evaluate=evaluate, shares=shares, progress=one)
        except UnfitError as reason:
            left_out[f"{names[a]} and {names[b]}"] = str(reason)
    if not found:
        raise MisuseError("; ".join(f"{pair}: {reason}" for pair, reason in left_out.items()))
    return _result(names, at, shares, found, left_out)


def _names(runs: Sequence[Run], steps: Sequence[int] | None) -> list[str]:
    """One name for each file, with the step where it is not the last."""
    different = list({id(run): run for run in runs}.values())
    names = dict(zip(map(id, different), distinct_names(different), strict=True))
    if steps is None and len(different) == len(runs):
        return list(names.values())
    at = [int(run.steps[-1]) for run in runs] if steps is None else steps
    return [f"{names[id(run)]}, step {step}" for run, step in zip(runs, at, strict=True)]


def _result(
    names: tuple[str, ...], at: Sequence[int], shares: Array, found: Mapping[tuple[int, int], Pair],
    left_out: dict[str, str],
) -> Barrier:  # fmt: skip
    numbers: dict[str, Array] = {}
    pairs = list(found.values())
    for what in ("loss", "error"):
        for line in LINES:
            ending = f"_{line}" if line else ""
            numbers[what + ending] = np.stack([pair.lines[what, line] for pair in pairs])
            numbers[f"{what}_barrier{ending}"] = np.array([pair.heights[what, line].barrier for pair in pairs])
        own = [pair.heights[what, ""] for pair in pairs]
        numbers[f"{what}_barrier_low"] = np.array([each.low for each in own])
        numbers[f"{what}_barrier_high"] = np.array([each.high for each in own])
        numbers[f"{what}_above_chord"] = np.array([each.above_chord for each in own])
    named = {f"{names[a]} and {names[b]}": pair for (a, b), pair in found.items()}
    return Barrier(
        run=" and ".join(names), steps=np.zeros(0, np.int64), layers=(), runs=names, pairs=tuple(found), at=tuple(at),
        shown=shares, left_out=left_out, notes={name: pair.note for name, pair in named.items() if pair.note},
        same_start=np.array([pair.same_start for pair in pairs]),
        not_aligned={name: pair.not_aligned for name, pair in named.items() if pair.not_aligned}, **numbers,
    )  # fmt: skip


def charts(result: Barrier) -> list[Chart]:
    """The line of each pair, error and loss, then all of them in a table."""
    kinds = [what for what in ("error", "loss") if np.isfinite(getattr(result, what)).any()]
    if len(result.pairs) > MOST_CHARTS:
        lines = [_all(result, what) for what in kinds]
    else:
        lines = [_line(result, p, what) for p in range(len(result.pairs)) for what in kinds]
    return [*lines, _table(result)]


_LABELS = {"": "on the line", "recorded": "with recorded statistics", "aligned": "after aligning units"}


def _line(result: Barrier, p: int, what: str) -> Lines:
    own = getattr(result, what)[p]
    y = {"on the line": own}
    for line in ("recorded", "aligned"):
        values = getattr(result, f"{what}_{line}")[p]
        if np.isfinite(values).any():
            y[_LABELS[line]] = values
    a, b = (result.runs[each] for each in result.pairs[p])
    title = f"{what[0].upper()}{what[1:]} between {a} and {b}"
    reference = {"mean of the ends": float(own[0] + own[-1]) / 2}
    return Lines(title=title, x=result.shown, y=y, x_label=WAY, y_label=_UNITS[what], reference=reference)


_UNITS = {"error": "share of examples that are wrong", "loss": "loss"}


def _all(result: Barrier, what: str) -> Lines:
    y = {result.name(p): values for p, values in enumerate(getattr(result, what))}
    title = f"{what[0].upper()}{what[1:]} between all pairs"
    return Lines(title=title, x=result.shown, y=y, x_label=WAY, y_label=_UNITS[what])


def _table(result: Barrier) -> Table:
    """One row per pair."""
    names = [result.name(p) for p in range(len(result.pairs))]
    blank = [np.nan] * len(result.left_out)
    columns: dict[str, list[Any]] = {
        "networks": [*names, *result.left_out],
        "one start": [*("yes" if each else "no" for each in result.same_start), *[""] * len(blank)],
    }
    for heading, values in {
        "error barrier": result.error_barrier, "99 % from": result.error_barrier_low, "to": result.error_barrier_high,
        "error above chord": result.error_above_chord, "recorded statistics": result.error_barrier_recorded,
        "aligned": result.error_barrier_aligned, "loss barrier": result.loss_barrier,
        "loss above chord": result.loss_above_chord, "loss barrier, aligned": result.loss_barrier_aligned,
    }.items():  # fmt: skip
        columns[heading] = [*values.tolist(), *blank]
    said = [" ".join(each.get(name, "") for each in (result.notes, result.not_aligned)).strip() for name in names]
    columns["note"] = [*said, *result.left_out.values()]
    return Table(title="Barriers: the highest point of each line above the mean of its ends", columns=columns)


def findings(result: Barrier) -> Iterator[Finding]:
    """Whether each pair is joined without a barrier of 2 %; where they share a start, whether it is stable."""
    for p in range(len(result.pairs)):
        low, high = result.error_barrier_low[p], result.error_barrier_high[p]
        if np.isfinite(low):
            text = f"{result.name(p)}: the error on the line rises by {_percent(result.error_barrier[p])}"
            text += f" (99 %: {_percent(low)} to {_percent(high)}) above the mean of the ends, so {_verdict(result, p)}"
            if np.isfinite(aligned := result.error_barrier_aligned[p]):
                text += f"; after aligning units by {_percent(aligned)}"
            yield Finding("", result.at[result.pairs[p][1]], text, bool(low >= STABLE), LEVEL)


def _verdict(result: Barrier, p: int) -> str:
    low, high = result.error_barrier_low[p], result.error_barrier_high[p]
    if not low >= STABLE and not high < STABLE:
        return "these examples do not tell it from the mark of 2 %"
    connected = bool(high < STABLE)
    if result.same_start[p]:
        word = "stable" if connected else "unstable"
        return f"their common start is {word} to what differs after it, such as the order of the data (mark: 2 %)"
    return f"they are {'' if connected else 'not '}linearly connected (mark: 2 %)"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


ANALYSIS = Analysis(
    title="Barrier between runs",
    compute=compute,
    charts=charts,
    findings=findings,
    takes="runs",
    needs=frozenset({"evaluate"}),
    reading=(
        "The weights go along the straight line from one network to the other, masks included, and the network is "
        "scored at each point. Two networks with a rise of the error below 2 % count as linearly connected, and a "
        "start from which other data orders lead to such a pair as stable (Frankle et al. 2020). Running statistics of "
        "normalisation layers are recomputed at each point, since those on the line fit no network on it. Networks of "
        "two starts may be the same but for the order of their units: so units are also matched by their weights "
        "(Ainsworth et al. 2023), where the layers form a plain chain."
    ),
)
