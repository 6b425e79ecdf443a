"""Winning tickets from different initialisations, compared once the units of their dense networks are matched."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdyn.analyses._aligned_overlap import AlignedOverlap, Half, aligned_overlap
from wdyn.analyses._chain_of_layers import Link, plain_chain
from wdyn.analyses._charts import Array, Bars, Chart, Table
from wdyn.analyses._false_discovery import adjusted
from wdyn.analyses._runs import distinct_names
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses._ticket_runs import Member, birth_of, mismatch, one_birth, sparse_members, ticket_facts
from wdyn.analyses._unit_alignment import align_chain
from wdyn.errors import MisuseError, WdynError

if TYPE_CHECKING:
    from wdyn.store.run import Run

LEVEL = 0.01
FEW_PAIRS = 6
FOUND = ("ticket", "transferred")  # kinds whose mask was found in training
MOST_HOPS = 4  # from a transferred ticket to the ticket to its dense run


@dataclass(frozen=True)
class AlignedTickets(Result):
    """Masks of R runs in P pairs, each pair with its units matched; along `index` run the pairs.

    Attributes:
        runs: R names.
        pairs: P positions in `runs`, two each: those that could be aligned.
        notes: which pairs were not, and why.
        iou_before: intersection over union of the masks as they are.
        iou: once the units of the second are in the order of the first.
        iou_expected: at the overlap expected by the null.
        both: weights kept by both after aligning.
        expected: what the null, aligned likewise, gives on average.
        kappa: (both - expected) / (most - expected).
        z: standard deviations above it.
        p: chance of at least this overlap, from Student's law.
        p_drawn: the same by counting draws.
        q: p corrected for the number of layers and pairs (Benjamini-Hochberg).
        moved: share of the layer's units that stand in another place than their own.
        draws: draws of the null.
    """

    runs: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]
    iou_before: Array = measured("index", "layer")
    iou: Array = measured("index", "layer")
    iou_expected: Array = measured("index", "layer")
    both: Array = measured("index", "layer")
    expected: Array = measured("index", "layer")
    kappa: Array = measured("index", "layer")
    z: Array = measured("index", "layer", unit="standard deviations")
    p: Array = measured("index", "layer")
    p_drawn: Array = measured("index", "layer")
    q: Array = measured("index", "layer")
    moved: Array = measured("index", "layer")
    draws: Array = measured("index", "layer")


class _Grown(NamedTuple):
    """A ticket with the dense run it was found in, and the chain of its layers."""

    member: Member
    dense: Run
    chain: list[Link]

    def weights(self, layer: str) -> Array:
        """(N, D) of the dense run at its last step."""
        return self.dense.neurons(layer, int(self.dense.steps[-1]))

    def half(self, layer: str) -> Half:
        """These weights with the ticket's mask."""
        return Half(self.weights(layer), self.member.kept(layer))


def compute(runs: Sequence[Run], *, seed: int = 0, progress: Callable[[float], object] | None = None) -> AlignedTickets:
    """Match the units of the dense networks of each pair of tickets, and compare their masks in that order.

    Args:
        runs: at least two pruned runs of plain chains of layers. The dense run of each is the one that its metadata
            names, among `runs` or beside it, at its last step.
        seed: of the draws.
        progress: called with the share of the work done.

    Returns:
        All numbers of the pairs that can be aligned.

    Raises:
        MisuseError: no pair can be aligned; the text says why.
    """
    members, _ = sparse_members(runs, distinct_names(runs))
    pairs = list(itertools.combinations(range(len(members)), 2))
    with ExitStack() as opened:
        grown = [_grown(member, runs, opened) for member in members]
        reasons = {pair: reason for pair in pairs if (reason := _hurdle(grown[pair[0]], grown[pair[1]]))}
        notes = [f"{members[a].name} and {members[b].name}: {reason}" for (a, b), reason in reasons.items()]
        usable = [pair for pair in pairs if pair not in reasons]
        if not usable:
            raise MisuseError(f"No two tickets can be aligned. {'; '.join(notes[:3])}.")
        found = []
        for p, (a, b) in enumerate(usable):
            one, other = grown[a], grown[b]
            assert isinstance(one, _Grown)
            assert isinstance(other, _Grown)
            found.append(_compared(one, other, rng=np.random.default_rng([seed, p])))
            if progress is not None:
                progress((p + 1) / len(usable))
    return _assembled(members, usable, found, notes)


