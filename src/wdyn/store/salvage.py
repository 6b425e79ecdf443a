"""What is undamaged in a damaged run file, as the source of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wdyn.errors import DamagedError
from wdyn.store.answer import OddError, Place
from wdyn.store.facts import check_facts
from wdyn.store.layout import (
    BITS,
    CRC32,
    GROUPS,
    INDEX,
    INPUTS,
    MASKS,
    META,
    METRICS,
    PROGRAM,
    SINCE,
    STEP,
    STEPS,
    TARGETS,
    TIME,
    VALUE,
    escape,
    grid,
)
from wdyn.store.packed_file import PackedFile
from wdyn.store.packed_source import PackedSource, Small, check_order, members
from wdyn.store.programs import NO_PROGRAM, StoredProgram
from wdyn.store.sources import Array, MaskTrack, Metric, Sample
from wdyn.store.table import Entry, Table, entry_of, own_checksum, read_index


class Salvage:
    """The undamaged steps of a run file, and what else of it is undamaged; see `Source`.

    Attributes:
        notes: what was left out, each as a `damaged` note.
        before: number of steps in the file.
    """

    def __init__(self, path: Path, progress: Callable[[float], object]) -> None:
        """Read everything in the file against its checksum.

        Args:
            path: of the file.
            progress: called now and then with the fraction that was read, 0 to 1.

        Raises:
            RunFileError: it is not a run file, or damaged where nothing else can be read without it.
            DamagedError: no step is undamaged.
        """
        self.path = path
        self.notes: list[dict[str, Any]] = []
        self._masks_lost: list[tuple[str, int]] = []  # and first step at which they are not known
        try:
            self._source = PackedSource(path, table=salvaged_table, small=self._small)
        except DamagedError as error:
            error.add_note(
                "Without facts, step numbers and the places of values nothing can be saved: use another copy."
            )
            raise
        try:
            self.before = len(self._source.steps)
            self._positions = np.flatnonzero(self._undamaged(progress))
            self.sample, text = self._sample(), self._program_text()
        except BaseException:
            self.close()
            raise
        self.steps, self.times = (row[self._positions] for row in (self._source.steps, self._source.times))
        self.tensors, self.masks, self.metrics = self._source.tensors, self._source.masks, self._source.metrics
        self.condition, self.checksum = self._source.condition, self._source.checksum
        self.meta = {**self._source.meta, "notes": [*self._source.meta["notes"], *self.notes]}
        self.program = StoredProgram(lambda: text, self.meta["notes"])
        if not len(self._positions):
            self.close()
            raise DamagedError(f"{path}: no step of it is undamaged, so nothing can be kept of it.")

    def read(self, name: str, positions: Array, rows: slice = slice(None)) -> Array:
        """Values of a tensor at some steps; see `Source.read`."""
        return self._source.read(name, self._positions[positions], rows)

    def check_masks(self, position: int) -> None:
        """Nothing: steps whose masks are lost are left out."""

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        self._source.close()

    def _note(self, reason: str, steps: Array) -> None:
        first, last = int(steps[0]), int(steps[-1])
        self.notes.append({"what": "damaged", "reason": reason, "step": first, "steps": [first, last]})

    def _lost(self, what: str) -> None:
        reason = f"{what} lost: it did not match its checksum in the file that was repaired"
        self.notes.append({"what": "damaged", "reason": reason, "step": 0})

    def _small(self, file: PackedFile) -> Small:
        steps = file.whole(STEPS)
        times = self._rows(file, "time", TIME) or (np.full(len(steps), np.nan),)
        metrics, masks = {}, {}
        for name, at in members(file, METRICS):
            if rows := self._rows(file, f"metric {name!r}", f"{at}/{STEP}", f"{at}/{VALUE}"):
                metrics[name] = Metric(*rows)
        for name, at in members(file, MASKS):
            if rows := self._rows(file, f"mask of {name!r}", f"{at}/{SINCE}", f"{at}/{BITS}"):
                masks[name] = MaskTrack(*rows)
            else:
                self._masks_lost.append((name, _first_masked(file, f"{at}/{SINCE}")))
        return check_order(Small(steps, times[0], masks, metrics), self.path)

    def _rows(self, file: PackedFile, what: str, *paths: str) -> tuple[Array, ...]:
        """The values of all these datasets, or none where one is damaged."""
        try:
            return tuple(file.whole(path) for path in paths)
        except DamagedError:
            self._lost(what)
            return ()

    def _sample(self) -> Sample | None:
        try:
            return self._source.sample
        except DamagedError:
            self._lost("sample")
            return None

    def _program_text(self) -> bytes | None:
        try:
            return self._source.program.text
        except DamagedError:
            self._lost("program")
            self.notes.append({"what": NO_PROGRAM, "reason": "it was damaged in the file that was repaired", "step": 0})
            return None

    def _undamaged(self, progress: Callable[[float], object]) -> Array:
        """(S,) bool, the steps of which each value is as it was recorded."""
        steps = self._source.steps
        good = np.ones(len(steps), np.bool_)
        for (start, stop), names in sorted(self._damaged_bands(progress).items()):
            good[start:stop] = False
            self._note(
                f"{' and '.join(names)} did not match the checksums in the file that was repaired", steps[start:stop]
            )
        for name, since in self._masks_lost:
            if (unknown := steps >= since).any():
                good[unknown] = False
                self._note(f"not known any more, although recorded: the mask of {name!r} is lost", steps[unknown])
        return good

    def _damaged_bands(self, progress: Callable[[float], object]) -> dict[tuple[int, int], list[str]]:
        """First step and the one behind the last of each row of chunks with damage in it, to the tensors concerned."""
        file, bands = self._source.file, dict[tuple[int, int], list[str]]()
        count = sum(len(place.offsets) for place in file.places.values() if place.chunks is not None)
        for done, (path, offset, steps) in enumerate(_chunks(file.places), start=1):
            try:
                file.chunk(path, offset)
            except DamagedError:
                named = bands.setdefault(steps, [])
                named += [] if path in named else [path]
            progress(done / count)
        return bands


def _chunks(places: Mapping[str, Place]) -> Iterator[tuple[str, tuple[int, ...], tuple[int, int]]]:
    """Each chunk of the tensors: path, first index, and its steps from and to."""
    for path, place in places.items():
        if place.chunks is not None:
            for offset in grid(place.shape, place.chunks):
                yield path, offset, (offset[0], min(offset[0] + place.chunks[0], place.shape[0]))


def _first_masked(file: PackedFile, since: str) -> int:
    """First step at which lost masks may have held: all steps, where it is not known either."""
    try:
        return int(np.min(file.whole(since), initial=np.iinfo(np.int64).max))
    except DamagedError:
        return 0


def salvaged_table(file: PackedFile) -> Table:
    """The checksums of a file, although they may be damaged themselves: a chunk that matches its own is whole.

    Raises:
        OddError: there are more or fewer of them than chunks.
    """
    index, crcs = file.unchecked(INDEX).tobytes(), file.unchecked(CRC32)
    try:
        entries = read_index(index, file.places, len(crcs))
    except OddError:
        entries = _index_as_written(file)
        if sum(entry.count for entry in entries.values()) != len(crcs):
            raise
    return Table(entries, crcs, f"{own_checksum(index, crcs):08x}")


def _index_as_written(file: PackedFile) -> dict[str, Entry]:
    """The index that `write_run` makes of such a file."""
    entries, first = dict[str, Entry](), 0
    for path in _order(file):
        if path in file.places:
            entries[path] = entry_of(path, file.places[path], first)
            first += entries[path].count
    return entries


def _order(file: PackedFile) -> Sequence[str]:
    try:
        tensors = check_facts(file.meta)
    except ValueError as error:
        raise OddError(META, f"does not say {error} as a run does") from error
    small = [
        f"{at}/{part}" for group, parts in ((MASKS, (BITS, SINCE)), (METRICS, (STEP, VALUE)))
        for _, at in sorted(members(file, group)) for part in parts
    ]  # fmt: skip
    weights = [f"{GROUPS[spec.role]}/{escape(name)}" for name, spec in tensors.items()]
    return [META, STEPS, TIME, *small, INPUTS, TARGETS, PROGRAM, *weights]
