"""Edges of a graph through time → whole codes for the page; page/graph_edges.js is the way back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import GraphThroughTime
from wdyn.report.codec import Array

TOP = 254
"""Places of the page's cutoff, less one: code 1 + k is an edge from place k on down."""


class EdgeHistories(NamedTuple):
    """Every pair that has an edge at some step: P pairs, T steps, N nodes.

    Attributes:
        pairs: (P,) int64, i * N + j with i < j, rising.
        codes: (P, T) uint8, 0 where there is no edge, else 1 + the highest cutoff place that the edge passes.
        knots: (place, cosine) of the lowest cutoff, of what chance reaches at the last step where that lies between,
            and of the largest cosine there is; places between them are evenly spaced in cosine.
    """

    pairs: Array
    codes: Array
    knots: list[tuple[int, float]]

    @property
    def cutoffs(self) -> Array:
        """(255,) float64, the cosine at each place."""
        places, cosines = np.array(self.knots).T
        return np.asarray(np.interp(np.arange(TOP + 1), places, cosines))

    @property
    def changes(self) -> Array:
        """(P, T) uint8, differences of the codes in time, modulo 256; the steps of a pair side by side repeat most."""
        return np.diff(self.codes, axis=1, prepend=np.uint8(0))


def edge_histories(chart: GraphThroughTime) -> EdgeHistories:
    """All edges of a graph; exact to the pair at every cutoff the page offers.

    Args:
        chart: the graph.

    Raises:
        ValueError: as many sets of edges as steps are needed.
    """
    if len(chart.edges) != len(chart.steps):
        raise ValueError(f"graph {chart.title!r} has {len(chart.edges)} sets of edges for {len(chart.steps)} steps")
    count = len(chart.neurons)
    ends = [(np.minimum(each.i, each.j) * count + np.maximum(each.i, each.j)).astype(np.int64) for each in chart.edges]
    cosine = [edge_cosines(each.weight, chart.sigma) for each in chart.edges]
    pairs = np.unique(np.concatenate([*ends, np.empty(0, dtype=np.int64)]))
    low = float(edge_cosines(np.array([chart.lowest]), chart.sigma)[0]) if len(pairs) else 0.0
    high = max((float(each.max(initial=low)) for each in cosine), default=low)
    knots = _knots(low, high, chart.chance)
    found = EdgeHistories(pairs, np.zeros((len(pairs), len(chart.steps)), dtype=np.uint8), knots)
    cutoffs = found.cutoffs
    for t, (at, values) in enumerate(zip(ends, cosine, strict=True)):
        # an edge at the lowest cutoff may fall short of it by a rounding
        found.codes[np.searchsorted(pairs, at), t] = np.maximum(np.searchsorted(cutoffs, values, side="right"), 1)
    return found


def _knots(low: float, high: float, chance: Array | None) -> list[tuple[int, float]]:
    """Chance has a place of its own, so that what lies beyond it is the same in words, colours and slider."""
    ends = [(0, low), (TOP, high)]
    limit = float(chance[-1]) if chance is not None and len(chance) else np.nan
    if not low < limit < high:
        return ends
    place = round(TOP * (limit - low) / (high - low))
    return [ends[0], (min(max(place, 1), TOP - 1), limit), ends[1]]


def edge_cosines(weight: Array, sigma: float) -> Array:
    """The cosine that an edge's weight stands for, 1 - 2 sigma sqrt(ln(1 / weight)), as float64."""
    return 1.0 - 2.0 * sigma * np.sqrt(np.log(1.0 / np.minimum(np.asarray(weight, dtype=np.float64), 1.0)))
