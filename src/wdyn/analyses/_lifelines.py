"""What happens to groups from one shown step to the next: births, deaths, merges, splits; and how to draw it."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Literal, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array, Bridge, Chart, HeatMap, Lifelines, Table

Kind = Literal["birth", "death", "merge", "split"]
KINDS: tuple[Kind, ...] = ("birth", "death", "merge", "split")

DRAWN_GROUPS = 16
DRAWN_NEURONS = 256
LISTED_EVENTS = 100


class Event(NamedTuple):
    """Something that happened to groups between two shown steps.

    Attributes:
        at: position of the later step.
        kind: what happened.
        before: numbers of the groups of the earlier step that took part, by falling overlap.
        after: numbers of the groups of the later step, likewise.
        neurons: members of the one group that was born, died, was merged into or was split.
        by_chance: chance that groups of these sizes, drawn at random from the live neurons, share as many members, for
            the link of which that is largest; NaN for births and deaths, which have none.
    """

    at: int
    kind: Kind
    before: tuple[int, ...]
    after: tuple[int, ...]
    neurons: int
    by_chance: float


def lifelines(members: Array, live: Array) -> list[Event]:
    """Births, deaths, merges and splits of groups.

    Two groups of consecutive shown steps are linked when they share at least half of the smaller one's members. A group
    without a link to the step before is born, one without a link to the step after dies, one with several links to
    the step before is a merge and one with several to the step after a split. The groups of the first step were
    there, not born.

    Args:
        members: (T, N) int64, group of each neuron, -1 for none; numbers that last, as from `persistent`.
        live: (T,) int64, neurons that have a direction.

    Returns:
        Events in order of time, then of `KINDS`, then of the number of the group they happen to.

    Source:
        The taxonomy of Spiliopoulou et al., MONIC: modeling and monitoring cluster transitions, KDD (2006).
    """
    events = []
    for at in range(1, len(members)):
        everyone = int(live[at - 1 : at + 1].max())
        births = _backward(members[at - 1], members[at], at, everyone)
        # deaths and splits are births and merges with time reversed
        deaths = [_reversed(event) for event in _backward(members[at], members[at - 1], at, everyone)]
        events += sorted(births + deaths, key=lambda event: KINDS.index(event.kind))
    return events


def counts(events: Sequence[Event], steps: int) -> Array:
    """(T, 4) int64, events of each of `KINDS` at each of `steps` shown steps."""
    table = np.zeros((steps, len(KINDS)), dtype=np.int64)
    for event in events:
        table[event.at, KINDS.index(event.kind)] += 1
    return table


def shared_by_chance(shared: int, size: int, other: int, everyone: int) -> float:
    """Chance that two random groups have at least so many members in common (hypergeometric, exact).

    Args:
        shared: members in common.
        size: members of the one group.
        other: members of the other.
        everyone: neurons that both are drawn from.

    Returns:
        Float in [0, 1].
    """
    ways = sum(comb(size, k) * comb(everyone - size, other - k) for k in range(shared, min(size, other) + 1))
    return ways / comb(everyone, other)


def overlap_by_chance(size: int, other: int, everyone: int) -> float:
    """Members that two random groups have in common on average (hypergeometric); arguments as above."""
    return size * other / everyone


def _backward(before: Array, after: Array, at: int, everyone: int) -> list[Event]:
    """Births and merges."""
    events = []
    for group in np.unique(after[after >= 0]).tolist():
        members = after == group
        names, shared, sizes = _linked(members, before)
        if len(names) == 1:
            continue
        kind: Kind = "merge" if names else "birth"
        size = int(members.sum())
        chances = [shared_by_chance(s, size, other, everyone) for s, other in zip(shared, sizes, strict=True)]
        events.append(Event(at, kind, tuple(names), (group,), size, max(chances, default=np.nan)))
    return events


def _reversed(event: Event) -> Event:
    kind: Kind = "split" if event.kind == "merge" else "death"
    return event._replace(kind=kind, before=event.after, after=event.before)


def _linked(members: Array, labels: Array) -> tuple[list[int], list[int], list[int]]:
    """Numbers, shared members and sizes of the groups of `labels` linked with that of `members` (N,) bool."""
    names, shared = np.unique(labels[members & (labels >= 0)], return_counts=True)
    sizes = (labels == names[:, None]).sum(axis=1)
    order = np.lexsort((names, -shared))
    order = order[2 * shared[order] >= np.minimum(members.sum(), sizes[order])]
    return names[order].tolist(), shared[order].tolist(), sizes[order].tolist()


def lifeline_charts(
    layer: str, shown: Array, members: Array, *, neurons: Array, live: Array, events: Sequence[Event]
) -> list[Chart]:
    """Sizes of the largest groups through time, who is in which group, and what happened to the groups.

    Args:
        layer: name of the layer.
        shown: (T,) int64 steps.
        members: (T, n) int64 as for `lifelines`.
        neurons: (n,) int64 numbers of the neurons.
        live: (T,) int64 as for `lifelines`.
        events: from `lifelines`.

    Returns:
        Two charts and a table, or none where no group ever was.
    """
    if members.max(initial=-1) < 0:
        return []
    return [_bands(layer, shown, members, live), _who(layer, shown, neurons, members), _table(layer, shown, events)]


def _bands(layer: str, shown: Array, members: Array, live: Array) -> Lifelines:
    names = np.unique(members[members >= 0])
    sizes = (members[:, :, None] == names).sum(axis=1)  # (T, K)
    largest = np.sort(np.lexsort((names, -sizes.max(axis=0)))[:DRAWN_GROUPS])
    bridges = _bridges(members, live, names[largest].tolist())
    order = _beside(len(largest), bridges)
    place = {k: i for i, k in enumerate(order)}
    return Lifelines(
        title="Lives of groups"
        if len(largest) == len(names)
        else f"Lives of the largest {len(largest)} of {len(names)} groups",
        steps=shown,
        groups=names[largest][order],
        sizes=sizes[:, largest][:, order],
        bridges=[each._replace(before=place[each.before], after=place[each.after]) for each in bridges],
        caption=(
            "A band is a group, as wide as it has neurons; a bridge joins groups of consecutive shown steps that share "
            "at least half of the smaller one. Random directions show any group in 1 of 100 layers. How surely the "
            "largest groups come back, and how likely each overlap is by chance, stands in the tables of this section."
        ),
        layer=layer,
    )


def _bridges(members: Array, live: Array, names: Sequence[int]) -> list[Bridge]:
    """Where a group goes on under another number: merges and splits."""
    found = []
    for at in range(1, len(members)):
        everyone = int(live[at - 1 : at + 1].max())
        for after in sorted(set(members[at].tolist()) & set(names)):
            own = members[at] == after
            for name, shared, size in zip(*_linked(own, members[at - 1]), strict=True):
                if name != after and name in names:
                    by_chance = overlap_by_chance(int(own.sum()), size, everyone)
                    found.append(Bridge(at, names.index(name), names.index(after), shared, by_chance))
    return found


def _beside(count: int, bridges: Sequence[Bridge]) -> list[int]:
    """An order of groups in which those that exchange neurons lie beside each other, as far as one list can."""
    order: list[int] = []
    by_size = sorted(bridges, key=lambda each: (-each.neurons, each.at))
    for first in range(count):
        waiting = [first]
        while waiting:
            group = waiting.pop(0)
            if group not in order:
                order.append(group)
                pairs = [(each.before, each.after) for each in by_size if group in (each.before, each.after)]
                waiting += [b if a == group else a for a, b in pairs]
    return order


def _who(layer: str, shown: Array, neurons: Array, members: Array) -> HeatMap:
    ever = np.flatnonzero((members >= 0).any(axis=0))
    last = members[-1, ever]
    order = ever[np.lexsort((ever, last, last < 0))][:DRAWN_NEURONS]
    return HeatMap(
        title=f"Who is in which group ({_some(len(order), len(ever), 'neurons that ever are in one')})",
        x=shown,
        values=np.where(members[:, order] >= 0, members[:, order], np.nan).T,
        rows=neurons[order].tolist(),
        x_label="optimizer step",
        row_label="neuron, in the order of groups at the last step",
        value_label="number of the group",
        categorical=True,
        layer=layer,
    )


def _table(layer: str, shown: Array, events: Sequence[Event]) -> Table:
    listed = events[:LISTED_EVENTS]
    return Table(
        title=f"What happened to groups ({_some(len(listed), len(events), 'events')})",
        columns={
            "up to step": [int(shown[event.at]) for event in listed],
            "event": [event.kind for event in listed],
            "from groups": [", ".join(map(str, event.before)) for event in listed],
            "to groups": [", ".join(map(str, event.after)) for event in listed],
            "neurons": [event.neurons for event in listed],
            "overlap by chance": ["" if np.isnan(event.by_chance) else event.by_chance for event in listed],
        },
        layer=layer,
    )


def _some(shown: int, count: int, what: str) -> str:
    return f"{shown} of {count} {what}" if shown < count else f"all {what}"
