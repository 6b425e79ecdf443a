"""One chunk: values ⇄ the bytes that HDF5's shuffle and gzip filters make of them, and its checksum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from isal import igzip_lib, isal_zlib

Array = np.ndarray[Any, np.dtype[Any]]

# isal's level 3: on weights under training it is 1 to 25 % smaller than its levels 1 and 2, and four times as fast as
# zlib's level 6, which is 2 % smaller still
LEVEL = 3


def compress(block: Array) -> bytes:
    """What HDF5's shuffle and gzip filters store for a whole chunk.

    Args:
        block: the chunk's values, padded to the chunk's shape.

    Returns:
        A zlib stream.
    """
    planes = np.ascontiguousarray(np.ascontiguousarray(block).reshape(-1).view(np.uint8).reshape(-1, block.itemsize).T)
    stream = isal_zlib.compressobj(LEVEL)
    parts: list[bytes] = []
    for (
        plane
    ) in planes:  # each byte of a float has statistics of its own, so give each its own deflate blocks: 1 % smaller
        parts += stream.compress(plane.data), stream.flush(isal_zlib.Z_SYNC_FLUSH)
    return b"".join([*parts, stream.flush()])


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
