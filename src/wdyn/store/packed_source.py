"""A finished run file as the source of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wdyn.errors import RunFileError
from wdyn.store.helper import HELPER
from wdyn.store.kept import Kept
from wdyn.store.layout import (
    BITS,
    GROUPS,
    INPUTS,
    MASKS,
    METRICS,
    PROGRAM,
    SINCE,
    STEP,
    STEPS,
    TARGETS,
    TIME,
    VALUE,
    escape,
    unescape,
)
from wdyn.store.packed_file import PackedFile, checked_table
from wdyn.store.programs import StoredProgram
from wdyn.store.sources import Array, Condition, MaskTrack, Metric, Sample, stored_dtype
from wdyn.store.table import Table

THREADS = min(4, os.cpu_count() or 1)


class _Task(NamedTuple):
    """A chunk to read: where it begins, which of its values go where in the result."""

    offset: tuple[int, ...]
    source: tuple[Any, ...]
    target: tuple[Any, ...]


class Small(NamedTuple):
    """What a run has beside its tensors, sample and program."""

    steps: Array
    times: Array
    masks: Mapping[str, MaskTrack]
    metrics: Mapping[str, Metric]


class PackedSource:
    """A run.h5; see `Source`."""

    condition: Condition = "finished"

    def __init__(
        self,
        path: Path,
        keep: int = 0,
        *,
        look: Callable[[int], bytes] = HELPER.ask,
        table: Callable[[PackedFile], Table] = checked_table,
        small: Callable[[PackedFile], Small] | None = None,
    ) -> None:
        """Open the file and read all but its tensors, its sample and its program.

        Args:
            path: of the file.
            keep: bytes of weights to keep in memory once they were read.
            look: as for `PackedFile`.
            table: as for `PackedFile`.
            small: reads steps, times, masks and metrics; those that match their checksums when omitted.

        Raises:
            RunFileError: it is not a run file that this wdyn reads.
            DamagedError: what was read does not match its checksum.
        """
        self.path = path
        self.file = PackedFile(path, look=look, table=table)
        self.meta, self.tensors, self.checksum = self.file.meta, self.file.tensors, self.file.table.own
        try:
            self.steps, self.times, self.masks, self.metrics = (small or read_small)(self.file)
        except BaseException:
            self.file.close()
            raise
        self.program = StoredProgram(self._program_text, self.meta["notes"])
        self._kept = Kept(keep)
        self._begin_threads()

    def _begin_threads(self) -> None:
        self._process, self._pool = os.getpid(), ThreadPoolExecutor(THREADS, "wdyn-read")

    @cached_property
    def sample(self) -> Sample | None:
        """The sample, read when asked for."""
        if INPUTS not in self.file.places:
            return None
        return Sample(self.file.whole(INPUTS), self.file.whole(TARGETS))

    def _program_text(self) -> bytes | None:
        return self.file.whole(PROGRAM).tobytes() if PROGRAM in self.file.places else None

    def read(self, name: str, positions: Array, rows: slice = slice(None)) -> Array:
        """Values of a tensor at some steps; see `Source.read`."""
        return self._kept.read((name, rows.start, rows.stop), positions, lambda at: self._inflate(name, at, rows))

    def _inflate(self, name: str, positions: Array, rows: slice) -> Array:
        spec = self.tensors[name]
        path = f"{GROUPS[spec.role]}/{escape(name)}"
        chunks = self.file.places[path].chunks
        window = [range(length) for length in spec.shape]
        if window:
            window[0] = window[0][rows]
        out = np.empty((len(positions), *map(len, window)), stored_dtype(spec))
        if out.size and chunks is not None:
            tasks = list(_tasks(positions, window, chunks))
            self._spread(tasks, lambda task: self._fill(out, path, task))
        return out

    def check_masks(self, position: int) -> None:
        """Nothing: a file that was packed holds the masks of each of its steps."""

    def _fill(self, out: Array, path: str, task: _Task) -> None:
        out[task.target] = self.file.chunk(path, task.offset)[task.source]

    def _spread(self, tasks: Sequence[_Task], work: Callable[[_Task], None]) -> None:
        """Do all tasks, many in threads: inflating lets go of the interpreter."""
        if len(tasks) == 1:
            work(tasks[0])
            return
        if self._process != os.getpid():  # threads do not come along through a fork
            self._begin_threads()
        for done in [self._pool.submit(_each, work, tasks[k::THREADS]) for k in range(THREADS)]:
            done.result()

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        self._pool.shutdown()
        self._kept = Kept(0)
        self.file.close()


def read_small(file: PackedFile) -> Small:
    """Steps, times, masks and metrics of a file.

    Raises:
        DamagedError: one does not match its checksum.
        RunFileError: they are not in the order of steps.
    """
    masks = {
        name: MaskTrack(file.whole(f"{at}/{SINCE}"), file.whole(f"{at}/{BITS}")) for name, at in members(file, MASKS)
    }
    metrics = {
        name: Metric(file.whole(f"{at}/{STEP}"), file.whole(f"{at}/{VALUE}")) for name, at in members(file, METRICS)
    }
    return check_order(Small(file.whole(STEPS), file.whole(TIME), masks, metrics), file.path)


def check_order(small: Small, path: Path) -> Small:
    """The same, after it was seen that everything in it is in the order of steps.

    Raises:
        RunFileError: something is not.
    """
    tracks, metrics = small.masks.values(), small.metrics.values()
    for each in (small.steps, *(track.since for track in tracks), *(metric.steps for metric in metrics)):
        if (each[:1] < 0).any() or (each[1:] <= each[:-1]).any():
            raise RunFileError(f"{path}: steps that do not increase, which no run that wdyn wrote has.")
    return small


def members(file: PackedFile, group: str) -> Iterator[tuple[str, str]]:
    """Name and path of each member of a group."""
    for link in sorted({path.split("/")[1] for path in file.places if path.startswith(f"{group}/")}):
        yield unescape(link), f"{group}/{link}"


def _each(work: Callable[[_Task], None], tasks: Sequence[_Task]) -> None:
    for task in tasks:
        work(task)


def _tasks(positions: Array, window: list[range], chunks: tuple[int, ...]) -> Iterator[_Task]:
    """The chunks that hold these steps of this part of a tensor, each once."""
    axes = [list(_pieces(part, step)) for part, step in zip(window, chunks[1:], strict=True)]
    for band, group in groupby(enumerate(positions.tolist()), key=lambda pair: pair[1] // chunks[0]):
        pairs = list(group)
        inside = np.array([position - band * chunks[0] for _, position in pairs])
        steps: Any = slice(0, len(inside)) if np.array_equal(inside, np.arange(len(inside))) else inside
        target = slice(pairs[0][0], pairs[-1][0] + 1)
        for spot in product(*axes):
            offsets, sources, targets = zip(*spot, strict=True) if spot else ((), (), ())
            yield _Task((band * chunks[0], *offsets), (steps, *sources), (target, *targets))


def _pieces(part: range, step: int) -> Iterator[tuple[int, slice, slice]]:
    """Where each chunk along one axis begins, which of its entries are wanted, and where they go."""
    for offset in range(part.start // step * step, part.stop, step):
        first, last = max(part.start, offset), min(part.stop, offset + step)
        yield offset, slice(first - offset, last - offset), slice(first - part.start, last - part.start)
