"""One layer of all tickets at a time: every pair of masks against the three nulls, and where masks keep weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from wdyn.analyses._birth_fit import births_of
from wdyn.analyses._charts import Array
from wdyn.analyses._overlap import Overlap, counted, largest, overlap
from wdyn.analyses._overlap_births import initial_chances
from wdyn.analyses._overlap_bits import count, packed, unpacked
from wdyn.analyses._overlap_nulls import NO_CHANCE, Chance, uniform_chance, units_chance
from wdyn.analyses._survivors import Signs, sign_agreement, unit_correlations
from wdyn.analyses._ticket_runs import Birth, Member, birth_of, mismatch, one_birth

NULLS = ("uniform", "units", "initial")
SIGNS = ("signs_start", "signs_end")


class Pair(NamedTuple):
    """Two runs in one layer.

    Attributes:
        counts: of their masks; None where the layer cannot be compared.
        nulls: name of a null to what it says.
        signs: `signs_start` and `signs_end` to how far they agree.
        one_birth: they were born with the same magnitudes, see `one_birth`.
    """

    counts: Overlap | None
    nulls: dict[str, Chance]
    signs: dict[str, Signs]
    one_birth: bool


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
    """A layer of one run; all of its weights as bits, see `_overlap_bits`.

    Attributes:
        shape: (N, D).
        kept: its mask.
        positive: weights that are positive at the start, if it is known, and at the end.
        birth: initial magnitudes it was born with; None where unknown.
        by_start: as in `LayerComparison`.
    """

    shape: tuple[int, ...]
    kept: Array
    positive: tuple[Array | None, Array]
    birth: Birth | None
    by_start: float

    def mask(self) -> Array:
        """(N, D) bool."""
        return unpacked(self.kept, self.shape)


def compare_layer(
    members: Sequence[Member], pairs: Sequence[tuple[int, int]], layer: str, *, rng: np.random.Generator
) -> LayerComparison:
    """Compare one layer; in memory are bits of it of all runs, and the start of one run at a time.

    Args:
        members: R runs.
        pairs: P pairs of positions in them.
        layer: a name that at least one of them has.
        rng: of permutations.
    """
    sides = {r: _side(each, layer) for r, each in enumerate(members) if layer in each.run.layers}
    comparable = [(a, b) for a, b in pairs if a in sides and b in sides and not mismatch(members[a], members[b], layer)]
    known = _compared(sides, comparable, rng)
    known |= _by_birth(members, layer, sides, known)
    found = [known.get(pair, NOTHING) for pair in pairs]
    units, inputs = _survivors(sides, len(members))
    correlation, chance = _correlations(units, pairs, found, rng)
    counts = np.full((3, len(members)), -1.0)
    for r, side in sides.items():
        counts[:, r] = count(side.kept), np.prod(side.shape), side.by_start
    by_start = np.where(counts[2] < 0, np.nan, counts[2])
    kept, total = counts[:2].astype(np.int64)
    return LayerComparison(found, kept, total, by_start, units, inputs, correlation, chance)


NO_SIGNS = Signs(np.nan, np.nan, np.nan)
NOTHING = Pair(None, dict.fromkeys(NULLS, NO_CHANCE), dict.fromkeys(SIGNS, NO_SIGNS), False)


def _side(member: Member, layer: str) -> _Side:
    kept, (start, end) = member.kept(layer), member.ends(layer)
    bits, after = packed(kept), packed(end > 0)
    if start is None:
        return _Side(kept.shape, bits, (None, after), None, np.nan)
    keep = count(bits)
    by_start = overlap(kept, largest(np.abs(start), keep)).iou if keep < kept.size else np.nan
    return _Side(kept.shape, bits, (packed(start > 0), after), birth_of(start), by_start)


def _compared(
    sides: dict[int, _Side], pairs: Sequence[tuple[int, int]], rng: np.random.Generator
) -> dict[tuple[int, int], Pair]:
    """All but the null of the initial magnitudes."""
    found = {}
    for first, those in groupby(pairs, key=lambda pair: pair[0]):
        a, mask = sides[first], sides[first].mask()
        for pair in those:
            b = sides[pair[1]]
            both = a.kept & b.kept
            counts = counted(count(a.kept), count(b.kept), count(both), places=mask.size)
            units = units_chance(mask, b.mask(), rng=rng)
            nulls = {"uniform": uniform_chance(counts), "units": units, "initial": NO_CHANCE}
            signs = {
                name: NO_SIGNS if x is None or y is None else sign_agreement(x, y, both)
                for name, x, y in zip(SIGNS, a.positive, b.positive, strict=True)
            }
            found[pair] = Pair(counts, nulls, signs, one_birth(a.birth, b.birth))
    return found


def _by_birth(
    members: Sequence[Member], layer: str, sides: dict[int, _Side], found: dict[tuple[int, int], Pair]
) -> dict[tuple[int, int], Pair]:
    """The pairs that were born with the same magnitudes, with that null; their start is read once more."""
    judged: dict[tuple[int, int], Pair] = {}
    for example in sides:
        left = [pair for pair, each in found.items() if each.one_birth and pair not in judged]
        of_birth = [pair for pair in left if all(one_birth(sides[example].birth, sides[r].birth) for r in pair)]
        if not of_birth:
            continue
        start, _ = members[example].ends(layer)
        assert start is not None
        masks = {r: sides[r].kept for r in sorted({r for pair in of_birth for r in pair})}
        for pair, chance in initial_chances(masks, births_of(np.abs(start)), of_birth).items():
            judged[pair] = found[pair]._replace(nulls=found[pair].nulls | {"initial": chance})
    return judged


def _survivors(sides: dict[int, _Side], runs: int) -> tuple[Array, Array]:
    rows, columns = next(iter(sides.values())).shape
    units, inputs = np.full((runs, rows), np.nan), np.full((runs, columns), np.nan)
    for r, side in sides.items():
        if side.shape == (rows, columns):
            kept = side.mask()
            units[r], inputs[r] = kept.sum(axis=1), kept.sum(axis=0)
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
