"""Read the frames of a journal while it is written or after its writer died, and find where frames are lost."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wdyn.errors import DamagedError
from wdyn.journal.append import segment_path
from wdyn.journal.frame import HEADER_SIZE, MAGIC, Header, Kind, decode
from wdyn.journal.schema import Schema

_BLOCK = 1 << 24  # bytes read at a time where a payload is only checked, or the next frame is looked for


@dataclass(frozen=True)
class Frame:
    """Where one frame lies.

    Attributes:
        path: segment file.
        offset: first byte of the payload.
        header: the frame's header, whose own checksum was right.
    """

    path: Path
    offset: int
    header: Header

    def read(self, descriptor: int | None = None) -> bytes:
        """The payload, checked.

        Args:
            descriptor: of the open segment file; it is opened for this call when omitted.

        Raises:
            DamagedError: the bytes do not match their checksum.
        """
        if descriptor is None:
            with self.path.open("rb") as file:
                return self.read(file.fileno())
        payload = b"".join(_blocks(descriptor, self.offset, self.header.length, size=self.header.length))
        if not self.header.matches(payload):
            raise DamagedError(self.lost())
        return payload

    def check(self, descriptor: int) -> None:
        """Compare the payload with its checksum, a block at a time.

        Raises:
            DamagedError: they differ.
        """
        if not self.header.matches_all(_blocks(descriptor, self.offset, self.header.length, size=_BLOCK)):
            raise DamagedError(self.lost())

    def lost(self) -> str:
        """What to say where the payload does not match."""
        kind, start = self.header.kind, self.offset - HEADER_SIZE
        what = "frame" if kind is Kind.STEP else f"{kind.name.lower()} frame"
        return (
            f"{self.path}: the {what} of step {self.header.step} at byte {start} does not match its checksum. "
            f"What it held is lost; other frames can still be read."
        )


@dataclass(frozen=True)
class Hole:
    """Where frames were written that cannot be found any more.

    Attributes:
        path: segment file, which may itself be missing.
        start: its first byte that belongs to no frame.
        end: byte behind the last of them.
        index: what the first lost frame's place in its segment was.
        frames: how many are lost; None where nothing tells.
    """

    path: Path
    start: int
    end: int
    index: int
    frames: int | None

    def __str__(self) -> str:
        if not self.end:
            return f"{self.path.name} is missing or unreadable"
        count = "an unknown number of" if self.frames is None else self.frames
        return (
            f"{self.path.name} lost {count} frame{'' if self.frames == 1 else 's'} at bytes {self.start} to {self.end}"
        )


def segments(folder: Path) -> list[Path]:
    """Segment files of a journal folder, oldest first; empty where there is no such folder."""
    return sorted(folder.glob("seg-*.wdj"))


def survey(folder: Path) -> list[Frame | Hole]:
    """All frames of a journal in order of writing, and the holes between them.

    Raises:
        OSError: a segment cannot be read.
    """
    there = segments(folder)
    found: list[Frame | Hole] = []
    schema: int | None = None
    for path in _expected(folder, there):
        entries = scan(path, newest=path == there[-1]) if path in there else [Hole(path, 0, 0, 0, None)]
        first = next((each.header.schema for each in entries if isinstance(each, Frame)), schema)
        schema = first if schema is None else schema
        found += entries if first == schema else [Hole(path, 0, 0, 0, None)]  # a segment of another run is none
    return found


def in_force(entries: Iterable[Frame | Hole]) -> list[Frame | Hole]:
    """What holds of a journal, in order of writing.

    A recording that was resumed writes the step it starts from again, and with it whatever was recorded after that step
    holds no more: it belongs to a training that ended there.

    Args:
        entries: of `survey`.
    """
    found: list[Frame | Hole] = []
    furthest, resumed = -1, None  # the last step; the note of a recording that begins here
    for entry in entries:
        if isinstance(entry, Frame) and entry.header.kind is Kind.NOTE:
            resumed = entry
        elif isinstance(entry, Frame) and entry.header.kind is Kind.STEP:
            step = entry.header.step
            # of a step that was not recorded before, only the note tells that others, or scalars, may stand beyond it
            if step <= furthest or (resumed is not None and _resumes_at(resumed, step)):
                found = [each for each in found if not _beyond(each, step)]
            furthest, resumed = step, None
        found.append(entry)
    return found


def cut_torn(path: Path) -> None:
    """Cut off what a dead process left half written at the end of the newest segment, so that others can follow it.

    Args:
        path: of the segment; it is removed where no frame of it is whole.

    Raises:
        OSError: it could not be read or cut.
    """
    found = scan(path)
    last = found[-1] if found else None
    if last is None:
        path.unlink()
    elif isinstance(last, Frame) and (end := last.offset + last.header.length) < path.stat().st_size:
        os.truncate(path, end)


def scan(path: Path, *, newest: bool = True) -> list[Frame | Hole]:
    """The frames of one segment in order, and the holes between them.

    Reads headers only, and the last payloads of the newest segment: a process that dies, or a power cut, tears the end
    of that one, and what is torn there was never recorded. Where anything else follows the last frame, it is a hole.

    Args:
        path: segment file; may be growing.
        newest: whether no other segment follows.

    Returns:
        Frames with an undamaged header, which lie within the file, and holes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        found = list(_entries(path, descriptor, size))
        last = found[-1] if found else None
        end, index = (last.offset + last.header.length, last.header.index + 1) if isinstance(last, Frame) else (0, 0)
        if newest and not _closed(last, descriptor):
            return _without_torn(found, descriptor)
        if end < size or not found:
            found.append(Hole(path, end, size, index, None))
    return found


