"""HDF5's shuffle and gzip filters, byte by byte, from their description in the HDF5 specification."""

import zlib


def shuffle(data: bytes, itemsize: int) -> bytes:
    """All first bytes of the values, then all second bytes, and so on."""
    count = len(data) // itemsize
    return bytes(data[value * itemsize + byte] for byte in range(itemsize) for value in range(count))


def undo(stored: bytes, itemsize: int) -> bytes:
    """The values of a chunk that was shuffled, then gzipped."""
    data = zlib.decompress(stored)
    count = len(data) // itemsize
    return bytes(data[byte * count + value] for value in range(count) for byte in range(itemsize))
