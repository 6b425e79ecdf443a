"""Two masks that were born with the same magnitudes: is their overlap more than those, and their inputs, give?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._hypergeometric import Strata, strata_moments, strata_tail
from wdyn.analyses._overlap_bits import EACH_BYTE, LAST_BYTE, TWO, count, packed, unpacked
from wdyn.analyses._overlap_nulls import NO_CHANCE, Chance

STRATUM = 16  # weights of nearly one magnitude that a mask might as well have swapped
MOST_SIDES = 8  # inputs are told apart by so many levels of survivors in each mask
KIND_SIZE = 512  # weights of one kind of input at least, else magnitudes in a stratum would be far apart
BLOCK = 1 << 16  # weights sorted at a time, few enough for a processor's cache
TWO_BITS = EACH_BYTE * np.uint64(3)


class Ordered(NamedTuple):
    """A mask by rising initial magnitude.

    Attributes:
        bits: (W,) uint64, see `_overlap_bits`.
        by_input: (D,) int, weights kept of each input.
    """

    bits: Array
    by_input: Array


def rising(magnitudes: Array) -> Array:
    """(n,) int64, places by rising magnitude, of equal ones the lower index first.

    Up to 32 bits, magnitude and place are sorted as one whole number, many times as fast as a stable sort of places:
    the bits of floats that are not negative rise with them.
    """
    if magnitudes.dtype.itemsize > 4:
        return np.argsort(magnitudes, axis=None, kind="stable")
    keys = magnitudes.astype(np.float32).ravel().view(np.uint32).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(len(keys), dtype=np.uint64)
    keys.sort()
    keys &= np.uint64(0xFFFFFFFF)
    return keys.view(np.int64)


def ordered(kept: Array, order: Array) -> Ordered:
    """A (N, D) mask by an order of its flattened places, from `rising`."""
    return Ordered(packed(kept.ravel()[order]), kept.sum(axis=0))


def initial_chance(first: Ordered, second: Ordered, inputs: Array) -> Chance:
    """Both masks follow the magnitudes that they were born with and what is common to all units, else they are random.

    Weights are put into strata of 16 that have nearly one initial magnitude, and whose inputs keep nearly as many
    weights, in the one mask and in the other: without that, inputs that are dead in both would pass for a common
    finding. Given how many weights of a stratum each mask keeps, any are as good.

    Args:
        first: of a layer of N units with D inputs.
        second: in the same order.
        inputs: (N * D,) int, the input of each weight, in that order.

    Returns:
        Exact for these strata, from the law of a sum of hypergeometric numbers.
    """
    strata = _strata(first, second, inputs)
    expected, variance = strata_moments(strata)
    if not variance > 0:
        return NO_CHANCE
    both = count(first.bits & second.bits)
    return Chance(expected, (both - expected) / float(np.sqrt(variance)), strata_tail(both, strata))


def _strata(first: Ordered, second: Ordered, inputs: Array) -> Strata:
    kinds = _alike_inputs(first.by_input, second.by_input, len(inputs))
    sizes = np.bincount(kinds) * (len(inputs) // len(kinds))
    # both masks in one byte; four bits of a byte can hold the sum of two
    marks = unpacked(first.bits, inputs.shape).view(np.uint8) + (
        unpacked(second.bits, inputs.shape).view(np.uint8) << 2
    )
    words = _by_kind(marks, kinds, inputs, sizes=sizes).view(np.uint64)
    a, b = (((each * EACH_BYTE) >> LAST_BYTE).astype(np.int64) for each in _halves(words[::2] + words[1::2]))
    places = np.full(len(a), STRATUM)
    places[np.cumsum(-(-sizes // STRATUM)) - 1] -= -sizes % STRATUM  # the last of each kind
    radix = STRATUM + 1
    # the law is the same with a and b exchanged
    counts = np.bincount((places * radix + np.minimum(a, b)) * radix + np.maximum(a, b))
    codes = np.flatnonzero(counts)
    return Strata(codes // radix**2, codes // radix % radix, codes % radix, counts[codes])


def _halves(words: Array) -> tuple[Array, Array]:
    """The lower two bits of each byte, and the two above."""
    return words & TWO_BITS, words >> TWO & TWO_BITS


def _by_kind(marks: Array, kinds: Array, inputs: Array, *, sizes: Array) -> Array:
    """Marks kind of input by kind, each by rising magnitude and filled up with zeros to whole strata."""
    pieces: list[list[Array]] = [[] for _ in sizes]
    for start in range(0, len(marks), BLOCK):
        here = kinds[inputs[start : start + BLOCK]]
        those = marks[start : start + BLOCK][np.argsort(here, kind="stable")]
        ends = np.cumsum(np.bincount(here, minlength=len(sizes))).tolist()
        for piece, low, high in zip(pieces, [0, *ends], ends, strict=False):
            piece.append(those[low:high])
    for piece, missing in zip(pieces, (-sizes % STRATUM).tolist(), strict=True):
        piece.append(np.zeros(missing, dtype=np.uint8))
    return np.concatenate([each for piece in pieces for each in piece])


def _alike_inputs(by_first: Array, by_second: Array, size: int) -> Array:
    """(D,) uint8 below 64: kinds of inputs that keep nearly as many weights in both masks; few in a small layer."""
    inputs = len(by_first)
    sides = int(np.clip(np.sqrt(size / KIND_SIZE), 1, min(MOST_SIDES, np.sqrt(inputs))))
    kinds = np.zeros(inputs, dtype=np.uint8)
    for i, alike in enumerate(np.array_split(np.argsort(by_first, kind="stable"), sides)):
        for j, more in enumerate(np.array_split(alike[np.argsort(by_second[alike], kind="stable")], sides)):
            kinds[more] = i * sides + j
    return kinds
