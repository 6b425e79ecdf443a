"""Frame potential and its relatives, pair by pair in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

Rows = Sequence[Sequence[float]]


def inner(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def live(rows: Rows) -> list[Sequence[float]]:
    return [row for row in rows if all(math.isfinite(x) for x in row) and any(x != 0 for x in row)]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return inner(a, b) / (math.sqrt(inner(a, a)) * math.sqrt(inner(b, b)))


def frame_potential(rows: Rows) -> float:
    return math.fsum(cosine(a, b) ** 2 for a in rows for b in rows)


def unnormalised_potential(rows: Rows) -> float:
    return math.fsum(inner(a, b) ** 2 for a in rows for b in rows)


def mean_cosine(rows: Rows) -> float:
    pairs = [(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
    return math.fsum(abs(cosine(a, b)) for a, b in pairs) / len(pairs) if pairs else math.nan
