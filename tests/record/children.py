"""What the children of a zygote do: record a known training, or pack one, and show how far they are."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import time
import warnings
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from tests.record.known import Follow, Known, readable_steps, values
from wdyn.record import journal, packing
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import every
from wdyn.store.pack import main as pack_main
from wdyn.store.reader import open_run
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


def full_disk(folder: str, report: str, *, small_disk: bool) -> None:
    """Train 60 steps, of which 20 find the disk full, and report what was recorded of them.

    Args:
        folder: where to record.
        report: path of the JSON to write.
        small_disk: mount a small tmpfs there, which only this process sees, and fill it. Where that is not allowed, or
            else, files may not grow for a while.
    """
    mounted = small_disk and mount_tmpfs(folder, 300_000)
    run = Path(folder, "a.h5")
    journal.FIRST_PAUSE = 0.0
    packing.pack = lambda path: "failed" if pack_main([str(path)]) else None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = Known()
        optimizer = Follow(model)
        with Recorder(model, run, program=False) as rec:
            for part in (lambda: None, lambda: _fill(folder, rec, mounted), lambda: _free(folder, mounted)):
                part()
                for _ in range(20):
                    optimizer.step()
                _written(rec)
    steps, wrong = readable_steps(run)
    with open_run(run) as opened:
        gaps = [note["steps"] for note in opened.notes if note["what"] == "gap"]
    found = {
        "steps": steps, "wrong": wrong, "gaps": gaps, "mounted": mounted, "said": [str(each.message) for each in said],
        "trained": all(np.array_equal(model.state_dict()[n].numpy(), a) for n, a in values(60).items()),
    }  # fmt: skip
    Path(report).write_text(json.dumps(found))


def _written(rec: Recorder) -> None:
    while rec._tape.writer._queue.qsize():
        time.sleep(0.001)
    time.sleep(0.1)


def _fill(folder: str, rec: Recorder, mounted: bool) -> None:
    if not mounted:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (rec._tape.writer.journal._segment.size + 100, hard))
        return
    with open(Path(folder, "filler"), "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1024))


def _free(folder: str, mounted: bool) -> None:
    if mounted:
        Path(folder, "filler").unlink()
    else:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def mount_tmpfs(folder: str, size: int) -> bool:
    """Mount a tmpfs that only this process and its children see; whether that is allowed here."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_namespace, private = 0x20000, 0x44000  # CLONE_NEWNS; MS_REC | MS_PRIVATE
    if libc.unshare(new_namespace) or libc.mount(b"none", b"/", None, private, None):
        return False
    return not libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, f"size={size}".encode())
