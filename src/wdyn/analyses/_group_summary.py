"""What the groups of one step amount to, in four numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array


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
