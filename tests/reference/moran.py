"""Moran's I as a textbook would compute it, and its law over all orders of the pixels."""

from __future__ import annotations

import itertools


def moran(image: list[list[float]]) -> float:
    """Double sum over all pairs of pixels, weight 1 for those that share an edge."""
    height, width = len(image), len(image[0])
    pixels = [(row, column) for row in range(height) for column in range(width)]
    mean = sum(image[r][c] for r, c in pixels) / len(pixels)
    total = weights = 0.0
    for r, c in pixels:
        for s, d in pixels:
            if abs(r - s) + abs(c - d) == 1:
                weights += 1
                total += (image[r][c] - mean) * (image[s][d] - mean)
    return len(pixels) / weights * total / sum((image[r][c] - mean) ** 2 for r, c in pixels)


def law(image: list[list[float]]) -> list[float]:
    """Moran's I of the image for every order of its pixels."""
    width = len(image[0])
    flat = [value for row in image for value in row]
    orders = itertools.permutations(flat)
    return [moran([list(order[i : i + width]) for i in range(0, len(order), width)]) for order in orders]
