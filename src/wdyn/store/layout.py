"""FORMAT.md as constants: nobody else spells a group name, and a name from a model can never be a path."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import product

FORMAT = 1  # the version this wdyn writes
OLDEST = 1  # the oldest version this wdyn reads

STEPS, TIME, META = "steps", "time", "meta"
WEIGHTS, BUFFERS, MASKS, METRICS = "weights", "buffers", "masks", "metrics"
GROUPS = {"weight": WEIGHTS, "buffer": BUFFERS}  # by role
BITS, SINCE = "bits", "since"
STEP, VALUE = "step", "value"
INPUTS, TARGETS = "sample/inputs", "sample/targets"
PROGRAM = "program"
INDEX, CRC32, SELF = "checksums/index", "checksums/crc32", "checksums/self"

STEPS_PER_CHUNK = 32
VALUES_PER_STEP = 1024  # of one chunk
BLOCK_BYTES = 1 << 28  # most bytes that one chunk's worth of steps of a parameter may take

_UNSAFE = re.compile(r"[%/\x00-\x1f\x7f-\x9f\ud800-\udfff]|^\.")
_ESCAPE = re.compile(r"%([0-9A-F]{2})|%u([0-9A-F]{4})")


def escape(name: str) -> str:
    """The name as one HDF5 link name, never a path.

    Args:
        name: any string.

    Returns:
        The name with `%`, `/`, control characters and a leading dot as `%XX`, lone surrogates as `%uXXXX`, and the
        empty name as `%`. Other characters stay.
    """
    return _UNSAFE.sub(lambda m: f"%{ord(m[0]):02X}" if ord(m[0]) < 256 else f"%u{ord(m[0]):04X}", name) or "%"


def unescape(link: str) -> str:
    """The name that `escape` turned into this link name.

    Args:
        link: an HDF5 link name.

    Returns:
        The name.

    Raises:
        ValueError: `escape` never makes such a link name.
    """
    name = "" if link == "%" else _ESCAPE.sub(lambda m: chr(int(m[1] or m[2], 16)), link)
    if escape(name) != link:
        raise ValueError(f"{link!r} is not a name that wdyn would write")
    return name


def chunk_shape(shape: Sequence[int], itemsize: int) -> tuple[int, ...] | None:
    """Chunks of a `(S, ...)` dataset: long in time, short in space, so that deflate sees how slowly a weight changes.

    Args:
        shape: shape of the dataset, steps first.
        itemsize: bytes per value.

    Returns:
        Steps and values per axis of a chunk: 32 steps of about 1,024 values; of a run of fewer steps, or a parameter so
        big that 32 steps take more than `BLOCK_BYTES`, fewer steps of more values. None for a dataset without a value,
        which is not chunked.
    """
    if 0 in shape:
        return None
    steps = STEPS_PER_CHUNK
    while steps > 1 and steps * math.prod(shape[1:]) * itemsize > BLOCK_BYTES:
        steps //= 2
    steps = min(steps, shape[0])
    room = VALUES_PER_STEP * STEPS_PER_CHUNK // steps
    chunks: list[int] = []
    for axis in reversed(shape[1:]):
        chunks.insert(0, _evenly(axis, room))
        room = max(1, room // axis)
    return (steps, *chunks)


def _evenly(length: int, most: int) -> int:
    """Length of the parts when an axis is cut into equal parts of at most so many values."""
    return math.ceil(length / math.ceil(length / most))


def grid(shape: Sequence[int], chunks: Sequence[int] | None) -> Iterator[tuple[int, ...]]:
    """First index of every chunk, last axis fastest; a dataset that is not chunked is one chunk at the origin."""
    if chunks is None:
        yield (0,) * len(shape)
    else:
        yield from product(*(range(0, length, step) for length, step in zip(shape, chunks, strict=True)))


def chunk_count(shape: Sequence[int], chunks: Sequence[int] | None) -> int:
    """Number of entries of `grid`."""
    if chunks is None:
        return 1
    return math.prod(-(-length // step) for length, step in zip(shape, chunks, strict=True))
