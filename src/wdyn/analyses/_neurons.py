"""Array helpers that several analyses share: which rows live, their directions and lengths, which steps to show.

A row is *dead* when it is all zeros and *non-finite* when it holds NaN or infinity. Neither has a direction, so
analyses leave both out and count them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run

Array = np.ndarray[Any, np.dtype[Any]]

# One float64 work array of this many numbers (4 MB) stays near the processor's caches; larger ones were slower.
WORK_NUMBERS = 2**19


class Directions(NamedTuple):
    """Rows split into direction and length.

    Attributes:
        unit: (..., N, D) float64, rows of length one; a dead or non-finite row is all zeros, so that it adds nothing to
            inner products.
        norms: (..., N) float64 lengths; 0 for a dead row, NaN for a non-finite one.
        live: (..., N) bool, rows that have a direction.
    """

    unit: Array
    norms: Array
    live: Array


def directions(vectors: Array) -> Directions:
    """Split rows into directions and lengths, in float64 whatever their dtype and size.

    Each row is first scaled by a power of two, which is exact, so squares neither overflow nor underflow.

    Args:
        vectors: (..., N, D) real; leading axes are mostly steps.

    Returns:
        Unit rows, norms and the mask of live rows.
    """
    peaks = _peaks(vectors)
    live = _has_direction(peaks)
    scale = np.ldexp(1.0, np.frexp(np.where(live, peaks, 1.0))[1] - 1)  # (..., N), 2**-1074 to 2**1023
    unit = np.divide(vectors, scale[..., None], dtype=np.float64)
    unit[~live] = 0.0
    lengths = np.sqrt(np.einsum("...d,...d->...", unit, unit))
    unit /= np.where(live, lengths, 1.0)[..., None]
    with np.errstate(over="ignore"):  # a length past 1.8e308 is infinite
        norms = lengths * scale
    return Directions(unit, np.where(np.isfinite(peaks), norms, np.nan), live)


def unit_rows(vectors: Array) -> Array:
    """Rows scaled to length one.

    Args:
        vectors: (N, D) real, one neuron per row.

    Returns:
        (N, D) float64.

    Raises:
        MisuseError: a row is zero or not finite, hence without direction.
    """
    unit, norms, live = directions(vectors)
    if not live.all():
        zero = norms == 0
        lost, what = (zero, "zero norm") if zero.any() else (~live, "NaN or infinite entries")
        raise MisuseError(
            f"{lost.sum()} of {len(lost)} neuron rows have {what} (first: row {lost.argmax()}). "
            "Drop them with live_rows() and report how many."
        )
    return unit


def alive(vectors: Array) -> Array:
    """Which rows have a direction: finite and not all zero.

    Args:
        vectors: (..., N, D) real.

    Returns:
        (..., N) bool.
    """
    return _has_direction(_peaks(vectors))


def live_rows(vectors: Array) -> Array:
    """The rows that have a direction, in order.

    Args:
        vectors: (N, D) real.

    Returns:
        (n, D) with n at most N, same dtype.
    """
    return vectors[alive(vectors)]


def shown_steps(steps: Array, at_most: int) -> Array:
    """Positions of the steps worth showing: first, last and between them denser at the start, where most happens.

    Each gap grows by the factor that would reach the end with the places left, but is never less than one position.

    Args:
        steps: (S,) increasing step numbers, S at least 1.
        at_most: number of positions wanted, at least 2.

    Returns:
        (min(S, at_most),) int64 increasing positions into `steps`.
    """
    last = len(steps) - 1
    if last < at_most:
        return np.arange(last + 1)
    elapsed = np.asarray(steps, dtype=np.float64) - steps[0] + 1.0
    positions = [0]
    for places in range(at_most - 1, 0, -1):
        here = positions[-1]
        target = elapsed[here] * (elapsed[last] / elapsed[here]) ** (1 / places)
        nearest = int(np.abs(elapsed - target).argmin())
        positions.append(min(max(nearest, here + 1), last - places + 1))
    return np.array(positions)


def pieces(block: Array, numbers_per_step: int) -> Iterator[tuple[slice, Array]]:
    """Split a block of steps so that the work arrays made from each piece stay small.

    Args:
        block: (B, N, D).
        numbers_per_step: size of the largest work array that one step needs.

    Yields:
        Slice into the block's steps, and that piece of it; at least one step each.
    """
    size = max(1, WORK_NUMBERS // max(1, numbers_per_step))
    for start in range(0, len(block), size):
        yield slice(start, min(start + size, len(block))), block[start : start + size]


def every_block(
    run: Run, progress: Callable[[float], object] | None, *, bias: bool = False
) -> Iterator[tuple[int, str, int, Array]]:
    """All blocks of all layers, in order.

    Args:
        run: the run to read.
        progress: is told the share of the numbers that is done, in [0, 1], after each block.
        bias: append each neuron's bias to its vector, where the layer has one.

    Yields:
        Position and name of the layer, position of the block's first step, and the block (B, N, D).
    """
    total = sum(layer.rows * layer.columns for layer in run.layers.values()) * len(run.steps)
    done = 0
    for j, layer in enumerate(run.layers):
        for at, block in run.blocks(layer, bias=bias):
            yield j, layer, at, block
            done += len(block) * run.layers[layer].rows * run.layers[layer].columns
            if progress is not None:
                progress(done / total)


def row_norms(vectors: Array) -> Array:
    """Length of each row in float64, also where squares would overflow or underflow.

    Args:
        vectors: (..., N, D) real.

    Returns:
        (..., N) float64; NaN for a row that holds NaN or infinity.
    """
    wide = np.asarray(vectors, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares = np.einsum("...d,...d->...", wide, wide)
    norms = np.sqrt(squares)
    extreme = ~((squares > 1e-250) & (squares < np.inf))  # zero, tiny, huge or not finite
    extreme[extreme] = wide[extreme].any(axis=-1)  # many rows may be zero, such as changes where nothing was trained
    if extreme.any():
        norms[extreme] = directions(wide[extreme]).norms
    return np.asarray(norms)


def quantiles(values: Array, shares: tuple[float, ...]) -> tuple[Array, ...]:
    """Quantiles over the last axis, NaN left out.

    Args:
        values: (..., N) float.
        shares: wanted quantiles, each in [0, 1].

    Returns:
        One (...) float64 array per share, interpolated linearly between neighbours; NaN where nothing is left.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=-1)  # NaN sorts to the end
    last = np.maximum((~np.isnan(ordered)).sum(axis=-1, keepdims=True) - 1, 0)
    return tuple(_at(ordered, share * last)[..., 0] for share in shares)


def _at(ordered: Array, place: Array) -> Array:
    below = np.floor(place).astype(np.int64)
    low = np.take_along_axis(ordered, below, axis=-1)
    high = np.take_along_axis(ordered, np.ceil(place).astype(np.int64), axis=-1)
    return np.asarray(low + (high - low) * (place - below))


def _peaks(vectors: Array) -> Array:
    """(..., N) float64 largest magnitude of each row, NaN where the row holds one."""
    highest, lowest = vectors.max(axis=-1, initial=0), vectors.min(axis=-1, initial=0)
    return np.asarray(np.maximum(highest, -lowest), dtype=np.float64)


def _has_direction(peaks: Array) -> Array:
    return np.asarray(np.isfinite(peaks) & (peaks > 0))
