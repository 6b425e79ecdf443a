"""Rank correlation, selectivity, the location test and importance through time, by their definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction


def rank(values: Sequence[float], value: float) -> float:
    """Place of a value among all, from 1; equal ones share the mean of their places."""
    return sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    both = [(a, b) for a, b in zip(first, second, strict=True) if math.isfinite(a) and math.isfinite(b)]
    xs, ys = ([rank(side, value) for value in side] for side in zip(*both, strict=True))
    mean = (len(both) + 1) / 2
    covariance = sum((x - mean) * (y - mean) for x, y in zip(xs, ys, strict=True))
    return covariance / math.sqrt(sum((x - mean) ** 2 for x in xs) * sum((y - mean) ** 2 for y in ys))


def chance_of_exceeding(count: int, units: int, control: int) -> Fraction:
    """Share of the orders of all values in which the `count` largest are units: choose the places of the control."""
    total = units + control
    orders = list(itertools.combinations(range(total), control))  # place 0 is the largest
    return Fraction(sum(all(place >= count for place in places) for places in orders), len(orders))


def selectivity(class_means: Sequence[float]) -> float:
    largest = max(class_means)
    others = list(class_means)
    others.remove(largest)
    other = sum(others) / len(others)
    return (largest - other) / (largest + other)


def important_from(rises: Sequence[float], limit: float, steps: Sequence[int]) -> float:
    for at, step in enumerate(steps):
        if all(rise > limit for rise in rises[at:]):
            return float(step)
    return math.nan
