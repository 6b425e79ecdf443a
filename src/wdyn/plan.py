"""What recording would cost: bytes, room and time, before a training is started."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wdyn.errors import OutputError
from wdyn.record.room import LEAST_PACKED, PACKED, size_text

if TYPE_CHECKING:
    from torch import nn

_ROOM = 4 * 10**9  # bytes that must be free for a trial


@dataclass(frozen=True)
class Plan:
    """The cost of one run.

    Attributes:
        tensors: recorded tensors.
        values: numbers in them.
        step_bytes: what one kept step takes while training runs.
        steps: updates of the training.
        kept: steps that are recorded, step 0 included.
        stride: of the steps that the schedule keeps, every `stride`-th stays; 1 without `max_bytes`.
        journal_bytes: what all of them take while training runs.
        file_bytes: what the run file takes, from and to, as measured on networks trained with SGD and Adam.
        peak_bytes: what must be free: journal and file stand beside each other while it is packed.
        free_bytes: what the disk has free now.
        added_ms: milliseconds that a kept step adds to the training, or None where it was not tried.
        written_ms: milliseconds that the disk needs for it in the background, or None.
    """

    tensors: int
    values: int
    step_bytes: int
    steps: int
    kept: int
    stride: int
    journal_bytes: int
    file_bytes: tuple[int, int]
    peak_bytes: int
    free_bytes: int
    added_ms: float | None
    written_ms: float | None

    @property
    def fits(self) -> bool:
        """Whether the disk has room for all of it."""
        return self.peak_bytes <= self.free_bytes

    def as_json(self) -> dict[str, Any]:
        """JSON-able dict of the fields, and `fits`."""
        return {**asdict(self), "file_bytes": list(self.file_bytes), "fits": self.fits}

    def as_text(self) -> str:
        """The plan for a person."""
        thinned = f", every {self.stride}th of the schedule's" if self.stride > 1 else ""
        rows = [
            ("a step", f"{size_text(self.step_bytes)}, {self.values:,} numbers in {self.tensors} tensors"),
            ("kept", f"{self.kept - 1:,} of {self.steps:,} steps, and step 0{thinned}"),
            ("training", f"{size_text(self.journal_bytes)} on the disk while it runs"),
            ("run file", " to ".join(size_text(each) for each in self.file_bytes)),
            ("room", f"{size_text(self.peak_bytes)} at the end, {size_text(self.free_bytes)} are free"),
        ]
        if self.added_ms is not None and self.written_ms is not None:
            tried = f"{self.added_ms:.2f} ms added to a kept step, {self.written_ms:.2f} ms of the disk, tried here"
            rows.append(("time", tried))
        verdict = "It fits." if self.fits else "It does not fit: keep fewer steps, give max_bytes, or use another disk."
        return "\n".join([*(f"{name:9} {text}" for name, text in rows), verdict])


def plan(
    model: str,
    *,
    steps: int,
    schedule: str = "every(1)",
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
    max_bytes: float | None = None,
    folder: Path | None = None,
    trial: bool = True,
) -> Plan:
    """What recording a model would cost.

    Args:
        model: `package.module:make_model` or `file.py:make_model`.
        steps: updates of the training.
        schedule: as text, such as `every(10)`.
        include: as of the Recorder.
        exclude: as of the Recorder.
        max_bytes: as of the Recorder.
        folder: where the run would be; the working folder when None.
        trial: record some steps of the untrained model there, and delete them, to know the time.

    Raises:
        MisuseError: no such model or schedule, or nothing to record.
    """
    from wdyn.record.choice import check_each_matches
    from wdyn.record.schedule import from_text
    from wdyn.record.snapshot import Snapshot
    from wdyn.record.thinning import stride_for
    from wdyn.replay.rebuild import make_module

    keeps = from_text(schedule)
    module = make_module(model)
    snapshot = Snapshot(module, include, exclude)
    check_each_matches(snapshot.inventory, include, exclude)
    size = sum(spec.nbytes for spec in snapshot.tensors)
    kept = sum(1 for step in range(steps + 1) if keeps(step))
    stride = 1 if max_bytes is None else stride_for(kept, int(max_bytes), size)
    journal = -(-kept // stride) * size
    where = folder or Path()
    waits = _tried(module, where, include=include, exclude=exclude, step_bytes=size) if trial else None
    return Plan(
        tensors=len(snapshot.tensors),
        values=sum(math.prod(spec.shape) for spec in snapshot.tensors),
        step_bytes=size,
        steps=steps,
        kept=-(-kept // stride),
        stride=stride,
        journal_bytes=journal,
        file_bytes=(int(LEAST_PACKED * journal), int(PACKED * journal)),
        peak_bytes=int((1 + PACKED) * journal),
        free_bytes=shutil.disk_usage(where).free,
        added_ms=None if waits is None else round(1000 * waits[0], 3),
        written_ms=None if waits is None else round(1000 * waits[1], 3),
    )


def _tried(module: nn.Module, where: Path, *, step_bytes: int, **choice: Sequence[str]) -> tuple[float, float] | None:
    from wdyn.record.trial import try_recording

    if shutil.disk_usage(where).free < max(_ROOM, 8 * step_bytes):  # nobody's last room is taken for a try
        return None
    try:
        return try_recording(module, where, step_bytes=step_bytes, **choice)
    except OSError as error:
        raise OutputError(f"{where}: cannot be recorded to ({error}). Choose another folder.") from error
