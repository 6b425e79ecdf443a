"""What the groups of one step amount to: four numbers, and a table of the largest."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array, Table

LISTED = 10


class Summary(NamedTuple):
    """What one step's groups amount to.

    Attributes:
        groups: their number.
        share: share of live neurons in them, NaN where none is live.
        largest: size of the largest, 0 where there is none.
        effective: n²/Σ size² with neurons on their own as groups of one, NaN where none is live.
    """

    groups: int
    share: float
    largest: int
    effective: float


def summary(labels: Array, live: int) -> Summary:
    """Count the groups of one step.

    Args:
        labels: (N,) int, group of each neuron, -1 for none.
        live: number of neurons that have a direction.

    Returns:
        The counts.

    Source:
        The effective number is the inverse Simpson index (Simpson, Measurement of diversity, Nature 163, 1949).
    """
    sizes = np.unique(labels[labels >= 0], return_counts=True)[1]
    if not live:
        return Summary(0, np.nan, 0, np.nan)
    grouped = int(sizes.sum())
    effective = live**2 / (int((sizes**2).sum()) + live - grouped)
    return Summary(len(sizes), grouped / live, int(sizes.max(initial=0)), effective)


def largest_groups(
    title: str, layer: str, labels: Array, *, neurons: Array, stability: Array, by_chance: float
) -> Table:
    """The ten largest groups of a step.

    Args:
        title: of the table.
        layer: name of the layer.
        labels: (n,) int, group of each neuron, 0 for the largest, -1 for none.
        neurons: (n,) int64 numbers of the neurons.
        stability: (n,) float64, stability of each neuron's group; NaN where it was not measured.
        by_chance: stability that groups of random directions seldom exceed; NaN likewise.

    Returns:
        One row per group.
    """
    members = [labels == group for group in range(min(LISTED, labels.max(initial=-1) + 1))]
    columns: dict[str, list[Any]] = {
        "group": list(range(len(members))),
        "neurons": [int(each.sum()) for each in members],
        "comes back with half of the inputs": [_measured(stability[each][0]) for each in members],
        "most of any group in 20 random layers": [_measured(by_chance)] * len(members),
        "first members": [", ".join(map(str, neurons[each][:LISTED])) for each in members],
    }
    return Table(title=title, columns=columns, layer=layer)


def _measured(value: float) -> float | str:
    return "not measured" if np.isnan(value) else float(value)