def _grown(member: Member, runs: Sequence[Run], opened: ExitStack) -> _Grown | str:
    """With its dense run, or why there is none."""
    kind = ticket_facts(member.run).get("kind", "ticket")
    if kind not in FOUND:
        return f"{member.name} is a control ({kind}), whose mask is no finding of its own"
    try:
        dense = member.run
        for _ in range(MOST_HOPS):
            dense = _origin(dense, runs, opened)
            if ticket_facts(dense).get("kind", "dense") == "dense":
                break
        else:
            return f"{member.name} does not lead to a dense run"
        return _Grown(member, dense, plain_chain(dense if dense.program is not None else member.run))
    except WdynError as error:
        return str(error)


def _origin(run: Run, runs: Sequence[Run], opened: ExitStack) -> Run:
    """The run that a run's starting values come from."""
    from wdyn.store.reader import open_run

    named = ticket_facts(run).get("start")
    if not isinstance(named, Mapping) or not isinstance(named.get("file"), str):
        raise MisuseError(f"{run.name} does not say which dense run it comes from")
    among = next((each for each in runs if each.meta.get("run_id") == named.get("run_id")), None)
    if among is not None:
        return among
    file = str(named["file"])
    try:
        found = opened.enter_context(open_run(run.path.parent / file))
    except (WdynError, OSError, ValueError) as error:
        raise MisuseError(f"the dense run of {run.name}, {file}, cannot be read beside it") from error
    if named.get("run_id") not in (None, found.meta["run_id"]):
        raise MisuseError(f"{file} beside {run.name} is another recording than its dense run")
    return found


def _hurdle(first: _Grown | str, second: _Grown | str) -> str:
    """Why two tickets are not aligned; empty where they can be."""
    for each in (first, second):
        if isinstance(each, str):
            return each
    assert isinstance(first, _Grown)
    assert isinstance(second, _Grown)
    if first.dense.meta["run_id"] == second.dense.meta["run_id"]:
        return "they come from one dense run, so their units correspond as they stand"
    if first.chain != second.chain:
        return "their layers follow each other differently"
    for link in first.chain:
        if reason := mismatch(first.member, second.member, link.layer):
            return f"layer {link.layer} differs: {reason}"
    starts = [each.member.ends(first.chain[0].layer)[0] for each in (first, second)]
    if one_birth(*(None if start is None else birth_of(start) for start in starts)):
        return "they were born with the same weights, so their units correspond as they stand"
    return ""


def _compared(first: _Grown, second: _Grown, *, rng: np.random.Generator) -> dict[str, tuple[AlignedOverlap, float]]:
    """Layer to its overlaps, and the share of its units that moved."""
    found = {}
    for layer, place in align_chain(first.chain, first.weights, second.weights).items():
        matches = layer != first.chain[-1].layer
        result = aligned_overlap(first.half(layer), second.half(layer), place, matches=matches, rng=rng)
        found[layer] = result, float(np.mean(place.rows != np.arange(len(place.rows))))
    return found


def _assembled(
    members: list[Member],
    pairs: list[tuple[int, int]],
    found: list[dict[str, tuple[AlignedOverlap, float]]],
    notes: list[str],
) -> AlignedTickets:
    layers = tuple(dict.fromkeys(layer for each in found for layer in each))
    names = ("iou_before", "iou", "iou_expected", "both", "expected", "kappa", "z", "p", "p_drawn", "moved", "draws")
    numbers = {name: np.full((len(pairs), len(layers)), np.nan) for name in names}
    for p, each in enumerate(found):
        for j, layer in enumerate(layers):
            if layer in each:
                for name, value in zip(names, _numbers(*each[layer]), strict=True):
                    numbers[name][p, j] = value
    return AlignedTickets(
        run=" and ".join(each.name for each in members), steps=np.array([each.last for each in members]),
        layers=layers, runs=tuple(each.name for each in members), pairs=tuple(pairs), notes=tuple(notes),
        q=adjusted(numbers["p"]), **numbers,
    )  # fmt: skip


