"""The background thread that appends what a Recorder hands over, and what it does when the disk will not take it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
from isal.isal_zlib import crc32
from torch import Tensor

from wdyn.journal.append import SegmentWriter, segment_path, sync_folder
from wdyn.journal.frame import Buffer as Payload
from wdyn.journal.frame import Kind, encode_arrays
from wdyn.journal.schema import Schema
from wdyn.record.snapshot import Buffer, Pool

SEGMENT_SIZE = 256 * 2**20  # bytes after which the next segment begins
SYNC_EVERY = 30.0  # seconds; a power cut loses at most what was written since
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 60.0  # seconds without a try after the disk refused a step
MOST_WAITING = 100_000  # frames in the queue beyond which log() is not heard


_OF_STEPS = (Kind.STEP, Kind.MASKS)  # a step is not written without its masks


class Job(NamedTuple):
    """One frame to append; steps bring a buffer, which goes back to the pool, and the masks that hold."""

    kind: Kind
    payload: bytes | Buffer
    step: int
    time: float
    masks: dict[str, Tensor] | None = None


@dataclass
class Missing:
    """Kept steps in a row that were not recorded.

    Attributes:
        what: `gap` where writing failed, `skipped` where the queue was full.
        reason: why.
        first: first of the steps.
        last: last of them.
        count: how many; fewer than last - first + 1 where the schedule keeps only some.
    """

    what: str
    reason: str
    first: int
    last: int
    count: int = 1

    def extend(self, other: Missing) -> bool:
        """Add steps that follow at once; False where they are missing for another reason."""
        if (self.what, self.reason) != (other.what, other.reason):
            return False
        self.last, self.count = other.last, self.count + other.count
        return True

    def note(self) -> bytes:
        """The payload of its NOTE frame."""
        return note(self.what, self.reason, (self.first, self.last))


def note(what: str, reason: str, steps: tuple[int, int] | None = None) -> bytes:
    """The payload of a NOTE frame."""
    return json.dumps({"what": what, "reason": reason} | ({"steps": steps} if steps else {})).encode()


class Journal:
    """Segments in a row. A frame that cannot be written is counted, never raised.

    Attributes:
        missing: steps that could not be written, or were not handed over.
        lost_metrics: calls of log() of which nothing was written.
        lost_notes: notes that could not be written.
        unwritten: payloads of the sample and the program while they could not be written.
        trouble: the first refusal of the disk, in words.
    """

    def __init__(self, folder: Path, schema: Schema) -> None:
        """Begin the first segment.

        Raises:
            OSError: it could not be written.
        """
        self._folder, self._schema = folder, schema.to_json()
        self._number = 0
        self._masks: bytes | None = None  # what holds now
        self._has_masks = True  # whether the segment says so
        self._segment = self._begin()
        self._dirty_since: float | None = None
        self._pause, self._silent_until = FIRST_PAUSE, 0.0
        self._last_error = ""
        self._row: Missing | None = None  # missing steps up to now
        self._unnoted: list[Missing] = []
        self.missing: list[Missing] = []
        self.lost_metrics = self.lost_notes = 0
        self.unwritten: dict[Kind, bytes] = {}
        self.trouble: str | None = None

    def write(self, kind: Kind, payload: Payload, *, step: int, time_: float) -> bool:
        """Append a frame if the disk takes it; whether it did."""
        if time.monotonic() < self._silent_until:
            self._lose(kind, payload, step)
            return False
        try:
            self._append(kind, payload, step, time_)
        except OSError as error:
            self.fail(kind, payload, step, error)
            return False
        if kind is Kind.STEP:  # a nearly full disk takes small frames long after it has no room for steps
            self._pause, self._row = FIRST_PAUSE, None
            self._note_missing(time_)
        return True

    def miss(self, missing: Missing) -> None:
        """Count kept steps that are not there; their note follows the next step that can be written."""
        if self._row is None or not self._row.extend(missing):
            self._row = missing
            self._unnoted.append(missing)
            self.missing.append(missing)

    def fail(self, kind: Kind, payload: Payload, step: int, error: Exception) -> None:
        """Count a frame that could not be written, and after one of a step leave the disk alone for a while."""
        self._refused(error, f"writing step {step}" if kind in _OF_STEPS else f"writing {kind.name.lower()}")
        if kind in _OF_STEPS:
            self._silent_until = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._lose(kind, payload, step)

    def sync_in(self) -> float | None:
        """Seconds until what was written must be on the disk; None where all of it is."""
        return None if self._dirty_since is None else max(0.0, self._dirty_since + SYNC_EVERY - time.monotonic())

    def sync(self) -> None:
        """Ask the disk to keep all that was written."""
        self._dirty_since = None
        try:
            self._segment.sync()
        except OSError as error:
            self._refused(error, "syncing")

    def close(self, step: int) -> None:
        """Write the last notes, whatever the disk said before, and close."""
        self._silent_until = 0.0
        unwritten, self.unwritten = self.unwritten, {}
        for kind, payload in unwritten.items():
            self.write(kind, payload, step=0, time_=time.time())
        self._note_missing(time.time())
        self.lost_notes += len(self._unnoted)
        self.write(Kind.NOTE, note("closed", "the recording was closed"), step=step, time_=time.time())
        try:
            self._segment.close()
        except OSError as error:
            self._refused(error, "syncing")

    def _append(self, kind: Kind, payload: Payload, step: int, time_: float) -> None:
        if self._segment.size >= SEGMENT_SIZE and kind in _OF_STEPS:
            following = self._begin()
            finished, self._segment, self._has_masks = self._segment, following, self._masks is None
            finished.close()
        if kind is Kind.STEP and not self._has_masks:  # each segment can be read without those before it
            assert self._masks is not None
            self._append(Kind.MASKS, self._masks, step, time_)
        self._segment.append(kind, payload, step=step, time=time_)
        if kind is Kind.MASKS:
            self._masks, self._has_masks = bytes(payload), True
        if self._dirty_since is None:
            self._dirty_since = time.monotonic()

    def _begin(self) -> SegmentWriter:
        path = segment_path(self._folder, self._number)
        segment = SegmentWriter(path, crc32(self._schema))
        try:
            segment.append(Kind.SCHEMA, self._schema, step=0, time=time.time())
            sync_folder(self._folder)
        except OSError:
            with suppress(OSError):
                segment.close()
            path.unlink(missing_ok=True)
            raise
        self._number += 1
        return segment

    def _note_missing(self, time_: float) -> None:
        while self._unnoted:
            missing = self._unnoted[0]
            if not self.write(Kind.NOTE, missing.note(), step=missing.last, time_=time_):
                self.lost_notes -= 1  # not lost while it is tried again
                return
            del self._unnoted[0]

    def _lose(self, kind: Kind, payload: Payload, step: int) -> None:
        if kind is Kind.METRICS:
            self.lost_metrics += 1
        elif kind is Kind.NOTE:
            self.lost_notes += 1
        elif kind in (Kind.SAMPLE, Kind.PROGRAM):
            self.unwritten[kind] = bytes(payload)
        elif kind in _OF_STEPS:
            self.miss(Missing("gap", self._last_error, step, step))

    def _refused(self, error: Exception, doing: str) -> None:
        self._last_error = str(error)
        self.trouble = self.trouble or f"{doing} failed ({error})"


@dataclass
class Writer:
    """One thread and the queue to it. Waiting steps are bounded by the pool that their buffers come from.

    Attributes:
        journal: what it writes to; other threads only read its counts.
        pool: where written buffers go back to.
    """

    journal: Journal
    pool: Pool
    _queue: SimpleQueue[Job | Missing | None] = field(default_factory=SimpleQueue)
    _masks: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    _unheard: int = 0  # calls of log() while the queue was full

    def __post_init__(self) -> None:
        # daemon: at exit the interpreter joins other threads before the Recorder can be closed
        self._thread = Thread(target=self._run, name="wdyn-writer", daemon=True)
        self._thread.start()

    def put(self, job: Job | Missing) -> None:
        """Hand over a frame or a range of missing steps; returns at once."""
        if isinstance(job, Job) and job.kind is Kind.METRICS and self._queue.qsize() >= MOST_WAITING:
            self._unheard += 1
        else:
            self._queue.put(job)

    def finish(self) -> None:
        """Return when all that was handed over is written."""
        self._queue.put(None)
        self._thread.join()
        self.journal.lost_metrics += self._unheard

    def _run(self) -> None:
        while True:
            try:
                job = self._queue.get(timeout=self.journal.sync_in())
            except Empty:
                self.journal.sync()
                continue
            if job is None:
                return
            self._handle(job)
            if self.journal.sync_in() == 0:
                self.journal.sync()

    def _handle(self, job: Job | Missing) -> None:
        if isinstance(job, Missing):
            self.journal.miss(job)
            return
        try:
            self._write(job)
        except Exception as error:  # whatever it is, training must not end up waiting for a dead thread
            payload = b"" if isinstance(job.payload, Buffer) else job.payload
            self.journal.fail(job.kind, payload, job.step, error)
        finally:
            if isinstance(job.payload, Buffer):
                self.pool.give(job.payload)

    def _write(self, job: Job) -> None:
        if isinstance(job.payload, Buffer):
            job.payload.wait()
            if self._write_masks(job):
                self.journal.write(job.kind, job.payload.payload, step=job.step, time_=job.time)
        else:
            self.journal.write(job.kind, job.payload, step=job.step, time_=job.time)

    def _write_masks(self, job: Job) -> bool:
        """Whether the masks of a step are in the journal, where they stand until others follow."""
        masks = {name: mask.numpy() for name, mask in (job.masks or {}).items()}
        if masks.keys() == self._masks.keys() and all(np.array_equal(masks[n], self._masks[n]) for n in masks):
            return True
        bits = {name: np.packbits(mask.ravel(), bitorder="little") for name, mask in masks.items()}
        if not self.journal.write(Kind.MASKS, encode_arrays(bits), step=job.step, time_=job.time):
            return False
        self._masks = masks
        return True
