"""Laws of overlaps by enumeration, in exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations
from math import comb


def hypergeometric(first: int, second: int, places: int) -> dict[int, Fraction]:
    """Common places of two random sets to their chance."""
    every = range(max(0, first + second - places), min(first, second) + 1)
    return {x: Fraction(comb(first, x) * comb(places - first, second - x), comb(places, second)) for x in every}


def tail(law: dict[int, Fraction], at_least: int) -> Fraction:
    """Chance of at least so many."""
    return sum((chance for x, chance in law.items() if x >= at_least), Fraction(0))


def overlaps_of_permuted_units(first: Sequence[Sequence[int]], second: Sequence[Sequence[int]]) -> list[int]:
    """Overlap of one mask with each permutation of the other's rows."""
    return [
        sum(a * b for row, other in zip(first, order, strict=True) for a, b in zip(row, other, strict=True))
        for order in permutations(second)
    ]


def benjamini_hochberg(chances: Sequence[float], level: float) -> list[bool]:
    """Which tests are claimed: those up to the largest p(k) <= k / m * level."""
    ordered, m = sorted(chances), len(chances)
    limit = max((p for k, p in enumerate(ordered, start=1) if p <= k / m * level), default=-1.0)
    return [p <= limit for p in chances]
