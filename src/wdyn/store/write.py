"""Write a run.h5 from a source, the same bytes each time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from isal.isal_zlib import crc32

from wdyn.store.chunks import Array, binding, checksum, compress, padded
from wdyn.store.layout import (
    BITS,
    CRC32,
    FORMAT,
    GROUPS,
    INDEX,
    INPUTS,
    MASKS,
    META,
    METRICS,
    PROGRAM,
    SELF,
    SINCE,
    STEP,
    STEPS,
    TARGETS,
    TIME,
    VALUE,
    chunk_shape,
    escape,
    grid,
)
from wdyn.store.sources import Source, stored_dtype

_SLAB_BYTES = 1 << 26  # of a tensor, read at a time
_THREADS = min(4, os.cpu_count() or 1)


def write_run(path: Path, source: Source, *, progress: Callable[[float], object] = lambda done: None) -> None:
    """Write all of a source to a new file.

    Memory stays below a few times `_SLAB_BYTES`, or one row of chunks of the widest tensor where that is more.

    Args:
        path: must not exist.
        source: where the numbers come from.
        progress: called now and then with the fraction of the tensors that was written, 0 to 1.

    Raises:
        FileExistsError: the path exists; it was not touched.
        OSError: it could not be written.
    """
    with h5py.File(path, "x", libver=("v110", "v110"), locking=False) as file:
        with ThreadPoolExecutor(_THREADS, "wdyn-pack") as pool:
            writer = _Writer(file, pool)
            _write_small(writer, source)
            whole, done = sum(spec.nbytes for spec in source.tensors.values()) or 1, 0
            for name, spec in source.tensors.items():
                for fraction in writer.tensor(source, name):
                    progress((done + fraction * spec.nbytes) / whole)
                done += spec.nbytes
        writer.table()


def _write_small(writer: _Writer, source: Source) -> None:
    tensors = [[t.name, t.role, t.dtype, list(t.shape)] for t in source.tensors.values()]
    writer.plain(META, _json({**source.meta, "format": FORMAT, "tensors": tensors}))
    writer.plain(STEPS, source.steps)
    writer.plain(TIME, source.times)
    for name, track in sorted(source.masks.items()):
        writer.plain(f"{MASKS}/{escape(name)}/{BITS}", track.bits)
        writer.plain(f"{MASKS}/{escape(name)}/{SINCE}", track.since)
    for name, metric in sorted(source.metrics.items()):
        writer.plain(f"{METRICS}/{escape(name)}/{STEP}", metric.steps)
        writer.plain(f"{METRICS}/{escape(name)}/{VALUE}", metric.values)
    if source.sample is not None:
        writer.plain(INPUTS, source.sample.inputs)
        writer.plain(TARGETS, source.sample.targets)
    if (program := source.program.text) is not None:
        writer.plain(PROGRAM, np.frombuffer(program, np.uint8))


def _json(content: Any) -> Array:
    return np.frombuffer(json.dumps(content, sort_keys=True).encode(), np.uint8)


class _Writer:
    """Datasets one after the other, and the checksums of all their chunks."""

    def __init__(self, file: h5py.File, pool: ThreadPoolExecutor) -> None:
        self._file, self._pool = file, pool
        self._index: list[dict[str, Any]] = []
        self._sums: list[int] = []

    def plain(self, path: str, values: Array) -> None:
        """A dataset in one piece."""
        values = np.asarray(values)
        little = values.astype(np.uint8 if values.dtype == np.bool_ else values.dtype.newbyteorder("<"), copy=False)
        self._file.create_dataset(path, data=little, track_times=False)
        bound = self._register(path, little.dtype, little.shape, chunks=None)
        self._sums.append(checksum(bound, (0,) * little.ndim, little))

    def tensor(self, source: Source, name: str) -> Iterator[float]:
        """A weight or buffer through all steps, chunk by chunk; yields which fraction of it is written."""
        spec, steps = source.tensors[name], len(source.steps)
        path, dtype, shape = f"{GROUPS[spec.role]}/{escape(name)}", stored_dtype(spec), (steps, *spec.shape)
        chunks = chunk_shape(shape, dtype.itemsize)
        if chunks is None:
            self.plain(path, np.empty(shape, dtype))
            return
        dataset = self._file.create_dataset(
            path, shape, dtype, chunks=chunks, shuffle=True, compression="gzip", track_times=False
        )
        bound = self._register(path, dtype, shape, chunks=chunks)
        for positions, rows in _slabs(shape, chunks, dtype.itemsize):
            slab = source.read(name, np.arange(positions.start, positions.stop), rows)
            self._write_slab(dataset, slab, (positions.start, rows.start or 0), bound)
            yield positions.stop / steps

    def _write_slab(self, dataset: h5py.Dataset, slab: Array, start: tuple[int, int], bound: str) -> None:
        corner = (*start, *[0] * slab.ndim)[: slab.ndim]
        inside = list(grid(slab.shape, dataset.chunks))
        offsets = [tuple(int(a + b) for a, b in zip(corner, each, strict=True)) for each in inside]

        def work(place: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[bytes, int]:
            at, offset = place
            block = slab[tuple(slice(a, a + c) for a, c in zip(at, dataset_chunks, strict=True))]
            block = padded(block, dataset_chunks)
            return compress(block), checksum(bound, offset, block)

        dataset_chunks: tuple[int, ...] = dataset.chunks
        places = list(zip(inside, offsets, strict=True))
        spread = map if len(places) == 1 else self._pool.map  # a thread of its own costs more than a small chunk
        for offset, (data, crc) in zip(offsets, spread(work, places), strict=True):
            dataset.id.write_direct_chunk(offset, data)
            self._sums.append(crc)

    def _register(self, path: str, dtype: np.dtype[Any], shape: Sequence[int], *, chunks: Any) -> str:
        """Note where the checksums of a dataset begin, which must be appended before the next is noted."""
        self._index.append({"path": path, "shape": list(shape), "dtype": dtype.str, "chunks": chunks})
        self._index[-1]["first"] = len(self._sums)
        return binding(path, dtype, shape)

    def table(self) -> None:
        """The checksums, last."""
        ends = [each["first"] for each in self._index[1:]] + [len(self._sums)]
        for each, end in zip(self._index, ends, strict=True):
            each["count"] = end - each["first"]
        index, sums = _json(self._index), np.array(self._sums, dtype="<u4")
        own = np.array([crc32(sums.tobytes(), crc32(index.tobytes()))], dtype="<u4")
        for path, values in ((INDEX, index), (CRC32, sums), (SELF, own)):
            self._file.create_dataset(path, data=values, track_times=False)


def _slabs(shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> Iterator[tuple[slice, slice]]:
    """Steps and rows of a tensor to read together: whole chunks, in the order of the chunks."""
    row = int(np.prod(shape[2:], dtype=np.int64)) * itemsize * chunks[0]
    for start in range(0, shape[0], chunks[0]):
        positions = slice(start, min(start + chunks[0], shape[0]))
        if len(shape) == 1:
            yield positions, slice(None)
            continue
        together = max(1, _SLAB_BYTES // (row * chunks[1])) * chunks[1]
        for first in range(0, shape[1], together):
            yield positions, slice(first, min(first + together, shape[1]))
