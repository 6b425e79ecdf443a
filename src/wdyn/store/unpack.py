"""run.h5 → journal, so that recording can go on, in a process of its own: `python -m wdyn.store.unpack RUN.h5`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from isal.isal_zlib import crc32

from wdyn.errors import DamagedError, RunFileError, WdynError
from wdyn.journal.append import SEGMENT_SIZE, SegmentWriter, segment_path, sync_path
from wdyn.journal.frame import Kind, encode_arrays
from wdyn.journal.lock import alone
from wdyn.journal.scan import segments
from wdyn.journal.schema import Schema
from wdyn.places import parts_folder
from wdyn.store.compare import as_recorded, compare
from wdyn.store.journal_source import JournalSource
from wdyn.store.packed_source import PackedSource
from wdyn.store.placing import sweep
from wdyn.store.sources import steps_per_block

_BLOCK = 1 << 26  # bytes of steps that are held at a time
_TRIES = 3


def unpack(path: Path) -> None:
    """Turn a run file into its journal, and delete the file once the journal is known to hold the same.

    May be interrupted at any point and done again: until the end the file stands.

    Args:
        path: of the run file.

    Raises:
        RunFileError: the file is damaged, or another run's journal stands beside it. Nothing was lost.
        OSError: the journal could not be written.
    """
    folder = parts_folder(path)
    stood = bool(segments(folder))
    for _ in range(_TRIES):
        if not segments(folder):
            _write(path, folder)
        with suppress(FileNotFoundError), alone(folder, wait=True):  # else a packer could delete the journal meanwhile
            _give_way(path, both_stood=stood)
            return
    raise RunFileError(f"{path}: other processes pack it again and again. Try again when they have ended.")


def _give_way(path: Path, *, both_stood: bool) -> None:
    """Delete the run file if its journal holds the same."""
    folder = parts_folder(path)
    source = JournalSource(path)
    try:
        if os.path.lexists(path):  # else another process has unpacked it meanwhile
            compare(path, source)
    except DamagedError as error:
        if both_stood:
            raise RunFileError(
                f"{path} and the journal {folder.name} stand beside each other and do not hold the same. Nothing was "
                f"changed: move one of them away."
            ) from error
        raise
    finally:
        source.close()
    path.unlink(missing_ok=True)
    sync_path(path.parent)


def _write(path: Path, folder: Path) -> None:
    """Write beside, and only then give the journal its name."""
    sweep(folder)
    beside = folder.with_name(f"{folder.name}.tmp-{os.getpid()}")
    packed = PackedSource(path)
    try:
        beside.mkdir()
        journal = _Journal(beside, Schema(tuple(packed.tensors.values()), _facts(packed.meta)))
        for kind, payload, step, time in _frames(packed):
            journal.append(kind, payload, step=step, time=time)
        journal.close()
        sync_path(beside)
        beside.rename(folder)
        sync_path(folder.parent)
    finally:
        packed.close()
        shutil.rmtree(beside, ignore_errors=True)


def _facts(meta: Any) -> dict[str, Any]:
    """What the Recorder knew at the start."""
    return {key: value for key, value in meta.items() if key not in ("notes", "tensors")}


def _frames(packed: PackedSource) -> Iterator[tuple[Kind, bytes, int, float]]:
    """All that the run holds, in an order that a Recorder could have written it in."""
    times: dict[int, float] = dict(zip(packed.steps.tolist(), packed.times.tolist(), strict=True))
    begin = packed.times.tolist()[0]
    if packed.sample is not None:
        sample = {"inputs": packed.sample.inputs, "targets": packed.sample.targets}
        yield Kind.SAMPLE, encode_arrays(sample), 0, begin
    if (text := packed.program.text) is not None:
        yield Kind.PROGRAM, text, 0, begin
    small = sorted(_small(packed), key=lambda each: each.place)  # stable: masks of a step, its scalars, its notes
    at = 0
    for step, payload in _steps(packed):
        while at < len(small) and (small[at].place, small[at].kind is not Kind.MASKS) <= (step, False):
            yield small[at].kind, small[at].payload, small[at].step, times.get(small[at].step, times[step])
            at += 1
        yield Kind.STEP, payload, step, times[step]
    last = float(packed.times[-1])
    for each in small[at:]:
        yield each.kind, each.payload, each.step, times.get(each.step, last)


class _Small(NamedTuple):
    """A frame that is none of a step, and the step that it is placed by."""

    place: int
    kind: Kind
    payload: bytes
    step: int


def _small(packed: PackedSource) -> Iterator[_Small]:
    changes = sorted({step for track in packed.masks.values() for step in track.since.tolist()})
    for step in changes:
        holding = {name: track.bits[at] for name, track in packed.masks.items() if (at := track.at(step)) >= 0}
        yield _Small(step, Kind.MASKS, encode_arrays(holding), step)
    logged: dict[int, dict[str, float]] = {}
    for name, metric in packed.metrics.items():
        for step, value in zip(metric.steps.tolist(), metric.values.tolist(), strict=True):
            logged.setdefault(step, {})[name] = value
    for step, values in logged.items():
        yield _Small(step, Kind.METRICS, json.dumps(values).encode(), step)
    place = 0
    for note in packed.meta["notes"]:  # one on damage, or on steps that are missing, may follow one of a later step
        place = max(place, note["step"])
        said = {key: value for key, value in note.items() if key != "step"}
        yield _Small(place, Kind.NOTE, json.dumps(said).encode(), note["step"])


def _steps(packed: PackedSource) -> Iterator[tuple[int, bytes]]:
    """Each step's payload, read some steps at a time."""
    size = max(sum(spec.nbytes for spec in packed.tensors.values()), 1)
    count = len(packed.steps)
    together = max(1, min(_BLOCK // size, *(steps_per_block(spec, count) for spec in packed.tensors.values())))
    for start in range(0, count, together):
        positions = np.arange(start, min(start + together, count))
        blocks = [(packed.read(name, positions), spec.dtype) for name, spec in packed.tensors.items()]
        for i, position in enumerate(positions.tolist()):
            parts = [as_recorded(values[i], dtype) for values, dtype in blocks]
            yield int(packed.steps[position]), b"".join(parts)


class _Journal:
    """Segments in a row."""

    def __init__(self, folder: Path, schema: Schema) -> None:
        self._folder, self._schema, self._number = folder, schema.to_json(), 0
        self._masks: bytes | None = None  # what holds now
        self._segment = self._begin(0.0)

    def append(self, kind: Kind, payload: bytes, *, step: int, time: float) -> None:
        if kind is Kind.STEP and self._segment.size >= SEGMENT_SIZE:
            self._segment.close()
            self._segment = self._begin(time)
            if self._masks is not None:  # each segment can be read without those before it
                self._segment.append(Kind.MASKS, self._masks, step=step, time=time)
        self._segment.append(kind, payload, step=step, time=time)
        if kind is Kind.MASKS:
            self._masks = payload

    def close(self) -> None:
        self._segment.close()

    def _begin(self, time: float) -> SegmentWriter:
        segment = SegmentWriter(segment_path(self._folder, self._number), crc32(self._schema))
        segment.append(Kind.SCHEMA, self._schema, step=0, time=time)
        self._number += 1
        return segment


def main(arguments: list[str]) -> int:
    """Unpack the one run named.

    Args:
        arguments: path of the run file.

    Returns:
        Exit status: 0, or 1 after one sentence on stderr.
    """
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m wdyn.store.unpack RUN.h5\n")
        return 1
    path = Path(arguments[0])
    try:
        unpack(path)
    except DamagedError as error:
        sys.stderr.write(f"{error} Repair it first: wdyn repair {path}\n")
        return 1
    except WdynError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{path}: could not be turned back into a journal: {error.strerror or error}. It stands.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
