"""Masks as bits: an eighth of the memory, and counted 64 weights at a time."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array

HALVES, PAIRS, NIBBLES = (np.uint64(k) for k in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
EACH_BYTE = np.uint64(0x0101010101010101)  # times this, the uppermost byte is the sum of all eight
ONE, TWO, FOUR, LAST_BYTE = (np.uint64(k) for k in (1, 2, 4, 56))


def packed(mask: Array) -> Array:
    """(W,) uint64, the bits of a bool array of any shape, filled up with zeros to whole words."""
    found = np.packbits(mask)
    return np.concatenate([found, np.zeros(-len(found) % 8, dtype=np.uint8)]).view(np.uint64)


def unpacked(bits: Array, shape: tuple[int, ...]) -> Array:
    """Bool of that shape, what `packed` was given."""
    return np.unpackbits(bits.view(np.uint8), count=int(np.prod(shape))).reshape(shape).view(np.bool_)


def count(bits: Array) -> int:
    """How many bits are set; `np.bitwise_count` would need NumPy 2.

    Source:
        Warren, Hacker's Delight (2003), section 5-1: sums within ever more bits.
    """
    found = bits - ((bits >> ONE) & HALVES)
    found = (found & PAIRS) + ((found >> TWO) & PAIRS)
    found = (found + (found >> FOUR)) & NIBBLES
    return int(((found * EACH_BYTE) >> LAST_BYTE).sum())
