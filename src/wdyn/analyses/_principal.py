"""Principal axes of many points in many dimensions, without a copy of the points; shared by `pca` and `umap`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array

# Up to this many dimensions (or points) the axes are exact; beyond, a randomised search of these sizes comes close.
EXACT = 1024
OVERSAMPLE = 10
POWER_ITERATIONS = 8
NUMBERS_AT_A_TIME = 2**22


class Principal(NamedTuple):
    """Points along their principal axes.

    Attributes:
        coordinates: (P, K) float64, centred.
        explained: (K,) float64, share of the variance along each axis, falling; 0 where the points do not vary.
    """

    coordinates: Array
    explained: Array


def principal(points: Array, weights: Array, axes: int, *, rng: np.random.Generator) -> Principal:
    """Project points onto the axes of largest variance.

    Each axis is turned so that its loading of largest size is positive. The axes are exact where points or dimensions
    are at most 1,024, else found by randomised subspace iteration; `explained` is exact for the axes found either way.

    Args:
        points: (P, D) real, finite, P at least 1.
        weights: (P,) positive, how often each point counts.
        axes: K, number of axes; coordinates along axes beyond D or P are zero.
        rng: draws the start of the randomised search.

    Returns:
        Coordinates and shares of variance.

    Source:
        Halko, Martinsson & Tropp, Finding structure with randomness, SIAM Review 53 (2011), algorithm 4.4.
    """
    mean = np.zeros(points.shape[1])
    for part_weights, rows in _portions(weights, points):
        mean += part_weights @ rows.astype(np.float64) / weights.sum()
    basis = _axes(points, mean, weights, axes, rng)
    coordinates = np.zeros((len(points), axes))
    total, at = 0.0, 0
    for part_weights, rows in _portions(weights, points):
        centred = rows - mean
        coordinates[at : at + len(rows), : basis.shape[1]] = centred @ basis
        total += float(part_weights @ np.einsum("pd,pd->p", centred, centred))
        at += len(rows)
    return Principal(coordinates, weights @ coordinates**2 / total if total > 0 else np.zeros(axes))


def _axes(points: Array, mean: Array, weights: Array, axes: int, rng: np.random.Generator) -> Array:
    """(D, at most K) float64 orthonormal, largest variance first; axes without variance may be left out."""
    count, inputs = points.shape
    if count < inputs and count <= EXACT:
        basis = _from_gram(np.sqrt(weights)[:, None] * (points - mean), axes)
    elif inputs <= EXACT:
        basis = _largest(_scatter(points, mean, weights, None), axes)
    else:
        subspace = _subspace(points, mean, weights, rng.standard_normal((inputs, axes + OVERSAMPLE)))
        basis = subspace @ _largest(subspace.T @ _scatter(points, mean, weights, subspace), axes)
    highest = np.abs(basis).argmax(axis=0)
    return np.asarray(basis * np.where(basis[highest, range(basis.shape[1])] < 0, -1.0, 1.0))


def _from_gram(centred: Array, axes: int) -> Array:
    """Axes from the inner products of few points."""
    along = centred.T @ _largest(centred @ centred.T, axes)
    lengths = np.linalg.norm(along, axis=0)
    kept = lengths > 1e-7 * lengths.max(initial=0.0)  # below that, the square root of rounding
    return np.asarray(along[:, kept] / lengths[kept])


def _largest(matrix: Array, axes: int) -> Array:
    """Eigenvectors of the largest eigenvalues of a symmetric matrix, as columns, largest first."""
    from scipy.linalg import eigh

    wanted = max(0, len(matrix) - axes), len(matrix) - 1
    return np.asarray(eigh((matrix + matrix.T) / 2, subset_by_index=wanted)[1][:, ::-1])


def _subspace(points: Array, mean: Array, weights: Array, start: Array) -> Array:
    """(D, W) float64 orthonormal, turned towards the axes of largest variance from `start` (D, W)."""
    subspace = np.linalg.qr(start)[0]
    for _ in range(POWER_ITERATIONS):
        part = subspace.astype(points.dtype)  # the search bears rounding, and the points need no wider copy
        inner = weights[:, None] * (points @ part - mean @ part)  # sums to 0, so the points need no centring here
        subspace = np.linalg.qr(points.T @ inner.astype(points.dtype))[0]
    return np.linalg.qr(subspace.astype(np.float64))[0]


def _scatter(points: Array, mean: Array, weights: Array, basis: Array | None) -> Array:
    """(D, W) float64: weighted scatter matrix of the points, times the basis if there is one."""
    image = np.zeros((points.shape[1], points.shape[1] if basis is None else basis.shape[1]))
    for part_weights, rows in _portions(weights, points):
        centred = rows - mean
        if basis is None:
            centred *= np.sqrt(part_weights)[:, None]
            image += centred.T @ centred  # symmetric, which takes half the time
        else:
            image += centred.T @ (part_weights[:, None] * (centred @ basis))
    return image


def _portions(weights: Array, points: Array) -> Iterator[tuple[Array, Array]]:
    rows = max(1, NUMBERS_AT_A_TIME // points.shape[1])
    for at in range(0, len(points), rows):
        yield weights[at : at + rows], points[at : at + rows]
