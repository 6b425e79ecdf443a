"""Length and movement of neurons, one neuron and step at a time in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = Sequence[float]


def norm(a: Vector) -> float:
    return math.sqrt(math.fsum(x * x for x in a)) if all(math.isfinite(x) for x in a) else math.nan


def distance(a: Vector, b: Vector) -> float:
    return norm([x - y for x, y in zip(a, b, strict=True)])


def cosine(a: Vector, b: Vector) -> float:
    lengths = norm(a) * norm(b)
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths > 0 else math.nan


def update(now: Vector, before: Vector) -> float:
    return distance(now, before) / norm(before) if norm(before) > 0 else math.nan


def still(now: Vector, start: Vector) -> bool:
    return cosine(now, start) > 0.9 and abs(norm(now) / norm(start) - 1) < 0.1
