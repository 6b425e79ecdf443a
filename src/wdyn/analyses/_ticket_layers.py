"""One layer of all tickets at a time: every pair of masks against the three nulls, and where masks keep weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._overlap import Overlap, largest, overlap
from wdyn.analyses._overlap_nulls import (
    NO_CHANCE,
    Chance,
    initial_chance,
    uniform_chance,
    units_chance,
)
from wdyn.analyses._survivors import Signs, sign_agreement, unit_correlations
from wdyn.analyses._ticket_runs import Member, fingerprint, mismatch

NULLS = ("uniform", "units", "initial")
SIGNS = ("signs_start", "signs_end")


class Pair(NamedTuple):
    """Two runs in one layer.

    Attributes:
        counts: of their masks; None where the layer cannot be compared.
        nulls: name of a null to what it says.
        signs: `signs_start` and `signs_end` to how far they agree.
    """

    counts: Overlap | None
    nulls: dict[str, Chance]
    signs: dict[str, Signs]


class LayerComparison(NamedTuple):
    """One layer of R runs in P pairs.

    Attributes:
        pairs: P of them.
        kept: (R,) weights kept; -1 where a run has no such layer.
        total: (R,) weights there are; -1 likewise.
        by_start: (R,) intersection over union with the mask that initial magnitude alone would give at that density;
            NaN where step 0 was not recorded or the mask keeps all.
        unit_survivors: (R, N) weights kept of each unit; NaN rows where a run has no layer of N units.
        input_survivors: (R, D) weights kept of each input; likewise.
        unit_correlation: (P,) Spearman's of the survivors per unit.
        unit_correlation_p: (P,) chance of one as far from 0.
    """

    pairs: list[Pair]
    kept: Array
    total: Array
    by_start: Array
    unit_survivors: Array
    input_survivors: Array
    unit_correlation: Array
    unit_correlation_p: Array


class _Side(NamedTuple):
    """A layer of one run: its mask, signs at start and end, and which initial magnitudes it was born with."""

    kept: Array
    positive: tuple[Array | None, Array]
    birth: bytes | None
    by_start: float


def compare_layer(
    members: Sequence[Member], pairs: Sequence[tuple[int, int]], layer: str, *, rng: np.random.Generator
) -> LayerComparison:
    """Compare one layer; in memory are masks, signs and different starts of this layer alone.

    Args:
        members: R runs.
        pairs: P pairs of positions in them.
        layer: a name that at least one of them has.
        rng: of permutations.
    """
    starts: dict[bytes, Array] = {}
    sides = {r: _side(each, layer, starts) for r, each in enumerate(members) if layer in each.run.layers}
    orders = _orders(sides, starts)
    found = []
    for a, b in pairs:
        comparable = a in sides and b in sides and not mismatch(members[a], members[b], layer)
        found.append(_pair(sides[a], sides[b], orders, rng) if comparable else NOTHING)
    units, inputs = _survivors(sides, len(members))
    correlation, chance = _correlations(units, pairs, found, rng)
    counts = np.full((3, len(members)), -1.0)
    for r, side in sides.items():
        counts[:, r] = np.count_nonzero(side.kept), side.kept.size, side.by_start
    by_start = np.where(counts[2] < 0, np.nan, counts[2])
    kept, total = counts[:2].astype(np.int64)
    return LayerComparison(found, kept, total, by_start, units, inputs, correlation, chance)


NO_SIGNS = Signs(np.nan, np.nan, np.nan)
NOTHING = Pair(None, dict.fromkeys(NULLS, NO_CHANCE), dict.fromkeys(SIGNS, NO_SIGNS))


def _side(member: Member, layer: str, starts: dict[bytes, Array]) -> _Side:
    kept, (start, end) = member.kept(layer), member.ends(layer)
    after = end > 0
    if start is None:
        return _Side(kept, (None, after), None, np.nan)
    birth, size = fingerprint(start), np.abs(start)
    starts.setdefault(birth, size)
    by_start = overlap(kept, largest(size, int(np.count_nonzero(kept)))).iou if not kept.all() else np.nan
    return _Side(kept, (start > 0, after), birth, by_start)


def _orders(sides: dict[int, _Side], starts: dict[bytes, Array]) -> dict[bytes, Array]:
    """Places by rising initial magnitude, of each start that several runs share."""
    births = Counter(side.birth for side in sides.values() if side.birth is not None)
    shared = [birth for birth, runs in births.items() if runs > 1]
    return {birth: np.argsort(starts[birth], axis=None, kind="stable") for birth in shared}


def _pair(a: _Side, b: _Side, orders: dict[bytes, Array], rng: np.random.Generator) -> Pair:
    counts = overlap(a.kept, b.kept)
    nulls = {"uniform": uniform_chance(counts), "units": units_chance(a.kept, b.kept, rng=rng), "initial": NO_CHANCE}
    if a.birth is not None and a.birth == b.birth:
        nulls["initial"] = initial_chance(a.kept, b.kept, orders[a.birth])
    both = a.kept & b.kept
    signs = {
        name: NO_SIGNS if x is None or y is None else sign_agreement(x, y, both)
        for name, x, y in zip(SIGNS, a.positive, b.positive, strict=True)
    }
    return Pair(counts, nulls, signs)


def _survivors(sides: dict[int, _Side], runs: int) -> tuple[Array, Array]:
    rows, columns = next(iter(sides.values())).kept.shape
    units, inputs = np.full((runs, rows), np.nan), np.full((runs, columns), np.nan)
    for r, side in sides.items():
        if side.kept.shape == (rows, columns):
            units[r], inputs[r] = side.kept.sum(axis=1), side.kept.sum(axis=0)
    return units, inputs


def _correlations(
    units: Array, pairs: Sequence[tuple[int, int]], found: list[Pair], rng: np.random.Generator
) -> tuple[Array, Array]:
    """(P,) correlation and chance of each pair; NaN where it is not comparable."""
    known = np.flatnonzero(np.isfinite(units).all(axis=1))
    correlation, chance = np.full((2, len(units), len(units)), np.nan)
    if len(known):
        place = np.ix_(known, known)
        correlation[place], chance[place] = unit_correlations(units[known], rng=rng)
    values = np.array([(correlation[pair], chance[pair]) for pair in pairs]).reshape(-1, 2)
    values[[pair.counts is None for pair in found]] = np.nan
    return values[:, 0], values[:, 1]
