"""Bytes to frame and back, checksummed: the only place that knows the layout of a frame.

A segment file is a row of frames. A frame is a 52-byte little-endian header and a payload:

| bytes | type | field |
|---|---|---|
| 0-7 | 8 bytes | magic, `wdynFRM1` |
| 8-11 | uint32 | kind, a `Kind` |
| 12-15 | uint32 | CRC-32 of the schema's JSON, so a frame cannot be read with another schema |
| 16-23 | int64 | step |
| 24-31 | float64 | wall time, seconds since 1970 |
| 32-39 | uint64 | length of the payload |
| 40-43 | uint32 | CRC-32 of the payload, started from the CRC-32 of bytes 0-39 |
| 44-47 | uint32 | index of the frame in its segment, counted from 0 |
| 48-51 | uint32 | CRC-32 of bytes 0-47 |

The payload's checksum starts from the header's, so it covers step, time and (through the schema's own checksum)
names, shapes and types as well as the bytes.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from isal.isal_zlib import crc32

from wdyn.errors import DamagedError

MAGIC = b"wdynFRM1"
_BODY = struct.Struct("<8sIIqdQ")
_TAIL = struct.Struct("<III")
HEADER_SIZE = _BODY.size + _TAIL.size

Buffer = bytes | bytearray | memoryview


class Kind(IntEnum):
    """What a frame's payload is."""

    SCHEMA = 1  # JSON of a Schema; the first frame of every segment
    STEP = 2  # every tensor of the schema, raw bytes in order
    MASKS = 3  # named arrays: all pruning masks, bit-packed, that hold from this step on
    METRICS = 4  # JSON object, name to number
    SAMPLE = 5  # named arrays: inputs and targets
    NOTE = 6  # JSON object about the recording itself: a gap, skipped steps, the end
    PROGRAM = 7  # JSON object: the forward pass; at most once in a journal


_KINDS = frozenset(Kind)
MOST_PROGRAM = 1 << 25  # bytes of a PROGRAM frame's payload


@dataclass(frozen=True)
class Header:
    """A frame's header.

    Attributes:
        kind: what the payload is.
        schema: CRC-32 of the schema's JSON.
        step: finished optimizer updates; 0 is the initial weights.
        time: wall time in seconds since 1970.
        length: bytes of the payload.
        checksum: CRC-32 of the payload, bound to this header.
        index: place of the frame in its segment, from 0.
    """

    kind: Kind
    schema: int
    step: int
    time: float
    length: int
    checksum: int
    index: int

    @property
    def start(self) -> int:
        """CRC-32 that the checksum of the payload starts from."""
        return crc32(_BODY.pack(MAGIC, self.kind, self.schema, self.step, self.time, self.length))

    def matches(self, payload: Buffer) -> bool:
        """Whether the payload is the one this header was written for."""
        return self.matches_all([payload])

    def matches_all(self, blocks: Iterable[Buffer]) -> bool:
        """Whether these blocks, one behind the other, are the payload this header was written for."""
        length, crc = 0, self.start
        for block in blocks:
            length, crc = length + len(block), crc32(block, crc)
        return length == self.length and crc == self.checksum


def encode(kind: Kind, payload: Buffer, *, schema: int, step: int, time: float, index: int) -> bytes:
    """The header of a frame; the frame on disk is this header followed by the payload.

    Args:
        kind: what the payload is.
        payload: the frame's content, contiguous bytes.
        schema: CRC-32 of the schema's JSON.
        step: optimizer step the payload belongs to.
        time: wall time, seconds since 1970.
        index: place of the frame in its segment, from 0.

    Returns:
        `HEADER_SIZE` bytes.
    """
    body = _BODY.pack(MAGIC, kind, schema, step, time, len(payload))
    head = body + struct.pack("<II", crc32(payload, crc32(body)), index)
    return head + struct.pack("<I", crc32(head))


def decode(data: Buffer) -> Header | None:
    """The header in the first `HEADER_SIZE` bytes, or None where they are not an undamaged header."""
    if len(data) < HEADER_SIZE:
        return None
    magic, kind, schema, step, time, length = _BODY.unpack_from(data)
    checksum, index, own = _TAIL.unpack_from(data, _BODY.size)
    if magic != MAGIC or own != crc32(data[: HEADER_SIZE - 4]) or kind not in _KINDS:
        return None
    return Header(Kind(kind), schema, step, time, length, checksum, index)


def encode_arrays(arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Named arrays as one payload: JSON of names, types and shapes behind its length, then the bytes in order.

    Args:
        arrays: any number of integer, float or bool arrays.

    Returns:
        The payload of a `MASKS` or `SAMPLE` frame.
    """
    blocks = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    head = json.dumps([[name, a.dtype.str, a.shape] for name, a in blocks.items()]).encode()
    return b"".join([struct.pack("<I", len(head)), head, *(a.tobytes() for a in blocks.values())])


def decode_arrays(payload: Buffer) -> dict[str, np.ndarray[Any, Any]]:
    """The named arrays that `encode_arrays` wrote; read-only views of the payload.

    Raises:
        DamagedError: the lengths inside do not fit the payload.
    """
    view = memoryview(payload)
    try:
        (length,) = struct.unpack_from("<I", view)
        entries: Sequence[tuple[str, str, list[int]]] = json.loads(bytes(view[4 : 4 + length]))
        arrays, at = {}, 4 + length
        for name, dtype, shape in entries:
            count = math.prod(shape)
            arrays[name] = np.frombuffer(view, dtype, count, at).reshape(shape)
            at += arrays[name].nbytes
    except (struct.error, ValueError, TypeError) as error:
        raise DamagedError(f"named arrays of a journal frame do not fit their {len(view)} bytes: {error}") from error
    return arrays
