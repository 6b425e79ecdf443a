"""Spatial autocorrelation of images: are neighbouring pixels more alike than shuffled ones?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._groups import spaced

SHUFFLES = 199  # of all pixels, for the tail of the null: 199 values of each neuron, so 200 to one for any number
SHUFFLED = 1 << 25  # pixels in all, from which on some of the channels stand for all


class Moran(NamedTuple):
    """Moran's I of images and what it is over all orders of their pixels.

    Attributes:
        value: (...) about 1 where an image is smooth, about 0 where neighbours have nothing in common, negative for a
            chequerboard; NaN where all pixels are equal or one is not finite.
        mean: float, its exact expectation over all orders of the pixels, -1 / (pixels - 1).
        variance: (...) its exact variance over all orders of the pixels; NaN there too.
    """

    value: Array
    mean: float
    variance: Array


def moran(images: Array) -> Moran:
    """Moran's I with the four neighbours of each pixel, weighted alike.

    Args:
        images: (..., H, W) with at least 4 pixels.

    Returns:
        Of each image; its scale and its mean do not matter.

    Source:
        Moran, Notes on continuous stochastic phenomena, Biometrika 37 (1950); moments under randomisation of Cliff &
        Ord, Spatial Processes (1981), equations 1.37 and 1.39.
    """
    height, width = images.shape[-2:]
    n = height * width
    centred, square = _centred(images)
    fourth = (centred**4).mean(axis=(-2, -1))
    s0 = _weights(images)
    s1, s2 = 2 * s0, 4 * _squared_degrees(height, width)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = 2 * _products(centred) / (s0 * square)
        kurtosis = fourth / square**2
    whole = n * ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0 * s0)
    tails = kurtosis * ((n * n - n) * s1 - 2 * n * s2 + 6 * s0 * s0)
    mean = -1.0 / (n - 1)
    return Moran(value, mean, (whole - tails) / ((n - 1) * (n - 2) * (n - 3) * s0 * s0) - mean**2)


def standardised(found: Moran) -> Array:
    """Standard deviations above shuffled pixels, the channels of a neuron together.

    Args:
        found: of (..., C, H, W) images.

    Returns:
        (...) float64; channels without a value or without variance count for nothing, NaN where none is left.
    """
    counts = np.isfinite(found.value) & (found.variance > 1e-15)
    away = np.where(counts, found.value - found.mean, 0.0).sum(axis=-1)
    variance = np.where(counts, found.variance, 0.0).sum(axis=-1)
    return np.asarray(np.divide(away, np.sqrt(variance), out=np.full(away.shape, np.nan), where=variance > 0))


def smooth_by_chance(images: Array, *, rng: np.random.Generator) -> Array:
    """Chance that shuffled pixels are as smooth, for each neuron.

    The exact moments put all neurons of a layer on one scale; the tail is that of 199 shuffles of all of them together,
    since a normal one claims up to nine times too often where most weights are zero.

    Args:
        images: (N, C, H, W); of many channels evenly spaced ones are looked at, as many as 33 million shuffled pixels
            allow.
        rng: shuffles; each channel on its own, all neurons alike.

    Returns:
        (N,) in (0, 1]; NaN where a neuron has no value.
    """
    per_channel = SHUFFLES * max(images[:, 0].size, 1)
    images = images[:, spaced(images.shape[1], max(1, SHUFFLED // per_channel))]
    found = moran(images)
    own = standardised(found)
    live = np.isfinite(own)
    centred, square = _centred(images[live])
    scale = 2 / (_weights(images) * np.where(square > 0, square, 1.0))
    drawn = np.empty((SHUFFLES, int(live.sum())))
    flat = centred.reshape(*centred.shape[:2], centred.shape[2] * centred.shape[3])
    for k in range(SHUFFLES):
        order = rng.permuted(np.tile(np.arange(flat.shape[-1]), (flat.shape[1], 1)), axis=1)
        shuffled = np.take_along_axis(flat, order[None], axis=-1).reshape(centred.shape)
        drawn[k] = standardised(Moran(_products(shuffled) * scale, found.mean, found.variance[live]))
    chances = np.full(len(own), np.nan)
    above = drawn.size - np.searchsorted(np.sort(drawn, axis=None), own[live] - 1e-9)
    chances[live] = (1 + above) / (1 + drawn.size)
    return chances


def _centred(images: Array) -> tuple[Array, Array]:
    """Pixels less their mean, scaled so that no square overflows, and the mean of their squares; NaN as they come."""
    wide = np.asarray(images, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        peak = np.abs(wide).max(axis=(-2, -1), keepdims=True)
        wide = wide / np.where(peak > 0, peak, 1.0)
        centred = wide - wide.mean(axis=(-2, -1), keepdims=True)
        centred[np.broadcast_to(np.abs(centred).max(axis=(-2, -1), keepdims=True) < 1e-12, centred.shape)] = 0.0
    return centred, (centred * centred).mean(axis=(-2, -1))


def _products(centred: Array) -> Array:
    """Sum over pairs of neighbours, each pair once."""
    down = np.einsum("...ij,...ij->...", centred[..., 1:, :], centred[..., :-1, :])
    return np.asarray(down + np.einsum("...ij,...ij->...", centred[..., 1:], centred[..., :-1]))


def _weights(images: Array) -> int:
    """Sum of the weights: each edge of the grid in both directions."""
    height, width = map(int, images.shape[-2:])
    return 2 * (height * (width - 1) + width * (height - 1))


def _squared_degrees(height: int, width: int) -> int:
    degrees = np.zeros((height, width), dtype=np.int64)
    degrees[1:] += 1
    degrees[:-1] += 1
    degrees[:, 1:] += 1
    degrees[:, :-1] += 1
    return int((degrees**2).sum())
