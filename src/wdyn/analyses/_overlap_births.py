"""Two masks that were born with the same magnitudes: is their overlap more than those, their units and inputs, give?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wdyn.analyses._birth_fit import Births, fitted, residuals, row_blocks
from wdyn.analyses._charts import Array
from wdyn.analyses._overlap_bits import unpacked
from wdyn.analyses._overlap_nulls import NO_CHANCE, Chance

FEWEST = 4  # units or inputs whose spread tells anything
TINY = 1e-9  # sum of squares where all is certain


def initial_chances(
    masks: Mapping[int, Array], births: Births, pairs: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Chance]:
    """Each mask follows the magnitudes it was born with, its own units and its own inputs; beyond, it is random.

    To each mask the chance of each weight to stay is fitted (`fitted`), from that mask alone. With r = mask - chance,
    the overlap beyond this null is T = Σ r r', whose mean is 0 where what one mask does beyond its chances tells
    nothing of the other. An error in one fit alone does no harm, as the other's residuals are 0 on average.

    Args:
        masks: run to its mask, as bits (see `_overlap_bits`).
        births: of the layer, (N, D).
        pairs: of runs.

    Returns:
        Of each pair: expected is the overlap - T; z is T over the largest of three standard errors, from the spread of
        single weights, of units and of inputs, since weights of a unit or an input may have been found together; p the
        largest of their chances, by the normal law and Student's with N - 2 and D - 2 degrees of freedom. Fewer than
        four units or inputs tell no spread and are left out.

    Source:
        Shah & Peters, The hardness of conditional independence testing and the generalised covariance measure, Ann.
        Stat. 48 (2020), for the product of residuals; Cameron, Gelbach & Miller, Robust inference with multiway
        clustering, J. Bus. Econ. Stat. 29 (2011), for standard errors by two kinds of groups.
    """
    kept = {run: unpacked(bits, births.stratum.shape) for run, bits in masks.items()}
    fits = {run: fitted(mask, births) for run, mask in kept.items()}
    found = {pair: _Beyond.none(births.stratum.shape) for pair in pairs}
    for rows in row_blocks(births.stratum.shape):
        left = {run: residuals(fit, kept[run], births, rows) for run, fit in fits.items()}
        for (a, b), each in found.items():
            each.add(left[a] * left[b], rows, both=int(np.count_nonzero(kept[a][rows] & kept[b][rows])))
    return {pair: _judged(each) for pair, each in found.items()}


@dataclass
class _Beyond:
    """Products of residuals of a pair, summed.

    Attributes:
        both: weights that both keep.
        by_unit: (N,) sums.
        by_input: (D,) sums.
        squares: sum of their squares.
    """

    both: int
    by_unit: Array
    by_input: Array
    squares: float

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> _Beyond:
        return cls(0, np.zeros(shape[0]), np.zeros(shape[1]), 0.0)

    def add(self, products: Array, rows: slice, *, both: int) -> None:
        self.both += both
        self.by_unit[rows] = products.sum(axis=1)
        self.by_input += products.sum(axis=0)
        self.squares += float(np.vdot(products, products))


def _judged(found: _Beyond) -> Chance:
    from scipy.special import ndtr, stdtr

    beyond = float(found.by_unit.sum())
    if not found.squares > TINY:
        return NO_CHANCE
    errors, chances = [np.sqrt(found.squares)], [float(ndtr(-beyond / np.sqrt(found.squares)))]
    for sums in (found.by_unit, found.by_input):
        n = len(sums)
        if n >= FEWEST:
            errors.append(n * float(np.std(sums)) / np.sqrt(n - 2) + 1e-12)
            chances.append(float(stdtr(n - 2, -beyond / errors[-1])))
    return Chance(found.both - beyond, beyond / float(max(errors)), max(chances))
