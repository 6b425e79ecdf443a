"""Similarity graph, components and agreement of groupings as a textbook would compute them."""

from __future__ import annotations

import itertools
import math

from tests.reference.linkage import cosine


def distances(rows: list[list[float]]) -> dict[tuple[int, int], float]:
    """(1 - cos) / 2 of each pair of rows that are not all zero."""
    live = [i for i, row in enumerate(rows) if any(row)]
    return {(i, j): (1 - cosine(rows[i], rows[j])) / 2 for i, j in itertools.combinations(live, 2)}


def sigma(history: list[list[list[float]]]) -> float:
    every = [d for rows in history for d in distances(rows).values()]
    return sum(every) / len(every)


def weight(distance: float, width: float) -> float:
    return math.exp(-(distance**2) / width**2)


def components(nodes: list[int], edges: list[tuple[int, int]]) -> list[set[int]]:
    """Connected components by walking from every node that was not reached yet."""
    found: list[set[int]] = []
    for start in nodes:
        if any(start in each for each in found):
            continue
        reached, front = {start}, [start]
        while front:
            here = front.pop()
            for i, j in edges:
                for one, other in ((i, j), (j, i)):
                    if one == here and other not in reached:
                        reached.add(other)
                        front.append(other)
        found.append(reached)
    return found


def adjusted_rand(first: list[int], second: list[int]) -> float:
    """From the four counts of pairs that are together in both, in one or in none; -1 is a group of its own."""

    def together(labels: list[int], i: int, j: int) -> bool:
        return labels[i] == labels[j] >= 0

    counts = {(a, b): 0 for a in (True, False) for b in (True, False)}
    for i, j in itertools.combinations(range(len(first)), 2):
        counts[together(first, i, j), together(second, i, j)] += 1
    both, one, other, none = counts[True, True], counts[True, False], counts[False, True], counts[False, False]
    return 2 * (both * none - one * other) / ((both + one) * (one + none) + (both + other) * (other + none))


def best_jaccard(group: set[int], others: list[set[int]]) -> float:
    return max((len(group & other) / len(group | other) for other in others), default=0.0)


def shared_by_chance(shared: int, size: int, other: int, everyone: int) -> float:
    """Share of all subsets of `other` things that hold at least `shared` of the first `size`."""
    every = list(itertools.combinations(range(everyone), other))
    return sum(len([thing for thing in subset if thing < size]) >= shared for subset in every) / len(every)


def largest_by_chance(values: list[float], size: int, largest: float) -> tuple[float, float]:
    """Shares of all subsets of that size whose largest value is as large, and as small."""
    tops = [max(subset) for subset in itertools.combinations(values, size)]
    return sum(t >= largest for t in tops) / len(tops), sum(t <= largest for t in tops) / len(tops)
