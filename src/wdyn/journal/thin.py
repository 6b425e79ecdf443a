"""Write a finished segment anew with fewer steps, in one exchange: at any moment the old or the new one is there."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from wdyn.errors import DamagedError
from wdyn.journal.append import SegmentWriter, sync_path
from wdyn.journal.frame import Kind
from wdyn.journal.scan import Frame, Hole, in_force, scan, survey

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
    if not any(isinstance(each, Hole) for each in found):
        _write(path, [each for each in found if isinstance(each, Frame) and _stays(each, keep)], of=len(found))


def drop_replaced(folder: Path) -> frozenset[int]:
    """Leave out what holds no more since the recording was resumed, from all segments but the newest.

    Without that, thinning could take the frame away that says so, and what an ended training left would hold again.

    Args:
        folder: of the journal, which this process records to.

    Returns:
        Steps that must stay as some of that could not be left out, because of damage.

    Raises:
        OSError: a segment could not be read or written. It stands as it was, and so do those that follow.
    """
    entries = survey(folder)
    frames = {(each.path, each.offset): each for each in entries if isinstance(each, Frame)}
    holding = {(each.path, each.offset) for each in in_force(entries) if isinstance(each, Frame)}
    damaged = {each.path for each in entries if isinstance(each, Hole)}
    for path in sorted({path for path, _ in frames.keys() - holding} - damaged):
        own = [each for each in frames.values() if each.path == path]
        try:
            _write(path, [each for each in own if (path, each.offset) in holding], of=len(own))
        except DamagedError:
            damaged.add(path)
    left = any(path in damaged for path, _ in frames.keys() - holding)
    return frozenset(_restarts(entries)) if left else frozenset()


def _restarts(entries: Iterable[Frame | Hole]) -> Iterator[int]:
    furthest = -1
    for entry in entries:
        if isinstance(entry, Frame) and entry.header.kind is Kind.STEP:
            if entry.header.step <= furthest:
                yield entry.header.step
            furthest = entry.header.step


def _write(path: Path, frames: list[Frame], *, of: int) -> None:
    if len(frames) == of:
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
    sync_path(path.parent)


def _stays(frame: Frame, keep: Container[int]) -> bool:
    return frame.header.kind is not Kind.STEP or frame.header.step in keep


def _copy(frames: list[Frame], path: Path, segment: SegmentWriter) -> None:
    with path.open("rb") as file:
        for frame in frames:
            header = frame.header
            segment.append(header.kind, frame.read(file.fileno()), step=header.step, time=header.time)
