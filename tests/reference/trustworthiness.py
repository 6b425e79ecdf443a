"""Trustworthiness of a picture, by its definition (Venna & Kaski 2001)."""

from __future__ import annotations

import math

from tests.reference.linkage import cosine


def trustworthiness(rows: list[list[float]], places: list[tuple[float, float]], near: int) -> float:
    count, penalty = len(rows), 0
    for i in range(count):
        others = [j for j in range(count) if j != i]
        truth = sorted(others, key=lambda j: -cosine(rows[i], rows[j]))
        seen = sorted(others, key=lambda j: math.dist(places[i], places[j]))
        penalty += sum(max(0, truth.index(j) + 1 - near) for j in seen[:near])
    return 1 - 2 * penalty / (count * near * (2 * count - 3 * near - 1))
