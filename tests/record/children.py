"""What the children of a zygote do: record a known training, or pack one, and show how far they are."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from tests.record.known import Follow, Known
from wdyn.record import journal, packing
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import every
from wdyn.store.pack import main as pack_main
from wdyn.store.unpack import main as unpack_main

BEGUN, MADE, CLOSING, CLOSED = 1, 2, 3, 4
_STEP, _PHASE = 0, 1


class Progress:
    """How far a child is, in memory shared with the test, where it stays when the child is killed."""

    def __init__(self, path: str | Path) -> None:
        if not os.path.exists(path):
            np.zeros(2, np.int64).tofile(path)
        self._shared = np.memmap(path, np.int64, "r+")

    def clear(self) -> None:
        """Before a child starts."""
        self._shared[:] = 0

    def show(self, rec: Recorder) -> None:
        """Note in one store, which no kill can tear, the step, the frames that wait and the stride of thinning."""
        waiting, thinning = rec._tape.writer._queue.qsize(), rec._tape._thinning
        stride = 1 if thinning is None else thinning.stride
        self._shared[_STEP] = rec.step_count << 32 | waiting << 16 | stride

    def enter(self, phase: int) -> None:
        """Note what the child does now."""
        self._shared[_PHASE] = phase

    @property
    def phase(self) -> int:
        """What the child did last."""
        return int(self._shared[_PHASE])

    @property
    def step(self) -> int:
        """The last finished step."""
        return int(self._shared[_STEP]) >> 32

    @property
    def waiting(self) -> int:
        """How many frames waited then."""
        return int(self._shared[_STEP]) >> 16 & 0xFFFF

    @property
    def stride(self) -> int:
        """Of how many steps one stays."""
        return int(self._shared[_STEP]) & 0xFFFF or 1


def warm_up() -> None:
    """Load what the first Recorder loads, by making one; no thread of it stays."""
    torch.set_num_threads(1)
    really, packing.pack = packing.pack, lambda path: None
    with TemporaryDirectory() as folder, Recorder(model := Known(), Path(folder, "a.h5"), program=False):
        Follow(model).step()
    packing.pack = really


def train(
    run: str,
    progress: str,
    *,
    steps: int,
    start: int = 0,
    resume: bool = False,
    max_bytes: int | None = None,
    segment_size: int = 3000,
    sync_every: float = 30.0,
    keep: int = 1,
    pack: str = "process",
    pause: float = 0.0,
    end: str = "close",
) -> None:
    """Train from step `start` to step `steps` under a Recorder.

    Args:
        run: path of the run.
        progress: file of the `Progress`.
        steps: the last.
        start: the step of the checkpoint that the training goes on from.
        resume: passed to the Recorder, like `max_bytes`.
        max_bytes: see there.
        segment_size: bytes after which the next segment begins.
        sync_every: seconds between syncs.
        keep: every how many steps.
        pack: `process` as users do, `here` to pack and unpack in this process, which spares starting another.
        pause: seconds after each step.
        end: `close`, or `raise`, `_exit`, `abort`: how the training ends.
    """
    shown = Progress(progress)
    shown.enter(BEGUN)
    journal.SEGMENT_SIZE, journal.SYNC_EVERY = segment_size, sync_every
    if pack == "here":
        packing.pack = lambda path: "failed" if pack_main([str(path)]) else None
        packing.unpack = lambda path: "failed" if unpack_main([str(path)]) else None
    model = Known(start)
    optimizer = Follow(model)
    rec = Recorder(model, run, resume=resume, max_bytes=max_bytes, schedule=every(keep), program=False)
    shown.show(rec)
    shown.enter(MADE)
    while rec.step_count < steps:
        optimizer.step()
        rec.log(loss=rec.step_count * 0.5)
        shown.show(rec)
        if pause:
            time.sleep(pause)
    if end == "raise":
        raise RuntimeError("of the training")
    if end == "_exit":
        os._exit(3)
    if end == "abort":
        os.abort()
    shown.enter(CLOSING)
    rec.close()
    shown.enter(CLOSED)


def pack(run: str, progress: str) -> None:
    """Pack a run in this process."""
    Progress(progress).enter(BEGUN)
    status = pack_main([run])
    Progress(progress).enter(CLOSED)
    os._exit(status)
