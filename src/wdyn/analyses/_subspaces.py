"""Matrices of lower rank in place of a layer's weights: its best approximations, and what chance puts there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array

TOLERANCE = 0.01  # of accuracy, or of what the loss rises by when the layer's weights are 0


class Factors(NamedTuple):
    """Singular value decomposition of one matrix, without the values that are 0.

    Attributes:
        left: (N, r) float64, orthonormal columns.
        values: (r,) float64, falling, positive.
        right: (r, D) float64, orthonormal rows.
    """

    left: Array
    values: Array
    right: Array


def factors(rows: Array) -> Factors:
    """Decompose a layer.

    Args:
        rows: (N, D) finite.

    Returns:
        Its factors; r is the numerical rank, 0 for a matrix of zeros.
    """
    left, values, right = np.linalg.svd(np.asarray(rows, dtype=np.float64), full_matrices=False)
    rank = int((values > max(rows.shape) * np.finfo(np.float64).eps * values.max(initial=0.0)).sum())
    return Factors(left[:, :rank], values[:rank], right[:rank])


def ladder(full: int) -> Array:
    """Ranks to try: 0, then 1, 2, 3, 4, 6, 8, 12, ..., two for each doubling, up to the full one.

    Args:
        full: the largest rank, at least 1.

    Returns:
        (K,) int64 increasing, 0 and `full` among them.
    """
    steps = {0, 1, full} | {share * 2**power for power in range(full.bit_length()) for share in (2, 3)}
    return np.array(sorted(rank for rank in steps if rank <= full))


def rank_part(found: Factors, rank: int) -> Array:
    """(N, D) the matrix of that rank closest to the whole one.

    Source:
        Eckart & Young, The approximation of one matrix by another of lower rank, Psychometrika 1 (1936).
    """
    return np.asarray((found.left[:, :rank] * found.values[:rank]) @ found.right[:rank])


def haar(size: int, count: int, rng: np.random.Generator) -> Array:
    """Orthonormal directions, all equally likely.

    Args:
        size: D, of the space.
        count: how many, at most D.
        rng: draws D times count normal numbers.

    Returns:
        (D, count) float64.

    Source:
        Mezzadri, How to generate random matrices from the classical compact groups, Notices of the AMS 54 (2007).
    """
    basis, triangle = np.linalg.qr(rng.standard_normal((size, count)))
    return np.asarray(basis * np.where(np.diag(triangle) < 0, -1.0, 1.0))


def random_parts(found: Factors, ranks: Sequence[int], rng: np.random.Generator) -> Iterator[Array]:
    """The matrix on random input directions, taken from those that its rows use at all.

    Directions outside the row space meet nothing but zeros. Left in, they would make a random subspace of a layer with
    more inputs than neurons look worse than it is.

    Args:
        found: the whole matrix, of rank r.
        ranks: increasing; the subspaces of one draw contain one another.
        rng: draws one rotation of the row space.

    Yields:
        (N, D) for each rank: every row projected onto the subspace. Keeps rank / r of the squares in the mean.
    """
    turn = haar(len(found.values), len(found.values), rng)
    inside, outside = (found.left * found.values) @ turn, turn.T @ found.right
    for rank in ranks:
        yield inside[:, :rank] @ outside[:rank]


def turned_part(found: Factors, rank: int, rng: np.random.Generator) -> Array:
    """A matrix of that rank with the same singular values and output directions, but random input directions.

    Args:
        found: the whole matrix.
        rank: how many singular values to keep.
        rng: draws the directions.

    Returns:
        (N, D). Where the entries of the whole matrix are independent and normal, its rank part has the very same law,
        given all else in the network: the right singular vectors of such a matrix are uniform and independent of the
        rest.
    """
    kept = found.values[:rank]
    return np.asarray((found.left[:, :rank] * kept) @ haar(found.right.shape[1], len(kept), rng).T)


def stable_rank_up(values: Array) -> int:
    """The stable rank, rounded up: Σ s² / max s², for r singular values; 0 where there are none."""
    squares = (values / values.max(initial=0.0)) ** 2 if len(values) else values
    return int(np.ceil(squares.sum() - 1e-9))  # a single value must not round up to two


def sufficient(ranks: Array, worse: Array, allowed: float) -> float:
    """The smallest rank from which on nothing is lost that counts.

    Args:
        ranks: (K,) increasing, the full one last.
        worse: (K,) how much worse the network is at each.
        allowed: how much does not count.

    Returns:
        A rank such that neither it nor a larger one of the ladder is worse than allowed; NaN where the full one is.
    """
    bad = np.flatnonzero(~(worse <= allowed))
    after = bad[-1] + 1 if len(bad) else 0
    return float(ranks[after]) if after < len(ranks) else np.nan


def at_same_error(errors: Array, shares: Array, values: Array) -> Array:
    """What random subspaces would give where they lose as much of the matrix as given.

    Args:
        errors: (K,) relative Frobenius distances, each in [0, 1].
        shares: (Q,) increasing in [0, 1]: share of the squares that a random subspace keeps in the mean.
        values: (Q,) what was measured there.

    Returns:
        (K,) interpolated on a straight line in the share of the squares.
    """
    return np.interp(1.0 - np.asarray(errors) ** 2, shares, values)


def chance_below(observed: float, drawn: Array) -> float:
    """Chance of a value as low as the observed one, from draws of the null.

    Args:
        observed: one number.
        drawn: (M,) the same number by chance; NaN, from weights too large for the network, counts as low.

    Returns:
        (1 + how many are not above) / (M + 1), so that the observed one counts as a draw; NaN where it is NaN.

    Source:
        Davison & Hinkley, Bootstrap methods and their application (1997), section 4.2.
    """
    return float((1 + (~(drawn > observed)).sum()) / (len(drawn) + 1)) if np.isfinite(observed) else np.nan
