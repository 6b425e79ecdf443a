"""Read the frames of a journal up to the first bad one, while it is written or after its writer died."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wdyn.errors import DamagedError
from wdyn.journal.frame import HEADER_SIZE, Header, Kind, decode
from wdyn.journal.schema import Schema


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

    def read(self) -> bytes:
        """The payload, checked.

        Raises:
            DamagedError: the bytes do not match their checksum.
        """
        with self.path.open("rb") as file:
            payload = os.pread(file.fileno(), self.header.length, self.offset)
        if not self.header.matches(payload):
            raise DamagedError(
                f"{self.path}: the frame of step {self.header.step} at byte {self.offset - HEADER_SIZE} does not match "
                f"its checksum. Its values are lost; all other steps can still be read."
            )
        return payload


def segments(folder: Path) -> list[Path]:
    """Segment files of a journal folder, oldest first; empty where there is no such folder."""
    return sorted(folder.glob("seg-*.wdj"))


def scan(path: Path) -> list[Frame]:
    """The whole frames of one segment, in order, up to the first that is torn or damaged.

    Reads headers only, and the payload of the last frame, since a process that dies tears at most that one.

    Args:
        path: segment file; may be growing.

    Returns:
        Frames with an undamaged header and a complete payload.

    Raises:
        OSError: the file cannot be read.
    """
    frames = list(_headers(path))
    while frames and not _whole(frames[-1]):
        frames.pop()
    return frames


def read_schema(frames: list[Frame]) -> Schema | None:
    """The schema that opens a segment, or None where not even that was written."""
    if not frames or frames[0].header.kind is not Kind.SCHEMA:
        return None
    return Schema.from_json(frames[0].read())


def _headers(path: Path) -> Iterator[Frame]:
    with path.open("rb") as file:
        descriptor, at, schema = file.fileno(), 0, None
        while (header := decode(os.pread(descriptor, HEADER_SIZE, at))) is not None:
            end = at + HEADER_SIZE + header.length
            schema = header.schema if schema is None else schema
            if end > os.fstat(descriptor).st_size or header.schema != schema:
                return
            yield Frame(path, at + HEADER_SIZE, header)
            at = end


def _whole(frame: Frame) -> bool:
    try:
        frame.read()
    except DamagedError:
        return False
    return True
