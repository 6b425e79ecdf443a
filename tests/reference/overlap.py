"""Laws of overlaps by enumeration, in exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, permutations
from math import comb


def hypergeometric(first: int, second: int, places: int) -> dict[int, Fraction]:
    """Common places of two random sets to their chance."""
    every = range(max(0, first + second - places), min(first, second) + 1)
    return {x: Fraction(comb(first, x) * comb(places - first, second - x), comb(places, second)) for x in every}


def sum_of_strata(strata: Sequence[tuple[int, int, int]]) -> dict[int, Fraction]:
    """The same for (places, first, second) stratum by stratum, by convolution."""
    law = {0: Fraction(1)}
    for places, first, second in strata:
        longer: dict[int, Fraction] = {}
        for sum_so_far, chance in law.items():
            for x, share in hypergeometric(first, second, places).items():
                longer[sum_so_far + x] = longer.get(sum_so_far + x, Fraction(0)) + chance * share
        law = longer
    return law


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


def birth_strata(
    first: Sequence[Sequence[bool]], second: Sequence[Sequence[bool]], order: Sequence[int], *, sides: int
) -> list[tuple[int, int, int]]:
    """(places, first, second) of 16 weights in a row by magnitude, of inputs that keep nearly as many in both."""
    inputs = len(first[0])
    kept = [[sum(row[i] for row in mask) for i in range(inputs)] for mask in (first, second)]
    found = []
    for alike in _split(sorted(range(inputs), key=lambda i: kept[0][i]), sides):
        for kind in map(set, _split(sorted(alike, key=lambda i: kept[1][i]), sides)):
            weights = [divmod(place, inputs) for place in order if place % inputs in kind]
            for start in range(0, len(weights), 16):
                some = weights[start : start + 16]
                found.append((len(some), sum(first[r][c] for r, c in some), sum(second[r][c] for r, c in some)))
    return found


def _split(items: list[int], parts: int) -> list[list[int]]:
    """In parts of nearly one length, the longer ones first."""
    least, more = divmod(len(items), parts)
    starts = [k * least + min(k, more) for k in range(parts + 1)]
    return [items[low:high] for low, high in pairwise(starts)]
