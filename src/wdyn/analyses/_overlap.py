"""How many weights two masks keep in common, and how many any two of their sizes would."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array


class Overlap(NamedTuple):
    """Counts of two masks of one layer, or of several layers together.

    Attributes:
        first: weights that one mask keeps.
        second: that the other keeps.
        both: that both keep.
        places: weights there are.
        expected: that both keep on average where one mask is dealt out at random: first * second / places, in several
            layers the sum over them.
        most: that both could keep, the smaller of first and second, in several layers the sum over them.
    """

    first: int
    second: int
    both: int
    places: int
    expected: float
    most: int

    @property
    def iou(self) -> float:
        """Intersection over union, in [0, 1]; NaN where neither keeps a weight."""
        union = self.first + self.second - self.both
        return self.both / union if union else np.nan

    @property
    def expected_iou(self) -> float:
        """The same at the expected intersection."""
        union = self.first + self.second - self.expected
        return self.expected / union if union else np.nan

    @property
    def kappa(self) -> float:
        """(both - expected) / (most - expected): 0 by chance, 1 where the sparser mask lies within the other.

        NaN where the sizes leave no choice, as where a mask keeps all.
        """
        room = self.most - self.expected
        return (self.both - self.expected) / room if room > 0 else np.nan


def overlap(first: Array, second: Array) -> Overlap:
    """Count two masks of one layer.

    Args:
        first: bool, True where a weight is kept.
        second: bool of the same shape.
    """
    a, b, both = (int(np.count_nonzero(each)) for each in (first, second, first & second))
    return counted(a, b, both, places=first.size)


def counted(first: int, second: int, both: int, *, places: int) -> Overlap:
    """The same from counts of one layer."""
    expected = first * second / places if places else 0.0
    return Overlap(first, second, both, places, expected, min(first, second))


def chance_variance(found: Overlap) -> float:
    """Of the overlap where one mask is dealt out at random, of one layer."""
    n, a, b = found.places, found.first, found.second
    return a * b / n * (n - a) / n * (n - b) / max(n - 1, 1)


def together(overlaps: list[Overlap]) -> Overlap:
    """Several layers as one."""
    first, second, both, places, expected, most = (sum(column) for column in zip(*overlaps, strict=True))
    return Overlap(int(first), int(second), int(both), int(places), float(expected), int(most))


def largest(values: Array, keep: int) -> Array:
    """The mask that a ranking alone would give.

    Args:
        values: real, of any shape.
        keep: how many places stay.

    Returns:
        Bool of that shape, True at the highest values; of equal ones the lower index goes first.
    """
    flat = np.asarray(values).ravel()
    if not 0 < keep < flat.size:
        return np.full(np.shape(values), keep > 0)
    threshold = np.partition(flat, flat.size - keep)[flat.size - keep]
    chosen = flat > threshold
    level = np.flatnonzero(flat == threshold)
    chosen[level[len(level) - (keep - np.count_nonzero(chosen)) :]] = True
    return np.asarray(chosen.reshape(np.shape(values)))
