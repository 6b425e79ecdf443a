"""The table of checksums of a run file, and whether it belongs to the datasets that are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from isal.isal_zlib import crc32

from wdyn.store.answer import TYPES, OddError, Place
from wdyn.store.chunks import Array, binding
from wdyn.store.facts import is_count, is_shape
from wdyn.store.layout import CRC32, INDEX, SELF, chunk_count
from wdyn.store.plain_json import read_json

OWN = (INDEX, CRC32, SELF)  # datasets that have no checksum in the table, since they are the table
_FIELDS = ("path", "shape", "dtype", "chunks", "first", "count")
_MOST_PARTS = 1 << 22  # lists and objects in an index: three for each dataset


@dataclass(frozen=True)
class Entry:
    """One dataset as `checksums/index` describes it.

    Attributes:
        path: of the dataset in the file.
        shape: its shape.
        dtype: type of its values, little-endian.
        chunks: shape of a chunk, or None.
        first: number of its first chunk's checksum.
        count: number of its chunks.
        binding: what the checksums bind the chunks to.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None
    first: int
    count: int
    binding: str


@dataclass(frozen=True)
class Table:
    """All checksums of a file.

    Attributes:
        entries: path to Entry, in order of their checksums.
        crcs: (C,) uint32, one per chunk.
        own: the checksum of this table, 8 hex digits.
    """

    entries: Mapping[str, Entry]
    crcs: Array
    own: str


def own_checksum(index: bytes, crcs: Array) -> int:
    """What `checksums/self` holds for an index and its checksums."""
    checksum: int = crc32(crcs.tobytes(), crc32(index))
    return checksum


def read_index(text: bytes, places: Mapping[str, Place], count: int) -> dict[str, Entry]:
    """The entries of an index, each seen to be that of a dataset which is there.

    Args:
        text: of `checksums/index`.
        places: all datasets of the file.
        count: number of checksums.

    Raises:
        OddError: it is no index, or not that of these datasets.
    """
    entries: dict[str, Entry] = {}
    first = 0
    for fields in _parsed(text):
        entry = _entry(fields)
        if entry.path in entries:
            raise OddError(entry.path, "is in the index twice")
        if entry.first != first or entry.count != chunk_count(entry.shape, entry.chunks):
            raise OddError(entry.path, "has another number of checksums than of chunks")
        entries[entry.path], first = entry, first + entry.count
    if first != count:
        raise OddError(CRC32, "has another length than its index")
    _check_covered(entries, places)
    return entries


def entry_of(path: str, place: Place, first: int) -> Entry:
    """The entry of a dataset whose checksums begin at this place of the row."""
    count = chunk_count(place.shape, place.chunks)
    return Entry(path, place.shape, place.dtype, place.chunks, first, count, binding(path, place.dtype, place.shape))


def _parsed(text: bytes) -> list[Any]:
    try:
        listed = read_json(text, most_parts=_MOST_PARTS)
    except ValueError as error:
        raise OddError(INDEX, f"is no index ({error})") from error
    if not isinstance(listed, list):
        raise OddError(INDEX, "is no index")
    return listed


def _entry(fields: Any) -> Entry:
    if not isinstance(fields, dict) or fields.keys() != set(_FIELDS) or not _is_entry(**fields):
        raise OddError(INDEX, "is no index")
    chunks = None if fields["chunks"] is None else tuple(fields["chunks"])
    shape, dtype = tuple(fields["shape"]), np.dtype(fields["dtype"])
    bound = binding(fields["path"], dtype, shape)
    return Entry(fields["path"], shape, dtype, chunks, fields["first"], fields["count"], bound)


def _is_entry(path: Any, shape: Any, dtype: Any, chunks: Any, first: Any, count: Any) -> bool:
    good = isinstance(path, str) and isinstance(dtype, str) and dtype in TYPES and is_shape(shape)
    if good and chunks is not None:
        good = is_shape(chunks) and len(chunks) == len(shape) and 0 not in chunks
    return good and is_count(first) and is_count(count)


def _check_covered(entries: Mapping[str, Entry], places: Mapping[str, Place]) -> None:
    covered = places.keys() - set(OWN)
    for name in sorted(covered ^ entries.keys()):
        raise OddError(name, "has no checksum" if name in covered else "is missing")
    for name, entry in entries.items():
        place = places[name]
        if (place.shape, place.dtype, place.chunks) != (entry.shape, entry.dtype, entry.chunks):
            raise OddError(name, "has another shape or type than its checksums were made for")
