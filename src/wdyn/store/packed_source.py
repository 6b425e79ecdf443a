"""A finished run file as the source of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wdyn.errors import DamagedError, MisuseError
from wdyn.journal.schema import TensorSpec
from wdyn.store.chunks import binding, checksum, decompress
from wdyn.store.foreign import check, open_file, reading
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
from wdyn.store.programs import StoredProgram
from wdyn.store.sources import Array, Condition, MaskTrack, Metric, Sample, read_only, stored_dtype

THREADS = min(4, os.cpu_count() or 1)


class _Task(NamedTuple):
    """A chunk to read: where it begins, which of its values go where in the result."""

    offset: tuple[int, ...]
    source: tuple[Any, ...]
    target: tuple[Any, ...]


class PackedSource:
    """A run.h5, checked against FORMAT.md when it is opened; see `Source`."""

    condition: Condition = "finished"

    def __init__(self, path: Path, keep: int = 0) -> None:
        """Open the file and read all but its tensors and its sample.

        Args:
            path: of the file.
            keep: bytes of weights to keep in memory once they were read.

        Raises:
            RunFileError: it is not a run file that this wdyn reads.
            DamagedError: what was read does not match its checksum.
        """
        self.path = path
        self._kept = Kept(keep)
        self._file = open_file(path)
        self._handles: dict[str, Any] = {}
        self._pool = ThreadPoolExecutor(THREADS, "wdyn-read")
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        self.meta, self.table = check(self._file, self.path)
        self.program = StoredProgram(self._program_text, self.meta["notes"])
        self.checksum = self.table.own
        self.steps, self.times = self.whole(STEPS), self.whole(TIME)
        tensors = [TensorSpec(n, role, dtype, tuple(shape)) for n, role, dtype, shape in self.meta["tensors"]]
        self.tensors = {each.name: each for each in tensors}
        self.masks = {
            name: MaskTrack(self.whole(f"{at}/{SINCE}"), self.whole(f"{at}/{BITS}")) for name, at in self._named(MASKS)
        }
        self.metrics = {
            name: Metric(self.whole(f"{at}/{STEP}"), self.whole(f"{at}/{VALUE}")) for name, at in self._named(METRICS)
        }

    def _named(self, group: str) -> Iterator[tuple[str, str]]:
        """Name and path of each member of a group."""
        for link in sorted({path.split("/")[1] for path in self.table.entries if path.startswith(f"{group}/")}):
            yield unescape(link), f"{group}/{link}"

    @cached_property
    def sample(self) -> Sample | None:
        """The sample, read when asked for."""
        if INPUTS not in self.table.entries:
            return None
        return Sample(self.whole(INPUTS), self.whole(TARGETS))

    def _program_text(self) -> bytes | None:
        if PROGRAM not in self.table.entries:
            return None
        if not self._file:
            raise self._closed()
        return self.whole(PROGRAM).tobytes()

    def _closed(self) -> MisuseError:
        return MisuseError(f"{self.path}: this run was closed. Open it again with wdyn.open_run.")

    def whole(self, path: str) -> Array:
        """All values of a dataset that is not chunked, checked, read-only.

        Raises:
            DamagedError: they do not match their checksum.
        """
        entry = self.table.entries[path]
        with reading(self.path, path):
            values: Array = self._file[path][...]
        offset = (0,) * values.ndim
        if checksum(binding(path, values.dtype, values.shape), offset, values) != self.table.crcs[entry.first]:
            raise DamagedError(
                f"{self.path}: {path} does not match its checksum. See what is left: wdyn verify {self.path}"
            )
        return read_only(values)

    def chunk(self, path: str, offset: tuple[int, ...]) -> Array:
        """One chunk of a dataset, padded as it is stored, checked.

        Raises:
            DamagedError: it does not match its checksum.
        """
        entry = self.table.entries[path]
        assert entry.chunks is not None
        grid = [-(-length // step) for length, step in zip(entry.shape, entry.chunks, strict=True)]
        place = [at // step for at, step in zip(offset, entry.chunks, strict=True)]
        number = entry.first + int(np.ravel_multi_index(place, grid))
        try:
            with reading(self.path, path):
                _, data = self._dataset(path).read_direct_chunk(offset)
            block = decompress(data, entry.dtype, entry.chunks)
            good = checksum(entry.binding, offset, block) == self.table.crcs[number]
        except (ValueError, DamagedError):
            good = False
        if not good:
            last = min(offset[0] + entry.chunks[0], entry.shape[0]) - 1
            raise DamagedError(
                f"{self.path}: {path} is damaged at steps {self.steps[offset[0]]} to {self.steps[last]}. Other values "
                f"can still be read. See what is left: wdyn verify {self.path}"
            )
        return block

    def _dataset(self, path: str) -> Any:
        if path not in self._handles:  # a look-up by path takes as long as reading a chunk
            self._handles[path] = self._file[path].id
        return self._handles[path]

    def read(self, name: str, positions: Array, rows: slice = slice(None)) -> Array:
        """Values of a tensor at some steps; see `Source.read`."""
        if not self._file:
            raise self._closed()
        return self._kept.read((name, rows.start, rows.stop), positions, lambda at: self._inflate(name, at, rows))

    def _inflate(self, name: str, positions: Array, rows: slice) -> Array:
        spec = self.tensors[name]
        path = f"{GROUPS[spec.role]}/{escape(name)}"
        entry = self.table.entries[path]
        window = [range(length) for length in spec.shape]
        if window:
            window[0] = window[0][rows]
        out = np.empty((len(positions), *map(len, window)), stored_dtype(spec))
        if out.size and entry.chunks is not None:
            tasks = list(_tasks(positions, window, entry.chunks))
            self._spread(tasks, lambda task: self._fill(out, path, task))
        return out

    def check_masks(self, position: int) -> None:
        """Nothing: a file that was packed holds the masks of each of its steps."""

    def _fill(self, out: Array, path: str, task: _Task) -> None:
        out[task.target] = self.chunk(path, task.offset)[task.source]

    def _spread(self, tasks: Sequence[_Task], work: Callable[[_Task], None]) -> None:
        """Do all tasks, many in threads: inflating lets go of the interpreter."""
        if len(tasks) == 1:
            work(tasks[0])
            return
        for done in [self._pool.submit(_each, work, tasks[k::THREADS]) for k in range(THREADS)]:
            done.result()

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        self._pool.shutdown()
        self._kept = Kept(0)
        self._handles.clear()
        self._file.close()


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
