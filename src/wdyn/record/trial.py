"""Some steps of a model recorded to a disk and deleted, to know what a step costs there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from torch import nn

from wdyn.record.recorder import Recorder

_BYTES, _FEWEST, _MOST, _WARM = 10**9, 3, 100, 3  # written; steps; those before that do not count


class _Trial(Recorder):
    """A recording that nobody wants."""

    def drain(self) -> None:
        """Return when all that was handed over is written; as in a training, the next step finds a free buffer."""
        while self._tape.camera.pool.in_use:
            time.sleep(1e-5)

    def _pack(self) -> None:
        """It is deleted instead."""


def try_recording(
    model: nn.Module, folder: Path, *, include: Sequence[str], exclude: Sequence[str], step_bytes: int
) -> tuple[float, float]:
    """Record an untrained model some times over.

    Args:
        model: is not changed.
        folder: on the disk in question; nothing is left in it.
        include: as of the Recorder.
        exclude: as of the Recorder.
        step_bytes: what a step takes.

    Returns:
        Seconds that the training waits for a kept step, and seconds until it is written, meanwhile the training goes
        on; medians.

    Raises:
        OSError: the folder cannot be written to.
    """
    count = max(_FEWEST, min(_MOST, _BYTES // max(step_bytes, 1)))
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wdyn-plan-") as place:
        recorder = _Trial(model, Path(place, "trial.h5"), include=include, exclude=exclude, program=False)
        waits, writes = [], []
        for _ in range(_WARM + count):
            began = time.perf_counter()
            recorder.step()
            waits.append(time.perf_counter() - began)
            recorder.drain()
            writes.append(time.perf_counter() - began)
        recorder.close()
    return median(waits[_WARM:]), median(writes[_WARM:])
