"""One chunk: values ⇄ the bytes that HDF5's shuffle and gzip filters make of them, and its checksum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from isal import igzip_lib, isal_zlib

Array = np.ndarray[Any, np.dtype[Any]]

# isal's levels for a plane that holds one byte of each value. Level 3 looks further for repeats, and takes two to four
# times as long as level 1. On weights under training that pays for the planes of which some bytes, but not nearly all,
# are those of the step before: the file is then at most 0.5 % larger than with level 3 alone, and with level 1 alone 1
# to 8 %. zlib's level 6 takes 2 % less, and four times as long as level 3.
FAST, THOROUGH = 1, 3
_SOME, _NEARLY_ALL = 0.15, 0.97
_LOOKED_AT = 4  # steps of a chunk
_ZLIB = b"\x78\x5e"  # deflate with a window of 32 KiB
_RAW = -15  # the same window, without zlib's frame
_ONE = b"\x00\x01\x00\xfe\xff"  # head of a deflate block that stores one byte as it is
_END = b"\x03\x00"  # an empty deflate block that is the last


def compress(block: Array) -> bytes:
    """What HDF5's shuffle and gzip filters store for a whole chunk; the same bytes each time.

    Args:
        block: the chunk's values, padded to the chunk's shape; first axis is the step.

    Returns:
        A zlib stream.
    """
    planes = np.ascontiguousarray(np.ascontiguousarray(block).reshape(-1).view(np.uint8).reshape(-1, block.itemsize).T)
    values, shuffled = block[0].size, planes.reshape(-1)
    # Where nothing precedes a stream, levels 1 and 2 of ISA-L 2.32.1 hash an address of memory, not its third byte
    # (.write_first_byte in igzip_icf_body_h1_gr_bt.asm), and so find other matches now and then. So every stream here
    # knows the byte before it, and the first byte of a chunk is stored by itself.
    parts = [_ZLIB, _ONE, shuffled[:1].tobytes()]
    for k, plane in enumerate(planes):  # each byte of a float has statistics of its own: deflate blocks of its own
        start, end = max(1, k * plane.size), (k + 1) * plane.size
        before = shuffled[start - 1 : start].data
        stream = isal_zlib.compressobj(_level(plane, values), wbits=_RAW, zdict=before)
        parts += stream.compress(shuffled[start:end].data), stream.flush(isal_zlib.Z_SYNC_FLUSH)
    parts += _END, isal_zlib.adler32(shuffled.data).to_bytes(4, "big")
    return b"".join(parts)


def _level(plane: Array, values: int) -> int:
    """What a plane is worth, by how many of its bytes are those of the step before, `values` bytes earlier."""
    count = min(_LOOKED_AT * values, plane.size - values)
    if count <= 0:
        return THOROUGH
    repeats = np.count_nonzero(plane[values : values + count] == plane[:count]) / count
    return THOROUGH if _SOME < repeats < _NEARLY_ALL else FAST


def decompress(data: bytes | bytearray, dtype: np.dtype[Any], shape: Sequence[int]) -> Array:
    """The values of a stored chunk; never inflates more than the chunk can hold.

    Args:
        data: what `compress` made.
        dtype: type of the values.
        shape: shape of the chunk.

    Returns:
        A new array of that type and shape.

    Raises:
        ValueError: the bytes do not inflate to exactly one chunk.
    """
    block = np.empty(shape, dtype)
    try:
        stream = isal_zlib.decompressobj()
        inflated = stream.decompress(data, block.nbytes + 1)
    except igzip_lib.error as error:  # type: ignore[misc]  # its stub calls this class an instance
        raise ValueError(str(error)) from error
    if len(inflated) != block.nbytes or not stream.eof:
        raise ValueError(f"a chunk of {block.nbytes} bytes inflates to {len(inflated)}, or its end is missing")
    planes = np.frombuffer(inflated, np.uint8).reshape(dtype.itemsize, -1)
    values = block.reshape(-1).view(np.uint8).reshape(-1, dtype.itemsize)
    for k, plane in enumerate(planes):  # one strided copy per byte: three times as fast as copying the transpose
        values[:, k] = plane
    return block


def padded(block: Array, shape: Sequence[int]) -> Array:
    """The block filled up with zeros to a whole chunk, as HDF5 stores the last chunk of an axis."""
    if block.shape == tuple(shape):
        return block
    whole = np.zeros(shape, block.dtype)
    whole[tuple(map(slice, block.shape))] = block
    return whole


def checksum(binding: str, offset: Sequence[int], block: Array) -> int:
    """CRC-32 of a padded chunk, bound to its dataset and its place.

    Args:
        binding: path, type and shape of the dataset, from `binding`.
        offset: first index of the chunk.
        block: the chunk's values.

    Returns:
        An unsigned 32-bit number.
    """
    start = isal_zlib.crc32(f"{binding}|{','.join(map(str, offset))}".encode())
    little = np.ascontiguousarray(block, block.dtype.newbyteorder("<"))
    crc: int = isal_zlib.crc32(little.reshape(-1).view(np.uint8).data, start)
    return crc


def binding(path: str, dtype: np.dtype[Any], shape: Sequence[int]) -> str:
    """What a chunk's checksum binds it to: `weights/fc1.weight|<f4|(100, 300, 784)`."""
    return f"{path}|{dtype.newbyteorder('<').str}|({', '.join(map(str, shape))})"
