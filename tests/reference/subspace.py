"""Best approximations by power iteration with deflation, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def rank_part(matrix: Matrix, rank: int, rounds: int = 3000) -> list[list[float]]:
    """Take the strongest direction out, again and again, and add up what was taken (Hotelling 1933)."""
    left = [list(row) for row in matrix]
    taken = [[0.0] * len(row) for row in matrix]
    for _ in range(rank):
        v = [math.cos(1 + i) for i in range(len(left[0]))]  # has a part along every direction
        for _ in range(rounds):
            u = [math.fsum(a * b for a, b in zip(row, v, strict=True)) for row in left]
            v = [math.fsum(row[i] * a for row, a in zip(left, u, strict=True)) for i in range(len(v))]
            length = math.sqrt(math.fsum(x * x for x in v))
            if length == 0:
                return taken
            v = [x / length for x in v]
        for row, out in zip(left, taken, strict=True):
            along = math.fsum(a * b for a, b in zip(row, v, strict=True))
            for i, x in enumerate(v):
                row[i] -= along * x
                out[i] += along * x
    return taken


def sufficient(ranks: Sequence[int], worse: Sequence[float], allowed: float) -> float:
    """Walk down from the full rank until the first that loses too much."""
    best = math.nan
    for rank, loss in sorted(zip(ranks, worse, strict=True), reverse=True):
        if not loss <= allowed:
            break
        best = float(rank)
    return best