def _numbers(found: AlignedOverlap, moved: float) -> tuple[float, ...]:
    as_expected = found.after._replace(expected=found.expected)
    return (
        found.before.iou, found.after.iou, as_expected.expected_iou, found.after.both, found.expected,
        as_expected.kappa, found.z, found.p, found.p_drawn, moved, found.draws,
    )  # fmt: skip


def _claimed(result: AlignedTickets, p: int, j: int) -> bool:
    """The law says so, and no more than one draw in a hundred reached the overlap."""
    least = max(LEVEL, 1 / (1 + float(np.nan_to_num(result.draws[p, j]))))
    return bool(result.q[p, j] <= LEVEL and result.p_drawn[p, j] <= least)


def _words(result: AlignedTickets, p: int, j: int) -> str:
    if not np.isfinite(result.q[p, j]):
        return "nothing to compare: a mask keeps all or nothing here"
    if _claimed(result, p, j):
        return "alike beyond chance once units are matched"
    return "no more alike than without units"


def findings(result: AlignedTickets) -> Iterator[Finding]:
    """For each pair and layer whether the masks are alike once units are matched."""
    for p, (a, b) in enumerate(result.pairs):
        for j, layer in enumerate(result.layers):
            if np.isfinite(result.q[p, j]):
                text = f"{layer}, {result.runs[a]} and {result.runs[b]}: {_words(result, p, j)}"
                yield Finding(layer, int(result.steps[a]), text, _claimed(result, p, j), LEVEL, float(result.z[p, j]))


def charts(result: AlignedTickets) -> list[Chart]:
    """Overlap before and after aligning beside the null, for a few pairs as bars, and all numbers as a table."""
    names = [f"{result.runs[a]} and {result.runs[b]}" for a, b in result.pairs]
    found: list[Chart] = [
        Bars(
            f"Overlap of {name}, units matched",
            result.layers,
            {
                "as they stand": result.iou_before[p],
                "units matched": result.iou[p],
                "by chance": result.iou_expected[p],
            },
            "layer",
            "intersection over union",
        )
        for p, name in enumerate(names[:FEW_PAIRS])
    ]
    places = [(p, j) for p in range(len(names)) for j in range(len(result.layers)) if np.isfinite(result.both[p, j])]
    columns: dict[str, list[object]] = {
        "runs": [names[p] for p, _ in places],
        "layer": [result.layers[j] for _, j in places],
        "verdict": [_words(result, p, j) for p, j in places],
    }
    for heading, values in {
        "IoU as they stand": result.iou_before, "IoU matched": result.iou, "IoU by chance": result.iou_expected,
        "κ": result.kappa, "z": result.z, "corrected probability": result.q, "units moved": result.moved,
        "draws": result.draws,
    }.items():  # fmt: skip
        columns[heading] = [float(values[p, j]) for p, j in places]
    found.append(Table("Overlap of masks, units matched", columns))
    return found + ([Table("Not aligned", {"pair and reason": list(result.notes)})] if result.notes else [])


ANALYSIS = Analysis(
    title="Winning tickets with units matched",
    compute=compute,
    charts=charts,
    findings=findings,
    takes="runs",
    reading=(
        "Networks from two initialisations are equal only up to the order of their units. Units of the dense networks "
        "are matched by their trained weights, layer by layer, never by the masks, and the masks compared in that "
        "order. Matching makes anything overlap more, so the null is matched too: a network in which weights and marks "
        "change hands, within each input, among units that keep nearly as many. The units of the last layer are the "
        "classes and stay. Networks that learned the same data have units alike for that reason, so that most of their "
        "layers may be beyond chance here: this tells of units, not that a ticket was found twice. Source of the "
        "matching: Ashmore and Gashler (2015); Ainsworth et al., Git re-basin (2023)."
    ),
)
