"""The background thread that appends what a Recorder hands over."""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from wdyn.journal.frame import Kind, encode_arrays
from wdyn.record.journal import Journal
from wdyn.record.missing import Missing
from wdyn.record.snapshot import Buffer, Pool
from wdyn.record.thinning import Thinned

MOST_WAITING = 100_000  # frames in the queue beyond which log() is not heard


class Job(NamedTuple):
    """One frame to append; steps bring a buffer, which goes back to the pool, and the masks that hold."""

    kind: Kind
    payload: bytes | Buffer
    step: int
    time: float
    masks: dict[str, Tensor] | None = None


@dataclass
class Writer:
    """One thread and the queue to it. Waiting steps are bounded by the pool that their buffers come from.

    Attributes:
        journal: what it writes to; other threads only read its counts.
        pool: where written buffers go back to.
        masks_known: whether the masks that the journal's end leaves are those that the writer knows of.
    """

    journal: Journal
    pool: Pool
    masks_known: bool = True
    _queue: SimpleQueue[Job | Missing | Thinned | None] = field(default_factory=SimpleQueue)
    _masks: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    _unheard: int = 0  # calls of log() while the queue was full
    _ended: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        # daemon: at exit the interpreter joins other threads before the Recorder can be closed
        Thread(target=self._run, name="wdyn-writer", daemon=True).start()

    def put(self, job: Job | Missing | Thinned) -> None:
        """Hand over a frame, a range of missing steps or what thinning leaves; returns at once."""
        if isinstance(job, Job) and job.kind is Kind.METRICS and self._queue.qsize() >= MOST_WAITING:
            self._unheard += 1
        else:
            self._queue.put(job)

    def finish(self) -> None:
        """Return when all that was handed over is written."""
        self._queue.put(None)
        self._ended.wait()  # join() would not wait a second time after it was interrupted
        self.journal.lost_metrics, self._unheard = self.journal.lost_metrics + self._unheard, 0

    def close(self, step: int) -> None:
        """Write all that was handed over, and that the recording was closed after a step."""
        self.finish()
        self.journal.close(step)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended.set()

    def _work(self) -> None:
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

    def _handle(self, job: Job | Missing | Thinned) -> None:
        if isinstance(job, Missing):
            self.journal.miss(job)
            return
        if isinstance(job, Thinned):
            self.journal.thin(job)
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
        same = masks.keys() == self._masks.keys() and all(np.array_equal(masks[n], self._masks[n]) for n in masks)
        if same and self.masks_known:
            return True
        bits = {name: np.packbits(mask.ravel(), bitorder="little") for name, mask in masks.items()}
        if not self.journal.write(Kind.MASKS, encode_arrays(bits), step=job.step, time_=job.time):
            return False
        self._masks, self.masks_known = masks, True
        return True


@dataclass
class NoWriter:
    """Takes what a process hands over that takes part in gathering and writes nothing."""

    pool: Pool
    journal: None = None

    def put(self, job: object) -> None:
        """Give a step's buffer back."""
        if isinstance(job, Job) and not isinstance(job.payload, bytes):
            self.pool.give(job.payload)

    def close(self, step: int) -> None:
        """Nothing was written."""
