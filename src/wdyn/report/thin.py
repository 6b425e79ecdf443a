"""Fewer points for drawing, the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from wdyn.analyses._groups import spaced

Array = np.ndarray[Any, np.dtype[Any]]

DRAWN_POINTS = 1_500
DRAWN_CELLS = 100_000


def thin_lines(series: Sequence[Array], at_most: int = DRAWN_POINTS) -> Array:
    """Positions to draw of several lines over one axis, so that no peak of any line is lost.

    Args:
        series: arrays of one length S; NaN is never an extreme.
        at_most: positions to keep, at least 2.

    Returns:
        Sorted positions, always with the first and the last; all S where they fit. In each stretch of the axis the
        least and the largest value of each line are kept.
    """
    size = len(series[0]) if series else 0
    if size <= at_most:
        return np.arange(size)
    stretches = max(1, (at_most - 2) // (2 * len(series)))
    edges = np.linspace(0, size, stretches + 1).astype(int)
    kept = {0, size - 1}
    for values in series:
        low, high = np.nan_to_num(values, nan=np.inf), np.nan_to_num(values, nan=-np.inf)
        for start, stop in pairwise(edges):
            kept |= {start + int(low[start:stop].argmin()), start + int(high[start:stop].argmax())}
    return np.array(sorted(kept))


def thin_columns(rows: int, columns: int, cells: int = DRAWN_CELLS) -> Array:
    """Evenly spaced columns of a heat map, always with the first and the last.

    Args:
        rows: number of rows, all of which stay.
        columns: number of columns there are.
        cells: values to keep at most; 24 columns stay in any case.
    """
    at_most = min(240, max(24, cells // max(rows, 1)))
    return spaced(columns, at_most)
