"""Average linkage and cosines as a textbook would compute them."""

from __future__ import annotations

import math


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def cosine_matrix(rows: list[list[float]]) -> list[list[float]]:
    return [[cosine(a, b) for b in rows] for a in rows]


def average_linkage(distance: list[list[float]]) -> list[tuple[float, frozenset[int]]]:
    """Height and members of each join: mean over all pairs of members, recomputed from the start every time."""
    parts = [frozenset([i]) for i in range(len(distance))]
    joins = []
    while len(parts) > 1:
        height, a, b = min(
            (sum(distance[i][j] for i in a for j in b) / (len(a) * len(b)), a, b)
            for at, a in enumerate(parts)
            for b in parts[at + 1 :]
        )
        parts = [part for part in parts if part not in (a, b)] + [a | b]
        joins.append((height, a | b))
    return joins


def groups_below(joins: list[tuple[float, frozenset[int]]], height: float) -> set[frozenset[int]]:
    """The largest joined sets at or below a height."""
    low = [members for h, members in joins if h <= height]
    return {members for members in low if not any(members < other for other in low)}
