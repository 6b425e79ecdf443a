"""Where the datasets of an HDF5 file lie, as libhdf5 finds them: the only place that parses one.

HDF5 is not a safe parser. So that it can do no harm, this runs in a process of its own (`helper.py`), but for a file
that this very process has just written. No value is read here, and no link, external file or virtual dataset followed.
"""

from __future__ import annotations

import math
import os
from array import array
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s, h5t, h5z

from wdyn.store.answer import TYPES, OddError, Place, Structure, encode
from wdyn.store.layout import CRC32, INDEX, META, SELF, chunk_count

_FILTERS = ((), (h5z.FILTER_DEFLATE,), (h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE))
_DEPTH = 3  # names in the longest path, masks/<name>/bits
_MOST_AT_TOP = 16  # members of the first group; a run has at most 10
_SLACK = 64  # so many too many are named, one of them
_FIRST = (META.encode(), CRC32.partition("/")[0].encode())
_Link = tuple[bytes, int, int]  # name, kind, address
_KNOWN = [(np.dtype(code), h5t.py_create(np.dtype(code))) for code in TYPES]


def look(descriptor: int) -> bytes:
    """Look at the structure of an open file.

    Args:
        descriptor: of the file, open for reading; it stays open.

    Returns:
        A `Structure` in bytes. What libhdf5 cannot read, or no run has, ends the look and is told in it.
    """
    places: dict[str, Place] = {}
    odd, failed = None, ""
    try:
        with h5py.File(f"/dev/fd/{descriptor}", "r", locking=False) as file:
            _Walk(places, os.fstat(descriptor).st_size).file(h5g.open(file.id, b"/"))
    except OddError as error:
        odd = error.name, error.what
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, MemoryError) as error:
        failed = str(error) or type(error).__name__
    return encode(Structure(places, odd, failed))


class _Walk:
    """All groups and datasets, the facts and the checksums first: they bound how much else there can be."""

    def __init__(self, places: dict[str, Place], size: int) -> None:
        self._places, self._size = places, size
        self._seen: set[int] = set()  # addresses
        self._chunks = 0

    def file(self, root: Any) -> None:
        """Walk all groups from the first one on."""
        links = self._members(root, "/", _MOST_AT_TOP)
        for link in sorted(links, key=lambda link: _FIRST.index(link[0]) if link[0] in _FIRST else len(_FIRST)):
            if link[0] not in _FIRST:
                self._check_bounded()
            self._link(root, "", *link)

    def _group(self, group: Any, prefix: str) -> None:
        for link in self._members(group, prefix, self._most()):
            self._link(group, prefix, *link)

    def _members(self, group: Any, name: str, most: int) -> list[_Link]:
        self._seen.add(h5o.get_info(group).addr)
        if group.get_num_objs() > most:
            raise OddError(name, "has more members than there are checksums")
        links: list[_Link] = []
        group.links.iterate(lambda name, link: links.append((name, link.type, link.u)), info=True)
        return links

    def _most(self) -> int:
        """Chunks, and members of a group, that there can be."""
        place = self._places.get(CRC32)
        known = 1 if place is None or not place.shape else place.shape[0]
        return _SLACK + min(known, self._size // 4)

    def _check_bounded(self) -> None:
        for name in (INDEX, CRC32, SELF):
            if name not in self._places:
                raise OddError(name, "is missing")

    def _link(self, group: Any, prefix: str, name: bytes, kind: int, address: int) -> None:
        full = prefix + _decoded(name, prefix)
        if kind != h5l.TYPE_HARD:
            raise OddError(full, "is a link to somewhere else")
        item = h5o.open(group, name)
        if isinstance(item, h5d.DatasetID):
            if address in self._seen:
                raise OddError(full, "is another name of a dataset")
            self._seen.add(address)
            self._places[full] = self._place(item, full)
        elif isinstance(item, h5g.GroupID) and full.count("/") < _DEPTH - 1 and address not in self._seen:
            self._group(item, f"{full}/")
        else:
            raise OddError(full, "is no dataset, or in a group too deep")

    def _place(self, dataset: Any, full: str) -> Place:
        """Only what plain integers and floats, stored in the file itself, need."""
        made = dataset.get_create_plist()
        layout = made.get_layout()
        # before its shape is asked for, for which libhdf5 may open the files that a virtual dataset names
        if layout not in (h5d.CONTIGUOUS, h5d.CHUNKED) or made.get_external_count():
            raise OddError(full, "is stored outside of the file, or in a header")
        dtype = _dtype(dataset.get_type(), full)
        filters = tuple(made.get_filter(i)[0] for i in range(made.get_nfilters()))
        if filters not in _FILTERS or (filters and layout != h5d.CHUNKED):
            raise OddError(full, "uses another filter than shuffle and gzip")
        if layout == h5d.CHUNKED and len(filters) != 2:
            raise OddError(full, "is chunked, but not with shuffle and gzip")
        space = dataset.get_space()
        if space.get_simple_extent_type() not in (h5s.SIMPLE, h5s.SCALAR):
            raise OddError(full, "has no shape")
        shape = space.get_simple_extent_dims() or ()
        self._spend(chunk_count(shape, made.get_chunk() if layout == h5d.CHUNKED else None), full)
        if layout == h5d.CONTIGUOUS:
            offset = dataset.get_offset()
            there = (0, 0) if offset is None else (offset, dataset.get_storage_size())
            return Place(shape, dtype, None, *(np.array([each], dtype="<u8") for each in there))
        return _chunked(dataset, shape, dtype, made.get_chunk())

    def _spend(self, chunks: int, full: str) -> None:
        self._chunks += chunks
        if not chunks or self._chunks > self._most():
            raise OddError(full, "has more chunks than there are checksums, or none")


def _chunked(dataset: Any, shape: tuple[int, ...], dtype: np.dtype[Any], chunks: tuple[int, ...]) -> Place:
    grid = [-(-length // step) for length, step in zip(shape, chunks, strict=True)]
    offsets, sizes = (array("Q", bytes(8 * math.prod(grid))) for _ in range(2))

    def note(chunk: Any) -> None:
        number = 0
        for at, step, length in zip(chunk.chunk_offset, chunks, grid, strict=True):
            number = number * length + at // step
        if not chunk.filter_mask:  # a chunk that skips a filter is none that wdyn wrote
            offsets[number], sizes[number] = chunk.byte_offset, chunk.size

    dataset.chunk_iter(note)
    return Place(shape, dtype, chunks, np.frombuffer(offsets, "<u8"), np.frombuffer(sizes, "<u8"))


def _decoded(name: bytes, prefix: str) -> str:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise OddError(prefix + ascii(name)[2:-1], "has a name that is not UTF-8") from None
    if text in ("", ".") or "/" in text:  # libhdf5 would take it for a path
        raise OddError(prefix + text, "has a name that is a path")
    return text


def _dtype(kind: Any, full: str) -> np.dtype[Any]:
    if kind.committed():
        raise OddError(full, "has a committed type")
    for dtype, known in _KNOWN:
        if known.equal(kind):
            return dtype
    number = isinstance(kind, h5t.TypeIntegerID | h5t.TypeFloatID)
    if number and kind.get_order() == h5t.ORDER_BE:
        raise OddError(full, "is big-endian")
    raise OddError(full, "holds neither integers nor floats" + " of a usual form" * number)
