"""Whether a run file and a journal hold the same run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from isal.isal_zlib import crc32

from wdyn.errors import DamagedError
from wdyn.places import parts_folder
from wdyn.store.helper import HELPER
from wdyn.store.journal_source import JournalSource
from wdyn.store.packed_source import PackedSource
from wdyn.store.sources import Array, Source, steps_per_block


def compare(file: Path, source: JournalSource, *, look: Callable[[int], bytes] = HELPER.ask) -> None:
    """Read a packed file back against the checksums that training itself computed.

    Args:
        file: the packed file.
        source: the journal as it was packed, without what is damaged.
        look: as for `PackedFile`.

    Raises:
        DamagedError: the file does not hold exactly what the journal holds.
    """
    folder = parts_folder(source.path)
    packed = PackedSource(file, look=look)
    try:
        same = packed.steps.tolist() == source.steps.tolist() and packed.meta["run_id"] == source.meta["run_id"]
        same = same and packed.program.text == source.program.text and _small(packed) == _small(source)
        if not same or _frame_checksums(packed, source) != [frame.header.checksum for frame in source.frames]:
            raise DamagedError(f"{file}: does not hold what its journal holds. The journal {folder.name} stands.")
    finally:
        packed.close()


def same(first: Source, second: Source, *, progress: Callable[[float], object] = lambda done: None) -> bool:
    """Whether two sources hold the same, value by value.

    Args:
        first: one of them.
        second: the other.
        progress: called now and then with the fraction of the tensors that was read, 0 to 1.

    Raises:
        DamagedError: a value of one does not match its checksum.
    """
    if first.steps.tolist() != second.steps.tolist() or dict(first.tensors) != dict(second.tensors):
        return False
    if first.program.text != second.program.text or _small(first) != _small(second):
        return False
    whole, done = sum(spec.nbytes for spec in first.tensors.values()) or 1, 0
    for name, spec in first.tensors.items():
        together = steps_per_block(spec, len(first.steps))
        for start in range(0, len(first.steps), together):
            positions = np.arange(start, min(start + together, len(first.steps)))
            blocks = (as_recorded(source.read(name, positions), spec.dtype) for source in (first, second))
            if len({bytes(block) for block in blocks}) > 1:
                return False
            progress((done + spec.nbytes * (positions[-1] + 1) / len(first.steps)) / whole)
        done += spec.nbytes
    return True


def _small(source: Source) -> list[object]:
    """Everything but the tensors, as bytes, so that a NaN is like itself."""
    arrays = [source.times, *(source.sample or ())]
    arrays += [part for _, metric in sorted(source.metrics.items()) for part in metric]
    arrays += [part for _, track in sorted(source.masks.items()) for part in track]
    plain = [(a.dtype.itemsize, a.shape, np.ascontiguousarray(a).tobytes()) for a in arrays]
    return [*plain, sorted(source.metrics), sorted(source.masks), source.meta["notes"]]


def _frame_checksums(packed: PackedSource, source: JournalSource) -> list[int]:
    """What the checksum of each step's frame would be, had its payload been read from the packed file."""
    sums = [frame.header.start for frame in source.frames]
    for name, spec in source.tensors.items():
        together = steps_per_block(spec, len(sums))
        for start in range(0, len(sums), together):
            positions = np.arange(start, min(start + together, len(sums)))
            for position, values in zip(positions.tolist(), packed.read(name, positions), strict=True):
                sums[position] = crc32(as_recorded(values, spec.dtype), sums[position])
    return sums


def as_recorded(values: Array, dtype: str) -> memoryview:
    """The bytes a tensor had in its frame."""
    if dtype == "bfloat16":  # the upper half of the float32 that it was widened to
        values = (values.view("<u4") >> np.uint32(16)).astype("<u2")
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
