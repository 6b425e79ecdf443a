"""Removal orders, areas and how many units can go, with everything computed again each time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

Row = Sequence[int]


def squared_product(a: Row, b: Row) -> Fraction:
    return Fraction(sum(x * y for x, y in zip(a, b, strict=True)) ** 2)


def squared_cosine(a: Row, b: Row) -> Fraction:
    return squared_product(a, b) / (sum(x * x for x in a) * sum(y * y for y in b)) if any(a) and any(b) else Fraction(0)


def cosine(a: Row, b: Row) -> float:
    return math.sqrt(squared_cosine(a, b))


def greedy_order(rows: Sequence[Row], of_pair: Callable[[Row, Row], Any], *, largest: bool) -> list[int]:
    """By how much the sum over all ordered pairs falls without a row decides; the first of equals goes."""
    left, order = list(range(len(rows))), []
    while left:
        falls = [_total(rows, left, of_pair) - _total(rows, [k for k in left if k != i], of_pair) for i in left]
        best = max(falls) if largest else min(falls)
        order.append(left.pop(next(k for k, fall in enumerate(falls) if abs(fall - best) < 1e-9)))
    return order


def _total(rows: Sequence[Row], left: Sequence[int], of_pair: Callable[[Row, Row], Any]) -> Any:
    return sum(of_pair(rows[i], rows[j]) for i in left for j in left)


def area(values: Sequence[float], points: Sequence[int]) -> float:
    total = 0.0
    for i in range(len(points) - 1):
        total += (values[i] + values[i + 1]) / 2 * (points[i + 1] - points[i])
    return total / points[-1]


def spared(scores: Sequence[float], tolerance: float) -> int:
    """Scores after 0, 1, 2, ... removals: the last one before more is lost."""
    for gone, score in enumerate(scores):
        if scores[0] - score > tolerance:
            return gone - 1
    return len(scores) - 1
