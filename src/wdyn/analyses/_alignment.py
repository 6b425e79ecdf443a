"""Sums over all pairs of neurons at many steps at once: the frame potential and its relatives.

Float32 weights of ordinary size take float32 products, twice as fast, with all sums over pairs in float64; the sums
were then right to 1e-7 from random to fully aligned rows, up to 50,000 of them. Anything else takes float64 throughout.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._neurons import Array, directions

# All pairs of neurons are compared where that is about as cheap as the potential alone; else so many even ones.
COMPARED = 512

# Squared norms between which float32 inner products, and the squares of these, neither overflow nor lose digits.
ORDINARY = (1e-12, 1e12)


class Alignment(NamedTuple):
    """Sums over the pairs of live rows at each of B steps: see `FramePotential` for their meaning.

    Attributes:
        potential: (B,).
        unnormalised_potential: (B,).
        mean_cosine: (B,).
        live: (B,).
        dead: (B,).
        non_finite: (B,).
        share: (B, N), by how much each neuron's absence would lower the potential; NaN where it is not live.
    """

    potential: Array
    unnormalised_potential: Array
    mean_cosine: Array
    live: Array
    dead: Array
    non_finite: Array
    share: Array


def compared(rows: int, columns: int) -> int:
    """Number of neurons whose mean |cosine| is taken, evenly spaced, in a layer of this shape."""
    return rows if rows <= max(columns, COMPARED) else COMPARED


def alignment(block: Array, *, shares: bool = True) -> Alignment:
    """Frame potential and its relatives at many steps at once; rows without direction are left out and counted.

    Args:
        block: (B, N, D) real.
        shares: False leaves `share` NaN, which saves two thirds of the time of a layer with many more neurons than
            inputs.

    Returns:
        The sums; NaN where no row is live, `mean_cosine` also where only one is. Relative error at most 1e-6 for
        float16 and float32, 1e-12 for float64.
    """
    n, d = block.shape[-2:]
    rows = _single_precision(block) or _double_precision(block)
    count = rows.live.sum(axis=-1)
    with np.errstate(over="ignore", invalid="ignore"):  # a sum past 1.8e308 is infinite
        if compared(n, d) == n:
            crossed, unnormalised, total = _all_pairs(rows)
            potential, pairs = count + crossed.sum(axis=-1), count * (count - 1)
        else:
            potential, unnormalised, crossed = _inputs_by_inputs(rows, shares=shares)
            even = np.linspace(0, n - 1, COMPARED).round().astype(np.int64)
            sample = _Rows(*(each[:, even] for each in rows))
            total, seen = _all_pairs(sample)[2], sample.live.sum(axis=-1)
            pairs = seen * (seen - 1)
    potential = np.clip(potential, np.maximum(count, count**2 / d), count**2)  # rounding must not leave the bounds
    none = np.where(count > 0, 0.0, np.nan)
    return Alignment(
        potential=potential + none, unnormalised_potential=unnormalised + none,
        mean_cosine=np.divide(total, pairs, out=np.full(len(total), np.nan), where=pairs > 0),
        live=count, dead=rows.dead.sum(axis=-1), non_finite=n - count - rows.dead.sum(axis=-1),
        share=np.where(rows.live, 1.0 + 2.0 * crossed, np.nan),
    )  # fmt: skip


class _Rows(NamedTuple):
    """Rows ready to be multiplied.

    Attributes:
        vectors: (B, N, D) float32 or float64, all zeros where a row is not live.
        scale: (B, N) float64, by which to multiply them to have the weights again.
        live: (B, N) bool.
        dead: (B, N) bool.
    """

    vectors: Array
    scale: Array
    live: Array
    dead: Array


def _single_precision(block: Array) -> _Rows | None:
    """The weights as they are, if they are float32 or float16 and each row is dead or of ordinary length."""
    if block.dtype.kind != "f" or block.dtype.itemsize > 4:
        return None
    vectors = np.asarray(block, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares = np.einsum("bnd,bnd->bn", vectors, vectors)
    live = (squares > ORDINARY[0]) & (squares < ORDINARY[1])
    if (squares[~live] != 0).any() or vectors[~live].any():
        return None
    return _Rows(vectors, np.ones(live.shape), live, ~live)


def _double_precision(block: Array) -> _Rows:
    unit, norms, live = directions(block)
    return _Rows(unit, np.where(live, norms, 0.0), live, norms == 0)


def _all_pairs(rows: _Rows) -> tuple[Array, Array, Array]:
    """From the Gram matrix of the rows, over the other neurons j: squared cosines, all squared products, |cosines|.

    Returns:
        (B, N) sum of squared cosines of each neuron, (B,) un-normalised potential, (B,) sum of |cosines|.
    """
    gram = rows.vectors @ rows.vectors.swapaxes(-1, -2)  # (B, N, N)
    diagonal = np.einsum("bii->bi", gram)
    squares = diagonal.astype(np.float64)
    diagonal[...] = 0.0  # a row with itself is exactly 1, and added by the caller
    inverse = np.divide(1.0, squares, out=np.zeros(squares.shape), where=rows.live)
    again = rows.scale**2
    products = gram.astype(np.float64)  # casting first is faster than casting inside of the multiplication
    products *= products
    sums = products @ np.stack([inverse, again], axis=-1)  # (B, N, 2)
    unnormalised = ((sums[..., 1] + squares**2 * again) * again).sum(axis=-1)
    length = np.sqrt(inverse)
    np.abs(gram, out=products)
    total = ((products @ length[..., None])[..., 0] * length).sum(axis=-1)
    return sums[..., 0] * inverse, unnormalised, total


def _inputs_by_inputs(rows: _Rows, *, shares: bool) -> tuple[Array, Array, Array]:
    """From the smaller (D, D) matrix of many rows: potential, un-normalised potential, squared cosines of each neuron.

    Returns:
        (B,), (B,) and (B, N), the last over the other neurons, NaN without `shares`.
    """
    vectors, kind = rows.vectors, rows.vectors.dtype
    squares = np.einsum("bnd,bnd->bn", vectors, vectors, dtype=np.float64)
    inverse = np.divide(1.0, squares, out=np.zeros(squares.shape), where=rows.live)
    unit = vectors * np.sqrt(inverse).astype(kind)[..., None]
    frame = unit.swapaxes(-1, -2) @ unit  # (B, D, D)
    own = np.full(squares.shape, np.nan)
    if shares:
        np.einsum("bnd,bnd->bn", unit @ frame, unit, dtype=np.float64, out=own)
        own -= 1.0
    weights = vectors if (rows.scale == 1.0).all() else vectors * rows.scale[..., None]
    return _sum_of_squares(frame), _sum_of_squares(weights.swapaxes(-1, -2) @ weights), own


def _sum_of_squares(matrices: Array) -> Array:
    return np.asarray(np.einsum("bij,bij->b", matrices, matrices, dtype=np.float64))
