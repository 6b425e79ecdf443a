"""Write a finished segment anew with fewer steps, in one exchange: at any moment the old or the new one is there."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from wdyn.journal.append import SegmentWriter, sync_folder
from wdyn.journal.frame import Kind
from wdyn.journal.scan import Frame, Hole, scan

SUFFIX = ".thin"  # of the new segment before it takes the place of the old


def thin_segment(path: Path, *, keep: Container[int]) -> None:
    """Leave out the frames of steps that are not to stay; all other frames keep their order and their bytes.

    Args:
        path: of a segment that nobody writes to. One that has a hole is left alone.
        keep: steps that stay.

    Raises:
        DamagedError: a frame does not match its checksum. The segment stands as it was.
        OSError: it could not be read or written. The segment stands as it was.
    """
    found = scan(path, newest=False)
    frames = [each for each in found if isinstance(each, Frame) and _stays(each, keep)]
    if len(frames) == len(found) or any(isinstance(each, Hole) for each in found):
        return
    thinner = path.with_suffix(SUFFIX)
    segment = SegmentWriter(thinner, frames[0].header.schema)
    try:
        try:
            _copy(frames, path, segment)
        finally:
            segment.close()
        os.replace(thinner, path)
    except BaseException:
        thinner.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _stays(frame: Frame, keep: Container[int]) -> bool:
    return frame.header.kind is not Kind.STEP or frame.header.step in keep


def _copy(frames: list[Frame], path: Path, segment: SegmentWriter) -> None:
    with path.open("rb") as file:
        for frame in frames:
            header = frame.header
            segment.append(header.kind, frame.read(file.fileno()), step=header.step, time=header.time)
