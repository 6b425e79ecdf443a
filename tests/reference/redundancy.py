"""Holm's correction, pairs, networks without units and classes of units, by their definitions."""

from __future__ import annotations

import math
from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def holm(chances: Sequence[float]) -> list[float]:
    """The smallest level at which Holm's procedure rejects each hypothesis: walk up the sorted chances at every level.

    With m hypotheses the k-th smallest (k from 0) is rejected while it is at most level / (m - k), and none after the
    first that is not; only levels p (m - k) matter.
    """
    tested = [p for p in chances if not math.isnan(p)]
    levels = sorted({min(p * (len(tested) - k), 1.0) for p in tested for k in range(len(tested))} | {1.0})
    return [math.nan if math.isnan(p) else next(a for a in levels if a == 1 or _rejects(tested, p, a)) for p in chances]


def _rejects(chances: Sequence[float], wanted: float, level: float) -> bool:
    for k, p in enumerate(sorted(chances)):
        if p * (len(chances) - k) > level:
            return False
        if p == wanted:
            return True
    return False


def nearest_pairs(rows: Matrix) -> set[tuple[int, int]]:
    """Each row that is not zero with the other of the largest cosine, the first of equals."""
    alive = [i for i, row in enumerate(rows) if any(row)]
    pairs = set()
    for i in alive:
        others = [j for j in alive if j != i]
        if others:
            best = max(others, key=lambda j: (_cosine(rows[i], rows[j]), -j))
            pairs.add((min(i, best), max(i, best)))
    return pairs


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def squared_loss(layers: Sequence[tuple[Matrix, Sequence[float]]], inputs: Matrix, targets: Matrix) -> float:
    """Mean squared error of a ReLU network, one number at a time."""
    total, count = 0.0, 0
    for x, y in zip(inputs, targets, strict=True):
        values = list(x)
        for depth, (weight, bias) in enumerate(layers):
            values = [
                sum(w * v for w, v in zip(row, values, strict=True)) + b for row, b in zip(weight, bias, strict=True)
            ]
            if depth < len(layers) - 1:
                values = [max(v, 0.0) for v in values]
        total += sum((v - t) ** 2 for v, t in zip(values, y, strict=True))
        count += len(y)
    return total / count


def without(
    layers: Sequence[tuple[Matrix, Sequence[float]]], gone: Sequence[int]
) -> list[tuple[Matrix, Sequence[float]]]:
    """A smaller network: rows, biases and outgoing weights of some units of the first layer left out."""
    (weight, bias), (after, after_bias), *rest = layers
    kept = [i for i in range(len(weight)) if i not in gone]
    return [
        ([weight[i] for i in kept], [bias[i] for i in kept]),
        ([[row[i] for i in kept] for row in after], after_bias),
        *rest,
    ]


def kind(unit: int, rise: float, error: float, *, limit: float, still: bool, copies: list[set[int]],
         groups: list[tuple[set[int], bool]]) -> str:  # fmt: skip
    if not math.isfinite(rise):
        return "unknown"
    if any(unit in each for each in copies):
        return "copy"
    if rise > limit:
        return "carrier"
    if still:
        return "bystander"
    if abs(rise) > error:
        return "other"
    return "bystander" if all(harmless for each, harmless in groups if unit in each) else "other"