def read_schema(frames: Sequence[Frame | Hole]) -> Schema | None:
    """The schema of a run, which opens each of its segments, or None where it was never written.

    Raises:
        DamagedError: each of its copies is damaged.
    """
    lost: DamagedError | None = None
    for frame in frames:
        if isinstance(frame, Frame) and frame.header.kind is Kind.SCHEMA:
            try:
                return Schema.from_json(frame.read())
            except DamagedError as error:
                lost = error
    if lost is not None:
        raise DamagedError(
            f"{frames[0].path.parent}: what tells its tensors apart is damaged in each segment, so nothing can be read."
        ) from lost
    return None


def _resumes_at(entry: Frame, step: int) -> bool:
    if entry.header.step != step:
        return False
    try:
        return bool(json.loads(entry.read())["what"] == "resumed")
    except DamagedError:
        return False


def _beyond(entry: Frame | Hole, step: int) -> bool:
    """Whether a frame is of the time after a step; what opens a segment or stands for the whole run never is."""
    of_a_time = (Kind.STEP, Kind.MASKS, Kind.METRICS, Kind.NOTE)
    return isinstance(entry, Frame) and entry.header.kind in of_a_time and entry.header.step > step


def _expected(folder: Path, there: list[Path]) -> list[Path]:
    """The segments there are, and those that must have been between them."""
    last = int(there[-1].stem.removeprefix("seg-")) if there else -1
    return sorted({*there, *(segment_path(folder, number) for number in range(last))})


def _entries(path: Path, descriptor: int, size: int) -> Iterator[Frame | Hole]:
    at = index = 0
    schema: int | None = None
    while (found := _next_header(descriptor, at, size=size, schema=schema)) is not None:
        start, header = found
        if start != at or header.index != index:
            yield Hole(path, at, start, index, header.index - index if header.index >= index else None)
        yield Frame(path, start + HEADER_SIZE, header)
        at, index, schema = start + HEADER_SIZE + header.length, header.index + 1, header.schema


def _next_header(descriptor: int, at: int, *, size: int, schema: int | None) -> tuple[int, Header] | None:
    """Where the next undamaged header of a frame that fits the file lies, and the header: at once, or further on."""
    for start in _candidates(descriptor, at, size):
        header = decode(os.pread(descriptor, HEADER_SIZE, start))
        if header is None or (schema is not None and header.schema != schema):
            continue
        if start + HEADER_SIZE + header.length <= size:
            return start, header
    return None


def _candidates(descriptor: int, at: int, size: int) -> Iterator[int]:
    yield at
    for start in range(at, size, _BLOCK):
        block = os.pread(descriptor, _BLOCK + len(MAGIC) - 1, start)
        place = block.find(MAGIC)
        while place >= 0:
            yield start + place
            place = block.find(MAGIC, place + 1)


def _blocks(descriptor: int, at: int, length: int, *, size: int) -> Iterator[bytes]:
    """Bytes of a file in blocks; fewer where it ends. One call of the system reads at most 2 GiB."""
    while length and (block := os.pread(descriptor, min(length, size), at)):
        yield block
        at, length = at + len(block), length - len(block)


def _closed(last: Frame | Hole | None, descriptor: int) -> bool:
    """Whether this frame says that the recording was closed, so that nothing was torn."""
    if not isinstance(last, Frame) or last.header.kind is not Kind.NOTE:
        return False
    try:
        return bool(json.loads(last.read(descriptor))["what"] == "closed")
    except DamagedError:
        return False


def _without_torn(found: list[Frame | Hole], descriptor: int) -> list[Frame | Hole]:
    while found and isinstance(found[-1], Frame):
        try:
            found[-1].check(descriptor)
        except DamagedError:
            found.pop()
        else:
            break
    return found
