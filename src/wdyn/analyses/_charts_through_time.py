"""Charts of which the slider picks a step, and the lives of groups; `_charts` has the whole vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Neighbours(NamedTuple):
    """The neurons of largest value to each neuron at each shown step, largest first.

    Attributes:
        place: (T, N, K) int, places in the matrix's `members`, one after the other; -1 where there is none.
        values: (T, N, K), NaN there.
        chance: (T,) the value that the largest stays below by chance.
        chance_label: what `chance` is.
    """

    place: Array
    values: Array
    chance: Array
    chance_label: str


@dataclass(frozen=True)
class MatrixThroughTime:
    """A square matrix at each shown step; the page's slider picks the step.

    Attributes:
        title: what is shown.
        steps: (T,) optimizer steps, increasing.
        values: (T, M, M) symmetric, float32; NaN for a dead neuron's row. M is at most 256.
        members: M lists of the neuron numbers a row stands for (one each, or several where rows are block means).
        low: value at one end of the colour scale.
        high: value at the other end.
        value_label: what the colour means.
        layer: the layer it belongs to.
        groups: (T, M) int, group of each row, -1 for none; boundaries are marked. None where there are no groups.
        neighbours: of each of the N neurons that `members` lists, exact also where rows are block means.
    """

    title: str
    steps: Array
    values: Array
    members: Sequence[Sequence[int]]
    low: float
    high: float
    value_label: str
    layer: str
    groups: Array | None = None
    neighbours: Neighbours | None = None


@dataclass(frozen=True)
class PointsThroughTime:
    """One point per neuron at each shown step; the page's slider picks the step, trails show the way there.

    Attributes:
        title: what is shown.
        steps: (T,) optimizer steps, increasing.
        xy: (T, N, 2) coordinates without unit; NaN where a neuron is dead.
        neurons: (N,) neuron numbers in the layer.
        groups: (N,) int, colour of each neuron, -1 for none.
        group_label: what the colour means.
        size: (T, N) relative size of each point, mostly the neuron's norm; None for equal sizes.
        caption: facts the reader must know, such as quality numbers.
        layer: the layer it belongs to.
    """

    title: str
    steps: Array
    xy: Array
    neurons: Array
    groups: Array
    group_label: str
    caption: str
    layer: str
    size: Array | None = None


class Edges(NamedTuple):
    """Edges of a graph at one step.

    Attributes:
        i: (E,) int, position of one node.
        j: (E,) int, position of the other.
        weight: (E,) float32 in (0, 1].
    """

    i: Array
    j: Array
    weight: Array


@dataclass(frozen=True)
class GraphThroughTime:
    """Neurons joined by weighted edges at each shown step; the page's sliders pick the step and the lowest weight.

    The weight of an edge between neurons of cosine c is exp(-d²/σ²) with d = (1 - c)/2, so a cutoff reads back as the
    cosine 1 - 2σ sqrt(ln(1/cutoff)).

    Attributes:
        title: what is shown.
        steps: (T,) optimizer steps, increasing.
        neurons: (N,) neuron numbers in the layer, one per node.
        radius: (T, N) relative radius of each node, mostly the neuron's norm; NaN where it is dead.
        edges: T sets of edges. At any cutoff from `lowest` on, they connect the same nodes as all edges would.
        sigma: σ; NaN where no two neurons are live at any step, then there are no edges.
        lowest: the least cutoff that can be picked.
        xy: (N, 2) coordinates without unit to start from.
        groups: (N,) int, colour of each node, -1 for none.
        group_label: what the colour means.
        caption: facts the reader must know, such as what was left out.
        layer: the layer it belongs to.
        chance: (T,) cosine that as many random directions reach at a pair in 1 of 100 cases; NaN where that has no
            meaning. None where nothing is known of it.
        runs: names of the runs where a group is a run; neurons of different runs may then share a number.
    """

    title: str
    steps: Array
    neurons: Array
    radius: Array
    edges: Sequence[Edges]
    sigma: float
    lowest: float
    xy: Array
    groups: Array
    group_label: str
    caption: str
    layer: str
    chance: Array | None = None
    runs: Sequence[str] = ()


class Bridge(NamedTuple):
    """Neurons that go from one group to another.

    Attributes:
        at: the later step's position.
        before: position of the group they were in.
        after: position of the group they are in now.
        neurons: how many they are.
        by_chance: how many random groups of the same sizes share on average.
    """

    at: int
    before: int
    after: int
    neurons: int
    by_chance: float


@dataclass(frozen=True)
class Lifelines:
    """Groups through time as bands as wide as they have neurons, with bridges where they merge and split.

    Attributes:
        title: what is shown.
        steps: (T,) optimizer steps, increasing.
        groups: (K,) int, numbers of the groups, in the order in which they lie one below the other.
        sizes: (T, K) int, neurons of each group, 0 where there is none.
        bridges: between consecutive steps.
        caption: facts the reader must know, such as what chance would give.
        layer: the layer it belongs to.
    """

    title: str
    steps: Array
    groups: Array
    sizes: Array
    bridges: Sequence[Bridge]
    caption: str
    layer: str

    @property
    def middles(self) -> Array:
        """(K,) place of each group's middle line, in neurons; lanes are as wide as groups ever get, with gaps."""
        widest = np.asarray(self.sizes).max(axis=0, initial=0)
        gap = 0.04 * widest.sum() + 0.5
        return np.asarray(np.cumsum(widest + gap) - widest / 2 - gap / 2)


@dataclass(frozen=True)
class ImagesThroughTime:
    """Small images, one per neuron, at a few steps; the page's slider picks the nearest of them.

    Attributes:
        title: what is shown.
        steps: (P,) optimizer steps, increasing; few, since pixels are many.
        images: (P, N, C, H, W), C images side by side for each neuron; NaN is left blank.
        neurons: (N,) neuron numbers in the layer.
        channels: (N, C) int, which channels of a neuron they are.
        channel_count: how many channels a neuron has.
        limit: the colours run from -limit to limit; what is beyond has the last one.
        value_label: what the colour means.
        caption: facts the reader must know, such as where the shape is known from.
        layer: the layer it belongs to.
    """

    title: str
    steps: Array
    images: Array
    neurons: Array
    channels: Array
    channel_count: int
    limit: float
    value_label: str
    caption: str
    layer: str


@dataclass(frozen=True)
class CurvesThroughTime:
    """A curve at each shown step, beside what chance would give then; the page's slider picks the step.

    Attributes:
        title: what is shown.
        steps: (T,) optimizer steps, increasing.
        x: (X,) increasing, the axis of every curve.
        values: (T, X); NaN leaves a gap.
        expected: (T, X) the same by chance, drawn dashed; NaN likewise.
        expected_label: what gives it.
        x_label: axis label with unit.
        y_label: axis label with unit.
        layer: the layer it belongs to.
    """

    title: str
    steps: Array
    x: Array
    values: Array
    expected: Array
    expected_label: str
    x_label: str
    y_label: str
    layer: str
