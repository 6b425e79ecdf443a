"""A journal as the source of a run: while it is written, and what a dead process left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from isal.isal_zlib import crc32

from wdyn.errors import ChangedMeanwhileError, DamagedError, RunFileError
from wdyn.journal.frame import HEADER_SIZE, MOST_PROGRAM, Kind, decode, decode_arrays
from wdyn.journal.lock import live_holder
from wdyn.journal.scan import Frame, Hole, in_force, read_schema, segments, survey
from wdyn.journal.schema import Schema
from wdyn.places import parts_folder
from wdyn.store.holes import Loss, losses
from wdyn.store.programs import NO_PROGRAM, StoredProgram
from wdyn.store.series import Payload, mask_tracks, metrics_of
from wdyn.store.sources import Array, Condition, Sample, stored_dtype

_MOST_OPEN = 32  # segment files at a time


class JournalSource:
    """The frames of a journal folder as they stood when this was made; see `Source`."""

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        """Read the headers of all frames.

        Args:
            path: the run file that the journal belongs to.
            folder: of the journal; `<path>.parts` when omitted.

        Raises:
            RunFileError: no step has been written.
            ChangedMeanwhileError: a segment was thinned while they were read.
            FileNotFoundError: a segment vanished, because the run has just been packed.
        """
        self.path = path
        self._open: dict[Path, int] = {}
        folder = folder or parts_folder(path)
        recording = live_holder(folder) is not None
        self._inodes = {path: path.stat().st_ino for path in segments(folder)}
        entries = in_force(survey(folder))
        self.schema = _schema(entries, folder, path)
        self.written = tuple(entry for entry in entries if isinstance(entry, Frame))
        self._last = {frame.path: frame for frame in self.written}
        try:
            small, unreadable = self._read_small()
        finally:
            self.close()
        notes = [{**json.loads(payload), "step": frame.header.step} for frame, payload in small[Kind.NOTE]]
        self.condition: Condition = _condition(recording, notes)
        steps = _last_of_each_step(self.written, small[Kind.NOTE])
        if not steps:
            raise RunFileError(f"{path}: {_nothing(self.condition)}, so there is nothing to read.")
        self.frames = tuple(steps.values())
        self.steps = np.array(list(steps), dtype=np.int64)
        self.times = np.array([frame.header.time for frame in self.frames])
        self.tensors = {tensor.name: tensor for tensor in self.schema.tensors}
        sizes = [tensor.nbytes for tensor in self.schema.tensors]
        self._offsets = dict(zip(self.tensors, np.cumsum([0, *sizes]).tolist(), strict=False))
        self.metrics = metrics_of(small[Kind.METRICS])
        self.masks = mask_tracks(small[Kind.MASKS], self.tensors)
        has_program = any(frame.header.kind is Kind.PROGRAM for frame in self.written)
        has_none = any(note.get("what") == NO_PROGRAM for note in notes)
        self.losses = losses(entries, self.schema, unreadable, program_lost=not has_program and not has_none)
        self._unsure = {step: why for step, why in self.losses.unsure.items() if step in steps}
        notes = [_note(each) for each in self.losses.found] + [each for f in unreadable for each in _unread(f)] + notes
        self.meta: dict[str, Any] = _with_optimizer(self.schema.meta, notes)
        self._program = next((text for _, text in small[Kind.PROGRAM] if len(text) <= MOST_PROGRAM), None)
        self.program = StoredProgram(lambda: self._program, self.meta["notes"])
        self._sample = next((each for each in self.written if each.header.kind is Kind.SAMPLE), None)
        text = ",".join(f"{frame.header.checksum:08x}" for frame in self.written)
        self.checksum = f"{crc32(text.encode()):08x}"
        self._checked: set[int] = set()

    @property
    def sample(self) -> Sample | None:
        """The sample, read when asked for."""
        if self._sample is None:
            return None
        arrays = decode_arrays(self._sample.read())
        return Sample(arrays["inputs"], arrays["targets"])

    def drop(self, positions: Iterable[int]) -> None:
        """Forget some steps, because their values are lost."""
        kept = np.setdiff1d(np.arange(len(self.steps)), list(positions))
        self.frames = tuple(self.frames[i] for i in kept)
        self.steps, self.times = self.steps[kept], self.times[kept]
        self._checked.clear()

    def drop_sample(self) -> None:
        """Forget the sample, because it is damaged."""
        self._sample = None

    def check_masks(self, position: int) -> None:
        """Raise where frames are lost that this step needs; see `Source`."""
        if (why := self._unsure.get(int(self.steps[position]))) is not None:
            raise DamagedError(f"{why}. Its values are not known; other steps can still be read.")

    def check(self, position: int) -> None:
        """Read a step's frame against its checksum, once.

        Raises:
            DamagedError: they differ, or frames are lost that the step needs.
        """
        if position not in self._checked:
            self.check_masks(position)
            frame = self.frames[position]
            if frame.header.length != self.schema.nbytes:
                raise DamagedError(self._wrong_size(frame))
            with self._packed_meanwhile():
                frame.check(self._descriptor(frame.path))
            self._checked.add(position)

    def whole(self, frame: Frame) -> bool:
        """Whether a frame of any kind matches its checksum, and one of a step has the size of the run's tensors."""
        try:
            with self._packed_meanwhile():
                frame.check(self._descriptor(frame.path))
        except DamagedError:
            return False
        return frame.header.kind is not Kind.STEP or frame.header.length == self.schema.nbytes

    def _wrong_size(self, frame: Frame) -> str:
        return (
            f"{frame.path}: the frame of step {frame.header.step} holds {frame.header.length} bytes, but the run's "
            f"tensors take {self.schema.nbytes}. Its values are lost; other steps can still be read."
        )

    def read(self, name: str, positions: Array, rows: slice = slice(None)) -> Array:
        """Values of a tensor at some steps; see `Source.read`."""
        spec = self.tensors[name]
        start, stop = rows.indices(spec.shape[0])[:2] if spec.shape else (0, 1)
        row = spec.nbytes // spec.shape[0] if spec.nbytes and spec.shape else spec.nbytes
        shape = (stop - start, *spec.shape[1:]) if spec.shape else ()
        raw = np.dtype("<u2") if spec.dtype == "bfloat16" else stored_dtype(spec)
        out = np.empty((len(positions), *shape), raw)
        for target, position in zip(out.reshape(len(positions), -1).view(np.uint8), positions.tolist(), strict=True):
            self.check(position)
            self._read_into(self.frames[position], self._offsets[name] + start * row, target.data)
        return (out.astype("<u4") << np.uint32(16)).view("<f4") if spec.dtype == "bfloat16" else out

    def _read_small(self) -> tuple[dict[Kind, list[Payload]], list[Frame]]:
        """Frame and payload of all these kinds, and the frames of them that are damaged."""
        small: dict[Kind, list[Payload]] = {kind: [] for kind in (Kind.METRICS, Kind.MASKS, Kind.NOTE, Kind.PROGRAM)}
        unreadable = []
        for frame in self.written:
            if frame.header.kind in small:
                try:
                    small[frame.header.kind].append((frame, frame.read(self._descriptor(frame.path))))
                except DamagedError:
                    unreadable.append(frame)
        return small, unreadable

    def _read_into(self, frame: Frame, offset: int, target: memoryview) -> None:
        done = 0
        while done < len(target):  # one call reads at most 2 GiB
            with self._packed_meanwhile():
                descriptor = self._descriptor(frame.path)
            read = os.preadv(descriptor, [target[done:]], frame.offset + offset + done)
            if not read:
                raise DamagedError(f"{frame.path}: cut short while it was read, at step {frame.header.step}.")
            done += read

    def _descriptor(self, path: Path) -> int:
        if path not in self._open:
            if len(self._open) == _MOST_OPEN:
                self.close()
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if not self._same(path, descriptor):
                os.close(descriptor)
                raise ChangedMeanwhileError(
                    f"{self.path}: was thinned to keep within max_bytes meanwhile. Open the run again."
                )
            self._open[path] = descriptor
        return self._open[path]

    def _same(self, path: Path, descriptor: int) -> bool:
        """Whether it is the segment that was looked at: two thinnings later another may have the number of its file."""
        inode, last = os.fstat(descriptor).st_ino, self._last.get(path)
        if self._inodes.setdefault(path, inode) != inode:
            return False
        if last is None:
            return True
        found = decode(os.pread(descriptor, HEADER_SIZE, last.offset - HEADER_SIZE))
        return found is not None and (found.index, found.checksum) == (last.header.index, last.header.checksum)

    @contextmanager
    def _packed_meanwhile(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ChangedMeanwhileError(
                f"{self.path}: its journal is gone, since it was packed. Open the run again."
            ) from error

    def close(self) -> None:
        """Close the segment files; a later read opens them again."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()


def _schema(entries: list[Frame | Hole], folder: Path, path: Path) -> Schema:
    schema = read_schema(entries)
    if schema is None:
        what = "the start of a recording, what tells its tensors apart, is lost" if entries else ""
        raise RunFileError(f"{path}: its journal {folder.name} {what or 'holds not even the start of a recording'}.")
    return schema


def _condition(recording: bool, notes: list[dict[str, Any]]) -> Condition:
    if recording:
        return "recording"
    return "finished" if notes and notes[-1].get("what") == "closed" else "interrupted"


def _nothing(condition: Condition) -> str:
    return "no step has been recorded yet" if condition == "recording" else "an empty run, no step was recorded"


def _last_of_each_step(frames: Iterable[Frame], notes: list[Payload]) -> dict[int, Frame]:
    """The frame that holds for each step: the last, unless a note says that a later one could not be written."""
    latest: dict[int, Frame] = {}
    said = {id(frame): json.loads(payload) for frame, payload in notes}
    for frame in frames:
        if frame.header.kind is Kind.STEP:
            latest[frame.header.step] = frame
        elif (note := said.get(id(frame), {})).get("what") == "gap" and "steps" in note:
            first, last = note["steps"]
            # the note follows the first step that could be written again, and has its time
            for step in [s for s, f in latest.items() if first <= s <= last and f.header.time != frame.header.time]:
                del latest[step]
    return dict(sorted(latest.items()))


def _with_optimizer(meta: dict[str, Any], notes: list[dict[str, Any]]) -> dict[str, Any]:
    """The facts of the run; an optimizer that the Recorder was not told of is known by its first update."""
    seen = [each["reason"] for each in notes if each.get("what") == "optimizer"]
    known = meta["optimizer"] or ", ".join(seen) or None
    return {**meta, "optimizer": known, "notes": [each for each in notes if each.get("what") != "optimizer"]}


def damage_note(step: int, reason: str) -> dict[str, Any]:
    """A NOTE about a step that a journal lost."""
    return {"what": "damaged", "reason": reason, "steps": [step, step], "step": step}


def _note(loss: Loss) -> dict[str, Any]:
    steps = {} if loss.steps is None else {"steps": list(loss.steps)}
    return {"what": "damaged", "reason": loss.reason, "step": loss.after, **steps}


def _unread(frame: Frame) -> list[dict[str, Any]]:
    kind, step = frame.header.kind.name.lower(), frame.header.step
    lost = {"what": "damaged", "reason": f"{kind} of step {step} lost: {frame.lost()}", "step": step}
    if frame.header.kind is not Kind.PROGRAM:
        return [lost]
    return [lost, {"what": NO_PROGRAM, "reason": "it was damaged in the journal", "step": step}]
