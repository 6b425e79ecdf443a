"""What the look at a file's structure answers, as plain bytes between two processes: JSON and rows of numbers."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

# little-endian types that a run may hold, those that are many in a run first
TYPES = ("<f4", "<f8", "<i8", "|u1", "<u4", "<f2", "<i4", "<i2", "|i1", "<u2", "<u8")
_LENGTH = struct.Struct("<Q")
_MOST_AXES = 32  # as in HDF5


class OddError(Exception):
    """Something that no run has.

    Attributes:
        name: path of it in the file.
        what: what it is or does.
    """

    def __init__(self, name: str, what: str) -> None:
        super().__init__(name, what)
        self.name, self.what = name, what


@dataclass(frozen=True)
class Place:
    """Where the values of a dataset lie in the file.

    Attributes:
        shape: of the dataset.
        dtype: of its values, little-endian.
        chunks: shape of a chunk, or None for a dataset in one piece.
        offsets: (C,) uint64, first byte of each chunk in the file, in the order of `layout.grid`.
        sizes: (C,) uint64, bytes of each chunk as stored; 0 for a chunk that is not there.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None
    offsets: Array
    sizes: Array


@dataclass(frozen=True)
class Structure:
    """What a file holds, as far as the look at it went.

    Attributes:
        places: path to Place, in the order of the walk.
        odd: name of what no run has and what it is, where the walk ended; None where it went through.
        failed: what libhdf5 said where it could not go on; empty where it could.
    """

    places: Mapping[str, Place] = field(default_factory=dict)
    odd: tuple[str, str] | None = None
    failed: str = ""


def encode(structure: Structure) -> bytes:
    """The structure as bytes: length of a JSON object, the object, offsets and sizes of each dataset in turn."""
    listed = [
        [path, place.dtype.str, list(place.shape), place.chunks, len(place.offsets)]
        for path, place in structure.places.items()
    ]
    head = json.dumps({"datasets": listed, "odd": structure.odd, "failed": structure.failed}).encode()
    rows = [row.astype("<u8").tobytes() for place in structure.places.values() for row in (place.offsets, place.sizes)]
    return b"".join([_LENGTH.pack(len(head)), head, *rows])


def decode(data: bytes) -> Structure:
    """The way back from `encode`, which trusts nothing of what it is given.

    Raises:
        ValueError: the bytes are no structure.
    """
    if len(data) < _LENGTH.size:
        raise ValueError("too short")
    start = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    try:
        head = json.loads(data[_LENGTH.size : start])
        rows = _Rows(data, start)
        places = {str(path): _place(rest, rows) for path, *rest in head["datasets"]}
        odd = None if head["odd"] is None else (str(head["odd"][0]), str(head["odd"][1]))
        return Structure(places, odd, str(head["failed"]))
    except (KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"no structure: {error}") from error


class _Rows:
    """Rows of uint64, one after the other."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._at = data, start

    def take(self, count: int) -> Array:
        row: Array = np.frombuffer(self._data, "<u8", count, self._at)
        self._at += row.nbytes
        return row


def _place(fields: Sequence[Any], rows: _Rows) -> Place:
    dtype, shape, chunks, count = fields
    if dtype not in TYPES or not _lengths(shape, 0) or (chunks is not None and not _lengths(chunks, 1)):
        raise ValueError("a type or shape that cannot be")
    if chunks is not None and (len(chunks) != len(shape) or 0 in shape):
        raise ValueError("chunks that do not fit their shape")
    expected = (
        1 if chunks is None else math.prod(-(-length // step) for length, step in zip(shape, chunks, strict=True))
    )
    if count != expected:
        raise ValueError("another number of chunks than its shape has")
    chunk = None if chunks is None else tuple(chunks)
    return Place(tuple(shape), np.dtype(dtype), chunk, rows.take(count), rows.take(count))


def _lengths(axes: object, least: int) -> bool:
    if not isinstance(axes, list) or len(axes) > _MOST_AXES:
        return False
    return all(type(length) is int and least <= length < 1 << 63 for length in axes)
