"""The blocks of an HDF5 file that carry a checksum of HDF5's own, so that a changed one can be made to look whole."""

from __future__ import annotations

import re
import struct

# superblock, object header and its continuation, group heap and index, fixed array: all that a run file has
_STARTS = re.compile(rb"\x89HDF\r\n\x1a\n|OHDR|OCHK|FRHP|FHDB|FHIB|BTHD|BTLF|BTIN|FAHD|FADB|EAHD|EAIB|EASB|EADB")
_LONGEST = 4096
_MASK = 0xFFFFFFFF


def _rotate(x: int, k: int) -> int:
    return (x << k | x >> (32 - k)) & _MASK


def lookup3(data: bytes) -> int:
    """Bob Jenkins' hashlittle(data, 0) of 2006, as HDF5 uses it."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    whole = max(len(data) - 1, 0) // 12 * 12
    for x, y, z in struct.iter_unpack("<III", data[:whole]):
        a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
        a = (a - c & _MASK) ^ _rotate(c, 4)
        c = (c + b) & _MASK
        b = (b - a & _MASK) ^ _rotate(a, 6)
        a = (a + c) & _MASK
        c = (c - b & _MASK) ^ _rotate(b, 8)
        b = (b + a) & _MASK
        a = (a - c & _MASK) ^ _rotate(c, 16)
        c = (c + b) & _MASK
        b = (b - a & _MASK) ^ _rotate(a, 19)
        a = (a + c) & _MASK
        c = (c - b & _MASK) ^ _rotate(b, 4)
        b = (b + a) & _MASK
    if not data:
        return c
    x, y, z = struct.unpack("<III", data[whole:].ljust(12, b"\0"))
    a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
    for k, (first, second) in ((14, "cb"), (11, "ac"), (25, "ba"), (16, "cb"), (4, "ac"), (14, "ba"), (24, "cb")):
        value = {"a": a, "b": b, "c": c}
        value[first] = ((value[first] ^ value[second]) - _rotate(value[second], k)) & _MASK
        a, b, c = value["a"], value["b"], value["c"]
    return c


def blocks(data: bytes) -> list[tuple[int, int]]:
    """First byte and place of the checksum of each block; the length is found by trying."""
    found = []
    for match in _STARTS.finditer(data):
        start = match.start()
        for end in range(start + 8, min(start + _LONGEST, len(data) - 3)):
            if (
                data[end : end + 4] != b"\0\0\0\0"
                and struct.pack("<I", lookup3(data[start:end])) == data[end : end + 4]
            ):
                found.append((start, end))
                break
    return found


def sealed(data: bytearray, block: tuple[int, int]) -> bytearray:
    """The file with the checksum of a block made to match."""
    start, end = block
    data[end : end + 4] = struct.pack("<I", lookup3(bytes(data[start:end])))
    return data
