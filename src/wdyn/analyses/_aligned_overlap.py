"""Overlap of two masks once the units of their networks are matched, against networks without units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._overlap import Overlap, overlap
from wdyn.analyses._unit_alignment import Alignment, matched, without_units

FEWEST_DRAWS, MOST_DRAWS = 19, 199
WORK = 1 << 34  # multiplications that the draws of one layer may take, about


class AlignedOverlap(NamedTuple):
    """A layer of two networks in the order of the first.

    Attributes:
        before: counts of the masks as they are.
        after: counts once the second is in the order of the first.
        expected: mean overlap of the draws, aligned likewise.
        z: standard deviations above it, those of one more draw.
        p: chance of at least this overlap, from Student's law for one more draw.
        p_drawn: (1 + draws at least as large) / (1 + draws).
        draws: how many.
    """

    before: Overlap
    after: Overlap
    expected: float
    z: float
    p: float
    p_drawn: float
    draws: int


class Half(NamedTuple):
    """A layer of one network: its dense (N, D) weights, and the (N, D) bool mask of its ticket."""

    weights: Array
    kept: Array


def aligned_overlap(
    first: Half, second: Half, place: Alignment, *, matches: bool, rng: np.random.Generator
) -> AlignedOverlap:
    """Compare two masks after their units were matched by dense weights.

    The null is aligned as well: the second network's units are taken apart input by input (`without_units`), what comes
    out is matched to the first network in the same way, and its overlap counted. The inputs stand in the order that
    the layer before was matched in.

    Args:
        first: the network that stays.
        second: the one that is put in its order.
        place: that order.
        matches: whether the units of this layer were matched; not those of the last, which are the classes.
        rng: of the draws.
    """
    weights, kept = second.weights[:, place.columns], second.kept[:, place.columns]
    after = overlap(first.kept, kept[place.rows])
    drawn = []
    for _ in range(draws_for(kept.shape)):
        loose, marks = without_units(weights, kept, rng=rng)
        rows = matched(first.weights, loose) if matches else slice(None)
        drawn.append(int(np.count_nonzero(first.kept & marks[rows])))
    z, p, p_drawn = _judged(after.both, np.array(drawn, dtype=np.float64))
    return AlignedOverlap(
        overlap(first.kept, second.kept), after, float(np.mean(drawn)), z, p, p_drawn, len(drawn)
    )  # fmt: skip


def draws_for(shape: tuple[int, ...]) -> int:
    """How many draws a layer of N units with D inputs is worth: fewer where each takes long."""
    units, inputs = shape
    return int(np.clip(WORK // (units * inputs * (units + 400)), FEWEST_DRAWS, MOST_DRAWS))


def _judged(observed: int, drawn: Array) -> tuple[float, float, float]:
    """Standard deviations, chance by Student's law, and chance by counting."""
    from scipy.special import stdtr

    n = len(drawn)
    reached = (1 + int(np.count_nonzero(drawn >= observed))) / (1 + n)
    spread = float(np.std(drawn, ddof=1) * np.sqrt(1 + 1 / n))
    if spread < 1e-9:  # nothing can change hands, as where all units keep all inputs
        return np.nan, np.nan, np.nan
    z = (observed - float(drawn.mean())) / spread
    return z, float(stdtr(n - 1, -z)), reached
