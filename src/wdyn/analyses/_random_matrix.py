"""The null of a spectrum: what a layer with independent entries of equal variance gives."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array

# 1 % quantile, mean and 99 % quantile of the Tracy-Widom law for real matrices (Johnstone 2001, table 1).
TRACY_WIDOM_LOW, TRACY_WIDOM_MEAN, TRACY_WIDOM_HIGH = -3.8954, -1.2065, 2.0234
NORMAL_HIGH = 2.3263  # 99 % of the normal law
GRID = 4096
DRAWS = 2000


def largest_eigenvalue(rows: Array | int, columns: Array | int, deviate: float) -> Array:
    """Largest eigenvalue of W Wᵀ at some place of its law, for independent entries of variance 1.

    Args:
        rows: N, at least 1, any shape.
        columns: D, at least 1, of a shape that fits.
        deviate: place in the Tracy-Widom law: `TRACY_WIDOM_HIGH` for the 99 % quantile, and so on.

    Returns:
        float64. With fewer than about 5 rows or columns the low end may lie below what is possible.

    Source:
        Johnstone, On the distribution of the largest eigenvalue in principal components analysis, Annals of Statistics
        29 (2001), with the centring of Ma, Accuracy of the Tracy-Widom limits, Bernoulli 18 (2012).
    """
    a, b = (np.sqrt(np.asarray(size, dtype=np.float64) - 0.5) for size in (rows, columns))
    return np.asarray((a + b) ** 2 + deviate * (a + b) * (1 / a + 1 / b) ** (1 / 3))


def stable_rank_by_chance(rows: Array | int, columns: Array | int) -> Array:
    """Stable rank of independent entries, from the law of the largest eigenvalue.

    Args:
        rows: N, any shape; NaN is returned where it is below 1.
        columns: D, at least 1.

    Returns:
        (..., 3) float64: 1 % quantile, middle, 99 % quantile, within [1, min(N, D)]. The trace that the largest
        eigenvalue is compared with grows with it, so the band is wider than stated in layers of few rows.
    """
    n, d = _sizes(rows, columns)
    deviates = (TRACY_WIDOM_HIGH, TRACY_WIDOM_MEAN, TRACY_WIDOM_LOW)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = [n * d / largest_eigenvalue(n, d, deviate) for deviate in deviates]
    return np.clip(np.stack(middle, axis=-1), 1.0, np.minimum(n, d)[..., None])


def participation_ratio_by_chance(rows: Array | int, columns: Array | int) -> Array:
    """Participation ratio of independent entries: the inverse purity Σλ² / (Σλ)².

    For normal entries the mean of the purity is (N + D + 1) / (ND + 2) and its variance
    4(N-1)(N+2)(D-1)(D+2) / ((ND+2)²(ND+4)(ND+6)); uniform entries, the default of torch, have a slightly lower mean,
    by their fourth moment 9/5 in place of 3. The band covers both.

    Args:
        rows: N, any shape; NaN is returned where it is below 1.
        columns: D, at least 1.

    Returns:
        (..., 3) float64: low end for normal entries, inverse mean purity of normal entries, high end for uniform ones,
        within [1, min(N, D)]; 98 % lie inside.
    """
    n, d = _sizes(rows, columns)
    size = n * d
    variance = 4 * (n - 1) * (n + 2) * (d - 1) * (d + 2) / ((size + 2) ** 2 * (size + 4) * (size + 6))
    reach = NORMAL_HIGH * np.sqrt(variance)
    normal, uniform = (n + d + 1) / (size + 2), (n + d - 2 + 9 / 5) / (size - 1 + 9 / 5)
    most = np.minimum(n, d)
    purity = np.clip(np.stack([normal + reach, normal, uniform - reach], axis=-1), (1 / most)[..., None], 1.0)
    return np.asarray(1 / purity)


def _sizes(rows: Array | int, columns: Array | int) -> tuple[Array, Array]:
    n, d = np.broadcast_arrays(np.asarray(rows, dtype=np.float64), np.asarray(columns, dtype=np.float64))
    return np.where(n > 0, n, np.nan), d


def typical_eigenvalues(rows: int, columns: int) -> Array:
    """Eigenvalues of the smaller Gram matrix as the Marchenko-Pastur law spreads them, for entries of variance 1.

    Args:
        rows: N, at least 1.
        columns: D, at least 1.

    Returns:
        (min(N, D),) float64, falling: the middles of equally likely parts of the law.

    Source:
        Marchenko & Pastur, Distribution of eigenvalues for some sets of random matrices, Math. USSR Sbornik 1 (1967).
    """
    small, large = sorted((rows, columns))
    ratio = small / large
    angle = (np.arange(GRID) + 0.5) * np.pi / GRID  # x = 1 + y + 2 sqrt(y) cos(angle) has no singular end
    place = 1 + ratio + 2 * np.sqrt(ratio) * np.cos(angle)
    share = np.cumsum(np.sin(angle) ** 2 / place)
    middles = (np.arange(small) + 0.5) / small
    return np.asarray(large * np.interp(middles, share / share[-1], place))


def angles_by_chance(dimension: int, inputs: int, *, rng: np.random.Generator) -> Array:
    """Principal angles between random subspaces.

    By symmetry one subspace may be spanned by the first axes. The angles then come from the first k rows of a normal
    (D, k) matrix against the rest, of which only the triangular factor matters: a larger space takes no longer.

    Args:
        dimension: k, of both subspaces, at most `inputs`.
        inputs: D, of the space.
        rng: draws 2,000 pairs.

    Returns:
        (2000, k) float64, degrees in [0, 90], rising along the last axis.

    Source:
        Absil, Edelman & Koev, On the largest principal angle between random subspaces, Linear Algebra Appl. 414 (2006).
    """
    if dimension == inputs:
        return np.zeros((DRAWS, dimension))
    within = rng.standard_normal((DRAWS, dimension, dimension))
    rest = _triangle(DRAWS, dimension, inputs - dimension, rng)
    inside, outside = (np.einsum("bij,bik->bjk", part, part) for part in (within, rest))
    root = np.linalg.inv(np.linalg.cholesky(inside + outside))
    # falling; fewer than k where both subspaces must share some directions
    sines = np.linalg.svd(rest @ root.swapaxes(-1, -2), compute_uv=False)
    angles = np.zeros((DRAWS, dimension))
    angles[:, dimension - sines.shape[1] :] = np.degrees(np.arcsin(np.clip(sines[:, ::-1], 0.0, 1.0)))
    return angles


def _triangle(draws: int, columns: int, rows: int, rng: np.random.Generator) -> Array:
    """(draws, min(rows, columns), columns): triangular factor of normal (rows, columns) matrices (Bartlett 1933)."""
    if rows < columns:
        return rng.standard_normal((draws, rows, columns))
    factor = np.triu(rng.standard_normal((draws, columns, columns)), 1)
    np.einsum("bii->bi", factor)[...] = np.sqrt(rng.chisquare(rows - np.arange(columns), (draws, columns)))
    return factor
