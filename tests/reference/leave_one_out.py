"""Leaving neurons out, with everything computed again each time; exact for rows of whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Rows = Sequence[Sequence[int]]


def squared_cosine(a: Sequence[int], b: Sequence[int]) -> Fraction:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return Fraction(product * product, sum(x * x for x in a) * sum(y * y for y in b))


def frame_potential(rows: Rows) -> Fraction:
    return sum((squared_cosine(a, b) for a in rows for b in rows), Fraction(0))


def share(rows: Rows, neuron: int) -> Fraction:
    return frame_potential(rows) - frame_potential([row for i, row in enumerate(rows) if i != neuron])


def greedy_order(rows: Rows, *, largest: bool) -> tuple[list[int], list[Fraction]]:
    """Order of removal and the potential before each; of equal shares the first row goes."""
    left, order, potentials = list(range(len(rows))), [], []
    while left:
        now = [rows[i] for i in left]
        potentials.append(frame_potential(now))
        shares = [share(now, k) for k in range(len(now))]
        order.append(left.pop(shares.index(max(shares) if largest else min(shares))))
    return order, potentials
