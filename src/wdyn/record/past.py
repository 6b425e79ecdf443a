"""What an earlier recording of a run left, for one that goes on with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from isal.isal_zlib import crc32

from wdyn.errors import DamagedError, MisuseError, RunExistsError
from wdyn.journal.frame import Buffer, Kind
from wdyn.journal.lock import release, take_over
from wdyn.journal.scan import Frame, cut_torn, in_force, read_schema, segments, survey
from wdyn.journal.schema import Schema
from wdyn.journal.thin import SUFFIX
from wdyn.places import parts_folder
from wdyn.record import packing
from wdyn.record.claim import taken
from wdyn.record.thinning import stride_of

BEGUN_AGAIN = (
    "the model is at step 0, so the first update replaces all steps recorded after it; where a checkpoint is to be "
    "loaded, do so before that"
)
FOUND_NOWHERE = (
    "the weights that training goes on with are those of no recorded step, so nothing was replaced: load the "
    "checkpoint before making the Recorder, or give resume=STEP"
)
_FEW = 4096  # bytes


@dataclass(frozen=True)
class Past:
    """A journal that this process has taken over.

    Attributes:
        schema: of the run; what is recorded from now on must have it too.
        steps: recorded step to its frame, in order.
        kinds: of all its frames.
        number: of the segment that follows.
        stride: what the steps were thinned with; 1 where they were not.
    """

    schema: Schema
    steps: dict[int, Frame]
    kinds: frozenset[Kind]
    number: int
    stride: int = 1

    def until(self, step: int) -> Past:
        """What holds once the recording has gone on from a step."""
        return replace(self, steps={each: frame for each, frame in self.steps.items() if each <= step})

    def find(self, payload: Buffer) -> int | None:
        """The last recorded step with exactly these values, or None.

        Args:
            payload: every tensor of the schema, raw bytes in order.
        """
        for step, frame in reversed(self.steps.items()):
            header = frame.header
            # the checksum first: nothing has to be read of the steps that differ
            if crc32(payload, header.start) == header.checksum and _may_hold(frame, payload):
                return step
        return None

    def find_weights(self, payload: memoryview) -> int | None:
        """The last recorded step with exactly these weights, or None.

        Args:
            payload: every tensor of the schema, raw bytes in order; its buffers become those of that step.
        """
        weights = list(_places_of_weights(self.schema))
        for step, frame in reversed(self.steps.items()):
            if not _may_begin_with(frame, payload, weights[0]):
                continue
            with suppress(DamagedError):
                held = frame.read()
                if len(held) == len(payload) and all(held[place] == payload[place] for place in weights):
                    payload[:] = held
                    return step
        return None

    def where(self, payload: Buffer, resume: bool | int, path: Path) -> int:
        """The step that a recording of these values goes on from.

        Args:
            payload: the model's values now.
            resume: a step, or True to find it by the values.
            path: of the run, for the text of the error.

        Raises:
            MisuseError: no recorded step has these values.
        """
        if resume is not True:
            return int(resume)
        if not self.steps:  # it died before the first was written
            return 0
        step = self.find(payload)
        if step is None:
            steps = list(self.steps)
            raise MisuseError(
                f"{path} cannot be resumed: the model's weights and buffers are not those of one of its {len(steps)} "
                f"steps from {steps[0]} to {steps[-1]}. Load the checkpoint before making the Recorder, or say which "
                f"step it is of, as in resume=1000."
            )
        return step


def take_up(path: Path) -> Past | None:
    """Make this process the recorder of a run that another recording left, packed or not.

    Args:
        path: of the run file.

    Returns:
        What is there, with this process's lock on it, or None where nothing was recorded.

    Raises:
        RunExistsError: another process is recording or packing it; it was not touched.
        MisuseError: it cannot be read or written.
    """
    run_file = Path(os.path.abspath(path))
    folder = parts_folder(run_file)
    if os.path.lexists(run_file) and (problem := packing.unpack(run_file)):
        raise MisuseError(f"{path} cannot be resumed: {problem}")
    if not folder.is_dir():
        return None
    try:
        if take_over(folder) is not None:
            raise RunExistsError(taken(folder))
    except BlockingIOError as error:
        raise RunExistsError(f"{folder} is being packed by another process. Resume when that has ended.") from error
    except RunExistsError:
        raise
    except OSError as error:
        raise MisuseError(f"{path} cannot be resumed ({error}).") from error
    try:
        return _read(folder)
    except BaseException as error:
        with suppress(OSError):
            release(folder)
        if isinstance(error, OSError):  # of what is damaged too
            raise MisuseError(f"{path} cannot be resumed: {error}") from error
        raise


def _may_hold(frame: Frame, payload: Buffer) -> bool:
    try:
        return frame.read() == payload
    except DamagedError:  # lost by a power cut; its checksum still tells, and the step will be written again
        return True


def _places_of_weights(schema: Schema) -> Iterator[slice]:
    at = 0
    for spec in schema.tensors:
        if spec.role == "weight":
            yield slice(at, at + spec.nbytes)
        at += spec.nbytes


def _may_begin_with(frame: Frame, payload: memoryview, place: slice) -> bool:
    """A look at few bytes of a step, which tells most of them apart."""
    few = slice(place.start, min(place.stop, place.start + _FEW))
    with frame.path.open("rb") as file:
        return os.pread(file.fileno(), few.stop - few.start, frame.offset + few.start) == payload[few]


def _read(folder: Path) -> Past | None:
    for left in folder.glob(f"*{SUFFIX}"):  # of a recording that died while it thinned
        left.unlink()
    if paths := segments(folder):
        cut_torn(paths[-1])
    entries = in_force(survey(folder))
    schema = read_schema(entries)
    if schema is None and not entries:
        release(folder)
        folder.rmdir()  # its recording died before its first frame; whatever else is in it is not for us to delete
        return None
    if schema is None:
        raise MisuseError(
            f"{folder} has lost what tells its tensors apart, so it cannot be resumed. Give another path."
        )
    frames = [entry for entry in entries if isinstance(entry, Frame)]
    steps = {frame.header.step: frame for frame in frames if frame.header.kind is Kind.STEP}
    number = int(segments(folder)[-1].stem.removeprefix("seg-")) + 1
    kinds = frozenset(frame.header.kind for frame in frames)
    return Past(schema, dict(sorted(steps.items())), kinds, number, stride_of(_notes(frames)))


def _notes(frames: list[Frame]) -> Iterator[dict[str, Any]]:
    for frame in frames:
        if frame.header.kind is Kind.NOTE:
            with suppress(DamagedError):
                yield json.loads(frame.read())
