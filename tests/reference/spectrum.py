"""Singular values by Jacobi rotations, angles and counts one number at a time, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def singular_values(matrix: Matrix) -> list[float]:
    """One-sided Jacobi (Hestenes 1958): rotate pairs of rows until all are orthogonal; their lengths are the values."""
    rows = [list(row) for row in matrix]
    if len(rows) > len(rows[0]):
        rows = [list(column) for column in zip(*rows, strict=True)]
    for _ in range(60):
        worst = 0.0
        for i in range(len(rows)):
            for j in range(i + 1, len(rows)):
                p, q, r = dot(rows[i], rows[i]), dot(rows[j], rows[j]), dot(rows[i], rows[j])
                if abs(r) <= 1e-17 * math.sqrt(p * q):
                    continue
                worst = max(worst, abs(r) / math.sqrt(p * q))
                angle = 0.5 * math.atan2(2 * r, p - q)
                c, s = math.cos(angle), math.sin(angle)
                rows[i], rows[j] = (
                    [c * x + s * y for x, y in zip(rows[i], rows[j], strict=True)],
                    [c * y - s * x for x, y in zip(rows[i], rows[j], strict=True)],
                )
        if worst < 1e-15:
            break
    return sorted((math.sqrt(dot(row, row)) for row in rows), reverse=True)


def stable_rank(values: Sequence[float]) -> float:
    return math.fsum(s * s for s in values) / max(values) ** 2


def participation_ratio(values: Sequence[float]) -> float:
    return math.fsum(s * s for s in values) ** 2 / math.fsum(s**4 for s in values)


def reconstruction_error(values: Sequence[float], kept: int) -> float:
    return math.sqrt(math.fsum(s * s for s in values[kept:]) / math.fsum(s * s for s in values))


def orthonormal(rows: Matrix) -> list[list[float]]:
    """Gram-Schmidt, twice over."""
    basis: list[list[float]] = []
    for row in rows:
        left = list(row)
        for _ in range(2):
            for known in basis:
                along = dot(left, known)
                left = [x - along * y for x, y in zip(left, known, strict=True)]
        length = math.sqrt(dot(left, left))
        basis.append([x / length for x in left])
    return basis


def principal_angles(a: Matrix, b: Matrix) -> list[float]:
    """Degrees, from the cosines alone: good to 1e-6 for angles near 0."""
    first, second = orthonormal(a), orthonormal(b)
    cosines = singular_values([[dot(x, y) for y in second] for x in first])
    return [math.degrees(math.acos(min(1.0, c))) for c in cosines]


def outliers(values: Sequence[float], rows: int, columns: int) -> int:
    """Test the largest against the 99 % point of its law, take it away, test the next."""
    found = 0
    for k, value in enumerate(values):
        n, d = rows - k, columns - k
        if n < 1 or d < 1:
            break
        variance = math.fsum(s * s for s in values[k:]) / (n * d)
        a, b = math.sqrt(n - 0.5), math.sqrt(d - 0.5)
        centre, scale = (a + b) ** 2, (a + b) * (1 / a + 1 / b) ** (1 / 3)
        if value * value <= variance * (centre + 2.0234 * scale):
            break
        found += 1
    return found
