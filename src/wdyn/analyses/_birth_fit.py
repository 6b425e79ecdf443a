"""What a mask owes to the magnitudes it was born with, to its units and its inputs: each weight's chance to stay.

The logarithm of the odds is a sum over the unit, the input and the stratum of initial magnitude, and a table of what
magnitude and the other two give together: where the score that ranked the weights is a product of these with noise, as
|w| of scaled units or inputs is, large effects are no plain sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array

STRATUM = 24  # weights of nearly one initial magnitude; in large layers more
FEWEST_STRATA, MOST_STRATA = 12, 8192
LEVEL_SIZE, MOST_LEVELS = 300, 16  # of unit and input together, so many as the root of the layer by this
MOST_CELLS = 1 << 15  # of the table, so that 16 bits hold a place in it
BLOCK = 1 << 16  # weights at a time, few enough for a processor's cache
TABLED = 1 << 18  # weights that suffice for effects of magnitude
SUM_PASSES, TABLE_PASSES, FEWEST_PASSES = 16, 8, 3  # over the layer, for the plain sum and then with the table
FAST = 0.02  # where all effects grow by more, they do so together: else strong ones would take hundreds of passes
LONGEST = 2.0  # of one step in the logarithm of the odds
PRIOR = 0.1  # weights' worth of holding an effect back, so that none runs away
SETTLED = 0.5  # standard errors of an effect


class Births(NamedTuple):
    """Initial magnitudes of a layer in strata of nearly one.

    Attributes:
        stratum: (N, D) uint16.
        sizes: (K,) weights of each.
    """

    stratum: Array
    sizes: Array


@dataclass
class Fit:
    """The chance of each weight of a (N, D) mask to stay.

    Attributes:
        units: (N,) its part of the logarithm of the odds.
        inputs: (D,) likewise.
        magnitudes: (K,) likewise.
        free: (N,) and (D,) bool, units and inputs of which the mask keeps some and not all; the others are certain.
        table: (M, L) likewise, of strata of magnitude, `together` in one, and levels of unit and input.
        level: (N, D) uint16, places in that table; None as long as there is none.
    """

    units: Array
    inputs: Array
    magnitudes: Array
    free: tuple[Array, Array]
    together: int
    table: Array
    level: Array | None = field(default=None)


def births_of(magnitudes: Array) -> Births:
    """Strata of nearly one initial magnitude, of (N, D) real ones."""
    n = magnitudes.size
    strata = int(np.clip(n // STRATUM, min(FEWEST_STRATA, n), MOST_STRATA))
    order = np.argsort(magnitudes, axis=None, kind="stable") if magnitudes.dtype.itemsize > 4 else _rising(magnitudes)
    found = np.empty(n, dtype=np.uint16)
    found[order] = np.arange(n) * strata // n
    return Births(found.reshape(magnitudes.shape), np.bincount(found, minlength=strata))


def _rising(magnitudes: Array) -> Array:
    """(n,) places by rising magnitude: sorted with their place as one whole number, many times as fast as places."""
    keys = magnitudes.astype(np.float32).ravel().view(np.uint32).astype(np.uint64)  # bits of floats >= 0 rise with them
    keys <<= np.uint64(32)
    keys |= np.arange(len(keys), dtype=np.uint64)
    keys.sort()
    keys &= np.uint64(0xFFFFFFFF)
    return keys.view(np.int64)


def fitted(mask: Array, births: Births) -> Fit:
    """The chances that fit a mask: of each unit, input and stratum as many weights stay as the mask keeps.

    Args:
        mask: (N, D) bool.
        births: of its layer.

    Returns:
        By Fisher scoring, all effects at once, held back a little; a step that makes all of them larger together comes
        first where it is large.
    """
    fit = _begun(mask, births)
    for k in range(SUM_PASSES):
        if _step(fit, mask, births, grow=k % 2 == 1):
            break
    if fit.table.shape[1] > 1:
        fit.level = _levels(fit, births)
        for k in range(TABLE_PASSES):
            if _step(fit, mask, births, grow=k % 3 == 2) and k + 1 >= FEWEST_PASSES:
                break
    return fit


def residuals(fit: Fit, mask: Array, births: Births, rows: slice) -> Array:
    """(B, D) float32, of some units: the mask minus its chances, 0 where it is certain."""
    return _at(fit, mask, births, rows)[2]


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Some units at a time."""
    rows = max(1, BLOCK // max(shape[1], 1))
    return (slice(start, start + rows) for start in range(0, shape[0], rows))


def _begun(mask: Array, births: Births) -> Fit:
    """Each effect as if the others were none."""
    kept = np.bincount(births.stratum[mask], minlength=len(births.sizes))
    units, inputs, share = mask.sum(axis=1), mask.sum(axis=0), mask.mean()

    def odds(kept: Array, of: Array | int) -> Array:
        odds = (kept + share + 1e-9) / (of - kept + 1 - share + 1e-9)
        return np.asarray(np.log(odds), dtype=np.float32)

    whole = odds(np.array(mask.sum()), mask.size)
    n, (rows, columns) = mask.size, mask.shape
    levels = int(np.clip(np.sqrt(n / LEVEL_SIZE), 1, MOST_LEVELS))
    cells = len(births.sizes) * levels
    together = max(1, -(-cells * STRATUM // n), -(-cells // MOST_CELLS))
    return Fit(
        odds(units, columns) - whole, odds(inputs, rows) - whole, odds(kept, births.sizes),
        ((units > 0) & (units < columns), (inputs > 0) & (inputs < rows)), together,
        np.zeros(((len(births.sizes) - 1) // together + 1, levels), dtype=np.float32),
    )  # fmt: skip


def _levels(fit: Fit, births: Births) -> Array:
    """(N, D) uint16 places in the table; levels are as wide in the middle, four standard deviations in all."""
    if not (fit.free[0].any() and fit.free[1].any()):
        return np.zeros(births.stratum.shape, dtype=np.uint16)
    units, inputs = (each[free] for each, free in zip((fit.units, fit.inputs), fit.free, strict=True))
    middle, spread = units.mean() + inputs.mean(), np.sqrt(units.var() + inputs.var()) + 1e-6
    count = fit.table.shape[1]
    found = np.empty(births.stratum.shape, dtype=np.uint16)
    for rows in row_blocks(found.shape):
        level = ((fit.units[rows, None] + fit.inputs - middle) / spread / 4 + 0.5) * count
        found[rows] = births.stratum[rows] // fit.together * count + np.clip(level, 0, count - 1).astype(np.uint16)
    return found


def _at(fit: Fit, mask: Array, births: Births, rows: slice) -> tuple[Array, Array, Array]:
    """Logarithm of the odds, chances and residuals of some units, (B, D) each."""
    odds = fit.magnitudes.take(births.stratum[rows])
    odds += fit.units[rows, None]
    odds += fit.inputs
    if fit.level is not None:
        odds += fit.table.take(fit.level[rows])
    np.clip(odds, -20, 20, out=odds)
    chances = np.exp(-odds)
    chances += 1
    np.reciprocal(chances, out=chances)
    left = mask[rows] - chances
    if not all(free.all() for free in fit.free):
        left *= fit.free[0][rows, None] & fit.free[1]
    return odds, chances, left


class _Sums:
    """Residuals and variances summed over the weights of each effect."""

    def __init__(self, fit: Fit) -> None:
        self.units, self.inputs, self.magnitudes, self.table = (
            np.zeros((2, each.size)) for each in (fit.units, fit.inputs, fit.magnitudes, fit.table)
        )
        self.scale = np.zeros(2)

    def add(self, fit: Fit, mask: Array, births: Births, *, rows: slice, tabled: bool, grow: bool) -> None:
        odds, chances, left = _at(fit, mask, births, rows)
        spread = chances - chances * chances
        if grow:
            self.scale += float(np.vdot(left, odds)), float(np.vdot(spread * odds, odds))
        for k, each in enumerate((left, spread)):
            self.units[k, rows] = each.sum(axis=1)
            self.inputs[k] += each.sum(axis=0)
            if tabled:
                self.magnitudes[k] += np.bincount(births.stratum[rows].ravel(), each.ravel(), self.magnitudes.shape[1])
                if fit.level is not None:
                    self.table[k] += np.bincount(fit.level[rows].ravel(), each.ravel(), self.table.shape[1])


def _step(fit: Fit, mask: Array, births: Births, *, grow: bool) -> bool:
    """One pass over the layer; whether nothing moved much."""
    sums, stride = _Sums(fit), max(1, mask.size // TABLED)
    for k, rows in enumerate(row_blocks(mask.shape)):
        sums.add(fit, mask, births, rows=rows, tabled=k % stride == 0, grow=grow)
    growth = float(sums.scale[0] / (sums.scale[1] + 1))
    if grow and growth > FAST:
        for effect in (fit.units, fit.inputs, fit.magnitudes, fit.table):
            effect *= 1 + min(growth, 0.5)
        return False
    if fit.level is not None:
        left, spread = sums.table.reshape(2, *fit.table.shape)
        beyond = left - left.sum(axis=1, keepdims=True) * spread / (spread.sum(axis=1, keepdims=True) + 1e-9)
        fit.table += _bounded(beyond / (spread + 1))
    fit.magnitudes += _bounded(sums.magnitudes[0] / (sums.magnitudes[1] + PRIOR))
    moved = [_centred(each, own) for each, own in ((fit.units, sums.units), (fit.inputs, sums.inputs))]
    return all(each < SETTLED for each in moved)


def _centred(effect: Array, sums: Array) -> float:
    """Move effects, their mean stays with the magnitudes; by how many standard errors at most."""
    step = sums[0] / (sums[1] + PRIOR)
    step -= float(np.average(step, weights=sums[1] + 1e-9))
    effect += _bounded(step)
    return float(np.max(np.abs(step) * np.sqrt(sums[1]), initial=0.0))


def _bounded(step: Array) -> Array:
    return np.clip(step, -LONGEST, LONGEST).astype(np.float32)
